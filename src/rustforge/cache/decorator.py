"""A decorator that remembers what a function returns."""

from __future__ import annotations

import copy
import functools
import inspect
import string
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from rustforge import codec
from rustforge.cache.cache import Cache
from rustforge.cache.store import tag_names
from rustforge.clock import milliseconds
from rustforge.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from rustforge.types import Duration

__all__ = ["CachedFunction", "cached"]

P = ParamSpec("P")
T = TypeVar("T")


class CachedFunction(Generic[P, T]):
    """An async function whose results are remembered; made by [`cached`][rustforge.cache.cached]."""

    def __init__(
        self,
        function: Callable[P, Awaitable[T]],
        *,
        key: str,
        ttl: Duration,
        cache: Cache | Callable[[], Cache],
        tags: tuple[str, ...],
        options: dict[str, Any],
    ) -> None:
        """Check that the templates name only parameters of the function."""
        functools.update_wrapper(self, function)
        self._function: Callable[..., Awaitable[T]] = function
        self._bound: tuple[object, ...] = ()
        self._key = key
        self._ttl = ttl
        self._cache = cache
        self._tags = tags
        self._options = options
        self._signature = inspect.signature(function)
        parameters = self._signature.parameters
        plain = all(one.kind is one.POSITIONAL_OR_KEYWORD for one in parameters.values())
        self._positions = tuple(parameters) if plain else None
        known = set(parameters)
        for template in (key, *tags):
            for _, field, _, _ in string.Formatter().parse(template):
                name = None if field is None else field.partition(".")[0].partition("[")[0]
                if name is not None and name not in known:
                    msg = f"{template!r} names {name!r}, which {function.__qualname__}() has no parameter for"
                    raise InvalidArgumentError(msg)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the remembered result for these arguments, or compute it."""
        values = self._bind(*args, **kwargs)
        factory = functools.partial(self._function, *self._bound, *args, **kwargs)
        return await self._find_cache().remember(
            self._key.format_map(values),
            self._ttl,
            factory,
            codec.return_type(self._function),
            tags=[tag.format_map(values) for tag in self._tags],
            **self._options,
        )

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the cache key for these arguments."""
        return self._key.format_map(self._bind(*args, **kwargs))

    async def forget(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Remove the result for these arguments; return whether there was one."""
        return await self._find_cache().forget(self.key(*args, **kwargs))

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Bind to an object, so that methods can be decorated."""
        if instance is None:
            return self
        bound = copy.copy(self)
        vars(bound)["_bound"] = (instance,)
        return bound

    def _bind(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        args = (*self._bound, *args)
        if self._positions is not None and not kwargs and len(args) == len(self._positions):
            # What `bind` would find, without its cost.
            return dict(zip(self._positions, args, strict=True))
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)

    def _find_cache(self) -> Cache:
        return self._cache if isinstance(self._cache, Cache) else self._cache()


def cached(
    key: str,
    ttl: Duration,
    *,
    cache: Cache | Callable[[], Cache],
    tags: Iterable[str] = (),
    stale: Duration | None = None,
    patience: Duration | None = 0,
    early: float = 0.0,
    jitter: float = 0.0,
    lease: Duration = 10,
) -> Callable[[Callable[P, Awaitable[T]]], CachedFunction[P, T]]:
    """Remember what an async function returns, by its arguments.

    The decorated function keeps its signature, and gets `key(...)` and `forget(...)`, which take the same arguments.
    Its return annotation is the type of the cached value.

    Args:
        key: The key, with the function's parameters in braces: `"article:{article_id}"`. `format` rules apply, so
            `{user.id}` works.
        ttl: How long a result is fresh: seconds as a number, or a `timedelta`.
        cache: The cache, or a function that returns it, for functions that are decorated before it is connected.
        tags: Tags, with parameters in braces as in `key`.
        stale: As in [`Cache.remember`][rustforge.cache.Cache.remember].
        patience: As in `remember`.
        early: As in `remember`.
        jitter: As in `remember`.
        lease: As in `remember`.

    Raises:
        InvalidArgumentError: The key or a tag names what is not a parameter of the function; or `ttl` cannot be used.

    Example:
        ```python
        @cached("article:{article_id}", ttl=60, cache=lambda: app.cache)
        async def load_article(article_id: int) -> Article: ...


        article = await load_article(7)
        await load_article.forget(7)
        ```
    """
    options = {"stale": stale, "patience": patience, "early": early, "jitter": jitter, "lease": lease}

    milliseconds(ttl)  # a wrong one shows here, and not at the first call
    names = tag_names(tags)

    def decorate(function: Callable[P, Awaitable[T]]) -> CachedFunction[P, T]:
        return CachedFunction(function, key=key, ttl=ttl, cache=cache, tags=names, options=options)

    return decorate
