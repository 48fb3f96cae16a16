"""The HTTP API of the endpoints of webhooks."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import APIRouter

from rustforge.errors import InvalidArgumentError, WebhookAddressError
from rustforge.http import ApiResponse, NotFound, Unauthorized, Validation, errors
from rustforge.notify import WebhookEndpoints
from shop.schemas import EndpointView, NewEndpoint, SecretView
from shop.state import Admin, AppState, State

router = APIRouter(
    prefix="/webhooks",
    tags=["webhooks"],
    dependencies=[Admin],
    responses=errors(Unauthorized),
)


@asynccontextmanager
async def endpoints(state: AppState) -> AsyncGenerator[WebhookEndpoints]:
    """Work with the endpoints in a transaction."""
    async with state.ctx.db.transaction() as session:
        yield WebhookEndpoints(
            session, allow_private=state.settings.webhook_allow_private
        )


# --8<-- [start:add]
@router.post("", status_code=201)
async def add(new: NewEndpoint, state: State) -> ApiResponse[SecretView]:
    """Add an endpoint. The answer is the only one that shows its secret."""
    try:
        async with endpoints(state) as table:
            added = await table.add(
                new.url, new.events, description=new.description
            )
    except (WebhookAddressError, InvalidArgumentError) as error:
        field = "url" if isinstance(error, WebhookAddressError) else "events"
        raise Validation(
            "The endpoint cannot be used.", {field: str(error)}
        ) from error
    return ApiResponse.created(SecretView(id=added.id, secret=added.secret or ""))


# --8<-- [end:add]


@router.get("")
async def list_(state: State) -> ApiResponse[list[EndpointView]]:
    """List the endpoints."""
    async with endpoints(state) as table:
        return ApiResponse.success(
            [EndpointView.model_validate(one) for one in await table.list()]
        )


@router.post("/{endpoint_id}/secret", responses=errors(NotFound))
async def rotate_secret(endpoint_id: str, state: State) -> ApiResponse[SecretView]:
    """Give an endpoint another secret; for a day both sign."""
    async with endpoints(state) as table:
        secret = await table.rotate_secret(endpoint_id)
    if secret is None:
        raise NotFound("There is no such endpoint")
    return ApiResponse.success(SecretView(id=endpoint_id, secret=secret))


@router.post("/{endpoint_id}/enable", responses=errors(NotFound))
async def enable(endpoint_id: str, state: State) -> ApiResponse[None]:
    """Let an endpoint have webhooks again."""
    async with endpoints(state) as table:
        found = await table.enable(endpoint_id)
    return _done("The endpoint is enabled.", found=found)


@router.post("/{endpoint_id}/disable", responses=errors(NotFound))
async def disable(endpoint_id: str, state: State) -> ApiResponse[None]:
    """Let an endpoint have no more webhooks."""
    async with endpoints(state) as table:
        found = await table.disable(endpoint_id, "disabled by staff")
    return _done("The endpoint is disabled.", found=found)


@router.delete("/{endpoint_id}", responses=errors(NotFound))
async def remove(endpoint_id: str, state: State) -> ApiResponse[None]:
    """Remove an endpoint."""
    async with endpoints(state) as table:
        found = await table.remove(endpoint_id)
    return _done("The endpoint is removed.", found=found)


def _done(message: str, *, found: bool) -> ApiResponse[None]:
    if not found:
        raise NotFound("There is no such endpoint")
    return ApiResponse.success(None, message)
