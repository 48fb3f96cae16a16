"""Processes that do the measuring, one for each client, so that none slows another."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType
    from typing import IO

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
SECONDS = 60.0
"""How long a child may take for one step."""
READY = "ready"
"""What a child says that waits to be told to go on."""
_RESULT = "result "
_LONGEST_LINE = 1 << 26


class ChildError(Exception):
    """A child failed; the message is the last line of what it complained of."""


class Child:
    """A process that runs `work` of one topic: `async with Child("reads", ...) as child: await child.result()`.

    What it prints comes as lines; what is sent to it, it reads as lines.
    """

    _new_session = False
    """Whether it leads a group of processes, so that all that it starts can be ended with it."""
    _seconds = SECONDS

    def __init__(self, topic: str, **options: Any) -> None:
        """Prepare it; the topic is a module, of the cache's topics unless it has dots, whose `work` has the options."""
        self._command = [sys.executable, "-m", "benchmarks.children", topic, json.dumps(options)]
        self._process: asyncio.subprocess.Process
        self._log: IO[bytes]
        self.lines: list[str] = []

    async def __aenter__(self) -> Self:
        """Start it."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the exit
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=ROOT,
            stdin=pipe,
            stdout=pipe,
            stderr=self._log,
            limit=_LONGEST_LINE,
            start_new_session=self._new_session,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, if it still runs."""
        self.kill()
        await self._process.communicate()
        self._log.close()

    def send(self, line: str) -> None:
        """Send it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process.returncode is None:
            self._process.kill()

    async def line(self) -> str | None:
        """Wait for the next line; `None` when it has ended.

        Raises:
            ChildError: It said nothing for too long.
        """
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(self._seconds):
                line = (await self._process.stdout.readline()).decode().rstrip("\n")
        except TimeoutError:
            msg = f"no answer within {self._seconds:g} s"
            raise ChildError(msg) from None
        if not line:
            return None
        self.lines.append(line)
        return line

    async def answer(self) -> Any:
        """Wait for a line of JSON.

        Raises:
            ChildError: It ended before.
        """
        if (line := await self.line()) is None:
            raise self._failure()
        return json.loads(line)

    async def wait_for(self, word: str) -> None:
        """Wait until it says a word.

        Raises:
            ChildError: It ended before.
        """
        while (line := await self.line()) != word:
            if line is None:
                raise self._failure()

    async def result(self) -> Any:
        """Wait for what `work` returns.

        Raises:
            ChildError: It failed.
        """
        while (line := await self.line()) is not None:
            if line.startswith(_RESULT):
                return json.loads(line.removeprefix(_RESULT))
        raise self._failure()

    def complaints(self) -> list[str]:
        """Read what it complained of until now, without moving the place where it writes."""
        text = os.pread(self._log.fileno(), _LONGEST_LINE, 0)
        return text.decode(errors="replace").strip().splitlines()

    def _failure(self) -> ChildError:
        complaint = self.complaints()
        return ChildError(complaint[-1] if complaint else "it ended without a word")


def say(word: str) -> None:
    """In a child: tell the parent something now."""
    print(word, flush=True)


def run(work: Coroutine[Any, Any, T]) -> T:
    """In a child: run a coroutine on uvloop, which the parent has no use for."""
    import uvloop  # noqa: PLC0415

    return uvloop.run(work)


def main() -> None:
    """Be the child: do one topic's work and print the result."""
    from importlib import import_module  # noqa: PLC0415 - only children need it

    topic, options = sys.argv[1:]
    module = topic if "." in topic else f"benchmarks.topics.{topic}"
    result = import_module(module).work(**json.loads(options))
    say(_RESULT + json.dumps(result))


if __name__ == "__main__":
    main()
