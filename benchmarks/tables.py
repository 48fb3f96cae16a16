"""What the tables of all benchmarks share."""

from __future__ import annotations

import re
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from benchmarks.goals import judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.goals import Goal

MIB = 1 << 20

_BUSY = 0.5  # processes that want a core, before the run itself wants any


def slug(text: str) -> str:
    """Make a file name of a group."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def tabulate(head: Sequence[str], rows: Iterable[Sequence[object]], *, words: int = 1) -> str:
    """Write a table; the first columns hold words, the others numbers."""
    rule = ["---" if column < words else "--:" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (head, rule, *rows)) + "\n"


def ours(row: dict[str, Any]) -> str:
    """Name who was measured, and set off what is ours."""
    client: str = row["client"]
    return f"**{client}**" if "rustforge" in client.lower() else client


def number(value: float) -> str:
    """Write a number with as many digits as mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(summary: dict[str, Any]) -> str:
    """Write the lowest and the highest of all rounds."""
    return f"{number(summary['lowest'])}-{number(summary['highest'])}".replace("-", "\N{EN DASH}")


def summary(meta: dict[str, Any]) -> str:
    """Say when and on what, and warn where it was not the whole run."""
    text = f"Measured on {meta['date']} on {meta['cpu']} with {meta['cores']} cores, {meta['server']}, {meta['python']}"
    text = f"{text}; medians of {meta['rounds']} rounds."
    if meta["scale"] != "full":
        title = "A quick look"
        warning = (
            "These figures come from a short run and are rough; `make bench` replaces them by those of a full one."
        )
    elif meta["load_before"] >= _BUSY:
        title = "A busy machine"
        warning = (
            f"The machine was not quiet when the run began (load {meta['load_before']}), so look at *lowest to "
            "highest* and at the processor time too, which suffer least."
        )
    else:
        return f"{text}\n"
    return f'!!! warning "{title}"\n\n    {warning}\n\n{text}\n'


def goals(results: dict[str, Any], wanted: Iterable[Goal] | None = None) -> str:
    """Put every goal beside what was measured."""
    return tabulate(
        ["What", "Goal", "Measured", "Reached"],
        [
            [
                outcome.goal.text,
                f"{'at least' if outcome.goal.at_least else 'at most'} {outcome.goal.bound:g}{outcome.goal.unit}",
                f"{number(outcome.figure)}{outcome.goal.unit}",
                "yes" if outcome.reached else "**no**",
            ]
            for outcome in judge(results, wanted)
        ],
    )


def machine(meta: dict[str, Any], how: Mapping[str, str]) -> str:
    """Describe where, how and for how long was measured."""
    lines = {
        "Date": meta["date"],
        "Processor": f"{meta['cpu']}, {meta['cores']} cores",
        "System": meta["system"],
        "Python": f"{meta['python']}, uvloop {meta['versions']['uvloop']}",
        **how,
        "Command": f"`{meta['command']}`",
        "Sizes": meta["scale"],
        "Took": f"{meta['took_seconds'] / 60:.1f} minutes",
        "Load before and after": f"{meta['load_before']} and {meta['load_after']}",
        "Left out": "; ".join(f"{name}: {shorten(why, 120)}" for name, why in meta["skipped"].items()) or "nothing",
    }
    return tabulate(["Measured", "With"], lines.items(), words=2)
