"""Slots of keys and commands, and what a cluster's answers say about who serves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rustforge.errors import InvalidArgumentError
from rustforge.redis.commands import UNSHAREABLE, refusal, split, unpack
from rustforge.redis.multiplexer import pack
from rustforge.redis.pieces import cut
from rustforge.redis.slots import command_slot, key_slot, read_redirection, read_slots

if TYPE_CHECKING:
    from rustforge.types import CommandArgument


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        ("123456789", 0x31C3),  # the check value of CRC16/XMODEM, and below 16,384
        ("", 0),
        ("foo", 12182),
        ("bar", 5061),
        ("hello", 866),
        ("{foo}:anything", 12182),
        (b"a{foo}b{bar}", 12182),
        ("foo{}{bar}", 8363),  # empty braces are no tag
        ("foo{{bar}}zap", 4015),  # the tag is "{bar"
        ("foo{bar", 15278),
        ("é", 10180),
        (42, 8000),
        (1.5, 12682),
    ],
)
def test_slots_of_keys(key: CommandArgument, slot: int) -> None:
    """A key's slot is the one that Redis computes: CRC16 of the first non-empty braces' content, else of all."""
    assert key_slot(key) == slot


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("GET", "foo"), "foo"),
        ((b"get", b"foo"), "foo"),
        (("EVALSHA", "digest", 2, "foo", "{foo}2", "argument"), "foo"),
        (("eval", "return 1", b"1", "foo"), "foo"),
        (("EVAL", "return 1", 0, "foo"), None),
        (("FCALL_RO", "name", "0"), None),
        (("PING",), None),
        (("ping", "foo"), None),
        (("SCRIPT", "LOAD", "foo"), None),
        (("RANDOMKEY",), None),
    ],
)
def test_slots_of_commands(command: tuple[CommandArgument, ...], key: str | None) -> None:
    """A command's slot is its first key's, which scripts have after their number of keys; some have none."""
    assert command_slot(command) == (None if key is None else key_slot(key))


def test_map_of_a_cluster() -> None:
    """CLUSTER SLOTS gives each primary's ranges; a host that it leaves open is the one that was asked."""
    answer = [
        [0, 99, [b"10.0.0.1", 7000, b"id1"], [b"10.0.0.2", 7000, b"replica"]],
        [100, 199, [b"", 7001, b"id2", []]],
        [200, 299, [None, 7002, b"id3", {b"hostname": b"c.example"}]],
        [300, 399, [b"?", 7003, b"id4", [b"ip", b"10.0.0.4"]]],
        [400, 499, [b"?", 7004, b"id5", {}]],
        [500, 500, [b"10.0.0.1", 7000, b"id1"]],
    ]
    assert read_slots(answer, "seed.example") == {
        ("10.0.0.1", 7000): [(0, 99), (500, 500)],
        ("seed.example", 7001): [(100, 199)],
        ("seed.example", 7002): [(200, 299)],
        ("10.0.0.4", 7003): [(300, 399)],
        ("seed.example", 7004): [(400, 499)],
    }


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("MOVED 3999 127.0.0.1:6381", (3999, ("127.0.0.1", 6381))),
        ("ASK 1 node.example:6381", (1, ("node.example", 6381))),
        ("MOVED 1 2001:db8::1:6381", (1, ("2001:db8::1", 6381))),
        ("MOVED 1 :6381", (1, ("asked", 6381))),
        ("MOVED 1 ?:6381", (1, ("asked", 6381))),
    ],
)
def test_redirections(message: str, expected: tuple[int, tuple[str, int]]) -> None:
    """MOVED and ASK name a slot and a node; an open host is the one that answered."""
    assert read_redirection(message, "asked") == expected


def test_a_transaction_is_one_piece() -> None:
    """A pipeline is cut into commands, and a transaction stays whole, with its keys in one slot."""
    commands: list[list[str | int]] = [
        ["GET", "a"],
        ["multi"],
        ["SET", "{t}1", 1],
        ["GET", "{t}2"],
        ["EXEC"],
        ["GET", "b"],
        ["MULTI"],
        ["GET", "c"],
    ]
    assert [len(part) for part in split(commands)] == [1, 4, 1, 2]
    pieces = cut(commands)
    assert [(piece.slot, piece.size) for piece in pieces] == [
        (key_slot("a"), 1),
        (key_slot("t"), 4),
        (key_slot("b"), 1),
        (key_slot("c"), 2),
    ]
    assert unpack(pieces[1].payload) == [[b"multi"], [b"SET", b"{t}1", b"1"], [b"GET", b"{t}2"], [b"EXEC"]]
    with pytest.raises(InvalidArgumentError, match=r"a transaction .* 'a' and 'b' .*hash tag.*\{user:1\}:name"):
        cut([["MULTI"], ["GET", "a"], ["GET", "b"], ["EXEC"]])


def test_commands_read_back() -> None:
    """What is sent can be read back, so a command that waits finds its node again."""
    payload = pack("SET", "k", b"\x00\xff", 1, 1.5) + pack("GET", "é")
    assert unpack(payload) == [[b"SET", b"k", b"\x00\xff", b"1", b"1.5"], [b"GET", "é".encode()]]


def test_unshareable_commands_in_every_spelling() -> None:
    """Commands that would change the shared connection are known in upper and lower case, as text and as bytes."""
    assert {"MULTI", "multi", b"MULTI", b"multi", "SSUBSCRIBE"} <= UNSHAREABLE
    assert "one pipeline" in str(refusal("MULTI"))
