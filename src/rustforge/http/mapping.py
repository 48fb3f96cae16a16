"""Which error of the application an exception stands for."""

from __future__ import annotations

import json
import logging
import re
import sys
from http.client import responses
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from rustforge.errors import (
    AttachmentRejectedError,
    ConfigurationError,
    ObjectNotFoundError,
    StorageTokenError,
    WebhookSignatureError,
)
from rustforge.http.app_error import (
    AppError,
    BadRequest,
    Forbidden,
    Internal,
    NotFound,
    Unauthorized,
    Validation,
    of_status,
)
from rustforge.http.locale import t, validation_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Hook: TypeAlias = Callable[[Any], AppError | None]
    Mappings: TypeAlias = Mapping[type[Exception], Hook]

__all__ = ["ErrorMapping"]

_logger = logging.getLogger("rustforge.http")

MOST_FIELDS = 100
"""How many refused fields a response names at most: a request of many bad fields must not make a larger response."""

LONGEST_PATH = 200
"""How many characters of a refused field's path are sent: a client can name fields as it likes."""

_SILENT = {
    # in place of messages that repeat what was sent
    "union_tag_invalid": "Input tag should be one of {expected_tags}",
    "uuid_parsing": "Input should be a valid UUID",
}
_PLACES = {"body", "cookie", "header", "path", "query"}
_COLUMNS = re.compile(r"\A(?:DETAIL:\s*)?Key \(([\w\s,\"]+)\)=")
_UNIQUE_ON_SQLITE = "UNIQUE constraint failed: "
_UNIQUE_ON_POSTGRESQL = "23505"


class ErrorMapping:
    """What each class of exceptions becomes; the nearest class of an exception's line decides.

    Args:
        mappings: For classes of exceptions, a function that is given the exception and returns the error; or the
            class of the error. One that returns `None` leaves the exception as it is.

    Raises:
        ConfigurationError: A key is no class of exceptions, or a value cannot be called.
    """

    def __init__(self, mappings: Mappings | None = None) -> None:
        for kind, hook in (mappings or {}).items():
            given: object = kind
            if not (isinstance(given, type) and issubclass(given, Exception) and callable(hook)):
                msg = (
                    f"mappings has {kind!r}: {hook!r}; it maps classes of exceptions to functions that make an AppError"
                )
                raise ConfigurationError(msg)
        self._given = dict(mappings or {})
        self._hooks: dict[type[Exception], Hook] = {
            AppError: _same,
            HTTPException: _http,
            RequestValidationError: _refused,
            json.JSONDecodeError: _unreadable,
            UnicodeDecodeError: _unreadable,
            RecursionError: _unreadable,
            ExceptionGroup: self._group,
            AttachmentRejectedError: _rejected,
            ObjectNotFoundError: _missing,
            StorageTokenError: _invalid_token,
            WebhookSignatureError: _unsigned,
            **self._given,
        }

    def classes(self) -> list[type[Exception]]:
        """List the classes that become something else than an internal error."""
        self._look_for_sqlalchemy()
        return list(self._hooks)

    def convert(self, exception: Exception) -> AppError | None:
        """Find the error that an exception stands for; `None` where nobody expected it."""
        self._look_for_sqlalchemy()
        for kind in type(exception).__mro__:
            hook = self._hooks.get(kind)
            found = self._ask(hook, exception) if hook else None
            if found is not None:
                return found
        return None

    def _ask(self, hook: Hook, exception: Exception) -> AppError | None:
        try:
            found = cast("type[AppError]", hook)() if _is_kind(hook) else hook(exception)
        except Exception:
            _logger.exception("the mapping of %s failed", type(exception).__name__)
            return Internal()
        if found is None or isinstance(found, AppError):
            return found
        _logger.error("the mapping of %s returned %s, no AppError", type(exception).__name__, type(found).__name__)
        return Internal()

    def _group(self, group: ExceptionGroup[Exception]) -> AppError | None:
        """Take the first of a group in which nothing is unexpected."""
        found = [self.convert(one) for one in _leaves(group)]
        expected = all(one is not None and one.status < 500 for one in found)  # noqa: PLR2004 - the client's errors
        return found[0] if expected else None

    def _look_for_sqlalchemy(self) -> None:
        """Map SQLAlchemy's errors as soon as the application has loaded it; it is not loaded for their sake."""
        loaded = sys.modules.get("sqlalchemy.exc")
        if loaded is not None and loaded.NoResultFound not in self._hooks:
            self._hooks = {loaded.NoResultFound: _missing, loaded.IntegrityError: _taken, **self._hooks}


def _is_kind(hook: object) -> bool:
    return isinstance(hook, type) and issubclass(hook, AppError)


def _leaves(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    for one in group.exceptions:
        if isinstance(one, ExceptionGroup):
            yield from _leaves(cast("ExceptionGroup[Exception]", one))
        else:
            yield one


def _same(error: AppError) -> AppError:
    return error


def _missing(_error: Exception) -> AppError:
    return NotFound()


def _invalid_token(_error: Exception) -> AppError:
    return Forbidden(t("This token is not valid, or not any more."))


def _unsigned(_error: Exception) -> AppError:
    return Unauthorized(t("The webhook is not signed as it must be."))


def _rejected(error: AttachmentRejectedError) -> AppError:
    message = t(error.text, **error.values)
    return Validation(message, {error.field: message})


def _http(error: HTTPException) -> AppError:
    """Take over what FastAPI allows as `detail`: a text, or an object with the fields of the envelope."""
    detail: Any = error.detail
    if detail == responses.get(error.status_code):
        detail = ""  # what Starlette says where nothing was said; the title is ours
    if not isinstance(detail, dict):
        return of_status(error.status_code, detail if isinstance(detail, str) else "", error.headers)
    said = cast("dict[str, Any]", detail)
    message, code = said.get("message"), said.get("error_code")
    found = of_status(error.status_code, message if isinstance(message, str) else "", error.headers)
    if isinstance(code, str):
        found.error_code = code
    return found


def _refused(error: RequestValidationError) -> AppError:
    """Say which fields are wrong, and never what was sent."""
    if isinstance(error.__cause__, json.JSONDecodeError):
        return BadRequest(t("The body is not valid JSON."))
    found: dict[str, list[str]] = {}
    for one in error.errors()[:MOST_FIELDS]:
        place = [str(part) for part in one["loc"]]
        if len(place) > 1 and place[0] in _PLACES:
            del place[0]
        said = _SILENT.get(one["type"])
        message = validation_message({**one, "msg": said.format(**one["ctx"])} if said else one)
        found.setdefault(".".join(place)[:LONGEST_PATH], []).append(message)
    return Validation(t("The request is not valid."), found)


def _unreadable(error: Exception) -> AppError | None:
    """Blame the client for a body that cannot be read, and nobody else for other texts that cannot."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == "starlette.requests":
            return BadRequest(t("The body is not valid JSON."))
        trace = trace.tb_next
    return None


def _taken(error: Any) -> AppError | None:
    """Say which field is taken, where the database says that one must be unique; never the value."""
    origin = error.orig
    text = str(origin)
    if text.startswith(_UNIQUE_ON_SQLITE):
        found = [name.rpartition(".") for name in text.removeprefix(_UNIQUE_ON_SQLITE).split(", ")]
        names = [name for table, _, name in found if table]  # an index of expressions is named in their place
    elif getattr(origin, "sqlstate", None) == _UNIQUE_ON_POSTGRESQL:
        detail = getattr(origin.__cause__, "detail", None) or getattr(
            getattr(origin, "diag", None), "message_detail", ""
        )
        match = _COLUMNS.match(detail or "")
        names = [name.strip(' "') for name in match[1].split(",")] if match else []
    else:
        return None
    taken = t("This value is taken already.")
    return Validation(t("There is such an entry already."), dict.fromkeys(names, taken))
