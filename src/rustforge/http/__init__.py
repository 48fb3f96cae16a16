"""Responses in one envelope, and routers for FastAPI."""

from __future__ import annotations

try:
    from rustforge.http.routers import jobs_router as jobs_router
except ModuleNotFoundError as _error:
    if _error.name is None or _error.name.partition(".")[0] not in {"fastapi", "starlette"}:
        raise
    _msg = "fastapi is not installed; it comes with: pip install 'rustforge[http]'"
    raise ModuleNotFoundError(_msg, name=_error.name) from _error
from rustforge.http.responses import ApiResponse as ApiResponse
from rustforge.http.responses import ErrorResponse as ErrorResponse

__all__ = ["ApiResponse", "ErrorResponse", "jobs_router"]
