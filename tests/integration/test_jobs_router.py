"""The HTTP API of queues and failed jobs."""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import FastAPI, Header, HTTPException
from fastapi.openapi.models import OpenAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import BaseModel

from rustforge.errors import ConfigurationError
from rustforge.http import ApiResponse, ErrorResponse, install, jobs_router
from rustforge.jobs import Job, JobContext
from rustforge.jobs.envelope import Envelope
from rustforge.jobs.failed import FailedJobs
from rustforge.testing import run_until_empty, time_travel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from httpx2 import Response

    from rustforge.boot import BootContext

SECRET = "4111-1111-1111-1111"


class Charge(Job):
    """Charges a card, or fails to."""

    NAME = "test.charge"

    card: str = SECRET
    group: str | None = None

    async def handle(self, ctx: JobContext) -> None:
        """Fail."""
        raise LookupError(self.card)

    def max_retries(self) -> int:
        """Never try again."""
        return 0

    def group_id(self) -> str | None:
        """Return the group."""
        return self.group


class Holding(Charge):
    """Holds its group when it has failed."""

    NAME = "test.holding"
    HOLD_GROUP = True


class Once(Charge):
    """Only one of these at a time."""

    NAME = "test.once"
    QUEUE = "mail"

    def unique_key(self) -> str:
        """Return the same for all."""
        return "once"


def require_admin(token: Annotated[str, Header()] = "") -> str:
    """Let the administrator in."""
    if not token:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    if token != "admin":
        raise HTTPException(403, "Only for administrators.")
    return token


@pytest.fixture
async def ctx() -> AsyncIterator[BootContext]:
    """Give queues and a database in this process."""
    async with time_travel() as time:
        yield time.ctx


@asynccontextmanager
async def client_of(app: FastAPI, **headers: str) -> AsyncIterator[AsyncClient]:
    """Open a client."""
    transport = ASGITransport(app=app)
    async with AsyncClient(transport=transport, base_url="http://test/admin/jobs", headers=headers) as client:
        yield client


@pytest.fixture(params=["alone", "installed"])
async def app(ctx: BootContext, request: pytest.FixtureRequest) -> FastAPI:
    """Make the application, whose context is there later; its errors are the router's own, then those of `install`."""
    application = FastAPI()
    if request.param == "installed":
        install(application)
    router = jobs_router(lambda: application.state.ctx, authorize=require_admin, queues=["mail"])
    application.include_router(router, prefix="/admin")
    application.state.ctx = ctx
    return application


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Be the administrator."""
    async with client_of(app, token="admin") as found:
        yield found


def data(response: Response, status: int = 200) -> Any:
    """Read what a response that went well says."""
    body = response.json()
    assert response.status_code == status, body
    assert {"data"} <= set(body) <= {"data", "message"}
    return body["data"]


def error(response: Response, status: int, code: str | None) -> dict[str, Any]:
    """Read what a response says that did not go well."""
    body: dict[str, Any] = response.json()
    assert response.status_code == status, body
    assert body.get("error_code") == code
    assert {"message"} <= set(body) <= {"message", "error_code", "errors"}
    assert body["message"].strip()
    assert SECRET not in response.text
    return body


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """List all operations."""
    return [(method.upper(), path) for path, one in app.openapi()["paths"].items() for method in one]


# -- who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("authorize", [None, "admin", True])
async def test_it_is_not_mounted_without_authorisation(ctx: BootContext, authorize: Any) -> None:
    """Nobody mounts it open by mistake."""
    with pytest.raises(ConfigurationError, match="a FastAPI dependency that raises for everybody"):
        jobs_router(ctx, authorize=authorize)


async def test_nobody_comes_in(app: FastAPI, ctx: BootContext) -> None:
    """Every operation answers 401 and 403 first, whatever else is wrong with the request, and shows nothing."""
    await Charge().dispatch(ctx.queue)
    for headers, status, code in (({}, 401, "UNAUTHORIZED"), ({"token": "guest"}, 403, "FORBIDDEN")):
        async with client_of(app, **headers) as client:
            assert len(routes(app)) == 20
            for method, path in routes(app):
                where = "http://test" + path.replace("{queue}", "a b").replace("{job_id}", "x")
                response = await client.request(method, where, params={"limit": "nonsense"})
                assert error(response, status, code)["message"] in {"Unauthorized", "Only for administrators."}
                assert response.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    assert await ctx.queue.size() == 1


async def test_an_answer_that_is_no(ctx: BootContext) -> None:
    """A dependency that returns False lets nobody in, as one would think; `None` is no answer."""
    for answer, status in ((False, 403), (None, 200), (True, 200)):
        app = FastAPI()
        app.include_router(jobs_router(ctx, authorize=lambda answer=answer: answer, prefix=""))
        async with client_of(app) as client:
            assert (await client.get("http://test/queues")).status_code == status


# -- queues ----------------------------------------------------------------------------------------------------------


async def test_queues(client: AsyncClient, ctx: BootContext) -> None:
    """They are listed with their counts, the empty ones too that the application named."""
    first = await Charge().dispatch(ctx.queue)
    await Charge().dispatch(ctx.queue, delay=60)
    listed = data(await client.get("/queues"))
    assert [(one["queue"], one["ready"], one["delayed"]) for one in listed] == [("default", 1, 1), ("mail", 0, 0)]
    assert data(await client.get("/queues/default"))["paused"] is False
    (job,) = data(await client.get("/queues/default/jobs"))
    assert (job["id"], job["name"], job["payload"]["card"]) == (first, "test.charge", SECRET)
    assert data(await client.get(f"/queues/default/jobs/{first}")) == job
    assert data(await client.post("/queues/default/pause")) == {"queue": "default", "paused": True}
    assert (await ctx.queue.stats()).paused
    assert data(await client.post("/queues/default/resume")) == {"queue": "default", "paused": False}
    assert not (await ctx.queue.stats()).paused
    assert data(await client.delete(f"/queues/default/jobs/{first}")) == {"id": first}
    assert data(await client.delete("/queues/default/jobs")) == {"removed": 2}
    assert await ctx.queue.size() == 0


async def test_quarantine(client: AsyncClient, ctx: BootContext) -> None:
    """What is in quarantine is shown with the reason, even where it is no text, and goes back or away."""
    envelopes = [Envelope(digit * 24, "default", "test.charge", b"\xff{") for digit in "12"]
    await ctx.queue.enqueue(envelopes)
    await run_until_empty(ctx, [Charge])
    listed = {one["id"]: one for one in data(await client.get("/queues/default/quarantine"))}
    assert set(listed) == {"1" * 24, "2" * 24}
    assert listed["1" * 24]["body"] == "test.charge\n\ufffd{"
    assert "Charge" in listed["1" * 24]["reason"]
    assert data(await client.post(f"/queues/default/quarantine/{'1' * 24}/requeue")) == {"id": "1" * 24}
    assert data(await client.delete(f"/queues/default/quarantine/{'2' * 24}")) == {"id": "2" * 24}
    assert data(await client.get("/queues/default/quarantine")) == []
    assert await ctx.queue.size() == 1


# -- failed jobs -----------------------------------------------------------------------------------------------------


async def fail(ctx: BootContext) -> list[str]:
    """Let five jobs fail."""
    ids = await ctx.queue.push_many([Charge(), Charge(group="a"), Charge(group="b"), Charge()])
    ids += [await Once().dispatch(ctx.queue)]
    assert (await run_until_empty(ctx, [Charge, Once])).dead == 5
    return ids


async def test_failed_jobs(client: AsyncClient, ctx: BootContext) -> None:
    """They are listed page by page and by filter, shown, retried and forgotten."""
    ids = await fail(ctx)
    first = data(await client.get("/failed", params={"limit": 3}))
    rest = data(await client.get("/failed", params={"limit": 3, "before": first["next"]}))
    assert sorted(one["id"] for one in first["items"] + rest["items"]) == sorted(ids)
    assert rest["next"] is None
    filters: list[tuple[dict[str, Any], int]] = [
        ({"queue": "mail"}, 1),
        ({"name": "test.charge"}, 4),
        ({"group": "a"}, 1),
        ({"search": "LOOKUPERROR"}, 5),
        ({"since": "2020-01-01T00:00:00Z", "until": "2021-01-01T00:00:00Z"}, 0),
        ({"queue": "default", "group": "b"}, 1),
        ({"queue": "", "name": "", "before": ""}, 5),
    ]
    for params, count in filters:
        assert len(data(await client.get("/failed", params=params))["items"]) == count
        assert data(await client.get("/failed/count", params=params)) == {"count": count}
    one = data(await client.get(f"/failed/{ids[1]}"))
    assert (one["job_name"], one["group_id"], one["attempts"]) == ("test.charge", "a", 1)
    assert datetime.fromisoformat(one["failed_at"]).utcoffset() == timedelta(0)
    assert data(await client.post(f"/failed/{ids[1]}/retry")) == {"id": ids[1]}
    assert data(await client.delete(f"/failed/{ids[0]}")) == {"id": ids[0]}
    assert data(await client.post("/failed/retry", params={"name": "test.charge"})) == {"retried": 2}
    assert await ctx.queue.size() == 3
    assert data(await client.post("/failed/retry", params={"all": True})) == {"retried": 1}
    assert data(await client.get("/failed/count")) == {"count": 0}


async def test_held_groups(client: AsyncClient, ctx: BootContext) -> None:
    """They are listed, can be let go, and go on when the job that holds them is forgotten; it is not pruned."""
    jobs = [Holding(group="a b/c"), Holding(group="other"), Charge(group="a b/c"), Charge(group="other")]
    ids = await ctx.queue.push_many(jobs)
    await run_until_empty(ctx, [Charge, Holding])
    held = [{"group": "a b/c", "job_id": ids[0]}, {"group": "other", "job_id": ids[1]}]
    assert data(await client.get("/queues/default/held")) == held
    assert data(await client.delete("/failed", params={"older_than": 0.001})) == {"removed": 0}
    assert data(await client.post("/queues/default/let-go", params={"group": "a b/c"})) == {"group": "a b/c"}
    error(await client.post("/queues/default/let-go", params={"group": "a b/c"}), 404, "NOT_FOUND")
    assert data(await client.delete(f"/failed/{ids[1]}")) == {"id": ids[1]}
    assert data(await client.get("/queues/default/held")) == []
    assert await ctx.queue.size() == 2


async def test_prune(client: AsyncClient, ctx: BootContext) -> None:
    """Old ones are forgotten, and only those."""
    await fail(ctx)
    assert data(await client.delete("/failed", params={"older_than": 3600 * 24 * 365 * 90})) == {"removed": 0}
    error(await client.delete("/failed"), 422, "VALIDATION_ERROR")
    assert await FailedJobs(ctx.db).count() == 5


# -- what goes wrong -------------------------------------------------------------------------------------------------


async def test_what_is_not_there(client: AsyncClient) -> None:
    """Each operation on one job says so with 404."""
    for method, path in (
        ("GET", "/queues/default/jobs/x"),
        ("DELETE", "/queues/default/jobs/x"),
        ("POST", "/queues/default/quarantine/x/requeue"),
        ("DELETE", "/queues/default/quarantine/x"),
        ("GET", "/failed/x"),
        ("POST", "/failed/x/retry"),
        ("DELETE", "/failed/x"),
    ):
        assert "no such" in error(await client.request(method, path), 404, "NOT_FOUND")["message"].lower()


async def test_what_cannot_be_used(client: AsyncClient) -> None:
    """Fields that are wrong are named, and not repeated."""
    for path, field in (
        (f"/failed?limit={SECRET}", "limit"),
        ("/failed?limit=0", "limit"),
        ("/failed?since=2026-01-01T00:00:00", "since"),
        ("/failed/count?until=0.5", "until"),
        ("/queues/a%20b", "queue"),
        ("/queues/default/jobs?limit=1001", "limit"),
    ):
        body = error(await client.get(path), 422, "VALIDATION_ERROR")
        assert list(body["errors"]) == [field]
    body = error(await client.get("/failed?before=nonsense"), 422, "VALIDATION_ERROR")
    assert body["message"] == "before is not the `next` of a page of this list."
    for params in ({"job": "test.charge"}, {"name": ""}):
        body = error(await client.post("/failed/retry", params=params), 422, "VALIDATION_ERROR")
        assert body["message"] == "Say which jobs by a filter, or all=true."


async def test_a_job_that_cannot_be_retried_now(client: AsyncClient, ctx: BootContext) -> None:
    """It stays, and the answer says why."""
    job_id = (await fail(ctx))[-1]
    await Once().dispatch(ctx.queue)
    body = error(await client.post(f"/failed/{job_id}/retry"), 422, "VALIDATION_ERROR")
    assert "same unique key" in body["message"]
    assert await FailedJobs(ctx.db).get(job_id) is not None


async def test_what_nobody_expected(client: AsyncClient, app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    """The answer hides what happened, and the log has it."""
    app.state.ctx = None
    body = error(await client.get("/queues"), 500, "INTERNAL_ERROR")
    assert body == {"message": "Internal Server Error", "error_code": "INTERNAL_ERROR"}
    assert "is the application started?" in caplog.text


# -- what is promised ------------------------------------------------------------------------------------------------


async def test_openapi(app: FastAPI) -> None:
    """The document is valid; every operation has a summary, a typed answer and our errors, and none of FastAPI's."""
    document = app.openapi()
    OpenAPI.model_validate(document)
    text = json.dumps(document)
    assert "HTTPValidationError" not in text
    for path, one in document["paths"].items():
        for operation in one.values():
            assert operation["tags"] == ["jobs"]
            assert operation["description"]
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            assert schema["$ref"].startswith("#/components/schemas/ApiResponse_")
            for status in ("401", "403", "422", "500"):
                answer = operation["responses"][status]["content"]["application/json"]["schema"]
                assert answer == {"$ref": "#/components/schemas/ErrorResponse"}
            names = [parameter["name"] for parameter in operation.get("parameters", [])]
            assert ("404" in operation["responses"]) == ("job_id" in names or path.endswith("/let-go"))
    assert document["components"]["schemas"]["ErrorResponse"]["required"] == ["message"]
    properties = document["components"]["schemas"]["ErrorResponse"]["properties"]
    assert [one["type"] for one in properties.values()] == ["string", "string", "object"]


def test_the_envelope() -> None:
    """What has nothing to say is left out; data is there in any case, and keeps its own nulls."""

    class Item(BaseModel):
        name: str | None = None

    assert ApiResponse.success(Item()).model_dump() == {"data": {"name": None}}
    assert ApiResponse.success(None, " ").model_dump_json() == '{"data":null}'
    assert ApiResponse.created(1, "Made.").model_dump() == {"data": 1, "message": "Made."}
    assert ErrorResponse(message="No.").model_dump() == {"message": "No."}
    schema = ApiResponse[Item].model_json_schema(mode="serialization")
    assert schema["properties"]["message"]["type"] == "string"
    assert schema["required"] == ["data"]


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where FastAPI or SQLAlchemy is missing, the error says what brings it."""
    monkeypatch.setitem(sys.modules, "rustforge.http.failed_routes", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rustforge\[sql\]'"):
        jobs_router(lambda: None, authorize=require_admin)
    for name in [name for name in sys.modules if name.startswith("rustforge.http")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rustforge\[http\]'"):
        import rustforge.http  # noqa: F401, PLC0415
