"""What many tasks ask for at the same time, done at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from rustforge.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

__all__ = ["Batcher"]

A = TypeVar("A")
R = TypeVar("R")

_MOST = 500
_PAUSE = 0.02
_PATIENCE = 5.0


class Batcher(Generic[A, R]):
    """Collects what many tasks ask for, and asks for all of it in one go.

    One alone is served at once. What comes while a batch is under way goes with the next one, which waits some
    milliseconds for more: many together cost hardly more than one.
    """

    def __init__(
        self, work: Callable[[Sequence[A]], Awaitable[Sequence[R]]], *, most: int = _MOST, pause: float = _PAUSE
    ) -> None:
        """Say what does it.

        Args:
            work: Gets what was asked for, and returns the answers in the same order. What it raises, all of them get.
            most: How many go together at most.
            pause: The seconds from the beginning of one batch to that of the next at least, unless that one is full.
        """
        self._work = work
        self._most = most
        self._pause = pause
        self._waiting: list[_Question[A, R]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, what: A) -> R:
        """Ask, and wait for the answer.

        What was asked for is done even if the task is cancelled meanwhile. It then still waits for the end of that, for
        some seconds at most, so that nothing is under way when the database is closed.
        """
        question: _Question[A, R] = _Question(what)
        self._waiting.append(question)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            await question.woken
        except asyncio.CancelledError:
            await question.wait_on()
            raise
        return question.result()

    async def _run(self) -> None:
        """Do one batch after the other until nobody waits."""
        taken: list[_Question[A, R]] = []
        try:
            while self._waiting:
                began = SYSTEM_CLOCK.monotonic()
                taken, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._do(taken)
                if 0 < len(self._waiting) < self._most:
                    await asyncio.sleep(began + self._pause - SYSTEM_CLOCK.monotonic())
        finally:
            self._task = None
            for question in (*taken, *self._waiting):  # there are none, unless this task was cancelled
                question.end(error=asyncio.CancelledError())
            self._waiting = []

    async def _do(self, taken: list[_Question[A, R]]) -> None:
        try:
            answers = await self._work([question.what for question in taken])
        except Exception as error:  # noqa: BLE001 - whatever it is, those who asked get it
            for question in taken:
                question.end(error=error)
        else:
            for question, answer in zip(taken, answers, strict=True):
                question.end(answer)


class _Question(Generic[A, R]):
    """What one task asks for.

    Attributes:
        what: What it is.
        woken: Done when there is an answer.
    """

    __slots__ = ("_answer", "_error", "_over", "_trace", "what", "woken")

    def __init__(self, what: A) -> None:
        self.what = what
        self.woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._over = False
        self._answer: R | None = None
        self._error: BaseException | None = None
        self._trace: TracebackType | None = None

    def end(self, answer: R | None = None, error: BaseException | None = None) -> None:
        """Give the answer, or an error in its place; the first one counts."""
        if not self._over:
            self._over = True
            self._answer = answer
            self._error = error
            self._trace = None if error is None else error.__traceback__
            if not self.woken.done():
                self.woken.set_result(None)

    async def wait_on(self) -> None:
        """Wait a while longer, after a cancellation."""
        if not self._over:
            self.woken = asyncio.get_running_loop().create_future()
            await asyncio.wait([self.woken], timeout=_PATIENCE)

    def result(self) -> R:
        """Return the answer, or raise the error."""
        if self._error is not None:
            raise self._error.with_traceback(self._trace)  # else it grows by each task that raises it
        return cast("R", self._answer)
