"""What many tasks ask for at the same time, done at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["Batcher"]

A = TypeVar("A")
R = TypeVar("R")

_MOST = 500
_PATIENCE = 5.0


class Batcher(Generic[A, R]):
    """Collects what is asked for while the database is at work, and asks for all of it in one go.

    The first to ask waits for nobody but the tasks of the same moment; those who come meanwhile go with the next batch.
    So one alone is served at once, and many together cost hardly more than one.
    """

    def __init__(self, work: Callable[[Sequence[A]], Awaitable[Sequence[R]]], *, most: int = _MOST) -> None:
        """Say what does it.

        Args:
            work: Gets what was asked for, and returns the answers in the same order. What it raises, all get.
            most: How many at once at most.
        """
        self._work = work
        self._most = most
        self._waiting: list[tuple[A, asyncio.Future[R]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, what: A) -> R:
        """Ask, and wait for the answer.

        What was asked for is done also where the task is cancelled meanwhile; it then waits a while for that end, so
        that nothing is under way when the database is closed.
        """
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((what, answer))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            await asyncio.wait([answer], timeout=_PATIENCE)
            if not answer.cancel():
                answer.exception()  # nobody else will look at it
            raise

    async def _run(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._do(taken)
        finally:
            self._task = None

    async def _do(self, taken: list[tuple[A, asyncio.Future[R]]]) -> None:
        try:
            answers = await self._work([what for what, _ in taken])
        except BaseException as error:  # whatever it is, somebody waits for it
            for _, waiting in taken:
                if not waiting.done():
                    waiting.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            for (_, waiting), answer in zip(taken, answers, strict=True):
                if not waiting.done():
                    waiting.set_result(answer)
