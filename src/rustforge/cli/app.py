"""The commands, put together."""

from typing import Annotated

import typer

from rustforge import __version__
from rustforge.cli import database, deliveries, failed, quarantine, queues
from rustforge.cli.work import scheduler, worker

__all__ = ["app"]

app: typer.Typer = typer.Typer(
    name="rustforge",
    help="Run workers and schedulers, and look after queues, failed jobs and deliveries.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its boxes show local variables, and these hold payloads
)
app.command()(worker)
app.command()(scheduler)

_jobs = typer.Typer(
    help="Look after queues and failed jobs. Where they are say REDIS_URL, REDIS_PREFIX and DATABASE_URL.",
    no_args_is_help=True,
)
for _command in (
    failed.list_,
    failed.show,
    failed.retry,
    failed.forget,
    failed.purge,
    queues.stats,
    queues.pause,
    queues.resume,
    queues.cancel,
    queues.clear,
    queues.held,
    queues.let_go,
):
    _jobs.command(_command.__name__.strip("_").replace("_", "-"))(_command)
_jobs.add_typer(quarantine.app, name="quarantine")
app.add_typer(_jobs, name="jobs")

_deliveries = typer.Typer(help="Look at what was sent to whom, as DATABASE_URL has it.", no_args_is_help=True)
_deliveries.command("list")(deliveries.list_)
_deliveries.command("show")(deliveries.show)
app.add_typer(_deliveries, name="deliveries")

_db = typer.Typer(help="Look after the tables at DATABASE_URL.", no_args_is_help=True)
_db.command()(database.upgrade)
app.add_typer(_db, name="db")


@_db.callback()
def _tables() -> None:
    """Keep `upgrade` a command of its own, although it is the only one."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _main(
    _: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that stand before a command."""
