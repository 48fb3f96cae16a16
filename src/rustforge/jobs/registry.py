"""The jobs that a worker knows, and how it reads them."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rustforge import codec
from rustforge.errors import ConfigurationError, InvalidTypeError, JobDecodeError
from rustforge.jobs.job import Job, require_job_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["JobRegistry", "KnownJob"]


class KnownJob:
    """A class of jobs, and what is asked of it for every run.

    Attributes:
        cls: The class.
        is_async: Whether `handle` is a coroutine function; else it runs in a thread.
    """

    __slots__ = ("_read", "cls", "is_async")

    def __init__(self, cls: type[Job]) -> None:
        """Look at a class.

        Raises:
            ConfigurationError: It cannot be run.
        """
        require_job_class(cls)
        if cls.handle is Job.handle:
            msg = f"{cls.__name__} has no handle(self, ctx)"
            raise ConfigurationError(msg)
        self.cls: type[Job] = cls
        self.is_async: bool = inspect.iscoroutinefunction(cls.handle)
        self._read: Callable[[bytes], Any] = codec.decoder(cls)

    def read(self, payload: bytes, version: int) -> Job:
        """Make the job of a payload.

        Args:
            payload: The fields as JSON.
            version: The version with which they were written.

        Raises:
            JobDecodeError: They do not fit the class, or its `upcast` failed.
        """
        try:
            if version == self.cls.VERSION:
                job: Job = self._read(payload)
                return job
            fields = self.cls.upcast(json.loads(payload), version)
            return self.cls.model_validate(fields, by_alias=True, by_name=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            msg = f"the payload does not fit {self.cls.__name__}: {place}: {first['type']}"
        except Exception as error:  # noqa: BLE001 - whatever upcast does
            msg = f"upcast of {self.cls.__name__} from version {version} failed: {type(error).__name__}"
        raise JobDecodeError(msg)


class JobRegistry:
    """Job classes by name.

    Example:
        ```python
        registry = JobRegistry(RebuildArticleIndex, SendInvoice)
        ```
    """

    def __init__(self, *classes: type[Job]) -> None:
        """Add classes; see `add`."""
        self._known: dict[str, KnownJob] = {}
        self.add(*classes)

    def add(self, *classes: type[Job]) -> None:
        """Add job classes.

        Raises:
            ConfigurationError: One is not a job class, has no `NAME` or no `handle`, or the name of another.
        """
        for cls in classes:
            try:
                known = KnownJob(cls)
            except InvalidTypeError as error:
                raise ConfigurationError(str(error)) from error
            there = self._known.get(cls.NAME)
            if there is not None and there.cls is not cls:
                msg = f"{cls.__qualname__} and {there.cls.__qualname__} both have the NAME {cls.NAME!r}"
                raise ConfigurationError(msg)
            self._known[cls.NAME] = known

    def find(self, name: str) -> KnownJob | None:
        """Return the job of a name, or `None`."""
        return self._known.get(name)

    def knows(self, parked: str) -> bool:
        """Tell whether a parked name, perhaps with `@` and a version, can be run here."""
        name, _, version = parked.partition("@")
        known = self._known.get(name)
        return known is not None and (not version or (version.isdecimal() and int(version) <= known.cls.VERSION))

    def __iter__(self) -> Iterator[type[Job]]:
        """Give the classes."""
        return iter([known.cls for known in self._known.values()])

    def __len__(self) -> int:
        """Count the classes."""
        return len(self._known)

    @classmethod
    def of(cls, found: JobRegistry | Iterable[type[Job]]) -> JobRegistry:
        """Make a registry of what an application exports: one, or job classes."""
        return found if isinstance(found, JobRegistry) else cls(*found)
