"""The part of the job API that is about jobs that failed for good."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field
from starlette.exceptions import HTTPException

from rustforge.errors import InvalidArgumentError, JobError
from rustforge.http.envelope import EnvelopeRoute, error_responses
from rustforge.http.queue_routes import Changed, JobId, JobsContext, Removed
from rustforge.http.responses import ApiResponse
from rustforge.jobs.failed import FailedJob, FailedJobs, FailedPage

__all__ = ["router"]

router: APIRouter = APIRouter(prefix="/failed", route_class=EnvelopeRoute)


def _require_date(value: object) -> object:
    """Refuse a bare number, which would be read as seconds since 1970 although the schema says a date."""
    if isinstance(value, str) and value.strip().replace(".", "").lstrip("+-").isdigit():
        msg = "write a date with a time and a zone, such as 2026-03-01T12:00:00Z"
        raise ValueError(msg)
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_require_date)]


class Filters(BaseModel):
    """Which failed jobs."""

    queue: str | None = Field(default=None, description="Only those of this queue.")
    name: str | None = Field(default=None, description="Only those with this name.")
    group: str | None = Field(default=None, description="Only those of this group.")
    search: str | None = Field(default=None, description="Only those with this text in id, name, payload or error.")
    since: Moment | None = Field(default=None, description="Only those that failed at this time or later.")
    until: Moment | None = Field(default=None, description="Only those that failed before this time.")

    def chosen(self) -> dict[str, Any]:
        """Return what was set; a blank field of a form was not."""
        return {name: value for name in Filters.model_fields if (value := getattr(self, name))}


class Listing(Filters):
    """Which failed jobs, and how many of them."""

    limit: int = Field(default=50, ge=1, le=1000, description="How many at most.")
    before: str | None = Field(default=None, description="The `next` of the page before.")


class Retrying(Filters):
    """Which failed jobs; all of them only where that is said."""

    all: bool = Field(default=False, description="Retry all there are, where nothing else is said.")


class Counted(BaseModel):
    """How many there are."""

    count: int


class Retried(BaseModel):
    """How many were enqueued."""

    retried: int = Field(description="How many jobs were enqueued; those that cannot be retried now stay.")


@router.get("")
async def list_failed(ctx: JobsContext, which: Annotated[Listing, Query()]) -> ApiResponse[FailedPage]:
    """List failed jobs, the newest failure first, page by page."""
    try:
        found = await FailedJobs(ctx.db).list(**which.chosen(), limit=which.limit, before=which.before or None)
    except InvalidArgumentError as error:
        raise HTTPException(422, "before is not the `next` of a page of this list.") from error
    return ApiResponse.success(found)


@router.get("/count")
async def count_failed(ctx: JobsContext, which: Annotated[Filters, Query()]) -> ApiResponse[Counted]:
    """Count failed jobs."""
    count = await FailedJobs(ctx.db).count(**which.chosen())
    return ApiResponse.success(Counted(count=count))


@router.post("/retry")
async def retry_failed(ctx: JobsContext, which: Annotated[Retrying, Query()]) -> ApiResponse[Retried]:
    """Enqueue failed jobs anew, in the order in which they failed."""
    if not which.chosen() and not which.all:
        raise HTTPException(422, "Say which jobs by a filter, or all=true.")
    retried = await FailedJobs(ctx.db).retry_all(ctx.queue, **which.chosen())
    return ApiResponse.success(Retried(retried=retried))


@router.delete("")
async def prune_failed(
    ctx: JobsContext,
    older_than: Annotated[float, Query(gt=0, le=3_000_000_000, description="Seconds since the failure.")],
) -> ApiResponse[Removed]:
    """Forget the jobs that failed longer ago than this, but for those that hold their groups."""
    return ApiResponse.success(Removed(removed=await FailedJobs(ctx.db).prune(older_than, ctx.queue)))


@router.get("/{job_id}", responses=error_responses(404))
async def show_failed(ctx: JobsContext, job_id: JobId) -> ApiResponse[FailedJob]:
    """Look at one failed job."""
    found = await FailedJobs(ctx.db).get(job_id)
    if found is None:
        raise HTTPException(404, "There is no such failed job.")
    return ApiResponse.success(found)


@router.post("/{job_id}/retry", responses=error_responses(404))
async def retry_one(ctx: JobsContext, job_id: JobId) -> ApiResponse[Changed]:
    """Enqueue a failed job anew, with all its attempts before it."""
    try:
        retried = await FailedJobs(ctx.db).retry(job_id, ctx.queue)
    except JobError as error:
        raise HTTPException(422, str(error)) from error
    if not retried:
        raise HTTPException(404, "There is no such failed job.")
    return ApiResponse.success(Changed(id=job_id), "The job is enqueued anew.")


@router.delete("/{job_id}", responses=error_responses(404))
async def forget_failed(ctx: JobsContext, job_id: JobId) -> ApiResponse[Changed]:
    """Forget a failed job; the group that it holds goes on."""
    if not await FailedJobs(ctx.db).forget(job_id, ctx.queue):
        raise HTTPException(404, "There is no such failed job.")
    return ApiResponse.success(Changed(id=job_id), "The job is forgotten.")
