"""`rustforge deliveries list` and `show`: what was sent to whom, and what became of it."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustforge import codec
from rustforge.boot import BootContext, boot
from rustforge.cli.options import Json, Limit, moment
from rustforge.cli.output import show_facts, show_json, show_table, when
from rustforge.cli.run import fail, run

if TYPE_CHECKING:
    from rustforge.notify.deliveries import Deliveries, Delivery

__all__ = ["list_", "show"]

_LONGEST_ERROR = 80


def list_(
    status: Annotated[
        str | None, typer.Option("--status", "-s", help="Only those that are pending, sent, failed or skipped.")
    ] = None,
    channel: Annotated[str | None, typer.Option("--channel", "-c", help="Only those of this channel.")] = None,
    event: Annotated[str | None, typer.Option("--event", "-e", help="Only those of events with this name.")] = None,
    event_id: Annotated[str | None, typer.Option("--event-id", help="Only those of this event.")] = None,
    target: Annotated[str | None, typer.Option("--target", "-t", help="Only those to this target.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", parser=moment, metavar="TIME", help="Only those made then or later, such as 2h ago."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", parser=moment, metavar="TIME", help="Only those made before.")
    ] = None,
    limit: Limit = 50,
    before: Annotated[str | None, typer.Option(help="The end of the page before, to see what follows.")] = None,
    as_json: Json = False,
) -> None:
    """List deliveries, the newest first."""
    filters: dict[str, Any] = {
        "status": status,
        "channel": channel,
        "event": event,
        "event_id": event_id,
        "target": target,
        "since": since,
        "until": until,
    }

    async def _work() -> None:
        async with boot() as ctx:
            page = await _deliveries(ctx).list(**filters, limit=limit, before=before)
        if as_json:
            show_json(page)
        elif not page.items:
            typer.echo("No deliveries.")
        else:
            columns = ["id", "event", "channel", "target", "status", "attempts", "made at", "error"]
            show_table(columns, [_row(one) for one in page.items])
            if page.next is not None:
                typer.echo(f"There are more: --before {page.next}")

    run(_work())


def show(delivery_id: Annotated[str, typer.Argument(help="The delivery's id.")], as_json: Json = False) -> None:
    """Show a delivery with its message and its last error; `rustforge jobs retry` sends a failed one anew."""

    async def _work() -> None:
        async with boot() as ctx:
            found = await _deliveries(ctx).get(delivery_id)
        if found is None:
            fail(f"there is no delivery {delivery_id}")
        if as_json:
            return show_json(found)
        facts: dict[str, Any] = {field: getattr(found, field) for field in found.__dataclass_fields__}
        facts = {name: when(value) if isinstance(value, datetime) else value for name, value in facts.items()}
        return show_facts({**facts, "message": codec.encode(found.message).decode()})

    run(_work())


def _deliveries(ctx: BootContext) -> "Deliveries":
    database = ctx.db  # which says what is to be installed, where it is not
    from rustforge.notify.deliveries import Deliveries  # noqa: PLC0415 - it needs SQLAlchemy, an extra

    return Deliveries(database)


def _row(one: "Delivery") -> list[object]:
    error = (one.last_error or "").partition("\n")[0]
    short = error if len(error) <= _LONGEST_ERROR else f"{error[: _LONGEST_ERROR - 1]}…"
    return [one.id, one.event, one.channel, one.target, one.status, one.attempts, when(one.created_at), short]
