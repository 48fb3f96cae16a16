"""What every topic of the job queues gets: the sizes, the queues that take part, and a note of those that could not."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.bench import count_rounds, summarise
from benchmarks.jobs.peers import BY_HAND, BY_MODULE, OURS
from benchmarks.jobs.running import interpreter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from benchmarks.children import ChildError
    from benchmarks.jobs.running import Contender
    from benchmarks.jobs.scale import JobScale


@dataclass
class JobBench:
    """One run of the benchmarks of job queues.

    Attributes:
        scale: Its sizes.
        modules: The adapters that take part.
        skipped: Why something was left out, by its label.
    """

    scale: JobScale
    modules: frozenset[str] = frozenset(BY_MODULE)
    skipped: dict[str, str] = field(default_factory=dict)

    def take(self, contenders: Iterable[Contender]) -> list[Contender]:
        """Choose those whose queue takes part and has its environment."""
        taken = []
        for contender in contenders:
            if contender.module not in self.modules:
                continue
            if interpreter(contender.module).exists():
                taken.append(contender)
            else:
                self.skipped[contender.label] = "its environment was not made"
        return taken

    def rounds(self, what: str, seconds: float) -> Iterator[int]:
        """Count the rounds, fewer of them when they would take longer than this."""
        return count_rounds(what, seconds, self.scale.rounds, self.skipped)

    def drop(self, contenders: list[Contender], contender: Contender, error: ChildError) -> None:
        """Go on without one that failed, and note why.

        Raises:
            ChildError: It is ours.
        """
        if contender.module == OURS:
            raise error
        self.skipped[contender.label] = str(error)
        contenders.remove(contender)


def is_peer(key: str) -> bool:
    """Tell whether a row is of a peer: neither ours nor made by hand."""
    return key.partition(".")[0] not in {OURS, BY_HAND}


def rows_of(group: str, speeds: Mapping[Contender, Sequence[float]]) -> list[dict[str, Any]]:
    """Make the rows of one plot; the ratios are to the fastest peer, each round by itself, then the median."""
    peers = [contender for contender in speeds if is_peer(contender.key)] or list(speeds)
    best = max(peers, key=lambda contender: median(speeds[contender]), default=None)
    if best is None:
        return []
    rows = []
    for contender, own in speeds.items():
        speed = summarise(own)
        ratio = summarise([a / b for a, b in zip(own, speeds[best], strict=True)], 3)
        rows.append(
            {
                "group": group,
                "client": contender.label,
                "key": contender.key,
                "ops_per_second": speed["median"],
                "ratio": ratio["median"],
                "speed": speed,
                "ratios": ratio,
            }
        )
    return rows
