"""The shape of every answer: chapter 11 of the cookbook, step 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rustforge.testing import open_client
from shop.articles import cached

if TYPE_CHECKING:
    from fastapi import FastAPI
    from httpx2 import AsyncClient


# --8<-- [start:list]
async def test_an_empty_list(client: AsyncClient) -> None:
    """The shop begins with nothing."""
    response = await client.get("/articles")
    assert response.status_code == 200
    assert response.json() == {"data": {"articles": [], "page": 1, "pages": 1}}


# --8<-- [end:list]


# --8<-- [start:invalid]
async def test_an_article_that_does_not_fit(
    client: AsyncClient, admin: dict[str, str]
) -> None:
    """The answer names each field, and repeats nothing of what was sent."""
    article = {"slug": "Hello World", "title": "", "body": "A text."}
    response = await client.post("/articles", json=article, headers=admin)

    assert response.status_code == 422
    error = response.json()
    assert error["error_code"] == "VALIDATION_ERROR"
    assert set(error["errors"]) == {"slug", "title"}
    assert "Hello World" not in response.text


# --8<-- [end:invalid]


# --8<-- [start:errors]
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("GET", "/articles/nobody-wrote-it", 404, "NOT_FOUND"),
        ("PUT", "/articles", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/articles", 401, "UNAUTHORIZED"),
    ],
)
async def test_errors_have_one_shape(
    client: AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    """Whoever found the error, the framework or the shop."""
    response = await client.request(method, path)
    assert response.status_code == status
    assert response.json()["message"]
    assert response.json()["error_code"] == code


# --8<-- [end:errors]


async def test_a_body_that_is_too_large(
    client: AsyncClient, admin: dict[str, str]
) -> None:
    """It is refused before it is read."""
    response = await client.post(
        "/articles", content=b"x" * (7 * 1024 * 1024), headers=admin
    )
    assert response.status_code == 413
    assert response.json()["message"]


# --8<-- [start:failure]
async def test_what_nobody_expected(
    rustforge_app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client learns that something failed, and not what."""

    async def fail(*_: object) -> None:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(cached, "load_page", fail)
    async with open_client(rustforge_app, raise_errors=False) as client:
        response = await client.get("/articles")
    assert response.status_code == 500
    assert response.json()["error_code"] == "INTERNAL_ERROR"
    assert "swordfish" not in response.text


# --8<-- [end:failure]


async def test_what_nobody_expected_is_raised_in_tests(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere it fails the test where it happened."""

    async def fail(*_: object) -> None:
        raise RuntimeError("load_page")

    monkeypatch.setattr(cached, "load_page", fail)
    with pytest.raises(RuntimeError, match="load_page"):
        await client.get("/articles")
