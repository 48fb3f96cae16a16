"""The demo: one process that serves, works and schedules."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from httpx2 import AsyncClient, ConnectError

from shop.demo.__main__ import PAGE, serve

if TYPE_CHECKING:
    from pathlib import Path

ORDER = {
    "customer_email": "a@example.com",
    "items": [{"sku": "mug", "quantity": 1}],
}


async def test_the_demo_shows_an_order_at_all_ends(tmp_path: Path) -> None:
    """An order comes in as mail, webhook and event; SIGTERM ends all of it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    running = asyncio.create_task(serve(tmp_path, port))
    async with AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        await until(lambda: is_open(client))
        assert (await client.get("/")).text == PAGE.read_text()
        await client.put("/demo/failing", json={"receiver": True})
        assert (await client.post("/orders", json=ORDER)).status_code == 201

        await until(
            lambda: has_arrived(client, {("Mail", True), ("Webhook", False)})
        )
        await client.put("/demo/failing", json={"receiver": False})
        await until(
            lambda: has_arrived(client, {("Mail", True), ("Webhook", True)})
        )

        listening = client.stream("GET", "/realtime/orders/staff?since=0-0")
        async with listening as events:
            async for line in events.aiter_lines():
                if line == "event: order.placed":
                    break
    signal.raise_signal(signal.SIGTERM)
    await running


def test_the_page_asks_nobody_else() -> None:
    """Everything that it shows is in it, or comes from the shop."""
    assert (
        re.findall(
            r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", PAGE.read_text()
        )
        == []
    )


async def is_open(client: AsyncClient) -> bool:
    """Tell whether the server is there."""
    with suppress(ConnectError):
        return (await client.get("/")).is_success
    return False


async def has_arrived(client: AsyncClient, wanted: set[tuple[str, bool]]) -> bool:
    """Tell whether all of these have come in."""
    seen = (await client.get("/demo/arrived")).json()["data"]["arrivals"]
    return wanted <= {(one["kind"], one["good"]) for one in seen}


async def until(is_so: Any) -> None:
    """Ask until the answer is yes."""
    async with asyncio.timeout(30):
        while not await is_so():  # noqa: ASYNC110 - another task does it
            await asyncio.sleep(0.02)
