"""Run a command's coroutine, and turn what it raises into a line and an exit code."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from rustforge.cli.target import TargetError
from rustforge.errors import RustforgeError

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["FAILED", "WRONG", "fail", "run"]

FAILED = 1
"""The exit code of what did not work."""

WRONG = 2
"""The exit code of what was asked the wrong way."""

_INTERRUPTED = 130


def fail(message: str, code: int = FAILED) -> NoReturn:
    """End with a line on standard error."""
    typer.secho(f"Error: {message}", err=True, fg=typer.colors.RED)
    raise typer.Exit(code)


def run(work: Coroutine[Any, Any, int | None]) -> None:
    """Run to the end, on uvloop where it is installed, and exit with the code that it returns.

    Args:
        work: The coroutine.
    """
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            code = runner.run(work)
    except TargetError as error:
        fail(str(error), WRONG)
    except RustforgeError as error:
        fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "sqlalchemy":
            raise
        fail(f"the database refused: {str(getattr(error, 'orig', None) or error).splitlines()[0]}")
    if code:
        raise typer.Exit(code)


def _loop_factory() -> Any:
    try:
        return importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return None
