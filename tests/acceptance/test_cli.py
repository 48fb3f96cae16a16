"""The command line, as a process of its own where that matters."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from rustforge import __version__
from rustforge.boot import boot
from rustforge.cli.app import app
from rustforge.db import Database
from rustforge.jobs import Job, JobContext
from rustforge.jobs.envelope import Envelope
from rustforge.notify import fan_out
from rustforge.settings import Settings
from rustforge.testing import run_until_empty
from tests.support import texting
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from rustforge.boot import BootContext
    from tests.support.servers import RedisServer

APPLICATION = '''
"""An application."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path


from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, JobRegistry, Worker
from rustforge.jobs.scheduler import Scheduler


class Touch(Job):
    NAME = "app.touch"
    QUEUE = "mail"
    name: str

    async def handle(self, ctx: JobContext) -> None:
        ctx.logger.info("touching")
        Path(self.name).write_text(str(ctx.extensions.get("word", "done")))


class Long(Job):
    NAME = "app.long"

    async def handle(self, ctx: JobContext) -> None:
        Path("begun").touch()
        await asyncio.sleep(600)


class Nothing(Job):
    NAME = "app.nothing"


registry = JobRegistry(Touch, Long)
classes = [Touch]
empty = []
mixed = [Touch, int]
unfinished = [Nothing]
number = 7


def make():
    return registry


async def make_later():
    return (cls for cls in classes)


def broken():
    raise LookupError("of the application")


def scheduler(queue):
    found = Scheduler(queue)
    found.every(1, Touch(name="ticked"))
    found.cron("0 8 * * *", Touch(name="eight"), timezone="Europe/Berlin")
    return found


@asynccontextmanager
async def open_all():
    async with boot(extensions={"word": "extended"}) as ctx:
        yield ctx


async def middleware(ctx, job, call_next):
    Path("around").touch()
    return await call_next()
'''


class Touch(Job):
    """What the application has under the same name."""

    NAME = "app.touch"
    QUEUE = "mail"

    name: str


class Long(Job):
    """The same."""

    NAME = "app.long"


class Fails(Job):
    """Fails at once."""

    NAME = "app.fails"

    text: str = "hello"

    async def handle(self, ctx: JobContext) -> None:
        """Fail."""
        msg = f"[red]no[/red] {self.text}"
        raise LookupError(msg)

    def max_retries(self) -> int:
        """Never try again."""
        return 0


class Holds(Fails):
    """Holds its group when it has failed."""

    NAME = "app.holds"
    HOLD_GROUP = True

    group: str

    def group_id(self) -> str:
        """Return the field."""
        return self.group


class Place:
    """Where the command runs: a folder with an application, and the servers that it finds."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        self.environment = {
            **{name: value for name, value in os.environ.items() if name.upper().lower() not in Settings.model_fields},
            "REDIS_URL": settings.redis_url,
            "REDIS_PREFIX": settings.redis_prefix,
            "DATABASE_URL": settings.database_url,
            "PYTHONWARNINGS": "error",
            "NO_COLOR": "1",
        }

    def command(self, *arguments: str) -> list[str]:
        """Write the command."""
        return [sys.executable, "-m", "rustforge.cli", *arguments]

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a process to its end, which must have this code; return what it wrote, or its errors."""
        found = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )
        assert found.returncode == code, found.stdout + found.stderr
        assert "Traceback" not in found.stderr
        return found.stdout if code == 0 else found.stderr

    async def ask(self, *arguments: str, code: int = 0, stdin: str = "") -> str:
        """Do what `run` does in a thread of this process, which is faster."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            found = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), input=stdin)
        assert found.exit_code == code, f"{found.stdout}{found.stderr}{found.exception!r}"
        return found.stdout if code == 0 else found.stderr

    async def json(self, *arguments: str) -> Any:
        """Ask, and read what was written."""
        return json.loads(await self.ask(*arguments, "--json"))

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run, and end it with the block."""
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            for said in process.communicate():
                sys.stderr.write(said)  # which pytest shows where the test fails


@pytest.fixture
async def place(tmp_path: Path, redis_server: RedisServer, prefix: str) -> Place:
    """Give a folder with an application and a database."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "jobs.py").write_text(APPLICATION)
    (tmp_path / "app" / "ends.py").write_text("raise SystemExit")
    (tmp_path / "app" / "misses.py").write_text("import nowhere")
    (tmp_path / "app" / "wrong.py").write_text("def f(:")
    url = f"sqlite+aiosqlite:///{tmp_path}/jobs.db"
    async with Database(url) as database:
        await database.upgrade()
    return Place(tmp_path, Settings(redis_url=redis_server.url, redis_prefix=prefix, database_url=url))


@pytest.fixture
async def ctx(place: Place) -> AsyncIterator[BootContext]:
    """Open what the command finds."""
    async with boot(place.settings) as context:
        yield context


# -- the worker ------------------------------------------------------------------------------------------------------


async def test_a_worker_runs_and_hands_back(place: Place, ctx: BootContext) -> None:
    """It works on the queues of its jobs; at SIGTERM it hands back what does not end in time, and ends well."""
    await Touch(name="touched").dispatch(ctx.queue)
    await Long().dispatch(ctx.queue)
    arguments = ["worker", "app.jobs:registry", "--shutdown-timeout", "100ms", "--json", "-m", "app.jobs:middleware"]
    with place.running(*arguments) as process:
        await wait_until(lambda: (place.folder / "begun").exists() and (place.folder / "touched").exists(), timeout=20)
        process.send_signal(signal.SIGTERM)
        await wait_until(lambda: process.poll() is not None, timeout=20)
        _, log = process.communicate()
    assert process.returncode == 0, log
    assert (place.folder / "around").exists()
    stats = await ctx.queue.stats()
    assert (stats.ready, stats.running, stats.workers) == (1, 0, 0)
    view = (await ctx.queue.peek())[0]
    assert (view.name, view.attempts) == ("app.long", 0)
    lines = [json.loads(line) for line in log.splitlines()]
    (line,) = [one for one in lines if one["message"] == "touching"]
    assert (line["job_name"], line["queue"], line["attempt"], line["level"]) == ("app.touch", "mail", 0, "info")
    assert re.fullmatch(r"[0-9a-f]{24}", line["job_id"])
    await ctx.queue.clear()


async def test_queues_and_a_context_of_the_application(place: Place, ctx: BootContext) -> None:
    """It works on the queues that it is told, with what the application's own boot gives."""
    await Long().dispatch(ctx.queue)
    await Touch(name="extended").dispatch(ctx.queue)
    with place.running("worker", "app.jobs:make_later", "-q", "mail", "--boot", "app.jobs:open_all") as process:
        await wait_until((place.folder / "extended").exists, timeout=20)
        process.send_signal(signal.SIGINT)
        await wait_until(lambda: process.poll() is not None, timeout=20)
        _, log = process.communicate()
    assert process.returncode == 0, log
    assert (place.folder / "extended").read_text() == "extended"
    assert re.search(r"INFO +rustforge\.job\.app\.touch: touching job_id=\w{24} job_name=app\.touch queue=mail", log)
    assert await ctx.queue.size() == 1
    await ctx.queue.clear()


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("app.jobs", "'app.jobs' does not name an object; write module:name, such as app.jobs:registry"),
        ("nowhere:registry", "'nowhere:registry': there is no module 'nowhere' in "),
        ("app.nowhere:registry", "'app.nowhere:registry': there is no module 'app.nowhere' in "),
        ("app.jobs:registri", "'app.jobs:registri': app.jobs has no 'registri'; did you mean 'registry'?"),
        ("app.jobs:number", "'app.jobs:number' is of type int; it must be a JobRegistry, job classes, or a function"),
        ("app.jobs:mixed", "'app.jobs:mixed' has <class 'int'> among its job classes, which is none"),
        ("app.jobs:empty", "'app.jobs:empty' has no job classes"),
        ("app.jobs:unfinished", "'app.jobs:unfinished': Nothing has no handle(self, ctx)"),
        ("app.jobs:broken", "'app.jobs:broken': failed: LookupError: of the application ("),
        (
            "app.misses:x",
            "'app.misses:x': importing app.misses failed: ModuleNotFoundError: No module named 'nowhere' (",
        ),
        ("app.wrong:x", "'app.wrong:x': importing app.wrong failed: SyntaxError: "),
        ("app.ends:x", "'app.ends:x': importing app.ends ended the program; put its start under if __name__"),
    ],
)
async def test_wrong_targets(place: Place, target: str, line: str) -> None:
    """Each is one clear line, and the exit code says that it was asked the wrong way."""
    error = await place.ask("worker", target, code=2)
    assert error.startswith(f"Error: {line}")
    assert error.count("\n") == 1


async def test_other_wrong_arguments(place: Place) -> None:
    """The same goes for a wrong boot, a wrong scheduler, and values that cannot be read."""
    for arguments, text in (
        (["worker", "app.jobs:make", "--boot", "app.jobs:number"], "'app.jobs:number' failed: TypeError"),
        (["worker", "app.jobs:make", "--boot", "app.jobs:make"], "must be a function that makes an async context"),
        (["worker", "app.jobs:make", "-m", "app.jobs:nothing"], "app.jobs has no 'nothing'"),
        (["worker", "app.jobs:make", "--lease", "soon"], "'soon' is not a duration"),
        (["worker", "app.jobs:make", "--concurrency", "0"], "'--concurrency'"),
        (["scheduler", "app.jobs:number"], "'app.jobs:number' is a int; it must be a Scheduler, or a function"),
        (["scheduler", "app.jobs:broken"], "'app.jobs:broken': failed: TypeError"),
        (["jobs", "list", "--since", "soon"], "'soon' is neither a date"),
    ):
        assert text in " ".join(re.sub(r"[│╭╮╰╯─]", "", (await place.ask(*arguments, code=2))).split())


async def test_what_is_not_there(place: Place) -> None:
    """Without its servers each command ends with one line."""
    place.environment["REDIS_URL"] = "redis://127.0.0.1:1"
    for arguments in (["worker", "app.jobs:make"], ["jobs", "stats"]):
        error = await place.ask(*arguments, code=1)
        assert error.startswith("Error: REDIS_URL=redis://127.0.0.1:1: Redis at 127.0.0.1:1 cannot be reached")
        assert error.count("\n") == 1
    place.environment |= {"REDIS_URL": "memory://", "DATABASE_URL": f"sqlite:///{place.folder}/empty.db"}
    assert (await place.ask("jobs", "list", code=1)) == "Error: the database refused: no such table: failed_jobs\n"


# -- the scheduler ---------------------------------------------------------------------------------------------------


async def test_a_scheduler(place: Place, ctx: BootContext) -> None:
    """It enqueues at its times until it is told to stop, and lists its entries."""
    listed = await place.json("scheduler", "app.jobs:scheduler", "--list")
    assert [one["job"] for one in listed] == ["app.touch", "app.touch"]
    assert "0 8 * * *" in (await place.ask("scheduler", "app.jobs:scheduler", "--list"))

    async def fired() -> bool:
        return await ctx.queue.size("mail") > 0

    with place.running("scheduler", "app.jobs:scheduler") as process:
        await wait_until(fired, timeout=20)
        process.send_signal(signal.SIGTERM)
        await wait_until(lambda: process.poll() is not None, timeout=20)
        _, log = process.communicate()
    assert process.returncode == 0, log
    await ctx.queue.clear("mail")


# -- failed jobs -----------------------------------------------------------------------------------------------------


async def fail(ctx: BootContext) -> list[str]:
    """Let three jobs fail."""
    ids = await ctx.queue.push_many([Fails(text=text) for text in ("one", "two", "\x1b[31mthree")])
    await run_until_empty(ctx, [Fails])
    return ids


async def test_failed_jobs_are_shown(place: Place, ctx: BootContext) -> None:
    """As a table and as JSON, by filter and page by page; text steers neither markup nor the terminal."""
    assert (await place.ask("jobs", "list")) == "No failed jobs.\n"
    assert (await place.json("jobs", "list")) == {"items": [], "next": None}
    ids = await fail(ctx)
    table = await place.ask("jobs", "list")
    assert all(job_id in table for job_id in ids)
    assert "LookupError: [red]no[/red] one" in table
    assert "\x1b" not in table
    assert len(table.splitlines()) >= 5
    page = await place.json(
        "jobs", "list", "--limit", "2", "--name", "app.fails", "--queue", "default", "--since", "1h"
    )
    assert len(page["items"]) == 2
    assert len((await place.json("jobs", "list", "--before", page["next"]))["items"]) == 1
    assert "There are more: --before " in (await place.ask("jobs", "list", "--limit", "1"))
    assert [one["id"] for one in (await place.json("jobs", "list", "--search", "TWO"))["items"]] == [ids[1]]
    assert (await place.json("jobs", "list", "--until", "2020-01-01"))["items"] == []
    shown = await place.json("jobs", "show", ids[0])
    assert (shown["id"], shown["payload"], shown["attempts"]) == (ids[0], {"text": "one"}, 1)
    assert '{"text":"one"}' in (await place.ask("jobs", "show", ids[0]))
    queued = await Touch(name="x").dispatch(ctx.queue)
    assert (await place.json("jobs", "show", queued))["name"] == "app.touch"
    assert (await place.ask("jobs", "show", "x", code=1)) == "Error: there is no job x, neither failed nor in a queue\n"
    await ctx.queue.clear("mail")


async def test_failed_jobs_are_retried_and_forgotten(place: Place, ctx: BootContext) -> None:
    """By id, or all of a kind after a question; what could not be done is an error."""
    ids = await fail(ctx)
    assert (await place.ask("jobs", "retry", ids[0])) == f"Retried: {ids[0]}\n"
    assert (await place.ask("jobs", "retry", ids[0], code=1)) == f"Error: {ids[0]}: there is no such failed job\n"
    assert "Retry 2 failed jobs?" in (await place.ask("jobs", "retry", "--all", code=1, stdin="n\n"))
    assert (await place.ask("jobs", "retry", "--all", "--search", "two", stdin="y\n")) == "Retried 1 jobs.\n"
    assert await ctx.queue.size() == 2
    await run_until_empty(ctx, [Fails])
    assert (await place.json("jobs", "forget", ids[1], "--yes")) == {"forgotten": [ids[1]], "errors": {}}
    assert "Forget 2 failed jobs for ever?" in (await place.ask("jobs", "forget", "--all", code=1))
    assert (await place.json("jobs", "forget", "--all", "--search", "three", "-y")) == {"forgotten": 1}
    assert (await place.json("jobs", "purge", "--older-than", "30d", "--yes")) == {"forgotten": 0}
    assert (await place.ask("jobs", "purge", "--older-than", "1ms", stdin="y\n")) == "Forgotten: 1 jobs.\n"
    assert (await place.json("jobs", "retry", "--all")) == {"retried": 0, "left": 0}
    for arguments in (["retry"], ["forget", "x", "--all"], ["retry", "x", "--name", "y"]):
        assert "ids" in (await place.ask("jobs", *arguments, code=2))


async def test_held_groups(place: Place, ctx: BootContext) -> None:
    """They are listed, can be let go, and go on when the job that holds them is forgotten; it is not purged."""
    assert (await place.ask("jobs", "held")) == "No group is held.\n"
    ids = [await Holds(text="no", group=group).dispatch(ctx.queue) for group in "abc"]
    for group in "abc":
        await Holds(text="next", group=group).dispatch(ctx.queue)
    await run_until_empty(ctx, [Holds])
    held = [{"group": group, "queue": "default", "job_id": job_id} for group, job_id in zip("abc", ids, strict=True)]
    assert (await place.json("jobs", "held")) == held
    assert ids[1] in (await place.ask("jobs", "held", "--queue", "default"))
    assert (await place.json("jobs", "purge", "--older-than", "1ms", "--yes")) == {"forgotten": 0}
    assert (await place.ask("jobs", "let-go", "a")) == "Let go: a\n"
    assert (await place.ask("jobs", "let-go", "a", code=1)) == "Error: no failed job holds a group a\n"
    assert (await place.ask("jobs", "forget", ids[1], "--yes")) == f"Forgotten: {ids[1]}\n"
    assert (await place.json("jobs", "held")) == held[2:]
    assert (await place.json("jobs", "forget", "--all", "--group", "c", "--yes")) == {"forgotten": 1}
    assert await ctx.queue.clear() == 3


async def test_the_same_as_a_process(place: Place, ctx: BootContext) -> None:
    """The command itself writes tables and JSON, and ends with the code that says how it went."""
    ids = await fail(ctx)
    assert ids[0] in place.run("jobs", "list")
    assert len(json.loads(place.run("jobs", "list", "--json"))["items"]) == 3
    assert place.run("jobs", "retry", ids[0], "x", code=1) == "Error: x: there is no such failed job\n"
    assert await ctx.queue.clear() == 1
    assert place.run("jobs", "purge", "--older-than", "1ms", code=1).startswith("Forget all jobs that failed longer")
    error = place.run("worker", "app.jobs:registri", code=2)
    assert error == "Error: 'app.jobs:registri': app.jobs has no 'registri'; did you mean 'registry'?\n"


# -- queues ----------------------------------------------------------------------------------------------------------


async def test_queues(place: Place, ctx: BootContext) -> None:
    """They are counted, paused, resumed and cleared, and jobs are taken out of them."""
    assert (await place.ask("jobs", "stats")) == "No queue holds any jobs.\n"
    job_id = await Touch(name="x").dispatch(ctx.queue)
    await Touch(name="x").dispatch(ctx.queue, delay=60)
    assert (await place.ask("jobs", "pause", "mail")) == "Paused: mail\n"
    (stats,) = await place.json("jobs", "stats")
    assert (stats["queue"], stats["ready"], stats["delayed"], stats["paused"]) == ("mail", 1, 1, True)
    assert "paused" in (await place.ask("jobs", "stats", "mail", "other"))
    assert (await place.json("jobs", "resume", "mail")) == {"resumed": ["mail"]}
    assert (await place.ask("jobs", "cancel", job_id)) == f"Cancelled: {job_id}\n"
    assert (await place.ask("jobs", "cancel", "x", "-q", "mail", code=1)) == "Error: there is no job x in queue mail\n"
    assert "Remove up to 2 jobs from queue mail for ever?" in (await place.ask("jobs", "clear", "mail", code=1))
    assert (await place.json("jobs", "clear", "mail", "--yes")) == {"removed": 2}


async def test_quarantine(place: Place, ctx: BootContext) -> None:
    """What is in quarantine is listed with the reason, and goes back or away."""
    assert (await place.ask("jobs", "quarantine", "list")) == "Nothing is in quarantine.\n"
    await ctx.queue.enqueue([Envelope(digit * 24, "default", "app.fails", b'\xff"') for digit in "12"])
    await run_until_empty(ctx, [Fails])
    listed = await place.json("jobs", "quarantine", "list", "--queue", "default")
    assert sorted(one["id"] for one in listed) == ["1" * 24, "2" * 24]
    assert "the payload does not fit Fails" in (await place.ask("jobs", "quarantine", "list"))
    assert (await place.ask("jobs", "quarantine", "requeue", "1" * 24)) == f"Requeued: {'1' * 24}\n"
    assert "Throw job" in (await place.ask("jobs", "quarantine", "discard", "2" * 24, code=1, stdin="n\n"))
    assert (await place.json("jobs", "quarantine", "discard", "2" * 24, "-y")) == {"discarded": "2" * 24}
    assert (await place.ask("jobs", "quarantine", "requeue", "x", code=1)) == "Error: there is no job x in quarantine\n"
    assert await ctx.queue.clear() == 1


async def test_the_tables(place: Place) -> None:
    """They are made where there are none, and made again without harm."""
    place.environment["DATABASE_URL"] = f"sqlite+aiosqlite:///{place.folder}/new.db"
    assert "no such table" in (await place.ask("jobs", "list", code=1))
    said = f"The tables are up to date: sqlite+aiosqlite:///{place.folder}/new.db\n"
    assert (await place.ask("db", "upgrade")) == said
    assert (await place.ask("db", "upgrade")) == said
    assert (await place.json("jobs", "list"))["items"] == []


# -- deliveries ------------------------------------------------------------------------------------------------------


async def test_deliveries(place: Place, ctx: BootContext) -> None:
    """As a table and as JSON, by filter and page by page, and one of them with its message."""
    assert (await place.ask("deliveries", "list")) == "No deliveries.\n"
    async with ctx.db.transaction() as session:
        done = await fan_out(session, "order.placed", [texting.text(one) for one in ("+1", "[red]+2")])
    table = await place.ask("deliveries", "list")
    assert all(one in table for one in (*done.delivery_ids, "order.placed", "[red]+2", "pending"))
    page = await place.json("deliveries", "list", "--limit", "1", "--status", "pending", "--since", "1h")
    assert [one["target"] for one in page["items"]] == ["[red]+2"]
    assert [one["target"] for one in (await place.json("deliveries", "list", "--before", page["next"]))["items"]] == [
        "+1"
    ]
    assert "There are more: --before " in (await place.ask("deliveries", "list", "--limit", "1"))
    for nothing in (["--channel", "mail"], ["--event", "x"], ["--event-id", "x"], ["--until", "2020-01-01"]):
        assert (await place.json("deliveries", "list", *nothing))["items"] == []
    assert len((await place.json("deliveries", "list", "--target", "+1"))["items"]) == 1
    assert "Error: status must be" in (await place.ask("deliveries", "list", "--status", "lost", code=1))
    one = done.delivery_ids[0]
    assert (await place.json("deliveries", "show", one))["message"] == {"words": "Thank you!"}
    assert '{"words":"Thank you!"}' in (await place.ask("deliveries", "show", one))
    assert (await place.ask("deliveries", "show", "x", code=1)) == "Error: there is no delivery x\n"


# -- the command itself ----------------------------------------------------------------------------------------------


async def test_version_and_help(place: Place) -> None:
    """It tells its version, and what it can do."""
    assert (await place.ask("--version")) == f"{__version__}\n"
    for arguments in (
        ["--help"],
        ["worker", "--help"],
        ["jobs", "--help"],
        ["jobs", "quarantine", "--help"],
        ["deliveries", "--help"],
    ):
        assert "Usage" in (await place.ask(*arguments))


def test_without_the_extra() -> None:
    """Where typer is missing, one line says what brings it."""
    program = "import sys; sys.modules['typer'] = None\nfrom rustforge.cli import main\nmain()"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert found.stderr == "Error: typer is not installed; it comes with: pip install 'rustforge[cli]'\n"
