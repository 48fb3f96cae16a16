"""Run the shop in one process, without a server: `make demo`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import secrets
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from fastapi.responses import HTMLResponse
from pydantic import SecretStr
from sqlalchemy import select

from rustforge.boot import boot
from rustforge.jobs import JobRegistry, Worker
from rustforge.notify import DeliveryJob, WebhookEndpoints
from shop.articles.service import create_article
from shop.demo.outside import Outside
from shop.main import create_app
from shop.migrations import upgrade
from shop.models import Article
from shop.schemas import NewArticle
from shop.settings import ShopSettings
from shop.state import AppState
from shop.worker import make_scheduler, registry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from fastapi import FastAPI

    from rustforge.boot import BootContext
    from rustforge.jobs import Job

PAGE = Path(__file__).with_name("page.html")
ARTICLES = {
    "welcome": (
        "Welcome to the shop",
        "Place an order, and watch where the news of it goes.",
    ),
    "mugs": ("How our mugs are made", "Of clay, by hand, and fired twice."),
    "lamps": (
        "A lamp for every evening",
        "Warm light, a long cable, and a switch where you look for it.",
    ),
}


@asynccontextmanager
async def open_demo(
    folder: Path, port: int
) -> AsyncGenerator[tuple[FastAPI, BootContext]]:
    """Open the shop, with the world around it, its tables and something to read.

    Args:
        folder: Where the database and the files are.
        port: Where the application will be served.
    """
    outside = Outside()
    async with AsyncExitStack() as stack:
        mail = await stack.enter_async_context(await outside.serve_mail())
        settings = ShopSettings(
            _env_file=None,
            redis_url="memory://shop-demo",
            redis_prefix="shop",
            database_url=f"sqlite:///{folder}/shop.db",
            storage_url=f"file:{folder}/files",
            mail_url=f"smtp://127.0.0.1:{mail.sockets[0].getsockname()[1]}",
            mail_from="Shop <shop@localhost.localdomain>",
            webhook_allow_private=True,
            alert_urls=SecretStr(f"json://127.0.0.1:{port}/demo/alert"),
            admin_token=secrets.token_urlsafe(),
        )
        ctx = await stack.enter_async_context(boot(settings))
        await upgrade(ctx.db)
        outside.secret = await _register_receiver(ctx, port)
        await _write_articles(settings, ctx)
        app = create_app(settings, ctx=ctx)
        app.include_router(outside.router())

        @app.get("/", include_in_schema=False)
        async def page() -> HTMLResponse:
            """Show the page, and let its browser in as staff."""
            response = HTMLResponse(PAGE.read_text(encoding="utf-8"))
            token = settings.admin_token.get_secret_value()
            response.set_cookie(
                "admin_token", token, httponly=True, samesite="strict"
            )
            return response

        yield app, ctx


def hurried(jobs: JobRegistry) -> JobRegistry:
    """Let deliveries fail within seconds, after four attempts: one can watch it."""

    def backoff(job: Job, attempt: int) -> float:
        del job
        return 1.0 + attempt

    def max_retries(job: Job) -> int:
        del job
        return 3

    changes = {
        "__module__": __name__,
        "backoff": backoff,
        "max_retries": max_retries,
    }
    return JobRegistry(
        *(
            type(job.__name__, (job,), changes)
            if issubclass(job, DeliveryJob)
            else job
            for job in jobs
        )
    )


class Server(uvicorn.Server):
    """A server that leaves signals to the worker, which listens beside it."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


async def serve(folder: Path, port: int) -> None:
    """Serve the application, with worker and scheduler, until it is stopped."""
    async with open_demo(folder, port) as (app, ctx):
        server = Server(uvicorn.Config(app, "127.0.0.1", port, log_level="warning"))
        known = hurried(registry)
        worker = Worker(ctx, sorted({cls.QUEUE for cls in known}), registry=known)
        scheduler = make_scheduler(ctx.queue)

        async def work() -> None:
            await worker.run()  # until SIGINT or SIGTERM comes
            server.should_exit = True

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(work())
            tasks.create_task(scheduler.run())
            print(f"The shop is open: http://127.0.0.1:{port}/ (Ctrl+C ends it)")
            await server.serve()
            worker.stop()
            scheduler.stop()


async def _register_receiver(ctx: BootContext, port: int) -> str:
    """Register the demo's own receiver of webhooks, and return its secret."""
    async with ctx.db.transaction() as session:
        endpoints = WebhookEndpoints(session, allow_private=True)
        for old in await endpoints.list():
            await endpoints.remove(old.id)
        added = await endpoints.add(
            f"http://127.0.0.1:{port}/demo/receiver",
            ["order.*"],
            description="the demo",
        )
        return added.secret or ""


async def _write_articles(settings: ShopSettings, ctx: BootContext) -> None:
    async with ctx.db.reading() as session:
        there = set(await session.scalars(select(Article.slug)))
    state = AppState.of(settings, ctx)
    for slug, (title, body) in ARTICLES.items():
        if slug not in there:
            await create_article(
                state, NewArticle(slug=slug, title=title, body=body)
            )


def main() -> None:
    """Read the command line, and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m shop.demo", description="Run the shop without a server."
    )
    parser.add_argument(
        "--port", type=int, default=8000, help="the port on 127.0.0.1 (8000)"
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="a folder to keep what is stored; a temporary one if none",
    )
    options = parser.parse_args()
    logging.basicConfig(
        level="INFO", format="%(levelname)-7s %(name)s: %(message)s"
    )
    logging.getLogger("mail.log").setLevel("WARNING")  # the mail server's own
    with tempfile.TemporaryDirectory(
        prefix="shop-demo-", ignore_cleanup_errors=True
    ) as temporary:
        folder = options.data or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(serve(folder.resolve(), options.port))


if __name__ == "__main__":
    main()
