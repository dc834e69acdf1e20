"""The hold-out: the same customers every time, as many as asked for, others for every trigger."""

from __future__ import annotations

import hashlib

import pytest

from streams.triggers.holdout import held_out

CUSTOMERS = [f"c{number}" for number in range(20_000)]


@pytest.mark.parametrize("share", [0.001, 0.1, 0.2, 0.5, 0.999])
def test_as_many_are_held_out_as_asked_for(share: float) -> None:
    found = sum(held_out("call", customer, share) for customer in CUSTOMERS)
    spread = (len(CUSTOMERS) * share * (1 - share)) ** 0.5
    assert abs(found - len(CUSTOMERS) * share) < 4 * spread


def test_nobody_is_held_out_of_nothing() -> None:
    assert not any(held_out("call", customer, 0.0) for customer in CUSTOMERS[:1_000])


def test_who_is_held_out_of_a_tenth_is_held_out_of_a_fifth_too() -> None:
    tenth, fifth = ({c for c in CUSTOMERS if held_out("call", c, share)} for share in (0.1, 0.2))
    assert tenth < fifth


def test_two_triggers_hold_different_customers_out() -> None:
    one, other = ({c for c in CUSTOMERS if held_out(name, c, 0.5)} for name in ("call", "push"))
    assert abs(len(one & other) / len(CUSTOMERS) - 0.25) < 0.02


def test_the_answer_is_the_documented_hash_for_ever() -> None:
    value = int.from_bytes(hashlib.blake2b(b"call\x1fc7", digest_size=8).digest(), "big") / 2**64
    assert held_out("call", "c7", value + 1e-9)
    assert not held_out("call", "c7", value - 1e-9)
    assert [number for number in range(40) if held_out("call", f"c{number}", 0.1)] == [14, 24, 25, 32, 37]
