"""A client in the test's own event loop, and the application's start and end around it."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from rustforge.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
    from typing import TypeAlias

    from httpx2 import AsyncClient

    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    AsgiApp: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

__all__ = ["open_client"]

_FAILURE = "rustforge.failure"  # see rustforge.http.handling


@asynccontextmanager
async def open_client(
    app: AsgiApp,
    *,
    base_url: str = "http://test",
    raise_errors: bool = True,
    lifespan: bool = True,
    **options: Any,
) -> AsyncGenerator[AsyncClient]:
    """Start an application, and open a client that calls it directly, in this event loop.

    The application starts and ends within one task, as on a server, also where the two happen in different tasks of a
    test. What the test puts into `app.dependency_overrides` is taken back at the end.

    Args:
        app: The ASGI application.
        base_url: What paths are added to.
        raise_errors: Whether an exception that the application does not handle is raised by the request; `False` gives
            the response that a client would get.
        lifespan: Whether to start and end the application.
        options: Further arguments of `httpx2.AsyncClient`, such as `headers`.

    Yields:
        The client. A response is there as a whole: for streams without an end, start a server.

    Raises:
        Exception: What the application raised when it started or ended.

    Example:
        ```python
        async with open_client(app) as client:
            response = await client.get("/articles")
        ```
    """
    try:
        import httpx2  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        msg = f"{error.name} is not installed; it comes with: pip install 'rustforge[testing]'"
        raise ConfigurationError(msg) from None
    overrides: dict[Any, Any] | None = getattr(app, "dependency_overrides", None)
    before = None if overrides is None else dict(overrides)
    try:
        async with _Running(app, lifespan=lifespan, raise_errors=raise_errors) as running:
            transport = httpx2.ASGITransport(app=running, raise_app_exceptions=raise_errors)
            async with httpx2.AsyncClient(transport=transport, base_url=base_url, **options) as client:
                yield client
    finally:
        if overrides is not None and before is not None:
            overrides.clear()
            overrides.update(before)


class _Running:
    """An application that has started; requests see the state that its start has made."""

    def __init__(self, app: AsgiApp, *, lifespan: bool, raise_errors: bool) -> None:
        self._app = app
        self._raise_errors = raise_errors
        self._lifespan = lifespan
        self._state: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None
        self._told: asyncio.Queue[str] = asyncio.Queue()
        self._heard: asyncio.Queue[Message] = asyncio.Queue()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        scope = {**scope, "state": dict(self._state)}
        await self._app(scope, receive, send)
        failure: Exception | None = scope.get(_FAILURE)  # install() has answered it
        if failure is not None and self._raise_errors:
            raise failure

    async def __aenter__(self) -> Self:
        if self._lifespan:
            scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
            self._task = asyncio.create_task(self._run(scope), name="lifespan")
            await self._tell("startup")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None and not self._task.done():
            await self._tell("shutdown")
            await self._task

    async def _run(self, scope: Message) -> None:
        async def receive() -> Message:
            return {"type": f"lifespan.{await self._told.get()}"}

        await self._app(scope, receive, self._heard.put)

    async def _tell(self, what: str) -> None:
        """Tell the application to start or to end, and wait until it has."""
        assert self._task is not None  # noqa: S101 - it has been made
        self._told.put_nowait(what)
        hearing = asyncio.ensure_future(self._heard.get())
        await asyncio.wait([self._task, hearing], return_when=asyncio.FIRST_COMPLETED)
        if not hearing.done():
            hearing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await hearing
            if self._task.exception() is not None and what == "shutdown":
                self._task.result()
            return  # who has no start and no end may return or raise; the server goes on
        if hearing.result()["type"].endswith(".failed"):
            await asyncio.wait([self._task])
            self._task.result()
            raise RuntimeError(hearing.result().get("message") or f"the application failed at its {what}")
