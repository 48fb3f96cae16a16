"""Messages in the language that the request asks for."""

from __future__ import annotations

import gettext
import re
import struct
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError, field_validator
from starlette.datastructures import MutableHeaders

from rustforge.errors import ConfigurationError
from rustforge.http.locale import CURRENT, Catalogues, RequestLocale, get_locale, t, use_locale, validation_message

if TYPE_CHECKING:
    from pathlib import Path

GERMAN = {
    "Article not found": "Artikel nicht gefunden",
    "Hello {name}": "Hallo {name}",
    "string_too_short": "Mindestens {min_length} Zeichen",
    "no spaces": "keine Leerzeichen",
    "{text} is missing": "{text} fehlt",
    "Not yet": "",
}
CATALOGUES = Catalogues(
    {"de": GERMAN, "de-AT": {"Tomato": "Paradeiser"}, "pt-BR": {"Tomato": "Tomate"}, "zh-Hant-TW": {"Tomato": "番茄"}}
)


def write_mo(path: Path, texts: dict[str, str]) -> None:
    """Write a gettext catalogue, as msgfmt would."""
    entries = sorted({"": "Content-Type: text/plain; charset=UTF-8\n", **texts}.items())
    table, strings = [], b""
    start = 28 + 16 * len(entries)
    for column in (0, 1):
        for entry in entries:
            raw = entry[column].encode()
            table.append(struct.pack("<II", len(raw), start + len(strings)))
            strings += raw + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(entries), 28, 28 + 8 * len(entries), 0, start)
    path.parent.mkdir(parents=True)
    path.write_bytes(head + b"".join(table) + strings)


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE-at", "de-AT"),
        ("de-CH", "de"),
        ("fr, de;q=0.5", "de"),
        ("de;q=0.5, en", "en"),
        ("en-GB, de", "en"),
        ("pt", "pt-BR"),
        ("pt-PT", "en"),
        ("zh-Hant-TW-x", "zh-Hant-TW"),
        ("*", "en"),
        ("en;q=0, *", "de"),
        ("de;q=0, de-AT", "de-AT"),
        ("de-AT;q=0, de-AT", "de"),
        ("en;q=0", "en"),
        ("de;q=0.0", "en"),
        ("de ; q=0.8 , pt ; Q=0.9", "pt-BR"),
        ("de;q=2, pt;q=0.1", "pt-BR"),
        ("de;q=x, ;;;, ü, pt;q=0.1", "pt-BR"),
        ("de;level=1", "en"),
        ("x" * 2000 + ",de", "en"),
    ],
)
def test_negotiation(header: str, locale: str) -> None:
    """The client's first choice that there is wins; what is not well-formed counts for nothing."""
    assert CATALOGUES.negotiate(header) == locale


@given(st.text(max_size=600))
def test_any_header_finds_a_locale(header: str) -> None:
    """Whatever a client sends, the answer is a locale that there is."""
    assert CATALOGUES.negotiate(header) in CATALOGUES.locales


@given(st.permutations(CATALOGUES.locales), st.sampled_from(["{}", "{};q=1", " {} ;q=1.000"]))
def test_the_first_of_several_wins(order: list[str], form: str) -> None:
    """Of locales that are wanted as much, the first one is served."""
    assert CATALOGUES.negotiate(",".join(form.format(name) for name in order)) == order[0]


def test_without_catalogues() -> None:
    """Outside of a request a text stands for itself, with its values."""
    assert t("Article {slug} not found", slug="a") == "Article a not found"
    assert t("{slug}") == "{slug}"
    assert get_locale() is None
    assert validation_message({"type": "missing", "msg": "Field required"}) == "Field required"


def test_translation() -> None:
    """A text is translated into the locale, or a wider one, or not at all."""
    with use_locale("de-AT", CATALOGUES):
        assert t("Tomato") == "Paradeiser"
        assert t("Hello {name}", name="Eva") == "Hallo Eva"
        assert t("Unknown {name}", name="Eva") == "Unknown Eva"
        assert t("{text} is missing", text="Salz") == "Salz fehlt"
        assert t("Not yet") == "Not yet"
        assert t("") == ""
        assert get_locale() == "de-AT"
        with use_locale("pt_BR"):
            assert t("Tomato") == "Tomate"
            assert t("Article not found") == "Article not found"
        assert t("Article not found") == "Artikel nicht gefunden"
    assert t("Tomato") == "Tomato"


def test_values_stay_values() -> None:
    """A text reaches no attribute of a value, and a value is not read as a text."""
    assert t("{a.__class__} {a!r} {b} {missing}", a="x", b="{a}") == "{a.__class__} {a!r} {a} {missing}"


def test_no_catalogue_to_use() -> None:
    """Outside of a request, `use_locale` says what it needs; and it takes only locales."""
    with pytest.raises(ConfigurationError, match="pass them"), use_locale("de"):
        pass
    with pytest.raises(ConfigurationError, match="is not a locale"), use_locale("../de", CATALOGUES):
        pass
    with pytest.raises(ConfigurationError, match="is not a locale"):
        Catalogues({"german": {}})
    assert CURRENT.get() is None


def test_files(tmp_path: Path) -> None:
    """JSON and gettext catalogues are read from one folder."""
    (tmp_path / "de_AT.json").write_text('{"Tomato": "Paradeiser"}')
    write_mo(tmp_path / "fr" / "LC_MESSAGES" / "messages.mo", {"Tomato": "Tomate, frz."})
    catalogues = Catalogues.of(tmp_path)
    assert catalogues.locales == ("en", "de-AT", "fr")
    assert catalogues.find("fr-CA", "Tomato") == "Tomate, frz."
    assert catalogues.find("fr", "Potato") is None
    assert catalogues.find("fr", "") is None
    assert catalogues.find("de-at", "Tomato") == "Paradeiser"
    assert Catalogues.of(catalogues) is catalogues
    given = Catalogues.of({"fr": gettext.translation("messages", tmp_path, ["fr"])})
    assert given.find("fr", "Tomato") == "Tomate, frz."


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "{a}", "\xff"])
def test_a_file_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    """A broken catalogue is named."""
    (tmp_path / "de.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=re.escape(str(tmp_path / "de.json"))):
        Catalogues.load(tmp_path)


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    """An empty folder, a broken `.mo` file and two catalogues of one locale are refused."""
    with pytest.raises(ConfigurationError, match="no catalogue is in"):
        Catalogues.load(tmp_path)
    path = tmp_path / "de" / "LC_MESSAGES" / "shop.mo"
    write_mo(path, {})
    (tmp_path / "de.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="two catalogues of de"):
        Catalogues.load(tmp_path, domain="shop")
    (tmp_path / "de.json").unlink()
    for broken in (b"not a catalogue", b"\xde\x12\x04\x95"):
        path.write_bytes(broken)
        with pytest.raises(ConfigurationError, match=r"shop\.mo cannot be read"):
            Catalogues.load(tmp_path, domain="shop")


class Person(BaseModel):
    """What is validated."""

    name: str = Field(min_length=3)
    age: int = 0
    title: str = "ada"

    @field_validator("title")
    @classmethod
    def no_spaces(cls, value: str) -> str:
        """Refuse spaces, and an empty name without a word."""
        if not value.strip():
            raise ValueError
        if " " in value:
            msg = "no spaces"
            raise ValueError(msg)
        return value


def messages(**given: Any) -> list[str]:
    """Say what is wrong with a person."""
    with pytest.raises(ValidationError) as caught:
        Person(**given)
    return [validation_message(dict(one)) for one in caught.value.errors()]


def test_validation() -> None:
    """Pydantic's errors are translated by their type, those of own validators by their text."""
    assert messages(name="a", title="a b", age="x") == [
        "String should have at least 3 characters",
        "Input should be a valid integer, unable to parse string as an integer",
        "no spaces",
    ]
    with use_locale("de", CATALOGUES):
        assert messages(name="a", title="a b", age="x") == [
            "Mindestens 3 Zeichen",
            "Input should be a valid integer, unable to parse string as an integer",
            "keine Leerzeichen",
        ]
        assert messages(name="abc", title="") == ["Value error, "]


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        (None, {"vary": "Origin"}),
        ("Article not found", {"vary": "Origin, Accept-Language", "content-language": "de"}),
        ("Unknown", {"vary": "Origin, Accept-Language", "content-language": "en"}),
    ],
)
def test_headers(text: str | None, headers: dict[str, str]) -> None:
    """A response says its language where the locale was asked for, and nothing otherwise."""
    locale = RequestLocale(CATALOGUES, header="de")
    token = CURRENT.set(locale)
    if text:
        t(text)
    CURRENT.reset(token)
    found = MutableHeaders({"vary": "Origin"})
    locale.describe(found)
    assert dict(found) == headers


def test_the_handlers_language_stays() -> None:
    """A handler that names the language itself is believed; one that only asks for the locale uses the source's."""
    locale = RequestLocale(CATALOGUES, header="de")
    assert locale.locale == "de"
    found = MutableHeaders({"content-language": "fr"})
    locale.describe(found)
    assert dict(found) == {"content-language": "fr", "vary": "Accept-Language"}


def test_threads() -> None:
    """A handler that runs in a thread has the locale of its request, and its use is seen."""
    locale = RequestLocale(CATALOGUES, header="de")
    token = CURRENT.set(locale)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(copy_context().run, t, "Article not found").result() == "Artikel nicht gefunden"
    CURRENT.reset(token)
    found = MutableHeaders()
    locale.describe(found)
    assert found["content-language"] == "de"
