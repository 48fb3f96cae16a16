"""Errors of the database, as the client is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    func,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError, MultipleResultsFound

from rustforge.http import BadRequest, install
from tests.support.http import ask, body_of

if TYPE_CHECKING:
    from rustforge.db import Database

SECRET = "4111-1111"

metadata = MetaData()
users = Table(
    "http_users",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("email", String, unique=True),
    Column("tenant", Integer, nullable=False),
    Column("Nick Name", String),
    Column("boss", ForeignKey("http_users.id")),
    Column("word", String),
    UniqueConstraint("tenant", "Nick Name"),
)
Index("http_users_word", func.lower(users.c.word), unique=True)
FIRST: dict[str, Any] = {"id": 1, "email": SECRET, "tenant": 1, "Nick Name": SECRET, "word": "once"}


async def serving(db: Database, **options: Any) -> FastAPI:
    """Make an application that writes and reads rows."""
    app = FastAPI()

    @app.post("/")
    async def add(row: dict[str, Any]) -> None:
        async with db.transaction() as session:
            await session.execute(insert(users).values(**row))

    @app.get("/{number}")
    async def show(number: int) -> int:
        async with db.transaction() as session:
            found: int = (await session.execute(select(users.c.id).where(users.c.tenant == number))).scalar_one()
            return found

    install(app, **options)
    async with db.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    assert (await ask(app, "POST", "/", json=FIRST)).status_code == 200
    return app


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ({"id": 2, "email": SECRET, "tenant": 2}, {"email"}),
        ({"id": 1, "email": "b", "tenant": 2}, {"id"}),
        ({"id": 2, "email": "b", "tenant": 1, "Nick Name": SECRET}, {"tenant", "Nick Name"}),
        ({"id": 2, "email": "b", "tenant": 2, "word": "ONCE"}, set()),
    ],
    ids=["column", "key", "columns", "expression"],
)
async def test_a_value_that_is_taken(db: Database, row: dict[str, Any], fields: set[str]) -> None:
    """The columns that must be unique are named, and neither the value nor the constraint."""
    response = await ask(await serving(db), "POST", "/", json=row)
    body = body_of(response, 422, "VALIDATION_ERROR")
    assert body.get("errors", {}) == {name: ["This value is taken already."] for name in fields}
    assert body["message"] == "There is such an entry already."
    assert "http_users" not in response.text


async def test_other_rules_of_the_database(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    """That something is missing, or refers to nothing, is for the program to prevent."""
    app = await serving(db)
    body_of(await ask(app, "POST", "/", json={"id": 3, "tenant": None}), 500, "INTERNAL_ERROR")
    body_of(await ask(app, "POST", "/", json={"id": 3, "tenant": 3, "boss": 99}), 500, "INTERNAL_ERROR")
    assert len([record for record in caplog.records if record.name.startswith("rustforge")]) == 2


async def test_a_row_that_is_not_there(db: Database) -> None:
    """It is not found; several where there should be one are the program's fault."""
    app = await serving(db)
    assert (await ask(app, "GET", "/1")).json() == 1
    body_of(await ask(app, "GET", "/9"), 404, "NOT_FOUND")
    await ask(app, "POST", "/", json={**FIRST, "id": 2, "email": "b", "Nick Name": "b", "word": "twice"})
    body_of(await ask(app, "GET", "/1"), 500, "INTERNAL_ERROR")


async def test_what_the_application_says_instead(db: Database) -> None:
    """Its own mapping goes before ours."""
    app = await serving(db, mappings={IntegrityError: BadRequest, MultipleResultsFound: BadRequest})
    body_of(await ask(app, "POST", "/", json=FIRST), 400, "BAD_REQUEST")
