"""The examples in docstrings, which the reference pages show: each runs, and what its comments say is true."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import logging
import re
import sqlite3
import textwrap
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any

import httpx2
import opentelemetry.metrics
import pytest
from fastapi import Depends, FastAPI, UploadFile
from PIL import Image
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import DeclarativeBase, Mapped, make_transient_to_detached, mapped_column
from starlette.requests import Request
from typing_extensions import override

import rustforge.db
from rustforge import http
from rustforge.attachments import AttachmentRules, receive, single_slot
from rustforge.boot import BootContext, boot
from rustforge.jobs import Job, JobBuffer, JobContext, Retry, Scheduler, Worker
from rustforge.jobs.tracing import trace_runs
from rustforge.notify import SkipDelivery, fan_out
from rustforge.notify.mail import Mail, MailChannel
from rustforge.notify.webhook import new_secret, sign
from rustforge.notify.webhook.connections import Connections
from rustforge.notify.webhook.wire import Answer
from rustforge.settings import Settings
from tests.site.conftest import ROOT
from tools.snippets import Kind, Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Example:
    """A block of code in a docstring."""

    module: str
    owner: str
    code: str


def find_examples() -> Iterator[Example]:
    """Find every block of code in the docstrings of the library."""
    source = ROOT / "src"
    for file in sorted((source / "rustforge").rglob("*.py")):
        module = ".".join(file.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node) or ""
                for found in re.finditer(r"^( *)```(?:python|py)\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE):
                    yield Example(module, getattr(node, "name", module), textwrap.dedent(found[2]))


EXAMPLES = list(find_examples())
SECRET = new_secret()
ENDLESS = re.compile(r"await scheduler\.run\(\)|async for message in messages")
"""What goes on until somebody ends it."""


class Base(DeclarativeBase):
    """The models of the application."""


class Order(Base):
    """A row of the application's."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)


class Book(Base):
    """A row of the application's that has a file."""

    __tablename__ = "books"

    id: Mapped[int] = mapped_column(primary_key=True)
    cover = single_slot(AttachmentRules())


def a_book() -> Book:
    """Give the row that there is, as another session has read it."""
    book = Book(id=7)
    make_transient_to_detached(book)
    return book


def a_picture() -> bytes:
    """Give a small picture."""
    file = BytesIO()
    Image.new("RGB", (4, 3)).save(file, "PNG")
    return file.getvalue()


def a_form() -> Request:
    """Give a request with a form that has a picture."""
    head = b'--b\r\nContent-Disposition: form-data; name="video"; filename="a.png"\r\n\r\n'
    body = head + a_picture() + b"\r\n--b--\r\n"

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    return Request({"type": "http", "method": "PUT", "path": "/", "headers": headers}, receive)


class Named(Job):
    """A job of the application's that needs nothing."""

    NAME = "examples.named"

    @override
    async def handle(self, ctx: JobContext) -> None:
        """Do nothing."""


class SendReceipt(Named):
    """A job for an order."""

    NAME = "examples.receipt"
    order_id: int


def stand_ins(ctx: BootContext) -> dict[str, Any]:
    """Give what examples may use without saying where it comes from: the application around them."""
    outbox: list[str] = []

    class SendReminder(SendReceipt):
        """A job that says that it ran."""

        NAME = "examples.reminder"

        @override
        async def handle(self, ctx: JobContext) -> None:
            """Note it."""
            outbox.append(f"reminder for order {self.order_id}")

    async def build_report() -> str:
        """Build nothing."""
        return "done"

    async def place_order(place: Any) -> None:
        """Push a job, through a queue or a context."""
        await SendReceipt(order_id=7).dispatch(getattr(place, "queue", place))

    async def nothing(*_: Any) -> None:
        """Do nothing."""

    app = FastAPI()
    app.state.ctx = ctx
    vars(app)["cache"] = ctx.cache
    return {
        **{name: getattr(http, name) for name in http.__all__},
        "Annotated": Annotated,
        "app": app,
        "Article": dict[str, str] | None,
        "AttachmentRules": AttachmentRules,
        "Base": Base,
        "Book": Book,
        "body": b"{}",
        "book": a_book(),
        "boot": boot,
        "build_report": build_report,
        "cache": ctx.cache,
        "catalogues": http.Catalogues({"de": {}}),
        "CheckFeeds": Named,
        "ctx": ctx,
        "Depends": Depends,
        "FakeMailer": object,
        "fan_out": fan_out,
        "find": nothing,
        "httpx2": httpx2,
        "headers": sign(b"{}", SECRET, webhook_id="evt_1"),
        "is_enabled": lambda: True,
        "JobBuffer": JobBuffer,
        "logger": logging.getLogger("examples"),
        "Mail": Mail,
        "MailChannel": MailChannel,
        "Mapped": Mapped,
        "mapped_column": mapped_column,
        "opentelemetry": opentelemetry,
        "order": Order(id=7),
        "outbox": outbox,
        "Payment": dict[str, int],
        "place_order": place_order,
        "png": a_picture(),
        "prometheus_client": SimpleNamespace(REGISTRY=CollectorRegistry()),
        "PruneDrafts": Named,
        "RebuildArticleIndex": SendReceipt,
        "receive": receive,
        "request": a_form(),
        "require_admin": lambda: None,
        "rules": AttachmentRules(),
        "rustforge": rustforge,
        "scheduler": Scheduler(ctx.queue),
        "secret": SECRET,
        "SendDigest": Named,
        "SendInvoice": Named,
        "SendReceipt": SendReceipt,
        "SendReminder": SendReminder,
        "slug": "hello",
        "storage": ctx.storage,
        "targets": (),
        "timedelta": timedelta,
        "trace_runs": trace_runs,
        "upload": UploadFile(BytesIO(a_picture()), filename="cover.png"),
        "user": SimpleNamespace(locale="de"),
        "Worker": Worker,
        "worker": SimpleNamespace(on_outcome=lambda _: None, run=nothing),
    }


async def take(*_: Any) -> Answer:
    """Take a webhook."""
    return Answer(200, [])


async def run(example: Example, names: dict[str, Any]) -> list[str]:
    """Run an example statement by statement; return what its comments say of a value and is not so."""
    wrong = []
    lines = example.code.splitlines()
    for statement in ast.parse(example.code).body:
        is_value = isinstance(statement, ast.Expr)
        tree = ast.Expression(statement.value) if isinstance(statement, ast.Expr) else ast.Module([statement], [])
        mode = "eval" if is_value else "exec"
        value = eval(compile(tree, example.owner, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        value = await value if inspect.iscoroutine(value) else value
        comment = lines[(statement.end_lineno or 0) - 1][statement.end_col_offset or 0 :].strip().removeprefix("#")
        try:
            said = ast.literal_eval(comment.strip())
        except (SyntaxError, ValueError):
            continue  # a comment in words
        if is_value and said != value:
            wrong.append(f"{ast.unparse(statement)} is {value!r}, not {said!r}")
    return wrong


def test_every_block_is_found() -> None:
    """What counts as executed in docstrings is what is run here, however it is written."""
    proofs = Project().problems_of_pages(parse=False)[1]
    counted = [proof for proof in proofs if proof.block.page.suffix == ".py" and proof.kind is Kind.EXECUTED]
    assert len(EXAMPLES) == len(counted)


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"{one.module}.{one.owner}" for one in EXAMPLES])
async def test_examples_run(example: Example, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each example runs in this process, without a server, and gives the values that its comments say."""
    monkeypatch.chdir(tmp_path)
    code = re.sub(r'(connect\(\s*)"(?:redis|s3)[^"]*"', r'\1"memory://"', example.code)
    code = re.sub(r'"smtps?://[^"]*"', '"memory:"', code)
    (tmp_path / "report.pdf").write_bytes(b"%PDF")
    (tmp_path / "templates" / "mail").mkdir(parents=True)
    (tmp_path / "templates" / "mail" / "order_confirmation.txt").write_text("Subject: Order {{ order.id }}\n\nHi!\n")
    monkeypatch.setattr(Connections, "post", take)
    with closing(sqlite3.connect("shop.db")) as database:
        database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        database.execute("CREATE TABLE books (id INTEGER PRIMARY KEY)")
        database.execute("INSERT INTO books VALUES (7)")
        database.commit()
    settings = Settings(redis_url="memory://", database_url="sqlite+aiosqlite:///shop.db")
    raises = re.search(r"^raise ", code, re.MULTILINE)
    expected = (Retry, SkipDelivery, http.AppError) if raises else (TimeoutError,) if ENDLESS.search(code) else ()
    async with boot(settings) as ctx:
        await ctx.db.upgrade()
        await ctx.storage.put("videos/7.mp4", b"video")
        names = {**stand_ins(ctx), **vars(importlib.import_module(example.module)), "__name__": __name__}
        with pytest.raises(expected) if expected else nullcontext():
            async with asyncio.timeout(0.5 if ENDLESS.search(code) else None):
                assert await run(Example(example.module, example.owner, code), names) == []
        for task in [value for value in names.values() if isinstance(value, asyncio.Task)]:
            task.cancel()
            await asyncio.wait([task])


def test_a_wrong_comment_is_found() -> None:
    """A comment that says another value than the code gives does not pass."""
    example = Example("m", "f", "1 + 1  # 3\n1 + 1  # 2\n1 + 1  # in words")
    coroutine = run(example, {})
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    assert done.value.value == ["1 + 1 is 2, not 3"]


def test_examples_are_fences() -> None:
    """No docstring has an example in another form, which nothing would run."""
    files = (ROOT / "src").rglob("*.py")
    assert [str(file) for file in files if re.search(r"^ *>>> ", file.read_text(), re.MULTILINE)] == []
