"""Typed values as JSON, by pydantic.

Values are written by field name and read by name or alias, so what was written can always be read back, whatever
aliases a model declares.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DecodeError", "EncodeError", "decode", "decoder", "encode", "return_type"]

_MAX_TYPES = 1024
_NO_NUMBERS = (b"NaN", b"Infinity")


class EncodeError(TypeError):
    """The value cannot be written as JSON."""


class DecodeError(ValueError):
    """The bytes are not JSON of the type. The message never shows the value."""


def encode(value: object) -> bytes:
    """Write a value as JSON.

    Args:
        value: Anything pydantic can write: models, dataclasses, containers, dates, UUIDs, enums, numbers, text.

    Raises:
        EncodeError: The value has a part that JSON cannot hold, such as an open file or a NaN.
    """
    try:
        text = to_json(value, by_alias=False, round_trip=True)
        if any(name in text for name in _NO_NUMBERS) and text != to_json(
            value, by_alias=False, round_trip=True, inf_nan_mode="null"
        ):
            msg = "NaN and infinity cannot be written as JSON; store None or a string in their place"
            raise EncodeError(msg)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        msg = f"a value of type {type(value).__name__} cannot be written as JSON: {error}"
        raise EncodeError(msg) from error
    return text


def decode(data: bytes, type: Any = None) -> Any:  # noqa: A002 - the public name of the parameter
    """Read JSON as a type.

    Args:
        data: JSON text.
        type: Anything `pydantic.TypeAdapter` takes; `None` reads plain JSON.

    Raises:
        DecodeError: The bytes are not JSON, or do not fit the type.
    """
    try:
        return decoder(type)(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        problem = f"{place}: {first['msg']}" if place else first["msg"]
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        msg = f"does not fit {_show_type(type)}: {problem}{more}"
        raise DecodeError(msg) from None
    except ValueError:
        msg = "is not JSON"
        raise DecodeError(msg) from None


def decoder(type: Any) -> Callable[[bytes], Any]:  # noqa: A002
    """Return the function that reads JSON as a type; it raises what pydantic raises."""
    if type is None:
        return from_json
    try:
        return _decoder(type)
    except TypeError:  # an unhashable annotation
        return _decoder.__wrapped__(type)


@functools.lru_cache(maxsize=_MAX_TYPES)
def _decoder(type: Any) -> Callable[[bytes], Any]:  # noqa: A002
    return functools.partial(TypeAdapter(type).validator.validate_json, by_alias=True, by_name=True)


def return_type(function: Callable[..., Any]) -> Any:
    """Find the type that a function is annotated to return; `None` where it says nothing.

    Wrappers, `functools.partial` and callable objects are looked through.
    """
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)
    if code is None:
        function = getattr(function, "__func__", None) or type(function).__call__
        code = getattr(function, "__code__", None)
        if code is None:
            return None
    try:
        return _return_types[code]
    except KeyError:
        found = _find_return_type(inspect.unwrap(function))
        if len(_return_types) >= _MAX_TYPES:
            _return_types.clear()
        _return_types[code] = found
        return found


_return_types: dict[Any, Any] = {}


def _find_return_type(function: Callable[..., Any]) -> Any:
    """Resolve the return annotation, looking into the function's own closure for local types."""
    try:
        hints = typing.get_type_hints(function, localns=inspect.getclosurevars(function).nonlocals, include_extras=True)
    except (NameError, TypeError, ValueError, AttributeError):
        return None
    found = hints.get("return")
    origin = typing.get_origin(found)
    if isinstance(origin, type) and issubclass(origin, Awaitable):  # such as -> Awaitable[Article]
        found = typing.get_args(found)[-1]
    return None if found is typing.Any or found is type(None) else found


def _show_type(type: Any) -> str:  # noqa: A002
    return getattr(type, "__name__", None) or str(type)
