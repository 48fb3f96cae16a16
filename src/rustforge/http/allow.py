"""The methods of a path, of which the frameworks name only those of the first route that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Match, Mount

if TYPE_CHECKING:
    from starlette.types import Scope

__all__ = ["ROOT", "allowed_methods"]

ROOT = "rustforge.root_path"
"""Where stands under which path an application is mounted."""

_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")


def allowed_methods(scope: Scope) -> str:
    """Return the methods that the application has for a request's path, as `Allow` lists them.

    It is blank where another application, which is mounted there, would have to be asked.
    """
    probe = {name: value for name, value in scope.items() if name != "fastapi"}  # without what routing left in it
    probe["root_path"] = scope.get(ROOT, scope.get("app_root_path", scope.get("root_path", "")))
    found: list[str] = []
    for method in _METHODS:
        probe["method"] = method
        fitting = [route for route in scope["app"].routes if route.matches(probe)[0] is Match.FULL]
        if any(isinstance(route, Mount) for route in fitting):
            return ""
        found += [method] if fitting else []
    return ", ".join(found)
