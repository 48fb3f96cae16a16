"""The envelope of every response: `{"data": ..., "message"?: ...}`, or `{"message", "error_code"?, "errors"?}`."""

from __future__ import annotations

from inspect import signature
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer
from pydantic.json_schema import SkipJsonSchema

__all__ = ["ApiResponse", "ErrorResponse"]

T = TypeVar("T")
D = TypeVar("D")


def _is_none(value: object) -> bool:
    return value is None


# pydantic from 2.12 on leaves a field out by itself, in half the time that a serializer in Python takes
_NOTHING_TO_SAY: dict[str, Any] = {"exclude_if": _is_none} if "exclude_if" in signature(Field).parameters else {}


class _Envelope(BaseModel):
    """A model that is written without the fields that have nothing to say."""

    if not _NOTHING_TO_SAY:

        @model_serializer(mode="wrap")
        def _leave_out(self, write: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a return type would stand in the schema
            found: dict[str, Any] = write(self)
            return {name: value for name, value in found.items() if value is not None or name == "data"}


class ApiResponse(_Envelope, Generic[T]):
    """A response that went well.

    Example:
        ```python
        @app.get("/articles/{article_id}")
        async def show(article_id: int) -> ApiResponse[Article]:
            return ApiResponse.success(await find(article_id))
        ```
    """

    data: T = Field(description="What was asked for.")
    message: str | SkipJsonSchema[None] = Field(
        default=None, description="A sentence for people, where there is something to say.", **_NOTHING_TO_SAY
    )

    @classmethod
    def success(cls, data: D, message: str | None = None) -> ApiResponse[D]:
        """Answer with data.

        Args:
            data: The data.
            message: A sentence for people; a blank one is left out.
        """
        return ApiResponse(data=data, message=_stated(message))

    @classmethod
    def created(cls, data: D, message: str | None = None) -> ApiResponse[D]:
        """Answer with what was made, in a route with `status_code=201`; the arguments are those of `success`."""
        return cls.success(data, message)


class ErrorResponse(_Envelope):
    """A response that did not go well."""

    message: str = Field(description="A sentence for people.")
    error_code: str | SkipJsonSchema[None] = Field(
        default=None, description="A word for programs.", examples=["NOT_FOUND"], **_NOTHING_TO_SAY
    )
    errors: dict[str, list[str]] | SkipJsonSchema[None] = Field(
        default=None,
        description="For fields that were refused, by their paths with dots, what is wrong with them.",
        **_NOTHING_TO_SAY,
    )


def _stated(message: str | None) -> str | None:
    return message if message is not None and message.strip() else None
