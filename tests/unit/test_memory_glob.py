"""Glob patterns: what Redis' own matcher does, step by step, against the one that is compiled."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rustforge.redis import escape_glob
from rustforge.redis.embedded.glob import matcher

TEXT = st.text(alphabet="ab-^]*?[\\\n", max_size=8).map(str.encode)


def by_the_book(pattern: bytes, text: bytes) -> bool:
    """Match as `stringmatchlen` of Redis does, character by character."""
    while pattern and text:
        char, rest = pattern[:1], pattern[1:]
        if char == b"*":
            return any(by_the_book(rest, text[start:]) for start in range(len(text))) or not rest.strip(b"*")
        if char == b"[":
            matches, rest = _class(rest, text[0])
            if not matches:
                return False
        elif char != b"?":
            if char == b"\\" and rest:
                char, rest = rest[:1], rest[1:]
            if char != text[:1]:
                return False
        pattern, text = rest, text[1:]
        if not text:
            pattern = pattern.lstrip(b"*")
    return not pattern and not text


def _class(pattern: bytes, char: int) -> tuple[bool, bytes]:
    """Match one character against what follows `[`; return whether it does, and what follows the class."""
    negated = pattern.startswith(b"^")
    pattern = pattern[negated:]
    found = False
    while pattern and not pattern.startswith(b"]"):
        if pattern.startswith(b"\\") and len(pattern) > 1:
            found |= pattern[1] == char
            pattern = pattern[2:]
        elif len(pattern) > 2 and pattern[1:2] == b"-":
            found |= min(pattern[0], pattern[2]) <= char <= max(pattern[0], pattern[2])
            pattern = pattern[3:]
        else:
            found |= pattern[0] == char
            pattern = pattern[1:]
    return found != negated, pattern[1:]


@example(b"**", b"")
@example(b"a*b?c", b"a\n\nb\nc")
@example(b"[^]", b"a")
@given(TEXT, TEXT)
def test_a_pattern_matches_as_in_redis(pattern: bytes, text: bytes) -> None:
    """The compiled pattern says the same as the matcher of Redis, for any pattern, well-formed or not."""
    if pattern != b"*" or text:
        assert bool(matcher(pattern)(text)) == by_the_book(pattern, text)


@given(st.binary(max_size=5), st.binary(max_size=5))
def test_other_bytes_stand_for_themselves(first: bytes, second: bytes) -> None:
    """No byte but the six of the pattern language has a meaning."""
    pattern = b"".join(b"\\" + bytes([byte]) for byte in first)
    assert bool(matcher(pattern)(second)) == (first == second)


@given(st.text(max_size=6), st.text(max_size=6))
def test_escaped_text_matches_itself_alone(text: str, other: str) -> None:
    """`escape_glob` leaves nothing special in any text."""
    assert bool(matcher(escape_glob(text).encode())(other.encode())) == (text == other)


@pytest.mark.parametrize(("text", "found"), [(b"", True), (b"a", True), (b"\n", True), (b"\xff", True)])
def test_a_star_matches_everything(text: bytes, found: bool) -> None:
    """The lone star takes any key, the empty one and those with line ends too."""
    assert bool(matcher(b"*")(text)) is found


def test_many_stars_do_not_take_forever() -> None:
    """A pattern full of stars against a long key is decided at once."""
    start = time.perf_counter()
    assert not matcher(b"*a" * 40 + b"*b")(b"a" * 20_000)
    assert matcher(b"*a" * 40 + b"*")(b"a" * 20_000)
    assert time.perf_counter() - start < 0.5
