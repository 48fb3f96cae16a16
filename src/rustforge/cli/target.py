"""Find what a target such as `app.jobs:registry` names, and say in one line what is wrong with it."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rustforge.errors import ConfigurationError
from rustforge.jobs.job import Job
from rustforge.jobs.registry import JobRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["TargetError", "call", "load", "registry_of"]


class TargetError(Exception):
    """A target cannot be used; the message is one line that names it."""


def load(target: str) -> Any:
    """Import a module, the working directory included, and take the object of a name from it.

    Raises:
        TargetError: There is no such module or object.
    """
    place, separator, name = target.partition(":")
    if not place or not separator or not name:
        msg = f"{target!r} does not name an object; write module:name, such as app.jobs:registry"
        raise TargetError(msg)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    found: Any = _import(target, place, here)
    for part in name.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, [one for one in dir(found) if not one.startswith("_")], 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            msg = f"{target!r}: {place} has no {part!r}{hint}"
            raise TargetError(msg)
        found = getattr(found, part)
    return found


async def registry_of(target: str) -> JobRegistry:
    """Find the job classes that a target names: a registry, classes, or a function that makes either.

    Raises:
        TargetError: It names something else.
    """
    found = load(target)
    if inspect.isroutine(found):
        found = await call(target, found)
    if isinstance(found, type) and issubclass(found, Job):
        found = [found]
    if not isinstance(found, JobRegistry):
        found = _classes(target, found)
    try:
        registry = JobRegistry.of(found)
    except ConfigurationError as error:
        msg = f"{target!r}: {error}"
        raise TargetError(msg) from error
    if not len(registry):
        msg = f"{target!r} has no job classes"
        raise TargetError(msg)
    return registry


async def call(target: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function that a target names, with or without async.

    Raises:
        TargetError: It failed.
    """
    try:
        made = function(*arguments)
        return await made if inspect.isawaitable(made) else made
    except Exception as error:
        raise TargetError(_describe(target, "failed", error)) from error


def _classes(target: str, found: Any) -> Iterable[type[Job]]:
    if not isinstance(found, (list, tuple, set, frozenset)) and not isinstance(found, Iterator):
        msg = (
            f"{target!r} is of type {type(found).__name__}; it must be a JobRegistry, job classes, or a function that "
            "makes either"
        )
        raise TargetError(msg)
    classes: list[type[Job]] = []
    for one in cast("Iterable[Any]", found):
        if not isinstance(one, type) or not issubclass(one, Job):
            msg = f"{target!r} has {one!r} among its job classes, which is none"
            raise TargetError(msg)
        classes.append(one)
    return classes


def _import(target: str, place: str, here: str) -> Any:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(f"{error.name}.")):
            msg = f"{target!r}: there is no module {error.name!r} in {here} or on the path"
            raise TargetError(msg) from error
        raise TargetError(_describe(target, f"importing {place} failed", error)) from error
    except Exception as error:
        raise TargetError(_describe(target, f"importing {place} failed", error)) from error
    except SystemExit as error:
        msg = f"{target!r}: importing {place} ended the program; put its start under if __name__ == '__main__'"
        raise TargetError(msg) from error


def _describe(target: str, what: str, error: Exception) -> str:
    """Say what happened and where, in one line."""
    text = str(error).strip().splitlines()
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{target!r}: {what}: {type(error).__name__}: {text[0] if text else ''}{place}"
