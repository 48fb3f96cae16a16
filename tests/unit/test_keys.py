"""Names of keys: what is refused, and that no two things ever share a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustforge.errors import InvalidArgumentError, InvalidTypeError
from rustforge.keys import MAX_KEY_BYTES, KeySpace

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = st.text(min_size=1, max_size=12) | st.sampled_from(["~", ":", "~tag:x", "tag:x", "lock:x", "rate:x", "a:b", "*"])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("value", "shop:article:1"),
        ("tag", "shop~tag:article:1"),
        ("lock", "shop~lock:article:1"),
        ("rate", "shop~rate:article:1"),
    ],
)
def test_names(kind: str, expected: str) -> None:
    """Values have a colon after the prefix; what belongs to them has a tilde and its kind."""
    assert getattr(KeySpace("shop"), kind)("article:1") == expected


def test_without_a_prefix_keys_stand_as_they_are() -> None:
    """No prefix leaves values alone, and marks the rest by a leading tilde."""
    keys = KeySpace(None)
    assert (keys.value("a"), keys.tag("a"), keys.all_values) == ("a", "~tag:a", "")


@pytest.mark.parametrize("kind", ["value", "tag", "lock", "rate"])
@pytest.mark.parametrize("prefix", [None, "shop"])
@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", InvalidArgumentError, "must have 1 to 1,024 bytes, not 0"),
        ("x" * 1025, InvalidArgumentError, "not 1,025"),
        ("é" * 513, InvalidArgumentError, "not 1,026"),
        ("\ud800", InvalidArgumentError, "cannot be written as UTF-8"),
        (b"a", InvalidTypeError, "must be a str, not bytes"),
        (1, InvalidTypeError, "must be a str, not int"),
        (None, InvalidTypeError, "must be a str, not NoneType"),
    ],
)
def test_unusable_keys(kind: str, prefix: str | None, text: str, error: type[Exception], words: str) -> None:
    """Every kind of key refuses what is empty, too long, not encodable or not text, with both kinds of ValueError."""
    name: Callable[[str], str] = getattr(KeySpace(prefix), kind)
    with pytest.raises(error, match=words):
        name(text)
    with pytest.raises(ValueError):
        name(text)


@pytest.mark.parametrize("text", ["x" * MAX_KEY_BYTES, "é" * 512, " ", "\x00\r\n", "a b", "{tag}", "*?[", "~x"])
def test_usable_keys(text: str) -> None:
    """Up to 1,024 bytes of anything is a key."""
    assert KeySpace("shop").value(text) == f"shop:{text}"


def test_a_tilde_is_refused_where_it_could_be_mistaken() -> None:
    """Without a prefix, a value's key must not look like an internal one."""
    with pytest.raises(InvalidArgumentError, match="must not start with a tilde"):
        KeySpace(None).value("~lock:x")
    assert KeySpace(None).value("a~lock:x") == "a~lock:x"


@pytest.mark.parametrize(
    "prefix", ["", "a b", "{b}", "a*", "a?", "[a", "a]", "a~b", "a\\b", "^", "\n", "\x7f", "\u2028"]
)
def test_unusable_prefixes(prefix: str) -> None:
    """A prefix has no blanks, nothing unprintable, no glob characters and nothing that Redis Cluster hashes."""
    with pytest.raises(InvalidArgumentError):
        KeySpace(prefix)


@pytest.mark.parametrize("prefix", [1, b"shop", True])
def test_a_prefix_is_text(prefix: str) -> None:
    """Another type is named."""
    with pytest.raises(InvalidTypeError, match="prefix must be a str"):
        KeySpace(prefix)


@pytest.mark.parametrize("prefix", ["shop", "shop:eu", "läden", "a" * 128, "a/b-c_d.e"])
def test_usable_prefixes(prefix: str) -> None:
    """Anything else up to 128 characters is a prefix."""
    assert KeySpace(prefix).prefix == prefix
    with pytest.raises(InvalidArgumentError):
        KeySpace("a" * 129)


@given(prefix=st.none() | st.just("shop"), first=TEXT, second=TEXT, kinds=st.tuples(*[st.sampled_from(range(4))] * 2))
def test_no_two_things_share_a_key(prefix: str | None, first: str, second: str, kinds: tuple[int, int]) -> None:
    """Whatever the text, two names give one key only if kind and name are the same."""
    keys = KeySpace(prefix)
    makers = (keys.value, keys.tag, keys.lock, keys.rate)
    try:
        one, other = makers[kinds[0]](first), makers[kinds[1]](second)
    except InvalidArgumentError:
        return
    assert (one == other) == ((kinds[0], first) == (kinds[1], second))
    assert keys.value("x").startswith(keys.all_values)
    assert prefix is None or not keys.lock(first).startswith(keys.all_values)
