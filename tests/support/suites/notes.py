"""What the suites of the plugin have in common: a small application with a table, jobs, files, mail and webhooks."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from fastapi import FastAPI
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rustforge.http import ApiResponse, install
from rustforge.jobs import Job, JobBuffer, JobContext

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sqlalchemy import MetaData

    from rustforge.boot import BootContext

WHERE: list[str] = []


class Base(DeclarativeBase):
    """The tables."""


class Note(Base):
    """A row whose text nobody else may have."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str] = mapped_column(unique=True)


class Announce(Job):
    """Tells of a note."""

    NAME: ClassVar[str] = "suite.announce"

    body: str

    async def handle(self, ctx: JobContext) -> None:
        """Write it to a file, and count it."""
        await ctx.storage.put(f"notes/{self.body}.txt", self.body.encode())
        await ctx.cache.increment("announced")


def make_app(ctx: BootContext) -> FastAPI:
    """Make the application."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        WHERE.append("started")
        async with asyncio.TaskGroup() as group:  # which must end in the task that began it
            ticking = group.create_task(asyncio.sleep(3600))
            yield {"group": group}
            ticking.cancel()
        WHERE.append("ended")

    app = FastAPI(lifespan=lifespan)
    install(app)

    @app.post("/notes/{body}", status_code=201)
    async def create(body: str) -> ApiResponse[str]:
        async with ctx.db.transaction() as session:
            session.add(Note(body=body))
            await Announce(body=body).dispatch(JobBuffer(session))
        await ctx.cache.set("last", body)
        return ApiResponse.created(body)

    @app.get("/fail")
    async def fail() -> None:
        raise ZeroDivisionError

    return app


@pytest.fixture
def rustforge_metadata() -> MetaData:
    """Name the tables."""
    return Base.metadata


@pytest.fixture
def rustforge_app(rustforge_ctx: BootContext) -> FastAPI:
    """Make the application on the test's context."""
    return make_app(rustforge_ctx)
