"""The error replies that several commands share, in the words of Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustforge.redis.multiplexer import reply_error

if TYPE_CHECKING:
    from rustforge.errors import RedisReplyError

__all__ = [
    "invalid_expire",
    "not_a_float",
    "not_an_integer",
    "overflow",
    "reply_error",
    "syntax_error",
    "wrong_arity",
    "wrong_type",
]


def wrong_type() -> RedisReplyError:
    """A command met a value of another kind."""
    return reply_error("WRONGTYPE Operation against a key holding the wrong kind of value")


def syntax_error() -> RedisReplyError:
    """The options of a command make no sense together."""
    return reply_error("ERR syntax error")


def not_an_integer() -> RedisReplyError:
    """A number that must be a 64-bit integer is not."""
    return reply_error("ERR value is not an integer or out of range")


def not_a_float() -> RedisReplyError:
    """A number that may have a fraction is no number."""
    return reply_error("ERR value is not a valid float")


def overflow() -> RedisReplyError:
    """A counter would leave 64 bits."""
    return reply_error("ERR increment or decrement would overflow")


def invalid_expire(command: str) -> RedisReplyError:
    """A time to live is not positive, or beyond what fits."""
    return reply_error(f"ERR invalid expire time in '{command}' command")


def wrong_arity(command: str) -> RedisReplyError:
    """A command has too many or too few arguments."""
    return reply_error(f"ERR wrong number of arguments for '{command}' command")
