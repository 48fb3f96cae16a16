"""Responses and errors in one envelope, and routers for FastAPI."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    from rustforge.http.installing import install as install
except ModuleNotFoundError as _error:
    if _error.name is None or _error.name.partition(".")[0] not in {"fastapi", "starlette"}:
        raise
    _msg = "fastapi is not installed; it comes with: pip install 'rustforge[http]'"
    raise ModuleNotFoundError(_msg, name=_error.name) from _error
from rustforge.http.app_error import AppError as AppError
from rustforge.http.app_error import BadRequest as BadRequest
from rustforge.http.app_error import Forbidden as Forbidden
from rustforge.http.app_error import Internal as Internal
from rustforge.http.app_error import NotFound as NotFound
from rustforge.http.app_error import TooManyRequests as TooManyRequests
from rustforge.http.app_error import Unauthorized as Unauthorized
from rustforge.http.app_error import UnprocessableEntity as UnprocessableEntity
from rustforge.http.app_error import Validation as Validation
from rustforge.http.locale import Catalogues as Catalogues
from rustforge.http.locale import get_locale as get_locale
from rustforge.http.locale import t as t
from rustforge.http.locale import use_locale as use_locale
from rustforge.http.openapi import ProblemDetails as ProblemDetails
from rustforge.http.openapi import errors as errors
from rustforge.http.request_ids import get_request_id as get_request_id
from rustforge.http.responses import ApiResponse as ApiResponse
from rustforge.http.responses import ErrorResponse as ErrorResponse
from rustforge.http.routers import deliveries_router as deliveries_router
from rustforge.http.routers import jobs_router as jobs_router

if TYPE_CHECKING:
    from rustforge.http.files import files_app as files_app
    from rustforge.http.realtime_routes import realtime_router as realtime_router
    from rustforge.http.uploads import UploadPart as UploadPart
    from rustforge.http.uploads import multipart as multipart
    from rustforge.http.uploads import store_upload as store_upload
    from rustforge.http.webhooks import IncomingWebhook as IncomingWebhook
    from rustforge.http.webhooks import verified_webhook as verified_webhook

__all__ = [
    "ApiResponse",
    "AppError",
    "BadRequest",
    "Catalogues",
    "ErrorResponse",
    "Forbidden",
    "IncomingWebhook",
    "Internal",
    "NotFound",
    "ProblemDetails",
    "TooManyRequests",
    "Unauthorized",
    "UnprocessableEntity",
    "UploadPart",
    "Validation",
    "deliveries_router",
    "errors",
    "files_app",
    "get_locale",
    "get_request_id",
    "install",
    "jobs_router",
    "multipart",
    "realtime_router",
    "store_upload",
    "t",
    "use_locale",
    "verified_webhook",
]


_LATER = {
    "IncomingWebhook": "webhooks",
    "UploadPart": "uploads",
    "files_app": "files",
    "multipart": "uploads",
    "realtime_router": "realtime_routes",
    "store_upload": "uploads",
    "verified_webhook": "webhooks",
}


def __getattr__(name: str) -> Any:
    """Load what needs another library when it is asked for."""
    if name in _LATER:
        return getattr(import_module(f"rustforge.http.{_LATER[name]}"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
