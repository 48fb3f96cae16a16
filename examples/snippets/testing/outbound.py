"""Answer the requests of an application, and refuse all others."""

import os
import sys

import httpx2
import pytest

from rustforge.testing import (
    HttpResponse,
    OutboundHttp,
    SentRequest,
    StrayRequestError,
)

CHARGES = "https://pay.example.com/charges"


async def charge(cents: int) -> str:
    async with httpx2.AsyncClient() as client:
        response = await client.post(CHARGES, json={"cents": cents})
        if response.status_code == 503:
            response = await client.post(CHARGES, json={"cents": cents})
        charged: str = response.json()["id"]
        return charged


# --8<-- [start:respond]
async def test_a_charge(rustforge_http: OutboundHttp) -> None:
    rustforge_http.respond("POST", CHARGES, status=503, times=1)
    rustforge_http.respond("POST", CHARGES, status=201, json={"id": "ch_1"})

    assert await charge(700) == "ch_1"

    rustforge_http.assert_sent(
        "POST", CHARGES, times=2, where=lambda sent: sent.json() == {"cents": 700}
    )


# --8<-- [end:respond]
# --8<-- [start:using]
async def test_an_echo(rustforge_http: OutboundHttp) -> None:
    def echo(request: SentRequest) -> HttpResponse:
        return HttpResponse(200, body=request.body)

    rustforge_http.respond("*", "https://*.example.com/echo", using=echo)
    rustforge_http.respond(
        "GET", "https://down.example.com/", error=httpx2.ConnectError("no route")
    )
    async with httpx2.AsyncClient() as client:
        response = await client.put("https://a.example.com/echo", content=b"hello")
        assert response.text == "hello"
        with pytest.raises(httpx2.ConnectError):
            await client.get("https://down.example.com/")


# --8<-- [end:using]


# --8<-- [start:stray]
async def test_a_request_that_is_not_declared(rustforge_http: OutboundHttp) -> None:
    with pytest.raises(StrayRequestError) as caught:
        await charge(700)
    print(caught.value)
    rustforge_http.strays.clear()  # else the test would fail at its end
    # --8<-- [end:stray]


async def test_more(rustforge_http: OutboundHttp) -> None:
    rustforge_http.assert_nothing_sent()
    # --8<-- [start:allow]
    rustforge_http.allow(
        "127.0.0.1:8025"
    )  # a mail server that the test has started
    # --8<-- [end:allow]
    rustforge_http.respond("GET", "https://a.example.com/", headers={"X-A": "1"})
    async with httpx2.AsyncClient() as client:
        await client.get("https://a.example.com/", headers={"X-B": "2"})
    [sent] = rustforge_http.sent("GET", "https://a.example.com/")
    assert sent == rustforge_http.requests[0]
    assert (sent.method, sent.headers["x-b"]) == ("GET", "2")


if __name__ == "__main__":  # as `pytest` does, with nothing but the two plugins
    from pytest_asyncio import plugin as asyncio_plugin

    from rustforge.testing import plugin

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    modes = ["-oasyncio_mode=auto", "-oasyncio_default_fixture_loop_scope=function"]
    options = [*modes, f"-c{os.devnull}", "--rootdir=.", "-s", "-pno:terminal"]
    command = [*options, "-pno:cacheprovider", "--import-mode=importlib", __file__]
    sys.exit(pytest.main(command, plugins=[plugin, asyncio_plugin]))
