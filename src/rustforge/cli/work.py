"""`rustforge worker` and `rustforge scheduler`."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from rustforge.boot import boot
from rustforge.cli.logs import set_up
from rustforge.cli.options import Json, duration
from rustforge.cli.output import show_json, show_table
from rustforge.cli.run import run
from rustforge.cli.target import TargetError, call, load, registry_of
from rustforge.jobs.scheduler import Scheduler
from rustforge.jobs.worker import Worker

__all__ = ["scheduler", "worker"]


class LogLevel(StrEnum):
    """The least level that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Level = Annotated[LogLevel, typer.Option("--log-level", case_sensitive=False, help="The least level that is logged.")]
JsonLogs = Annotated[bool, typer.Option("--json", help="Log JSON, one object a line.")]
Boot = Annotated[
    str | None,
    typer.Option(
        "--boot",
        metavar="MODULE:NAME",
        help="A function of yours that opens the context, as boot() does, such as one that adds extensions.",
    ),
]


def worker(
    target: Annotated[
        str, typer.Argument(metavar="MODULE:NAME", help="A JobRegistry, job classes, or a function that makes either.")
    ],
    queue: Annotated[
        list[str] | None,
        typer.Option(
            "--queue", "-q", show_default="those of the jobs", help="A queue to work on, the most urgent first."
        ),
    ] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", "-c", min=1, help="How many jobs run at once.")] = 100,
    lease: Annotated[
        timedelta,
        typer.Option(
            parser=duration,
            metavar="TIME",
            show_default="10s",
            help="After how long a silent worker's jobs are taken over.",
        ),
    ] = timedelta(seconds=10),
    timeout: Annotated[
        timedelta | None,
        typer.Option(parser=duration, metavar="TIME", show_default="for ever", help="How long a job may run."),
    ] = None,
    shutdown_timeout: Annotated[
        timedelta,
        typer.Option(
            parser=duration, metavar="TIME", show_default="10s", help="How long running jobs have to end at the stop."
        ),
    ] = timedelta(seconds=10),
    max_recoveries: Annotated[
        int, typer.Option(min=0, help="How often a job may crash its worker before it goes to quarantine.")
    ] = 3,
    middleware: Annotated[
        list[str] | None, typer.Option("--middleware", "-m", metavar="MODULE:NAME", help="Stands around every handler.")
    ] = None,
    boot_target: Boot = None,
    log_level: Level = LogLevel.INFO,
    as_json: JsonLogs = False,
) -> None:
    """Run the jobs of one or several queues until SIGTERM or SIGINT comes.

    Then it takes no more, lets the running ones end for the shutdown time, and gives the others back to be run
    elsewhere at once. A second signal does so without waiting.
    """
    set_up(log_level.value, as_json=as_json)

    async def _work() -> None:
        registry = await registry_of(target)
        layers = [load(one) for one in middleware or ()]
        queues = queue or sorted({cls.QUEUE for cls in registry})
        async with _context(boot_target) as ctx:
            _warn_of_memory(ctx)
            await Worker(
                ctx,
                queues,
                concurrency=concurrency,
                lease=lease,
                max_recoveries=max_recoveries,
                timeout=timeout,
                shutdown_timeout=shutdown_timeout,
                middleware=layers,
                registry=registry,
            ).run()

    run(_work())


def scheduler(
    target: Annotated[
        str,
        typer.Argument(metavar="MODULE:NAME", help="A function that takes the queue and makes a Scheduler, or one."),
    ],
    entries: Annotated[bool, typer.Option("--list", help="List the entries and when they fire next, and end.")] = False,
    boot_target: Boot = None,
    log_level: Level = LogLevel.INFO,
    as_json: Json = False,
) -> None:
    """Enqueue jobs at their times until SIGTERM or SIGINT comes. However many run, each instant is fired once."""
    set_up(log_level.value, as_json=as_json)

    async def _work() -> None:
        found = load(target)
        async with _context(boot_target) as ctx:
            made = (
                found if isinstance(found, Scheduler) or not callable(found) else await call(target, found, ctx.queue)
            )
            if not isinstance(made, Scheduler):
                what = "is" if made is found else "returned"
                msg = (
                    f"{target!r} {what} a {type(made).__name__}; it must be a Scheduler, or a function that takes the "
                    "queue and makes one"
                )
                raise TargetError(msg)
            _warn_of_memory(ctx)
            if entries:
                await _list(made, as_json=as_json)
            else:
                await made.run()

    run(_work())


async def _list(made: Scheduler, *, as_json: bool) -> None:
    found = await made.entries()
    if as_json:
        show_json(found)
    else:
        show_table(
            ["name", "schedule", "job", "next"],
            [[one.name, one.schedule, one.job, one.next.isoformat(sep=" ", timespec="seconds")] for one in found],
        )


def _context(target: str | None) -> Any:
    """Open what the settings name, or what the application's own function does."""
    if target is None:
        return boot()
    made = load(target)
    try:
        made = made()
    except Exception as error:
        msg = f"{target!r} failed: {type(error).__name__}: {error}"
        raise TargetError(msg) from error
    if not hasattr(made, "__aenter__"):
        msg = f"{target!r} must be a function that makes an async context manager, as boot() does"
        raise TargetError(msg)
    return made


def _warn_of_memory(ctx: Any) -> None:
    if ctx.queue.client.url.topology == "memory":
        typer.secho(
            "Warning: REDIS_URL is memory://, which no other process sees; set it to a Redis server.",
            err=True,
            fg=typer.colors.YELLOW,
        )
