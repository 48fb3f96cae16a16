"""The HTTP API of queues, failed jobs and deliveries."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException

from rustforge.errors import ConfigurationError
from rustforge.http.envelope import EnvelopeRoute, error_responses
from rustforge.http.queue_routes import router as queue_router
from rustforge.jobs.job import WorkerContext

__all__ = ["deliveries_router", "jobs_router"]


def jobs_router(
    ctx: WorkerContext | Callable[..., Any],
    *,
    authorize: Callable[..., Any] | None = None,
    queues: Sequence[str] = (),
    prefix: str = "/jobs",
) -> APIRouter:
    """Make the API with which queues are watched and steered, and failed jobs are looked at, retried and forgotten.

    It shows payloads and changes what runs, so it is not made without somebody who says who may.

    Args:
        ctx: The [`BootContext`][rustforge.boot.BootContext]; or a dependency that gives it, such as
            `lambda: app.state.ctx`, where the application boots later, in its lifespan.
        authorize: A dependency that raises for those who may not, such as an `HTTPException` with 401 or 403; or one
            that returns `False`, which is answered with 403. It runs before anything else is looked at.
        queues: Queues that are listed also while they hold nothing.
        prefix: What the paths start with.

    Raises:
        ConfigurationError: There is no `authorize`, or SQLAlchemy is not installed.

    Example:
        ```python
        app.include_router(jobs_router(lambda: app.state.ctx, authorize=require_admin), prefix="/admin")
        ```
    """
    try:
        from rustforge.http.failed_routes import router as failed_router  # noqa: PLC0415 - it needs an extra
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    router = _guarded("jobs_router shows payloads and can remove jobs", "jobs", ctx, authorize, queues)
    router.include_router(queue_router, prefix=prefix)
    router.include_router(failed_router, prefix=prefix)
    return router


def deliveries_router(
    ctx: WorkerContext | Callable[..., Any],
    *,
    authorize: Callable[..., Any] | None = None,
    prefix: str = "/deliveries",
) -> APIRouter:
    """Make the API with which deliveries are looked at and counted, and failed ones are retried.

    It shows what was sent to whom, so it is not made without somebody who says who may.

    Args:
        ctx: The [`BootContext`][rustforge.boot.BootContext]; or a dependency that gives it, as for `jobs_router`.
        authorize: A dependency that raises for those who may not, or returns `False`, as for `jobs_router`.
        prefix: What the paths start with.

    Raises:
        ConfigurationError: There is no `authorize`, or SQLAlchemy is not installed.

    Example:
        ```python
        app.include_router(deliveries_router(lambda: app.state.ctx, authorize=require_admin), prefix="/admin")
        ```
    """
    try:
        from rustforge.http.delivery_routes import router as delivery_router  # noqa: PLC0415 - it needs an extra
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    router = _guarded("deliveries_router shows messages and targets", "deliveries", ctx, authorize)
    router.include_router(delivery_router, prefix=prefix)
    return router


def _missing(error: ModuleNotFoundError) -> ConfigurationError:
    msg = f"{error.name} is not installed; it comes with: pip install 'rustforge[sql]'"
    return ConfigurationError(msg)


def _guarded(
    why: str,
    tag: str,
    ctx: WorkerContext | Callable[..., Any],
    authorize: Callable[..., Any] | None,
    queues: Sequence[str] = (),
) -> APIRouter:
    """Make a router that lets in only those who may."""
    if not callable(authorize):
        msg = f"{why}, so it needs authorize=...: a FastAPI dependency that raises for everybody who may not use it"
        raise ConfigurationError(msg)
    given = ctx if callable(ctx) else lambda: ctx
    return APIRouter(
        tags=[tag],
        dependencies=[Depends(_gate(authorize)), Depends(_giver(given, f"{tag}_router", queues))],
        responses=error_responses(401, 403, 422, 500),
        route_class=EnvelopeRoute,
    )


def _gate(authorize: Callable[..., Any]) -> Callable[..., None]:
    """Let nobody in for whom the application says no, whether it raises or returns `False`."""

    def gate(answer: Annotated[Any, Depends(authorize)]) -> None:
        if answer is False:
            raise HTTPException(403)

    return gate


def _giver(given: Callable[..., Any], name: str, queues: Sequence[str]) -> Callable[..., None]:
    """Put the context where the handlers find it."""

    def give(request: Request, found: Annotated[Any, Depends(given)]) -> None:
        if found is None:
            msg = f"{name} got None as its context; is the application started?"
            raise RuntimeError(msg)
        request.state.rustforge_jobs = found
        request.state.rustforge_queues = tuple(queues)

    return give
