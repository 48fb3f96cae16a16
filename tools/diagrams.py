"""Draw the way of a job from the Lua scripts that move it, so that no picture says what the code does not do.

python -m tools.diagrams       # src/rustforge/jobs/lua/*.lua -> docs/assets/diagrams/*.svg and docs/includes/jobs/*.md

The scripts are read function by function: what a function takes a job out of, and into what it puts one, itself or
through the functions that it calls. A move that the picture has no line for, or a line without such a move, is an
error; so is a key of Redis that the list at the head of common.lua does not name.
"""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from rustforge.jobs import Worker, heartbeat

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "src" / "rustforge" / "jobs" / "lua"

PUTS: dict[str, str] = {
    "ready": r"'[LR]PUSH', levels|'LPUSH' or 'RPUSH', levels|first and 'LPUSH'",
    "delayed": r"'ZADD', delayed",
    "waiting": r"'RPUSH', base \.\. '(?:group|lane):'",
    "running": r"'SADD', flight",
    "parked": r"'RPUSH', base \.\. 'parked:'",
    "quarantine": r"'HSET', quarantine",
    "dead": r"'ZADD', dead",
    "over": r"'HDEL', jobs",
}
"""How the scripts put a job into a place."""

TAKES: dict[str, str] = {
    "ready": r"'LPOP', list",
    "delayed": r"'ZREM', delayed|'ZPOPMIN', delayed",
    "waiting": r"'(?:LPOP|LREM)', base \.\. '(?:group|lane):'",
    "running": r"'SREM', flight|'DEL', flight_of",
    "parked": r"'(?:LPOP|LREM)', base \.\. 'parked:'",
    "quarantine": r"'HDEL', quarantine",
    "dead": r"'ZREM', dead",
}
"""How they take one out."""

FOR_OTHERS = {"leave", "leave_slot", "leave_group", "count_off", "promote"}
"""Functions that move other jobs than the one they are called for."""

WORDS: dict[str, dict[str, str]] = {
    "adopt": {"": "a worker appears that knows its name"},
    "bury": {"": "its row in SQL is written"},
    "cancel": {"": "it is cancelled"},
    "claim": {"": "a worker claims it"},
    "clear": {"": "the queue is cleared"},
    "discard": {"": "somebody discards it"},
    "enqueue": {
        "delayed": "it has a delay, or its rate allows it later",
        "waiting": "others of its group, or of its key, are before it",
        "ready": "nothing is before it",
        "new": "it is retried from its row in SQL",
    },
    "give_back": {
        "ready": "the lease of its worker ended, or the worker stopped",
        "quarantine": "its worker was lost too often",
        "over": "it was to be cancelled, and its worker was lost",
    },
    "leave_group": {
        "delayed": "it is its turn in the group, and its rate allows it later",
        "ready": "it is its turn in the group",
    },
    "leave_slot": {"": "a slot of its key is free"},
    "outcomes.cancelled": {"": "it was cancelled while it ran"},
    "outcomes.dead": {"": "it failed for good, and `failed()` was called"},
    "outcomes.done": {"": "its handler returned"},
    "outcomes.park": {"": "its worker does not know its name"},
    "outcomes.quarantine": {"": "it cannot be read"},
    "outcomes.release": {"": "its worker stops, and gives it back"},
    "outcomes.retry": {"": "the attempt failed, and there are more"},
    "outcomes.snooze": {"": "its handler raised `Snooze`"},
    "promote": {"waiting": "its time has come, and others are before it", "ready": "its time has come"},
    "requeue": {"": "somebody requeues it"},
}
"""What the code's names mean, by the place that is reached where that matters."""

PLACES: dict[str, tuple[str, int, int]] = {
    "new": ("dispatch", 220, 20),
    "delayed": ("delayed", 76, 96),
    "waiting": ("waiting", 364, 96),
    "ready": ("ready", 220, 190),
    "parked": ("parked", 76, 286),
    "running": ("running", 220, 286),
    "quarantine": ("quarantine", 364, 286),
    "dead": ("dead", 76, 382),
    "over": ("over", 220, 382),
}
"""Where the picture has a place: its name, and the middle of its box."""

NOT_DRAWN = {"cancel", "clear"}
"""What people ask for; it leads from every place to the end, and would hide the rest."""

LINES: dict[tuple[str, str], tuple[str, str, int, int, str]] = {
    ("new", "delayed"): ("M192 36 106 76", "later", 128, 50, "end"),
    ("new", "waiting"): ("M248 36 334 76", "not its turn", 312, 50, "start"),
    ("new", "ready"): ("M220 36V170", "", 0, 0, ""),
    ("delayed", "waiting"): ("M132 92H308", "", 0, 0, ""),
    ("delayed", "ready"): ("M112 116 178 170", "due", 132, 150, "end"),
    ("waiting", "delayed"): ("M308 102H132", "rate", 270, 118, "middle"),
    ("waiting", "ready"): ("M328 116 262 170", "its turn", 306, 150, "start"),
    ("ready", "running"): ("M212 210V266", "claim", 206, 242, "end"),
    ("running", "ready"): ("M230 266V210", "lease lost,", 238, 236, "start"),
    ("running", "delayed"): ("M172 266C110 230 40 220 40 116", "retry", 44, 206, "end"),
    ("running", "parked"): ("M164 280H132", "", 0, 0, ""),
    ("parked", "running"): ("M132 294H164", "unknown name", 76, 322, "middle"),
    ("running", "quarantine"): ("M276 286H308", "unreadable, or", 378, 324, "middle"),
    ("quarantine", "new"): ("M420 286H432V20H276", "requeue", 426, 200, "end"),
    ("quarantine", "over"): ("M322 306C322 346 306 380 278 382", "discard", 324, 372, "start"),
    ("running", "dead"): ("M180 306 112 362", "failed for good", 0, 0, ""),
    ("running", "over"): ("M220 306V362", "done", 228, 338, "start"),
    ("dead", "over"): ("M132 382H164", "row in SQL", 148, 418, "middle"),
    ("dead", "new"): ("", "", 0, 0, ""),
}
"""The lines of the picture: path, label, and where the label stands. An empty path is not drawn."""


class DiagramError(Exception):
    """Code and picture differ; the message says where."""


@dataclass(frozen=True)
class Move:
    """A way from one place to another.

    Attributes:
        start: The place it leaves.
        end: The place it reaches.
        action: The function or action that moves it.
    """

    start: str
    end: str
    action: str

    @property
    def words(self) -> str:
        """Say when it happens.

        Raises:
            DiagramError: Nobody has said what this is.
        """
        meanings = WORDS.get(self.action, {})
        found = meanings.get(self.end) or meanings.get("")
        if found is None:
            msg = f"no words for {self.action}, which moves a job from {self.start} to {self.end}"
            raise DiagramError(msg)
        return found


def read_chunks(name: str, text: str) -> dict[str, str]:
    """Cut a script into its functions, the actions that it is asked for, and the rest, named after the script."""
    chunks: dict[str, str] = {}

    def keep(found: re.Match[str]) -> str:
        chunks[found[1]] = found[2]
        return ""

    rest = re.sub(r"^(?:local )?function ([\w.]+)\(.*?\)([^\n]*\n.*?)^end$", keep, text, flags=re.DOTALL | re.MULTILINE)
    rest = re.sub(
        r"^(?:else)?if action == '(\w+)' then\n(.*?)(?=^else|^end$)", keep, rest, flags=re.DOTALL | re.MULTILINE
    )
    return {**chunks, name: rest}


def read_moves(folder: Path = SCRIPTS) -> set[Move]:
    """Read from the scripts where jobs go."""
    common = read_chunks("common", (folder / "common.lua").read_text())
    moves = _moves_of(common, common)
    for file in sorted(folder.glob("*.lua")):
        if file.stem != "common":
            own = read_chunks(file.stem, file.read_text())
            moves |= _moves_of(own, {**common, **own})
    return moves


def _moves_of(own: dict[str, str], known: dict[str, str]) -> set[Move]:
    """Read the moves that these functions make."""
    moves: set[Move] = set()
    for name, text in own.items():
        starts = {place for place, pattern in TAKES.items() if re.search(pattern, text)}
        ends = _reach(name, text, known)
        if name.startswith("outcomes."):  # called for jobs that were just taken out of the worker's
            starts = {"running"} if re.search(r"'SREM', flight, id\) == 1 then\s+outcomes\[", own["settle"]) else set()
        elif name == "settle":
            starts.discard("running")
        elif name == "enqueue":
            moves |= {Move(start, "new", name) for start in starts}  # it is in SQL by then, and begins anew
            starts = {"new"}
        if "new" in ends or name == "enqueue":
            ends.discard("over")  # it is removed only to begin anew
        moves |= {Move(start, end, _action(name, end)) for start in starts for end in ends - {start}}
    return moves


def _action(name: str, end: str) -> str:
    """Name what moves a job."""
    if name == "settle":
        return "claim" if end == "running" else "cancel"
    return "outcomes.done" if name == "drop" else name


def _reach(name: str, text: str, known: dict[str, str], seen: frozenset[str] = frozenset()) -> set[str]:
    """Tell into which places a function puts the job that it is called for."""
    found = {place for place, pattern in PUTS.items() if re.search(pattern, text)}
    for other, body in known.items():
        if other == name or other in seen or other in FOR_OTHERS or "." in other:
            continue
        if re.search(rf"(?<![\w.]){other}\(", text) or (other in {"enter", "pace", "take_slot"} and "stages[" in text):
            found |= {"new"} if other == "enqueue" else _reach(other, body, known, seen | {name})
    return found


def check_lines(moves: set[Move]) -> dict[tuple[str, str], list[Move]]:
    """Compare the lines of the picture with the moves of the scripts; return the moves of each line.

    Raises:
        DiagramError: They differ, or something has no words.
    """
    drawn: dict[tuple[str, str], list[Move]] = {}
    for move in sorted(moves, key=lambda one: (one.start, one.end, one.action)):
        assert move.words
        if move.action not in NOT_DRAWN:
            drawn.setdefault((move.start, move.end), []).append(move)
    if wrong := sorted(drawn.keys() ^ LINES.keys()):
        msg = f"the picture and the scripts differ in {wrong}"
        raise DiagramError(msg)
    return drawn


def _head(label: str, height: int) -> str:
    """Open a picture."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" viewBox="0 0 440 {height}" '
        'fill="none" stroke="currentColor" font-family="inherit" font-size="12.5">'
    )


def draw_states(moves: set[Move]) -> str:
    """Draw the places of a job and the lines between them."""
    lines = check_lines(moves)
    words = "; ".join(
        f"{PLACES[start][0]} to {PLACES[end][0]}: {', or '.join(one.words for one in found)}"
        for (start, end), found in lines.items()
    ).replace("`", "")
    parts = [
        _head("The way of a job", 426),
        f"<desc>{escape(words)}</desc>",
        "<defs>",
        '<marker id="rf-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">',
        '<path d="M1 1 7 4 1 7" fill="none" stroke="currentColor"/></marker>',
        "</defs>",
        '<g stroke-width="1.2" stroke-opacity="0.75">',
    ]
    parts += [f'<path d="{LINES[line][0]}" marker-end="url(#rf-arrow)"/>' for line in lines if LINES[line][0]]
    parts += ["</g>", '<g fill="currentColor" fill-opacity="0.08" stroke-opacity="0.6">']
    for name, (_, x, y) in PLACES.items():
        height = 32 if name == "new" else 40
        radius = 16 if name in {"new", "over"} else 4
        parts.append(f'<rect x="{x - 56}" y="{y - height // 2}" width="112" height="{height}" rx="{radius}"/>')
    parts += ["</g>", '<g fill="currentColor" stroke="none" text-anchor="middle" font-weight="600">']
    parts += [f'<text x="{x}" y="{y + 4}">{word}</text>' for word, x, y in PLACES.values()]
    parts += ["</g>", '<g fill="currentColor" stroke="none" font-size="11.5">']
    parts += [
        f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(label)}</text>'
        for label, x, y, anchor in [LINES[line][1:] for line in lines] + _MORE
        if anchor
    ]
    return "\n".join([*parts, "</g>", "</svg>", ""])


_MORE: list[tuple[str, int, int, str]] = [
    ("worker stops", 238, 252, "start"),
    ("kills its worker", 378, 338, "middle"),
    ("failed for good", 104, 346, "end"),
]
"""Second lines of labels."""


def write_moves(moves: set[Move]) -> str:
    """Write the moves as a table."""
    check_lines(moves)
    rows = ["| From | To | When |", "|---|---|---|"]
    order = list(PLACES)
    asked = [move for move in moves if move.action in NOT_DRAWN]
    ways: dict[tuple[str, str], set[str]] = {}
    for move in moves - set(asked):
        ways.setdefault((move.start, move.end), set()).add(move.words)
    for start, end in sorted(ways, key=lambda way: (order.index(way[0]), order.index(way[1]))):
        rows.append(f"| {PLACES[start][0]} | {PLACES[end][0]} | {', or '.join(sorted(ways[start, end]))} |")
    starts = sorted({PLACES[move.start][0] for move in asked})
    rows.append(f"| {', '.join(starts)} | over | {', or '.join(sorted({move.words for move in asked}))} |")
    return "\n".join([*rows, ""])


# -- keys -------------------------------------------------------------------------------------------------------------


def read_keys(text: str) -> dict[str, tuple[str, str]]:
    """Read the list of keys at the head of common.lua: name, type and meaning of each."""
    keys: dict[str, tuple[str, str]] = {}
    for line in text[: text.index("local base")].splitlines():
        for part in re.split(r"\s{2,}(?=[a-z]\w*(?::[\w|]+)?\s{2,}\S)", line.removeprefix("--")):
            found = re.match(r"\s*([a-z]\w*(?::[\w|]+)?)\s+(?:(HASH|LIST|SET|ZSET)\s(?:of )?)?(.+?)\s*$", part)
            if found and line.startswith("--   "):
                keys[found[1]] = (found[2] or "STRING", found[3])
    return keys


def all_keys(folder: Path = SCRIPTS) -> dict[str, tuple[str, str]]:
    """Read the keys of a queue, those of the scheduler included.

    Raises:
        DiagramError: A script uses a key that no list names, or the other way round.
    """
    keys = read_keys((folder / "common.lua").read_text())
    for kind, name, meaning in re.findall(r"(HASH|SET|LIST) (\w+): (.+?),", (folder / "cron.lua").read_text()):
        keys[name] = (kind, meaning)
    if wrong := sorted(used_keys(folder) ^ {name.split(":")[0] for name in keys}):
        msg = f"the scripts and the list of their keys differ in {wrong}"
        raise DiagramError(msg)
    return keys


def write_keys() -> str:
    """Write the keys as a table."""
    rows = ["| Key | Type | Holds |", "|---|---|---|"]
    for name, (kind, meaning) in all_keys().items():
        rows.append(f"| `{name.replace('|', '` `')}` | {kind.lower()} | {meaning.replace('->', '→')} |")
    return "\n".join([*rows, ""])


def used_keys(folder: Path = SCRIPTS) -> set[str]:
    """List what the scripts append to the base of a queue."""
    found: set[str] = set()
    for file in folder.glob("*.lua"):
        code = "\n".join(line for line in file.read_text().splitlines() if not line.lstrip().startswith("--"))
        found |= set(re.findall(r"base \.\. '([a-z]+):?", code))
    return found


# -- time -------------------------------------------------------------------------------------------------------------


def draw_lease() -> str:
    """Draw what happens in time when a worker is killed, with the numbers that the code has."""
    lease: int = inspect.signature(Worker).parameters["lease"].default
    found = re.search(r"^_BEATS = (\d+)", inspect.getsource(heartbeat), re.MULTILINE)
    if found is None:
        msg = "the heartbeat has no interval any more"
        raise DiagramError(msg)
    beat = lease / int(found[1])
    last, killed = 2 * beat, math.ceil(2 * beat) + 1
    ends = last + lease
    scale = 400 / (ends + 3)

    def at(seconds: float) -> int:
        return round(20 + seconds * scale)

    text = (
        f"Worker A renews its lease every {beat:.3g} seconds. It is killed at {killed:g} seconds. Its lease ends at "
        f"{ends:.3g} seconds, and worker B runs its job."
    )
    parts = [
        _head("A worker is killed", 190),
        f"<desc>{text}</desc>",
        '<g fill="currentColor" stroke="none">',
        '<text x="20" y="16" font-weight="600">Worker A runs the job</text>',
        '<text x="20" y="122" font-weight="600">Worker B</text>',
        f'<text x="{at(killed) + 6}" y="42">killed</text>',
        f'<text x="{at(last)}" y="84" text-anchor="middle">last heartbeat</text>',
        f'<text x="{at((last + ends) / 2) + 24}" y="84" text-anchor="start">lease of {lease:g} s</text>',
        f'<text x="{at(ends) - 6}" y="140" text-anchor="end">runs the job again</text>',
        '<text x="20" y="184">0 s</text>',
        f'<text x="{at(ends)}" y="184" text-anchor="middle">{ends:.3g} s</text>',
        f'<text x="{at(killed)}" y="184" text-anchor="middle">{killed:g} s</text>',
        "</g>",
        '<g fill="currentColor" stroke="none">',
        f'<rect x="20" y="30" width="{at(killed) - 20}" height="16" rx="2" fill-opacity="0.25"/>',
        f'<rect x="{at(ends)}" y="128" width="{at(ends + 3) - at(ends)}" height="16" rx="2" fill-opacity="0.25"/>',
        "</g>",
        f'<g stroke-width="1.3"><path d="M20 164H420m-7-4 7 4-7 4"/><path d="M{at(killed)} 24V52"/>',
        *[f'<path d="M{at(index * beat)} 52V64"/>' for index in range(3)],
        f'<path d="M{at(last)} 64H{at(ends)}" stroke-dasharray="4 3"/>',
        f'<path d="M{at(ends)} 60V164" stroke-opacity="0.4" stroke-dasharray="2 3"/>',
        f'<path d="M{at(killed)} 52V164" stroke-opacity="0.4" stroke-dasharray="2 3"/></g>',
    ]
    return "\n".join([*parts, "</svg>", ""])


def make() -> dict[Path, str]:
    """Make every picture and table, by the file it belongs into."""
    moves = read_moves()
    return {
        ROOT / "docs" / "assets" / "diagrams" / "job-states.svg": draw_states(moves),
        ROOT / "docs" / "assets" / "diagrams" / "job-lease.svg": draw_lease(),
        ROOT / "docs" / "includes" / "jobs" / "moves.md": write_moves(moves),
        ROOT / "docs" / "includes" / "jobs" / "keys.md": write_keys(),
    }


def main() -> None:
    """Write the files."""
    for file, text in make().items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()
