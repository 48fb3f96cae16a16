"""The HTTP API of deliveries."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import FastAPI, Header, HTTPException
from fastapi.openapi.models import OpenAPI
from httpx2 import ASGITransport, AsyncClient

from rustforge.errors import ConfigurationError, DeliveryRefusedError
from rustforge.http import deliveries_router, install
from rustforge.jobs import OutboxFlusher
from rustforge.notify import fan_out
from rustforge.testing import time_travel
from tests.support.texting import DeliverText, text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from httpx2 import Response

    from rustforge.jobs import JobContext
    from rustforge.notify import Delivery
    from rustforge.testing import TimeTraveler


def require_admin(token: Annotated[str, Header()] = "") -> None:
    """Let the administrator in."""
    if token != "admin":
        raise HTTPException(403 if token else 401)


class Gateway:
    """Takes messages, but for those to numbers that nobody has.

    Attributes:
        unknown: The numbers that nobody has.
    """

    def __init__(self) -> None:
        """Know everybody but one."""
        self.unknown = {"+13"}

    async def __call__(self, delivery: Delivery, ctx: JobContext) -> int:
        """Take one."""
        assert ctx.job_id == delivery.id
        if delivery.target in self.unknown:
            msg = "no such number"
            raise DeliveryRefusedError(msg, 404)
        return 202


@pytest.fixture
def gateway() -> Gateway:
    """Make one."""
    return Gateway()


@pytest.fixture
async def time(gateway: Gateway) -> AsyncIterator[TimeTraveler]:
    """Give queues and a database in this process, with three deliveries of which one has failed."""
    async with time_travel(registry=[DeliverText], extensions={"gateway": gateway, "failures": []}) as travel:
        for event, numbers in (("order.placed", ["+1", "+13"]), ("order.paid", ["+1"])):
            async with travel.ctx.db.transaction() as session:
                await fan_out(session, event, [text(number) for number in numbers])
        await OutboxFlusher(travel.ctx).flush()
        await travel.work()
        yield travel


@pytest.fixture(params=["alone", "installed"])
def app(time: TimeTraveler, request: pytest.FixtureRequest) -> FastAPI:
    """Make the application, whose context is there later; its errors are the router's own, then those of `install`."""
    application = FastAPI()
    if request.param == "installed":
        install(application)
    application.include_router(
        deliveries_router(lambda: application.state.ctx, authorize=require_admin), prefix="/admin"
    )
    application.state.ctx = time.ctx
    return application


@asynccontextmanager
async def client_of(app: FastAPI, **headers: str) -> AsyncIterator[AsyncClient]:
    """Open a client."""
    base = "http://test/admin"
    async with AsyncClient(transport=ASGITransport(app=app), base_url=base, headers=headers) as client:
        yield client


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Be the administrator."""
    async with client_of(app, token="admin") as found:
        yield found


def data(response: Response) -> Any:
    """Read what a response that went well says."""
    body = response.json()
    assert response.status_code == 200, body
    return body["data"]


def message(response: Response, status: int) -> str:
    """Read what a response says that did not go well."""
    body = response.json()
    assert response.status_code == status, body
    assert {"message"} <= set(body) <= {"message", "error_code", "errors"}
    found: str = body["message"]
    return found


async def test_nobody_comes_in(app: FastAPI) -> None:
    """Every operation answers 401 and 403 first, whatever else is wrong with the request."""
    operations = [(method, path) for path, one in app.openapi()["paths"].items() for method in one]
    assert len(operations) == 4
    for headers, status in (({}, 401), ({"token": "guest"}, 403)):
        async with client_of(app, **headers) as client:
            for method, path in operations:
                where = "http://test" + path.replace("{delivery_id}", "x")
                assert message(await client.request(method, where, params={"limit": "nonsense"}), status)


def test_it_is_not_mounted_without_authorisation() -> None:
    """Nobody mounts it open by mistake."""
    with pytest.raises(ConfigurationError, match=r"deliveries_router shows .*, so it needs authorize=\.\.\."):
        deliveries_router(lambda: None)


async def test_list_and_counts(client: AsyncClient) -> None:
    """They have the filters of `Deliveries`, and pages."""
    page = data(await client.get("/deliveries"))
    assert [one["event"] for one in page["items"]] == ["order.paid", "order.placed", "order.placed"]
    assert page["next"] is None
    first = data(await client.get("/deliveries", params={"limit": 2}))
    assert len(first["items"]) == 2
    assert len(data(await client.get("/deliveries", params={"before": first["next"]}))["items"]) == 1
    (failed,) = data(await client.get("/deliveries", params={"status": "failed", "channel": "text", "event": ""}))[
        "items"
    ]
    assert (failed["target"], failed["attempts"], failed["response_status"]) == ("+13", 1, 404)
    assert failed["message"] == {"words": "Thank you!"}
    assert data(await client.get("/deliveries/counts")) == {"pending": 0, "sent": 2, "failed": 1, "skipped": 0}
    assert data(await client.get("/deliveries/counts", params={"target": "+13"}))["sent"] == 0
    for wrong in ({"status": "lost"}, {"limit": 0}, {"before": "x"}, {"since": "7"}):
        assert message(await client.get("/deliveries", params=wrong), 422)


async def test_one_and_its_retry(client: AsyncClient, time: TimeTraveler, gateway: Gateway) -> None:
    """A failed delivery is retried until it is sent; others cannot be, and the answer says why."""
    failed, *_, sent = data(await client.get("/deliveries", params={"event": "order.placed"}))["items"]
    assert data(await client.get(f"/deliveries/{failed['id']}")) == failed
    assert message(await client.get("/deliveries/x"), 404) == "There is no such delivery."
    assert message(await client.post("/deliveries/x/retry"), 404) == "There is no such delivery."
    said = "The delivery is sent, and its job is not among those that failed."
    assert message(await client.post(f"/deliveries/{sent['id']}/retry"), 422) == said
    gateway.unknown.clear()
    assert data(await client.post(f"/deliveries/{failed['id']}/retry")) == {"id": failed["id"]}
    await time.work()
    assert data(await client.get(f"/deliveries/{failed['id']}"))["status"] == "sent"
    assert message(await client.post(f"/deliveries/{failed['id']}/retry"), 422) == said


def test_openapi(app: FastAPI) -> None:
    """The document is valid; every operation has a description, a typed answer and our errors."""
    document = app.openapi()
    OpenAPI.model_validate(document)
    for one in document["paths"].values():
        for operation in one.values():
            assert operation["tags"] == ["deliveries"]
            assert operation["description"]
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            assert schema["$ref"].startswith("#/components/schemas/ApiResponse_")
            assert {"401", "403", "422", "500"} <= set(operation["responses"])
            names = [parameter["name"] for parameter in operation.get("parameters", [])]
            assert ("404" in operation["responses"]) == ("delivery_id" in names)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where SQLAlchemy is missing, the error says what brings it."""
    monkeypatch.setitem(sys.modules, "rustforge.http.delivery_routes", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rustforge\[sql\]'"):
        deliveries_router(lambda: None, authorize=require_admin)
