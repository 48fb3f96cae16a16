"""The page about realtime: what it shows of a browser runs in one, and its numbers are those of the code."""

from __future__ import annotations

import http.client
import inspect
from typing import TYPE_CHECKING

import pytest

from rustforge.http import realtime_router
from rustforge.notify.realtime import RealtimePublisher, feed, publisher
from tests.site.conftest import ROOT
from tools.exchanges import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

SNIPPETS = ROOT / "examples" / "snippets" / "realtime"
PAGE = " ".join((ROOT / "docs" / "async" / "realtime.md").read_text().split())


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Serve the application that the page shows."""
    with serve(SNIPPETS / "server.py") as port:
        yield port


def pay(port: int, number: int) -> None:
    """Let the application publish."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", f"/orders/{number}/pay")
    assert connection.getresponse().status == 204
    connection.close()


@pytest.mark.parametrize("script", sorted(SNIPPETS.glob("*.js")), ids=lambda script: script.stem)
def test_the_scripts_run_in_a_browser(browser: Browser, port: int, script: object) -> None:
    """Each script, in a real browser on a page of the application, shows what the application publishes."""
    page = browser.new_page()
    page.context.add_cookies([{"name": "user", "value": "7", "url": f"http://127.0.0.1:{port}"}])
    page.goto(f"http://127.0.0.1:{port}/nothing")
    opened = "**/realtime*" if "socket" in str(script) else "**/realtime/orders/user-7"
    if "socket" in str(script):
        with page.expect_websocket(lambda socket: "/realtime" in socket.url) as connected:
            page.add_script_tag(path=str(script))
        connected.value.wait_for_event("framereceived")
    else:
        with page.expect_response(opened):
            page.add_script_tag(path=str(script))
    pay(port, 42)
    page.get_by_text("Order 42 is paid.").wait_for(timeout=10_000)
    page.close()


def test_the_numbers_are_those_of_the_code() -> None:
    """Defaults and limits that the page states are the code's."""
    options = inspect.signature(realtime_router).parameters
    for name, shown in (
        ("max_connections", "10,000"),
        ("max_subscriptions", "50"),
        ("max_messages", "150"),
        ("max_message_bytes", "64 KiB"),
    ):
        assert f"| {shown} | `{name}` |" in PAGE
        size = int(shown.replace(",", "").split()[0]) * (1024 if "KiB" in shown else 1)
        assert options[name].default == size
    assert (options["heartbeat"].default, options["retry"].default) == (20, 3)
    made = inspect.signature(RealtimePublisher).parameters
    assert (made["durable"].default, made["max_messages"].default, made["retention"].default) == (True, 100_000, 86_400)
    assert (made["max_payload_bytes"].default, made["presence_ttl"].default) == (64 << 10, 30)
    assert (feed.KEPT_MESSAGES, feed.KEPT_BYTES, publisher.POLL_SECONDS) == (512, 1 << 20, 0.5)
