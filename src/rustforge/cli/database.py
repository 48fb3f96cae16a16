"""`rustforge db upgrade`: the tables in SQL."""

import typer

from rustforge.boot import boot
from rustforge.cli.options import Json
from rustforge.cli.output import show_json
from rustforge.cli.run import run

__all__ = ["upgrade"]


def upgrade(as_json: Json = False) -> None:
    """Create Rustforge's tables at DATABASE_URL, or bring them up to date; harmless when they are."""

    async def _work() -> None:
        async with boot() as ctx:
            await ctx.db.upgrade()
            place = ctx.db.url
        if as_json:
            show_json({"upgraded": place})
        else:
            typer.echo(f"The tables are up to date: {place}")

    run(_work())
