"""Messages in the language that the request asks for."""

from __future__ import annotations

import gettext
import json
import re
import struct
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from rustforge.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from starlette.datastructures import MutableHeaders

    _Texts = Mapping[str, str] | gettext.NullTranslations

__all__ = ["Catalogues", "get_locale", "t", "use_locale"]

MAX_HEADER = 500
"""How many characters of an Accept-Language are looked at."""

_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_RANGE = re.compile(r"\s*(\*|[A-Za-z0-9-]{1,64})\s*(?:;\s*[qQ]\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?")
_VALUE = re.compile(r"\{(\w+)\}")
_TEXTS = TypeAdapter(dict[str, str])


class Catalogues:
    """The translations of an application, by locale.

    Args:
        texts: For each locale, such as `de` or `pt-BR`, a mapping of texts to their translations; or what
            `gettext.translation` returned.
        source: The locale in which the texts are written in the code.

    Raises:
        ConfigurationError: A locale's name is not one.

    Example:
        ```python
        install(app, catalogues=Catalogues({"de": {"Article not found": "Artikel nicht gefunden"}}))
        ```
    """

    def __init__(self, texts: Mapping[str, _Texts], *, source: str = "en") -> None:
        self.source: str = _tag(source)
        self._texts = {_tag(name).lower(): found for name, found in texts.items()}
        self._names = {name.lower(): name for name in (self.source, *map(_tag, texts))}
        self._negotiate = lru_cache(maxsize=256)(self._choose)

    @classmethod
    def load(cls, folder: str | Path, *, domain: str = "messages", source: str = "en") -> Catalogues:
        """Read the catalogues of a folder: `<locale>.json`, and gettext's `<locale>/LC_MESSAGES/<domain>.mo`.

        Args:
            folder: The folder.
            domain: The name of the `.mo` files.
            source: The locale in which the texts are written in the code.

        Raises:
            ConfigurationError: There is no such folder, no catalogue in it, or one that cannot be read.
        """
        texts: dict[str, _Texts] = {}
        for path in sorted((*Path(folder).glob("*.json"), *Path(folder).glob(f"*/LC_MESSAGES/{domain}.mo"))):
            name = path.stem if path.suffix == ".json" else path.parent.parent.name
            if name in texts:
                msg = f"{folder} has two catalogues of {name}: keep the .json file or the .mo file"
                raise ConfigurationError(msg)
            texts[name] = _read(path)
        if not texts:
            msg = f"no catalogue is in {folder}: it needs <locale>.json or <locale>/LC_MESSAGES/{domain}.mo"
            raise ConfigurationError(msg)
        return cls(texts, source=source)

    @classmethod
    def of(cls, given: Catalogues | Mapping[str, _Texts] | str | Path) -> Catalogues:
        """Take catalogues as they are, make them of a mapping, or load them from a folder."""
        if isinstance(given, Catalogues):
            return given
        return cls.load(given) if isinstance(given, (str, Path)) else cls(given)

    @property
    def locales(self) -> tuple[str, ...]:
        """The locales that a client can have, the source's among them."""
        return tuple(self._names.values())

    def negotiate(self, accept_language: str) -> str:
        """Find the locale that serves an `Accept-Language` header best; where none does, the source's.

        `de-AT` is served by `de-AT`, else by `de`; `pt` by `pt`, else by `pt-BR`.

        Args:
            accept_language: The header's value. What is not well-formed in it is passed over.
        """
        return self._negotiate(accept_language[:MAX_HEADER])

    def find(self, locale: str, text: str) -> str | None:
        """Look up a text in a locale, and in the wider ones around it; `None` where it is not translated."""
        name = locale.lower() if text else ""
        while name:
            if (found := _look_up(self._texts.get(name, {}), text)) is not None:
                return found
            name = name.rpartition("-")[0]
        return None

    def _choose(self, header: str) -> str:
        ranges: list[tuple[float, str]] = []
        for part in header.split(","):
            match = _RANGE.fullmatch(part)
            if match:
                ranges.append((float(match[2] or 1), match[1].lower()))
        refused = {name for quality, name in ranges if not quality}
        for quality, name in sorted(ranges, key=lambda one: -one[0]):
            if quality and (found := self._serve(name, refused)):
                return found
        return self.source

    def _serve(self, wanted: str, refused: set[str]) -> str | None:
        """Find who serves one range: itself, a wider locale, a narrower one."""
        if wanted == "*":
            return next((name for low, name in self._names.items() if low not in refused), None)
        narrower, shorter = f"{wanted}-", wanted
        while shorter:
            if shorter in self._names and shorter not in refused:
                return self._names[shorter]
            shorter = shorter.rpartition("-")[0]
        return next(
            (name for low, name in self._names.items() if low.startswith(narrower) and low not in refused), None
        )


class RequestLocale:
    """The locale of one request, which is looked for when somebody asks for it."""

    __slots__ = ("_asked", "_header", "_hit", "_locale", "catalogues")

    def __init__(self, catalogues: Catalogues, *, header: str = "", locale: str = "") -> None:
        self.catalogues: Catalogues = catalogues
        self._header = header
        self._locale = locale
        self._asked = self._hit = False

    @property
    def locale(self) -> str:
        """The locale; who reads it lets the response depend on it."""
        self._asked = True
        if not self._locale:
            self._locale = self.catalogues.negotiate(self._header)
        return self._locale

    def find(self, text: str) -> str | None:
        """Look up a text."""
        found = self.catalogues.find(self.locale, text)
        self._hit = self._hit or found is not None
        return found

    def describe(self, headers: MutableHeaders) -> None:
        """Say in a response's headers that its text was chosen by the locale, where it was."""
        if self._asked:
            headers.setdefault("content-language", self.locale if self._hit else self.catalogues.source)
            headers.add_vary_header("Accept-Language")


CURRENT: ContextVar[RequestLocale | None] = ContextVar("rustforge_locale", default=None)
"""The locale of the request that is handled here, or of the `use_locale` around."""


def t(text: str, /, **values: object) -> str:
    """Translate a message into the language of the request.

    Where there is no translation, no catalogue or no request, the text stands for itself.

    Args:
        text: The message as it stands in the code, with names in braces for what changes.
        **values: What the names stand for. A name without a value stays as it is.

    Example:
        ```python
        raise NotFound(t("Article {slug} not found", slug=slug))
        ```
    """
    current = CURRENT.get()
    found = current.find(text) if current else None
    return _fill(text if found is None else found, values)


def get_locale() -> str | None:
    """Return the locale of the request, such as `de`; `None` where no catalogue is installed."""
    current = CURRENT.get()
    return current.locale if current else None


@contextmanager
def use_locale(locale: str, catalogues: Catalogues | None = None) -> Generator[None]:
    """Translate into another language than the request's, or outside of a request.

    Args:
        locale: The locale, such as the one that a user has chosen. Where its catalogue has no translation, and where
            it has no catalogue, the text stands for itself.
        catalogues: The catalogues; in a request, those that were installed.

    Raises:
        ConfigurationError: There is no request whose catalogues could be used, and none were given; or the locale's
            name is not one.

    Example:
        ```python
        with use_locale(user.locale, catalogues):
            subject = t("Your order is on its way")
        ```
    """
    around = CURRENT.get()
    used = catalogues or (around.catalogues if around else None)
    if used is None:
        msg = "no catalogues are installed here: pass them, as in use_locale(locale, catalogues)"
        raise ConfigurationError(msg)
    token = CURRENT.set(RequestLocale(used, locale=_tag(locale)))
    try:
        yield
    finally:
        CURRENT.reset(token)


def validation_message(error: Mapping[str, Any]) -> str:
    """Say what is wrong with a field, from one of Pydantic's errors.

    A catalogue translates it under the error's type, such as `string_too_short`, with the limits in braces; what a
    validator of the application raised, under its own text.
    """
    values: dict[str, object] = error.get("ctx") or {}
    raised = values.get("error")
    if isinstance(raised, Exception) and str(raised):
        return t(str(raised))
    current = CURRENT.get()
    found = current.find(error["type"]) if current else None
    return t(error["msg"]) if found is None else _fill(found, values)


def _fill(text: str, values: Mapping[str, object]) -> str:
    """Put values into a text. Only whole names are replaced, so no text can reach into a value."""
    if not values:
        return text
    return _VALUE.sub(lambda match: str(values[match[1]]) if match[1] in values else match[0], text)


def _look_up(texts: _Texts, text: str) -> str | None:
    if isinstance(texts, gettext.NullTranslations):
        found = texts.gettext(text)
        return None if found is text else found  # it gives back what it does not know
    return texts.get(text) or None  # tools leave a text blank that nobody has translated yet


def _tag(name: str) -> str:
    """Write a locale's name as HTTP does."""
    tag = name.replace("_", "-")
    if not _TAG.fullmatch(tag):
        msg = f"{name!r} is not a locale: write a language, and a region where it matters, such as 'de' or 'pt-BR'"
        raise ConfigurationError(msg)
    return tag


def _read(path: Path) -> _Texts:
    try:
        if path.suffix == ".mo":
            with path.open("rb") as file:
                return gettext.GNUTranslations(file)
        return _TEXTS.validate_python(json.loads(path.read_bytes()), strict=True)
    except (OSError, ValueError, struct.error) as error:
        msg = f"the catalogue {path} cannot be read: it is not a JSON object of texts, or not a .mo file"
        raise ConfigurationError(msg) from error
