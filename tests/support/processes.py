"""Worker processes of a test run: they are told what to do line by line, and may be killed or stopped."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.support.wait import wait_until

ROOT = Path(__file__).parents[2]


class Worker:
    """One process that reads orders from standard input, a JSON object a line, and says what it does on its output.

    What it says is an object with a `word`. After each order it says `idle`.
    """

    def __init__(self, module: str) -> None:
        """Start the process."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._said: list[dict[str, Any]] = []
        self._ended = False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.append(json.loads(line))
        self._ended = True

    def order(self, **order: Any) -> None:
        """Give an order; what was said before is forgotten."""
        self._said.clear()
        self.tell(**order)

    def tell(self, **message: Any) -> None:
        """Say something while an order is carried out."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")

    async def hear(self, word: str) -> dict[str, Any]:
        """Wait until the process has said a word since its order."""
        await wait_until(lambda: self._ended or self.has_said(word), timeout=30)
        assert self.has_said(word), f"the process ended before it said {word!r}"
        return next(said for said in self._said if said["word"] == word)

    def has_said(self, word: str) -> bool:
        """Tell whether the process has said a word since its order."""
        return any(said["word"] == word for said in self._said)

    @property
    def usable(self) -> bool:
        """Whether the process waits for an order."""
        return not self._ended and (not self._said or self.has_said("idle"))

    def stop(self) -> None:
        """Let the process stand still (SIGSTOP)."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let the process go on."""
        self._process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask the process to end (SIGTERM)."""
        self._process.terminate()

    def kill(self) -> None:
        """End the process at once (SIGKILL)."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class Crew:
    """Several workers that outlive a test, as starting one takes longer than what it does."""

    def __init__(self, module: str) -> None:
        """Start with nobody."""
        self._module = module
        self._workers: list[Worker] = []

    def gather(self, count: int) -> list[Worker]:
        """Return so many workers that wait for orders; those that do not are replaced."""
        for worker in [worker for worker in self._workers if not worker.usable]:
            self._workers.remove(worker)
            worker.kill()
        self._workers += [Worker(self._module) for _ in range(count - len(self._workers))]
        return self._workers[:count]

    def dismiss(self) -> None:
        """End all of them."""
        for worker in self._workers:
            worker.kill()
        self._workers.clear()
