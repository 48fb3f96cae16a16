"""Measure the built site, and keep what was found beside its pages, where the Quality page shows it.

python -m tools.quality [name ...] [--site site]     # every measurement without a name

A measurement is a module of this package with a `TITLE` and `measure(site) -> list[Row]`. One that takes options of its
own has `add_arguments(parser)`, too, and gets them: `measure(site, options)`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from tools.quality.results import save

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.quality.results import Row


def find_names() -> list[str]:
    """List the modules that measure something."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return [file.stem for file in files if "\ndef measure(" in file.read_text()]


def print_table(title: str, rows: Sequence[Row]) -> None:
    """Print what was found, for a terminal."""
    print(f"\n{title}\n")
    width = max(len(row.what) for row in rows)
    for row in rows:
        goal = f"  {'reached' if row.reached else 'MISSED'}: {row.goal}" if row.goal else ""
        print(f"  {row.what:{width}}  {row.value}{goal}")
        if row.note:
            print(textwrap.indent(textwrap.fill(row.note, 110), "      "))


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return 1 where a goal is missed and no note says why."""
    arguments = sys.argv[1:] if arguments is None else arguments
    names = find_names()
    chosen = [name for name in names if name in arguments] or names
    parser = argparse.ArgumentParser(prog="python -m tools.quality", description="Measure the built site.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"what to measure, of {', '.join(names)}; all if none")
    parser.add_argument("--site", type=Path, default=Path("site"), help="the built site")
    modules = {name: importlib.import_module(f"tools.quality.{name}") for name in chosen}
    for module in modules.values():
        if hasattr(module, "add_arguments"):
            module.add_arguments(parser)
    options = parser.parse_intermixed_args(arguments)
    if unknown := sorted(set(options.names) - set(names)):
        parser.error(f"nothing measures {', '.join(unknown)}; there are {', '.join(names)}")
    if not (options.site / "index.html").is_file():
        parser.error(f"there is no site in {options.site}: run `make site` first")

    missed = []
    for name, module in modules.items():
        extra = (options,) if hasattr(module, "add_arguments") else ()
        rows: list[Row] = module.measure(options.site, *extra)
        save(name, module.TITLE, f"make quality ARGS={name}", rows)
        print_table(module.TITLE, rows)
        missed += [f"{name}: {row.what}: {row.value}" for row in rows if not row.reached and not row.note]
    if missed:
        print("\nGoals that are missed, without a note that says why:", *missed, sep="\n  ", file=sys.stderr)
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
