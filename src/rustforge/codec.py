"""Typed values as JSON, by Pydantic.

Values are written by field name and read by name or alias, so what was written can always be read back, whatever
aliases a model declares.
"""

# Values, annotations and schemas are of any type here.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections.abc import Awaitable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import PydanticUndefinedAnnotation, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json
from pydantic_core.core_schema import ErrorType

from rustforge.errors import InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DecodeError", "EncodeError", "decode", "decoder", "encode", "return_type"]

_MAX_TYPES = 1024
_MAX_LAYERS = 50
_EAGER_ANNOTATIONS = sys.version_info < (3, 14)
_N, _I = b"NI"
# What an error of pydantic says may be shown, except where it quotes the value or a validator of the user's speaks.
_SHOWN = frozenset(typing.get_args(ErrorType)) - {
    "assertion_error",
    "union_tag_invalid",
    "url_parsing",
    "url_syntax_violation",
    "uuid_parsing",
    "value_error",
}


def _as_its_class_says(value: Any) -> Any:
    """Write what only its class tells how to, such as an IP address."""
    adapter: TypeAdapter[Any] = TypeAdapter(value.__class__)
    return adapter.dump_python(value, mode="json", by_alias=False, round_trip=True)


def _has_no_number(text: bytes, value: object) -> bool:
    """Tell whether what looks like NaN or infinity is one, and not a part of some text."""
    return text != to_json(value, by_alias=False, round_trip=True, fallback=_as_its_class_says, inf_nan_mode="null")


class EncodeError(TypeError):
    """The value cannot be written as JSON."""


class DecodeError(ValueError):
    """The bytes are not JSON of the type. Neither the message nor an exception behind it shows the value."""


def encode(value: object, write: Callable[..., bytes] = to_json) -> bytes:
    """Write a value as JSON.

    Args:
        value: Anything Pydantic can write: models, dataclasses, containers, dates, UUIDs, enums, numbers, text.
        write: What writes it: for a model, `to_json` of its `__pydantic_serializer__` need not find that one first.

    Raises:
        EncodeError: The value has a part that JSON cannot hold, such as an open file or a NaN. (What a Pydantic model
            does with a NaN of its own is its `ser_json_inf_nan` setting: null, unless it says otherwise.)
    """
    try:
        text = write(value, by_alias=False, round_trip=True, fallback=_as_its_class_says)
        # A byte is looked for ten times as fast as a word.
        if ((_N in text and b"NaN" in text) or (_I in text and b"Infinity" in text)) and _has_no_number(text, value):
            msg = "NaN and infinity cannot be written as JSON; store None or a string in their place"
            raise EncodeError(msg)
    except (PydanticSerializationError, PydanticUserError, ValueError, RecursionError) as error:
        reason = str(error).removeprefix("Error serializing to JSON: ").removeprefix("PydanticSerializationError: ")
        msg = f"a value of type {type(value).__name__} cannot be written as JSON: {reason}"
        raise EncodeError(msg) from error
    return text


def decode(data: bytes, type: Any = None) -> Any:  # noqa: A002 - the public name of the parameter
    """Read JSON as a type.

    Args:
        data: JSON text.
        type: Anything `pydantic.TypeAdapter` takes; `None` reads plain JSON.

    Raises:
        DecodeError: The bytes are not JSON, or do not fit the type.
        InvalidTypeError: Pydantic cannot read JSON as such a type.
    """
    try:
        return decoder(type)(data)
    except ValidationError as error:
        msg = _describe(error, type)
    except ValueError as error:
        if isinstance(error, InvalidTypeError):
            raise
        msg = "is not JSON"
    raise DecodeError(msg)  # outside of the handlers, so that no exception with the value in it hangs on this one


def decoder(type: Any) -> Callable[[bytes], Any]:  # noqa: A002
    """Return the function that reads JSON as a type; it raises what Pydantic raises.

    Raises:
        InvalidTypeError: Pydantic cannot read JSON as such a type.
    """
    if type is None:
        return from_json
    try:
        return _decoder(type)
    except InvalidTypeError:
        raise
    except TypeError:  # an unhashable annotation
        return _decoder.__wrapped__(type)


@functools.lru_cache(maxsize=_MAX_TYPES)
def _decoder(type: Any) -> Callable[[bytes], Any]:  # noqa: A002
    try:
        adapter = TypeAdapter(type)
        read: Callable[..., Any] = adapter.validator.validate_json
        aliased = "validation_alias" in set(_words(adapter.core_schema))
        return functools.partial(read, by_alias=True, by_name=True) if aliased else read
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        msg = f"type {_show_type(type)} cannot be read from JSON: {str(error).splitlines()[0]}"
        raise InvalidTypeError(msg) from error


def return_type(function: Callable[..., Any]) -> Any:
    """Find the type that a function is annotated to return; `None` where it says nothing, or `Any`, or `None`.

    Wrappers made with `functools.wraps`, `functools.partial`, methods and callable objects are looked through.

    Raises:
        InvalidTypeError: The annotation names what does not exist at run time.
    """
    inner: Any = function
    if type(inner) is functools.partial:
        inner = inner.func
    if type(inner) is types.FunctionType and _EAGER_ANNOTATIONS:  # the way of most calls
        known = _return_types.get(id(inner.__code__))
        if known is not None:
            annotation, meaning, _ = known
            if annotation is inner.__annotations__.get("return") and "__wrapped__" not in inner.__dict__:
                return meaning
    plain = _plain(function)
    if plain is None:
        return None
    annotation = _annotation(plain)
    if annotation is None or annotation is Any:
        return None
    code = plain.__code__
    known = _return_types.get(id(code))
    if known and known.annotation is annotation:
        return known.meaning
    meaning = annotation if isinstance(annotation, type) else _resolve(plain, annotation)
    if isinstance(annotation, str) and any(name in annotation for name in code.co_freevars):
        return meaning  # a local type: each call of the function around it makes another
    if len(_return_types) >= _MAX_TYPES:
        _return_types.clear()
    _return_types[id(code)] = _Known(annotation, meaning, code)
    return meaning


class _Known(NamedTuple):
    """What the return annotation of a function means.

    Attributes:
        annotation: The annotation, perhaps a string.
        meaning: The type that it names.
        code: The function's code. It is known by its address, since its hash is slow, so it must not go.
    """

    annotation: Any
    meaning: Any
    code: types.CodeType


_return_types: dict[int, _Known] = {}


def _plain(function: Any) -> types.FunctionType | None:
    """Find the function that was written, inside of whatever stands around it."""
    for _ in range(_MAX_LAYERS):
        if isinstance(function, types.FunctionType):
            if "__wrapped__" not in function.__dict__:
                return function
            function = function.__dict__["__wrapped__"]
        elif isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, types.MethodType):
            function = function.__func__
        elif not isinstance(function, type) and hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        else:
            function = getattr(function.__class__, "__call__", None)  # noqa: B004 - it is looked into, not called
    return None


def _annotation(function: types.FunctionType) -> Any:
    """Return the return annotation, perhaps still a string."""
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415 - not there before

        return annotationlib.get_annotations(function, format=annotationlib.Format.FORWARDREF).get("return")
    return function.__annotations__.get("return")


def _resolve(function: types.FunctionType, annotation: Any) -> Any:
    """Evaluate a return annotation, and no other one, with the function's globals and the variables around it."""
    only = types.SimpleNamespace(
        __annotations__={"return": annotation}, __type_params__=getattr(function, "__type_params__", ())
    )
    around: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            around[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    try:
        found = typing.get_type_hints(only, function.__globals__, around, include_extras=True)["return"]
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        msg = (
            f"the return annotation {annotation!r} of {function.__qualname__}() cannot be resolved ({error}); "
            "import or define its names where they exist at run time, or say what to read with type="
        )
        raise InvalidTypeError(msg) from error
    origin = typing.get_origin(found)
    if isinstance(origin, type) and issubclass(origin, Awaitable):  # such as -> Awaitable[Article]
        found = typing.get_args(found)[-1]
    return None if found is Any or found is type(None) else found


def _describe(error: ValidationError, type: Any) -> str:  # noqa: A002
    """Say what does not fit, and where, without showing the value."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # Keys of a mapping are data, so only names that the type declares are shown.
    declared = set(_words(TypeAdapter(type).core_schema))
    place = ".".join(part if part in declared else "*" for part in map(str, first["loc"]))
    problem = first["msg"] if first["type"] in _SHOWN else first["type"]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"does not fit {_show_type(type)}: {f'{place}: ' if place else ''}{problem}{more}"


def _words(schema: Any) -> Iterator[str]:
    """Find every word in a schema of Pydantic, the names and aliases of fields among them."""
    if isinstance(schema, str):
        yield schema
    elif isinstance(schema, Mapping):
        for key, part in schema.items():
            if key not in {"default", "metadata", "serialization"}:
                yield from _words(key)
                yield from _words(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from _words(part)


def _show_type(type: Any) -> str:  # noqa: A002
    return type.__name__ if inspect.isclass(type) and not typing.get_args(type) else str(type)
