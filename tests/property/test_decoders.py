"""P9: no bytes make the decoders raise, and what they read is what plain Python reads."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.sources import Decoder, Incoming
from tests.hostile import CODES, TOKENS, records
from tests.plain_reading import Read, Wrong, plainly
from tests.shop import CATALOGUE

PAY, WHO = (Decoder(CATALOGUE, source, CODES) for source in CATALOGUE.sources)
BATCH = 50


def check(raws: list[bytes]) -> int:
    """Whether the decoder and plain Python agree about every record; how many are good."""
    decoded = PAY.decode([Incoming(raw) for raw in raws], keyed=False)
    places = {int(index): place for place, index in enumerate(decoded.index)}
    reasons = {bad.index: bad for bad in decoded.bad}
    assert sorted([*places, *reasons]) == list(range(len(raws)))  # each is read, or has one reason
    assert len(decoded.bad) == len(reasons)
    for number, raw in enumerate(raws):
        wanted = plainly(CATALOGUE, PAY.source, raw, CODES)
        said = raw, wanted, reasons.get(number)
        if isinstance(wanted, Wrong):
            assert number in reasons, said
        else:  # of fields that stand there twice the last counts, but the first may not be of a wrong type either
            assert number in places or wanted.doubled, said
        if number not in places:
            continue
        at = places[number]
        read = decoded.customers[at], int(decoded.times[at]), decoded.ids[at], tuple(decoded.values[at].tolist())
        assert isinstance(wanted, Read)
        assert read == (wanted.customer, wanted.time, wanted.id, wanted.values), raw
    return len(places)


@pytest.mark.parametrize("seed", range(4))
def test_p9_a_hundred_thousand_hostile_records_are_read_as_plain_python_reads_them(seed: int) -> None:
    stream, good = records(seed), 0
    for _ in range(25_000 // BATCH):
        good += check(list(islice(stream, BATCH)))
    assert 2_000 < good < 12_000


@given(st.lists(st.binary(max_size=200) | st.text(max_size=50).map(str.encode), min_size=1, max_size=20))
def test_p9_no_bytes_at_all_make_an_exception(raws: list[bytes]) -> None:
    check(raws)


@pytest.mark.parametrize("seed", range(2))
def test_p9_hostile_profiles_and_removals_are_read_alike_alone_and_in_company(seed: int) -> None:
    fields = (b"customer", b"at", b"vip", b"born")
    raws = [
        b"{" + b",".join(b'"%s":%s' % (name, value) for name, value in zip(fields, values, strict=False)) + b"}"
        for token in TOKENS
        for values in ((b'"ann"', token), (token,), (b'"ann"', b"5", token), (token, b"5", b"true"))
    ]
    given_ = [Incoming(raw, key=(b"ann", None)[seed], timestamp=1_800_000_000_000) for raw in [*raws, b""]]
    given_ += [Incoming(None, key=key) for key in (None, b"", b"ann", b"\xff", b"x" * 257, b"x" * 10_000_000)]
    together = WHO.decode(given_, keyed=True)
    read, refused = set(together.index.tolist()), {bad.index: bad.reason for bad in together.bad}
    assert read | set(refused) == set(range(len(given_)))
    for number, record in enumerate(given_):
        alone = WHO.decode([record], keyed=True)
        assert (len(alone.customers) == 1) == (number in read), record.value
        assert [bad.reason for bad in alone.bad] == ([refused[number]] if number in refused else [])
