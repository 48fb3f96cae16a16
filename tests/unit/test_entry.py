"""How values stand in Redis: what is packed is parsed again, and foreign bytes harm nobody."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustforge.cache.entry import HEADER_BYTES, NO_OWNER, Entry, has_tags, identity, is_lease, is_soft, window_of

LEASE = b"\xff\x01" + b"a" * 16 + b"0" * 13
ENTRIES = st.builds(
    Entry,
    payload=st.binary(max_size=300).filter(lambda raw: raw[:1] != b"\xff"),
    window=st.integers(0, 3_153_600_000_000),
    cost=st.integers(0, 999_999_999),
    tags=st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), st.text("0123456789abcdef", min_size=16)),
    soft=st.just(True),
)


@given(ENTRIES, st.none() | st.integers(0, 200))
def test_round_trip(entry: Entry, compress_above: int | None) -> None:
    """Payload, window, cost and tags come back, compressed or not, and the start of the bytes says what they are."""
    raw = entry.pack(compress_above)
    assert Entry.parse(raw) == entry
    start = raw[: HEADER_BYTES + 1]
    assert (is_soft(start), is_lease(start), window_of(start)) == (True, False, entry.window)
    assert has_tags(start) == bool(entry.tags)
    assert start[2:18] == NO_OWNER
    assert len(identity(raw)) == 8
    assert identity(raw) != identity(entry.pack(compress_above))


@given(st.binary(max_size=300).filter(lambda raw: raw[:1] != b"\xff"), st.none() | st.integers(0, 100))
def test_round_trip_without_a_header(payload: bytes, compress_above: int | None) -> None:
    """A plain value is stored as it is; compressed, it comes back the same."""
    raw = Entry(payload).pack(compress_above)
    assert Entry.parse(raw) == Entry(payload)
    assert raw == payload or (compress_above is not None and len(raw) < len(payload))
    assert identity(raw) == hashlib.sha1(raw).hexdigest()
    assert not is_soft(raw)


def test_compression_saves() -> None:
    """Only what is longer than the bound, and becomes shorter, is compressed."""
    text = b"a" * 10_000
    assert len(Entry(text).pack(9_999)) < 200
    assert Entry(text).pack(10_000) == text
    noise = bytes(hashlib.sha512(str(number).encode()).digest()[0] % 255 for number in range(200))
    assert Entry(noise).pack(0) == noise


def test_leases() -> None:
    """A lease is no value."""
    assert is_lease(LEASE)
    assert Entry.parse(LEASE) is None
    assert not is_soft(LEASE)
    assert window_of(LEASE) == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b"\xff\x01",
        b"\xff\xfeU\x00T\x00F\x00-\x001\x006\x00" * 9,
        b"\xff\xd8\xff\xe0" + b"\x00" * 100,
        b"\xff\x04" + b"x" * 80,
        b"\xff\x04" + b"\xff" * 80,
        b"\xff\x02" + b"0" * 59 + b"\xffnot zlib",
        b"\xff\x04" + b"0" * 59 + b"{not json\xffx",
        b"\xff\x08" + b"0" * 59 + b"\xffx",
        b"\xff" * 100,
    ],
)
def test_foreign_bytes(raw: bytes) -> None:
    """Bytes that something else wrote are a payload that does not decode, and never an exception or a lease."""
    assert Entry.parse(raw) == Entry(raw)
    assert not is_lease(raw)
    assert window_of(raw[: HEADER_BYTES + 1]) == 0
    assert identity(raw)


@given(st.binary(max_size=120))
def test_any_bytes_after_the_mark(rest: bytes) -> None:
    """Whatever stands in Redis, reading it raises nothing."""
    raw = b"\xff" + rest
    Entry.parse(raw)
    identity(raw)
    window_of(raw[: HEADER_BYTES + 1])
    has_tags(raw)
