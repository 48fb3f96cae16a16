"""Responses in one envelope, and routers for FastAPI."""

from __future__ import annotations

try:
    from rustforge.http.jobs_router import jobs_router as jobs_router
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] not in {"fastapi", "starlette"}:
        raise
    msg = "fastapi is not installed; it comes with: pip install 'rustforge[http]'"
    raise ModuleNotFoundError(msg, name=error.name) from error
from rustforge.http.responses import ApiResponse as ApiResponse
from rustforge.http.responses import ErrorResponse as ErrorResponse

__all__ = ["ApiResponse", "ErrorResponse", "jobs_router"]
