"""What the worker and the scheduler run, the tables, and what is imported."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config

from rustforge.boot import boot
from shop import migrations
from shop.worker import make_scheduler

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rustforge.boot import BootContext
    from shop.settings import ShopSettings

SHOP = Path(__file__).parents[1]


async def test_what_runs_at_which_times(ctx: BootContext) -> None:
    """The views are flushed each minute, and orphans swept once a day."""
    entries = await make_scheduler(ctx.queue).entries()
    jobs = [entry.job for entry in entries]
    assert jobs == ["article.flush_views", "rustforge.sweep_orphans"]


async def test_the_migrations_make_what_the_models_say(
    settings: ShopSettings,
) -> None:
    """After an upgrade there is no difference, in Rustforge's tables either."""

    def check(connection: Connection) -> None:
        config = Config(migrations.INI)
        config.attributes["connection"] = connection
        command.check(config)

    async with boot(settings) as ctx:
        await migrations.upgrade(ctx.db)
        async with ctx.db.engine.begin() as connection:
            await connection.run_sync(check)


def imports_of(file: Path) -> list[tuple[str, str]]:
    """List what a file takes from Rustforge, as modules and names."""
    found: list[tuple[str, str]] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
    return [one for one in found if one[0].partition(".")[0] == "rustforge"]


def test_only_public_names_are_imported() -> None:
    """What the shop imports of Rustforge is what a module says that it exports."""
    found = {one for file in SHOP.rglob("*.py") for one in imports_of(file)}
    inside = {place for place, _ in found if place.count(".") > 1}
    hidden = {
        f"{place}.{name}"
        for place, name in found
        if name and name not in import_module(place).__all__
    }
    assert (inside, hidden) == (set(), set())
