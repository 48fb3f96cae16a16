"""The API of deliveries."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from rustforge.errors import InvalidArgumentError, JobError
from rustforge.http.envelope import EnvelopeRoute, error_responses
from rustforge.http.failed_routes import Moment
from rustforge.http.queue_routes import JobsContext
from rustforge.http.responses import ApiResponse
from rustforge.jobs.failed import FailedJobs
from rustforge.notify.deliveries import Deliveries, Delivery, DeliveryPage, DeliveryStatus

__all__ = ["router"]

router: APIRouter = APIRouter(route_class=EnvelopeRoute)

DeliveryId = Annotated[str, Path(min_length=1, max_length=64, description="The delivery's id.")]


class Filters(BaseModel):
    """Which deliveries."""

    status: DeliveryStatus | None = Field(default=None, description="Only those that stand there.")
    channel: str | None = Field(default=None, description="Only those of this channel.")
    event: str | None = Field(default=None, description="Only those of events with this name.")
    event_id: str | None = Field(default=None, description="Only those of this event.")
    target: str | None = Field(default=None, description="Only those to this target.")
    since: Moment | None = Field(default=None, description="Only those that were made at this time or later.")
    until: Moment | None = Field(default=None, description="Only those that were made before this time.")

    def chosen(self) -> dict[str, Any]:
        """Return what was set; a blank field of a form was not."""
        return {name: value for name in Filters.model_fields if (value := getattr(self, name))}


class Listing(Filters):
    """Which deliveries, and how many of them."""

    limit: int = Field(default=50, ge=1, le=1000, description="How many at most.")
    before: str | None = Field(default=None, description="The `next` of the page before.")


class Counts(BaseModel):
    """How many deliveries there are."""

    pending: int = Field(default=0, description="They wait, or are being tried.")
    sent: int = Field(default=0, description="They went out.")
    failed: int = Field(default=0, description="They were given up.")
    skipped: int = Field(default=0, description="They were not wanted any more.")


class Retried(BaseModel):
    """What is tried anew."""

    id: str = Field(description="The delivery's id, which is its job's.")


@router.get("")
async def list_deliveries(ctx: JobsContext, which: Annotated[Listing, Query()]) -> ApiResponse[DeliveryPage]:
    """List deliveries, the newest first, page by page."""
    try:
        found = await Deliveries(ctx.db).list(**which.chosen(), limit=which.limit, before=which.before or None)
    except InvalidArgumentError as error:
        raise HTTPException(422, "before is not the `next` of a page of this list.") from error
    return ApiResponse.success(found)


@router.get("/counts")
async def count_deliveries(ctx: JobsContext, which: Annotated[Filters, Query()]) -> ApiResponse[Counts]:
    """Count deliveries by where they stand."""
    return ApiResponse.success(Counts(**await Deliveries(ctx.db).count(**which.chosen())))


@router.get("/{delivery_id}", responses=error_responses(404))
async def show_delivery(ctx: JobsContext, delivery_id: DeliveryId) -> ApiResponse[Delivery]:
    """Look at one delivery."""
    return ApiResponse.success(await _find(ctx, delivery_id))


@router.post("/{delivery_id}/retry", responses=error_responses(404))
async def retry_delivery(ctx: JobsContext, delivery_id: DeliveryId) -> ApiResponse[Retried]:
    """Try a delivery anew that has failed, with all its attempts before it."""
    found = await _find(ctx, delivery_id)
    try:
        retried = await FailedJobs(ctx.db).retry(delivery_id, ctx.queue)
    except JobError as error:
        raise HTTPException(422, str(error)) from error
    if not retried:
        raise HTTPException(422, f"The delivery is {found.status}, and its job is not among those that failed.")
    return ApiResponse.success(Retried(id=delivery_id), "The delivery is tried anew.")


async def _find(ctx: Any, delivery_id: str) -> Delivery:
    found = await Deliveries(ctx.db).get(delivery_id)
    if found is None:
        raise HTTPException(404, "There is no such delivery.")
    return found
