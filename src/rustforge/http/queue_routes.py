"""The part of the job API that is about queues."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from rustforge.http.envelope import EnvelopeRoute, error_responses
from rustforge.http.responses import ApiResponse
from rustforge.jobs.queue import HeldGroup, JobView, QueueStats

__all__ = ["Changed", "JobsContext", "Removed", "router"]

router: APIRouter = APIRouter(prefix="/queues", route_class=EnvelopeRoute)


class Removed(BaseModel):
    """How many there were."""

    removed: int = Field(description="How many jobs were removed.")


class Changed(BaseModel):
    """What it was done to."""

    id: str = Field(description="The job's id.")


class Pausing(BaseModel):
    """Whether a queue is paused now."""

    queue: str
    paused: bool


class LetGo(BaseModel):
    """A group that goes on."""

    group: str = Field(description="The group; of a chain the id of its first job.")


class Quarantined(BaseModel):
    """A job that was set aside, as running it makes no sense."""

    id: str
    reason: str = Field(description="Why.")
    body: str = Field(description="The job as it stood in the queue; bytes that are no text are replaced.")


def _context(request: Request) -> Any:
    """Find what `jobs_router` was given; it was put here when the request had been authorised."""
    return request.state.rustforge_jobs


JobsContext = Annotated[Any, Depends(_context)]
QueueName = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,128}$", description="The queue's name.")]
JobId = Annotated[str, Path(min_length=1, max_length=64, description="The job's id.")]


@router.get("")
async def list_queues(ctx: JobsContext, request: Request) -> ApiResponse[list[QueueStats]]:
    """List the queues that hold jobs, and those that the application named, with their counts."""
    names = {*await ctx.queue.names(), *request.state.rustforge_queues}
    return ApiResponse.success([await ctx.queue.stats(name) for name in sorted(names)])


@router.get("/{queue}")
async def show_queue(ctx: JobsContext, queue: QueueName) -> ApiResponse[QueueStats]:
    """Count the jobs of a queue, by where they stand; a queue that nobody uses has none."""
    return ApiResponse.success(await ctx.queue.stats(queue))


@router.post("/{queue}/pause")
async def pause_queue(ctx: JobsContext, queue: QueueName) -> ApiResponse[Pausing]:
    """Let workers take nothing from a queue any more; what runs goes on."""
    await ctx.queue.pause(queue)
    return ApiResponse.success(Pausing(queue=queue, paused=True), f"Queue {queue} is paused.")


@router.post("/{queue}/resume")
async def resume_queue(ctx: JobsContext, queue: QueueName) -> ApiResponse[Pausing]:
    """Let workers take jobs again."""
    await ctx.queue.resume(queue)
    return ApiResponse.success(Pausing(queue=queue, paused=False), f"Queue {queue} goes on.")


@router.get("/{queue}/jobs")
async def peek_queue(
    ctx: JobsContext,
    queue: QueueName,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 10,
) -> ApiResponse[list[JobView]]:
    """Look at the jobs that will be claimed next."""
    return ApiResponse.success(await ctx.queue.peek(queue, limit))


@router.delete("/{queue}/jobs")
async def clear_queue(ctx: JobsContext, queue: QueueName) -> ApiResponse[Removed]:
    """Remove all jobs that do not run, the delayed and waiting ones included."""
    return ApiResponse.success(Removed(removed=await ctx.queue.clear(queue)))


@router.get("/{queue}/jobs/{job_id}", responses=error_responses(404))
async def show_job(ctx: JobsContext, queue: QueueName, job_id: JobId) -> ApiResponse[JobView]:
    """Look at one job that is not over."""
    found: JobView | None = await ctx.queue.show(job_id, queue)
    if found is None:
        raise HTTPException(404, f"Queue {queue} has no such job.")
    return ApiResponse.success(found)


@router.delete("/{queue}/jobs/{job_id}", responses=error_responses(404))
async def cancel_job(ctx: JobsContext, queue: QueueName, job_id: JobId) -> ApiResponse[Changed]:
    """Take a job out, or stop it where it runs."""
    if not await ctx.queue.cancel(job_id, queue):
        raise HTTPException(404, f"Queue {queue} has no such job.")
    return ApiResponse.success(Changed(id=job_id), "The job will not run, or is stopped within seconds.")


@router.get("/{queue}/held")
async def list_held(ctx: JobsContext, queue: QueueName) -> ApiResponse[list[HeldGroup]]:
    """List the groups and chains that wait, as one of their jobs failed for good."""
    return ApiResponse.success(await ctx.queue.held_groups(queue))


@router.post("/{queue}/let-go", responses=error_responses(404))
async def let_go(
    ctx: JobsContext,
    queue: QueueName,
    group: Annotated[str, Query(min_length=1, max_length=512, description="The group, as listed.")],
) -> ApiResponse[LetGo]:
    """Give up the job that holds a group or chain, so that the next one has its turn."""
    if not await ctx.queue.let_go(group, queue):
        raise HTTPException(404, "No failed job holds this group.")
    return ApiResponse.success(LetGo(group=group), "The group goes on.")


@router.get("/{queue}/quarantine")
async def list_quarantine(ctx: JobsContext, queue: QueueName) -> ApiResponse[list[Quarantined]]:
    """List the jobs that were set aside, with the reasons."""
    return ApiResponse.success(
        [
            Quarantined(id=one.id, reason=one.reason, body=one.body.decode(errors="replace"))
            for one in await ctx.queue.quarantined(queue)
        ]
    )


@router.post("/{queue}/quarantine/{job_id}/requeue", responses=error_responses(404))
async def requeue_quarantined(ctx: JobsContext, queue: QueueName, job_id: JobId) -> ApiResponse[Changed]:
    """Enqueue a job in quarantine anew."""
    if not await ctx.queue.requeue_quarantined(job_id, queue):
        raise HTTPException(404, f"No such job is in the quarantine of queue {queue}.")
    return ApiResponse.success(Changed(id=job_id), "The job is enqueued anew.")


@router.delete("/{queue}/quarantine/{job_id}", responses=error_responses(404))
async def discard_quarantined(ctx: JobsContext, queue: QueueName, job_id: JobId) -> ApiResponse[Changed]:
    """Throw a job in quarantine away."""
    if not await ctx.queue.discard_quarantined(job_id, queue):
        raise HTTPException(404, f"No such job is in the quarantine of queue {queue}.")
    return ApiResponse.success(Changed(id=job_id), "The job is gone.")
