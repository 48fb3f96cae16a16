"""What commands write: tables for people, JSON for programs, and a bar where something takes its time."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from rustforge import codec
from rustforge.cli.run import FAILED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
    from datetime import datetime

    from rich.table import Table
    from rich.text import Text

__all__ = ["confirm", "show_facts", "show_json", "show_table", "when", "with_bar"]

T = TypeVar("T")

_WIDE = 240
_REFRESH_SECONDS = 0.2


def show_json(value: Any) -> None:
    """Write a value as JSON."""
    typer.echo(codec.encode(value).decode())


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows under their titles; numbers to the right."""
    from rich import box  # noqa: PLC0415 - rich takes its time to load, and is not always needed
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    found = [list(row) for row in rows]
    for place, title in enumerate(columns):
        numbers = bool(found) and all(isinstance(row[place], (int, float)) for row in found)
        table.add_column(title, justify="right" if numbers else "left", overflow="fold")
    for row in found:
        table.add_row(*[_text(value) for value in row])
    _print(table)


def show_facts(facts: dict[str, object]) -> None:
    """Write names and values, one a line."""
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, _text(value))
    _print(table)


def when(moment: datetime) -> str:
    """Write a moment in the local time zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless that was said before; where nobody agrees the command ends."""
    if not yes:
        typer.echo(f"{question} [y/N] ", err=True, nl=False)
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            typer.echo("Nothing was done; --yes answers the question beforehand.", err=True)
            raise typer.Exit(FAILED)


async def with_bar(
    label: str, work: Coroutine[Any, Any, T], left: Callable[[], Awaitable[int]], *, hidden: bool = False
) -> T:
    """Show a bar while something is done.

    Args:
        label: What is done.
        work: What does it.
        left: Tells how many are left.
        hidden: Whether to show none.
    """
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    total = await left()
    task = asyncio.create_task(work)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=hidden) as progress:
        bar = progress.add_task(label, total=total)
        while not task.done():
            await asyncio.wait([task], timeout=_REFRESH_SECONDS)
            if not task.done() and not hidden:
                progress.update(bar, completed=max(0, total - await left()))
    return await task


def _print(table: Table) -> None:
    """Write to standard output; where that is no terminal, in lines long enough to cut nothing off."""
    from rich.console import Console  # noqa: PLC0415

    Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False).print(table)


def _text(value: object) -> Text:
    """Write a value as it is: without markup, and without what would steer a terminal."""
    from rich.text import Text  # noqa: PLC0415

    text = "" if value is None else str(value)
    return Text("".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text))
