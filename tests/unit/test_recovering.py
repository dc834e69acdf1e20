"""How far a recovery is: counted, estimated, and shown on a terminal, in lines, and to a health check."""

from __future__ import annotations

import asyncio
import io

import msgspec
import pytest
from rich.console import Console

from streams.commands import recovery_bar
from streams.commands.recovery_bar import in_words, show
from streams.recovering import Recovery, RecoveryStatus
from streams.web.healthy import trouble
from tests.unit.test_web_healthy import answering


class Hand:
    """A clock that goes on when it is told to."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_nothing_is_shown_while_nothing_is_recovered() -> None:
    recovery = Recovery()
    assert recovery.status is None
    with recovery.of([]):
        assert recovery.status is None


def test_what_is_left_is_known_once_the_broker_told_every_end_and_its_time_from_what_is_done() -> None:
    clock = Hand()
    recovery = Recovery(clock)
    with recovery.of([2, 5]):
        assert recovery.status == RecoveryStatus(2, 0, None, None)
        recovery.begins({2: 1_000, 5: 0})
        clock.now_s += 4
        recovery.reached(2, 3_000, 4_000, 1_900)
        assert recovery.status == RecoveryStatus(2, 2_000, None, None)
        recovery.reached(5, 2_000, 8_000, 2_000)
        assert recovery.status == RecoveryStatus(2, 4_000, 7_000, 7.0)
        recovery.reached(2, 4_000, 4_000, 1_000)
        recovery.reached(5, 8_000, 8_000, 6_000)
        assert recovery.status == RecoveryStatus(2, 11_000, 0, 0.0)
    assert recovery.status is None
    assert recovery.records == 10_900


def test_a_recovery_of_a_worker_that_was_at_work_before_is_not_its_first() -> None:
    recovery = Recovery()
    firsts = []
    for numbers in ([1], [2]):
        with recovery.of(numbers):
            firsts.append(recovery.status is not None and recovery.status.first)
    assert firsts == [True, False]


def test_a_recovery_in_a_line() -> None:
    assert in_words(RecoveryStatus(1, 0, None, None)) == "recovering 1 partition: 0 records of the changelog read"
    assert in_words(RecoveryStatus(4, 250_000, 750_000, 12.4)) == (
        "recovering 4 partitions: 250,000 records of the changelog read, 750,000 left, about 12 s"
    )
    assert in_words(RecoveryStatus(4, 9, 0, 0.0)).endswith("the changelog is read (9 records), taking rows in")


def shown(console: Console, recovery: Recovery) -> list[RecoveryStatus]:
    """What is said of a recovery that goes on until something is shown of it."""
    said: list[RecoveryStatus] = []

    async def run() -> None:
        task = asyncio.create_task(show(recovery, console, said.append))
        with recovery.of([0]):
            recovery.begins({0: 0})
            recovery.reached(0, 300_000, 1_000_000, 300_000)
            async with asyncio.timeout(5):
                while not said and "300000/1000000" not in str(getattr(console.file, "getvalue", str)()):
                    await asyncio.sleep(0)
        task.cancel()

    asyncio.run(run())
    return said


def test_on_a_terminal_there_is_a_bar_and_elsewhere_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery_bar, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(recovery_bar, "LINE_EVERY_S", 0.0)
    bar, nothing = io.StringIO(), io.StringIO()
    assert shown(Console(file=bar, force_terminal=True, width=100), Recovery()) == []
    assert "recovering, 1 partitions" in bar.getvalue()
    assert shown(Console(file=nothing, force_terminal=False), Recovery())[0].left == 700_000
    assert nothing.getvalue() == ""


def test_a_worker_that_recovers_for_the_first_time_is_not_healthy_yet_and_later_it_stays_so() -> None:
    for first, wanted in ((True, "the worker recovers, 70 records of its changelog are left"), (False, "")):
        recovering = msgspec.to_builtins(RecoveryStatus(4, 30, 70, 1.0, first))
        body = msgspec.json.encode({"ok": True, "state": "recovering", "recovering": recovering})
        with answering(200, body) as url:
            assert trouble(url) == wanted
