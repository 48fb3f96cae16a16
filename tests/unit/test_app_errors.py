"""The errors that an application raises."""

from __future__ import annotations

import pickle
from datetime import timedelta
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustforge.errors import ConfigurationError, InvalidArgumentError
from rustforge.http import (
    AppError,
    BadRequest,
    Forbidden,
    Internal,
    NotFound,
    TooManyRequests,
    Unauthorized,
    UnprocessableEntity,
    Validation,
)
from rustforge.http.app_error import code_of, of_status, title_of

KINDS: list[tuple[type[AppError], int, str, str]] = [
    (Internal, 500, "INTERNAL_ERROR", "Internal Server Error"),
    (NotFound, 404, "NOT_FOUND", "Not Found"),
    (BadRequest, 400, "BAD_REQUEST", "Bad Request"),
    (Unauthorized, 401, "UNAUTHORIZED", "Unauthorized"),
    (Forbidden, 403, "FORBIDDEN", "Forbidden"),
    (TooManyRequests, 429, "RATE_LIMITED", "Too Many Requests"),
    (UnprocessableEntity, 422, "VALIDATION_ERROR", "Unprocessable Content"),
    (Validation, 422, "VALIDATION_ERROR", "Unprocessable Content"),
]


@pytest.mark.parametrize(("kind", "status", "code", "title"), KINDS)
def test_each_kind(kind: type[AppError], status: int, code: str, title: str) -> None:
    """It has its status and code; a blank message becomes the title; it can be raised without being called."""
    for blank in ("", " \n"):
        assert kind(blank).message == title
    error = kind("Say why.", headers={"X-Why": "because"})
    assert (error.status, error.error_code, error.message) == (status, code, "Say why.")
    assert (str(error), error.headers) == ("Say why.", {"X-Why": "because"})
    with pytest.raises(kind) as raised:
        raise kind
    assert raised.value.message == title
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.message, copy.headers) == (kind, "Say why.", {"X-Why": "because"})


@pytest.mark.parametrize(
    ("wait", "header"),
    [(30, "30"), (0, "0"), (0.2, "1"), (1.0, "1"), (timedelta(minutes=2, milliseconds=1), "121"), (None, None)],
)
def test_retry_after(wait: float | timedelta | None, header: str | None) -> None:
    """A wait is sent in whole seconds, and never shorter than it is."""
    assert TooManyRequests(retry_after=wait).headers.get("Retry-After") == header


@pytest.mark.parametrize("wait", [-1, float("nan"), float("inf"), timedelta(seconds=-1)])
def test_a_wait_that_is_none(wait: float | timedelta) -> None:
    """It is refused, rather than sent."""
    with pytest.raises(InvalidArgumentError, match="a number of seconds from 0 on"):
        TooManyRequests(retry_after=wait)


def test_fields() -> None:
    """One sentence or several are given for a field; what the caller does with them later changes nothing."""
    texts = ["Too short.", "No digit."]
    error = Validation("No.", {"name": "Taken.", "password": texts})
    texts.append("More.")
    assert error.errors == {"name": ["Taken."], "password": ["Too short.", "No digit."]}
    assert Validation().errors == {}
    assert UnprocessableEntity().errors is None


def test_a_kind_of_ones_own() -> None:
    """It needs a status, from which its code follows, unless it has one."""

    class ConflictError(AppError):
        status = 409

    class LockedError(AppError):
        status = 423
        error_code = "BEING_EDITED"

    class ArticleNotFoundError(NotFound):
        pass

    assert (ConflictError.error_code, ConflictError().message) == ("CONFLICT", "Conflict")
    assert LockedError.error_code == "BEING_EDITED"
    assert (ArticleNotFoundError.status, ArticleNotFoundError.error_code) == (404, "NOT_FOUND")


@pytest.mark.parametrize("wrong", [200, 302, 399, 600])
def test_a_status_that_is_no_error(wrong: int) -> None:
    """It is refused where the class is written, not where it is raised."""
    with pytest.raises(ConfigurationError, match=f"Odd.status is {wrong}; an error has a status from 400 to 599"):
        type("Odd", (AppError,), {"status": wrong})


def test_titles_and_codes() -> None:
    """They are those of RFC 9110 on every Python, and there is one for every status."""
    named = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
    assert {status: title_of(status) for status in named} == named
    assert code_of(413) == "CONTENT_TOO_LARGE"
    assert code_of(405) == "METHOD_NOT_ALLOWED"
    assert code_of(418) == "IM_A_TEAPOT"
    assert (code_of(499), code_of(599)) == ("CLIENT_ERROR", "SERVER_ERROR")
    for status in HTTPStatus:
        assert code_of(status).replace("_", "").isalpha()


@given(st.integers(400, 599), st.text())
def test_of_status(status: int, message: str) -> None:
    """Every status has an error that is like the class it has, where it has one."""
    error = of_status(status, message)
    assert (error.status, error.error_code) == (status, code_of(status))
    assert error.message == (message if message.strip() else title_of(status))
    assert (type(error) is AppError) == (status not in {kind[1] for kind in KINDS})
    assert AppError.status == 500
