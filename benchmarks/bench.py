"""What every topic gets: the sizes, the clients that take part, and a note of those that could not."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any

from benchmarks.clients import BASELINE, BY_MODULE, OURS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from benchmarks.children import ChildError
    from benchmarks.scale import Scale


@dataclass(frozen=True)
class Contender:
    """One thing that one client does.

    Attributes:
        label: What it is called in tables and plots.
        module: The client's adapter.
        function: The function of the adapter.
    """

    label: str
    module: str
    function: str

    @property
    def key(self) -> str:
        """Name it in the results, whatever its label is."""
        return f"{self.module}.{self.function}"


@dataclass
class Bench:
    """One run of the benchmarks.

    Attributes:
        scale: Its sizes.
        modules: The adapters that take part.
        skipped: Why something was left out, by its label.
    """

    scale: Scale
    modules: frozenset[str] = frozenset(BY_MODULE)
    skipped: dict[str, str] = field(default_factory=dict)

    def take(self, contenders: Iterable[Contender]) -> list[Contender]:
        """Choose those whose client takes part and is installed."""
        taken = []
        for contender in contenders:
            distribution = BY_MODULE[contender.module].distribution
            if contender.module not in self.modules:
                continue
            try:
                metadata.version(distribution)
            except metadata.PackageNotFoundError:
                self.skipped[contender.label] = f"{distribution} is not installed"
            else:
                taken.append(contender)
        return taken

    def rounds(self, what: str, seconds: float, count: int | None = None) -> Iterator[int]:
        """Count the rounds, fewer of them when they would take longer than this."""
        return count_rounds(what, seconds, count or self.scale.rounds, self.skipped)

    def drop(self, contenders: list[Contender], contender: Contender, error: ChildError) -> None:
        """Go on without one that failed, and note why.

        Raises:
            ChildError: It is one that everything is compared with.
        """
        if contender.module in {OURS, BASELINE}:
            raise error
        self.skipped[contender.label] = str(error)
        contenders.remove(contender)


def count_rounds(what: str, seconds: float, count: int, skipped: dict[str, str]) -> Iterator[int]:
    """Count up to so many rounds; stop, and note it, where the next one would end after so many seconds."""
    began = time.monotonic()
    for number in range(1, count + 1):
        yield number
        took = time.monotonic() - began
        if number < count and took + took / number > seconds:
            skipped[what] = f"{number} rounds and not {count}, as this machine is slow or busy"
            return


def summarise(values: Sequence[float], digits: int = 0) -> dict[str, Any]:
    """Give the median of all rounds, the lowest and the highest, and every single one."""
    rounded = [round(value, digits) if digits else round(value) for value in values]
    median = statistics.median(values)
    return {
        "median": round(median, digits) if digits else round(median),
        "lowest": min(rounded),
        "highest": max(rounded),
        "rounds": rounded,
    }


def centre(values: Sequence[float], digits: int = 0) -> dict[str, Any]:
    """Give the median of many short rounds, and between what the middle half of them lies."""
    lower, median, upper = statistics.quantiles(values, n=4) if len(values) > 1 else [*values] * 3
    return {
        "median": round(median, digits),
        "lowest": round(lower, digits),
        "highest": round(upper, digits),
        "rounds": len(values),
    }
