"""What the pages state as a fact, compared with the code: settings, defaults, limits, errors, extras."""

from __future__ import annotations

import importlib.metadata
import inspect
import re
import tomllib
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from pydantic import SecretStr

from rustforge import errors
from rustforge.cache import Cache
from rustforge.jobs import Entry, JobContext, Queue, Worker, heartbeat
from rustforge.jobs.retry import DEFAULT_BACKOFF
from rustforge.keys import MAX_KEY_BYTES
from rustforge.notify.mail import MailUrl, smtp
from rustforge.redis import url as url_module
from rustforge.redis.standalone import StandaloneClient
from rustforge.settings import Settings
from tests.site.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

DOCS = ROOT / "docs"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NUMBERS = {8: "eight", 9: "nine", 10: "ten", 11: "eleven", 12: "twelve"}


def read_page(path: str) -> str:
    """Read a page as one line of text, so that a break in it does not matter."""
    return " ".join((DOCS / path).read_text().split())


def read_table(path: str, head: str) -> list[list[str]]:
    """Read the rows of the table whose first line starts with these words."""
    lines = (DOCS / path).read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(head))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def find_packages() -> set[str]:
    """Follow the requirements of rustforge, and name everything that it brings."""
    found = {PROJECT["name"]}
    waiting: list[str] = list(PROJECT["dependencies"])
    while waiting:
        requirement = Requirement(waiting.pop())
        needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if needed and requirement.name not in found:
            found.add(requirement.name)
            waiting += importlib.metadata.requires(requirement.name) or []
    return found


def test_number_of_packages() -> None:
    """The installation page counts the packages right, itself included."""
    assert f"brings {NUMBERS[len(find_packages())]} packages, Rustforge included" in read_page("start/installation.md")


def test_extras() -> None:
    """The installation page lists every extra with what it brings."""
    rows = {row[0]: row[1] for row in read_table("start/installation.md", "| Extra |")}
    assert set(rows) == {f"`rustforge[{extra}]`" for extra in PROJECT["optional-dependencies"]}
    for extra, requirements in PROJECT["optional-dependencies"].items():
        for text in requirements if extra != "all" else ():
            assert Requirement(text).name in rows[f"`rustforge[{extra}]`"].lower()


def test_python_version() -> None:
    """The installation page names the Python that the package asks for."""
    assert f"| Python | {PROJECT['requires-python'].removeprefix('>=')} and newer |" in read_page(
        "start/installation.md"
    )


def test_settings() -> None:
    """The configuration page lists every setting, in order, with its default."""
    page = (DOCS / "start/configuration.md").read_text()
    listed = re.findall(r"^`([A-Z_]+)` = (?:`(.+)`|\*nothing\*)\n:   ", page, re.MULTILINE)
    defaults = {name.upper(): field.default for name, field in Settings.model_fields.items()}
    assert listed == [
        (name, str(default).lower() if isinstance(default, bool) else str(default))
        for name, default in defaults.items()
    ]


def test_settings_are_read_from_these_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each name of the table is the environment variable that is read."""
    monkeypatch.chdir(tmp_path)
    texts: dict[Any, str] = {bool: "1", int: "7", str: "redis://from-the-environment", SecretStr: "a secret"}
    values: dict[Any, Any] = {**texts, bool: True, int: 7, SecretStr: SecretStr("a secret")}
    for name, field in Settings.model_fields.items():
        monkeypatch.setenv(name.upper(), texts[field.annotation])
    for name, field in Settings.model_fields.items():
        assert getattr(Settings(), name) == values[field.annotation]


def test_url_options_and_schemes() -> None:
    """The configuration page lists every option and every scheme of a Redis URL, and the time-outs' defaults."""
    page = (DOCS / "start/configuration.md").read_text()
    heads = re.findall(r"^(`[a-z_]+`.*)\n:   ", page, re.MULTILINE)
    assert {name for head in heads for name in re.findall(r"`([a-z_]+)`", head)} - {"true"} == url_module._OPTIONS
    defaults = dict(re.findall(r"^`([a-z_]+)` = `(\w+)`\n:   ", page, re.MULTILINE))
    code = inspect.getsource(StandaloneClient)
    for name in ("timeout", "connect_timeout"):
        assert f'url.seconds("{name}", {float(defaults[name])})' in code
    forms = page.split("## Redis URLs")[1].split("A user and password")[0]
    assert set(re.findall(r"`([a-z+]+)://", forms)) == set(url_module._SCHEMES)


def test_limits() -> None:
    """The caching page states the longest key, and the default lease, as they are."""
    page = read_page("async/caching.md")
    assert f"1 to {MAX_KEY_BYTES:,} bytes" in page
    lease = inspect.signature(Cache.remember).parameters["lease"].default
    assert f"The lease is {lease} seconds unless you pass" in page
    assert f"(`{lease}` seconds" in page or f"({lease} seconds unless set)" in read_page("project/guarantees.md")


def test_mail_urls() -> None:
    """The page of notifications names the defaults of mail URLs and how long connections are kept."""
    page, url = read_page("async/notifications.md"), MailUrl.parse("smtp://mail")
    assert f"`timeout` = `{url.timeout:g}`" in page
    assert f"`connections` = `{url.connections}`" in page
    assert f"one that is not used for {smtp._IDLE_SECONDS:g} seconds says goodbye" in page
    assert (MailUrl.parse("smtps://mail").port, url.port) == (465, 587)
    assert "The port is 465 where it is left out." in page
    assert "The port is 587 where it is left out." in page


def test_errors() -> None:
    """The caching page says what to do about every error that a cache can raise."""
    named = set(re.findall(r"^\| \[`(\w+)`\]", (DOCS / "async/caching.md").read_text(), re.MULTILINE))
    elsewhere = {
        "BootError",  # of boot(), on the configuration page
        "ConfigurationError",
        "DatabaseError",  # of jobs, on their page
        "JobDecodeError",
        "JobEncodeError",
        "JobError",
        "RedisAuthenticationError",  # when connecting: a connection error
        "RedisClosedError",
        "RedisError",  # the kinds below it are what is raised
        "RedisReplyError",
        "RustforgeError",
    }
    others = ("Attachment", "Delivery", "Mail", "Notify", "Object", "Realtime", "Storage", "Webhook")
    elsewhere |= {name for name in errors.__all__ if name.startswith(others)}
    assert named | elsewhere == set(errors.__all__)
    assert named & elsewhere == set()


def test_errors_of_jobs() -> None:
    """The page of jobs says what to do about every error that only jobs raise."""
    named = set(re.findall(r"^\| \[`(\w+)`\]", (DOCS / "async/jobs.md").read_text(), re.MULTILINE))
    assert named >= {name for name in errors.__all__ if name.startswith("Job")} | {"DatabaseError"}


def test_errors_of_the_storage() -> None:
    """The page of the storage says what each of its errors means."""
    named = set(re.findall(r"^\| \[`(\w+)`\]", (DOCS / "features/storage.md").read_text(), re.MULTILINE))
    assert named == {name for name in errors.__all__ if name.startswith(("Object", "Storage"))}


def test_numbers_of_jobs() -> None:
    """The pages of jobs state defaults and limits as they are in the code."""
    page, operations, delivery = (read_page(f"async/{name}.md") for name in ("jobs", "operations", "delivery"))
    worker = inspect.signature(Worker).parameters
    beats = re.search(r"^_BEATS = (\d+)", inspect.getsource(heartbeat), re.MULTILINE)
    assert beats
    assert beats[1] == "3"
    assert "at most a third of the" in page
    assert f"({worker['lease'].default / 3:.1f} seconds unless set)" in page
    assert f"(`max_recoveries`, {worker['max_recoveries'].default} unless set)" in page
    assert f"`shutdown_timeout` ({worker['shutdown_timeout'].default} seconds unless set)" in operations
    assert worker["lease"].default == 10
    assert "for ten seconds unless set otherwise" in delivery
    assert inspect.signature(Queue).parameters["max_payload_bytes"].default == 1 << 20
    assert "| Payload | 1 MiB" in page
    *most, last = DEFAULT_BACKOFF
    assert f"{len(DEFAULT_BACKOFF)} retries, after {', '.join(map(str, most))} and {last} seconds" in page
    grace = inspect.signature(Entry.catch_up).parameters["grace"].default
    assert f"`grace`, {grace} seconds unless set" in read_page("async/scheduler.md")


def test_the_context_is_described() -> None:
    """The table of the context names everything that a handler gets."""
    rows = read_table("async/jobs.md", "| Of the context |")
    named = {name for row in rows for name in re.findall(r"`ctx\.(\w+)", row[0])}
    assert named == {name for name in dir(JobContext) if not name.startswith("_")}


def test_methods_while_redis_is_away() -> None:
    """The table of what still raises names every method of the cache once."""
    rows = read_table("async/caching.md", '| With `"compute"`')
    named = [name for row in rows for name in re.findall(r"`@?(\w+)`", row[1])]
    methods = [
        name
        for name, value in vars(Cache).items()
        if inspect.iscoroutinefunction(value) and not name.startswith("_") and name != "aclose"
    ]
    assert sorted(named) == sorted([*methods, "lock", "cached"])


def test_every_old_name_has_a_new_one() -> None:
    """The page for users of the Rust edition maps every method that its cache had."""
    old = ["get", "set", "del", "forget", "has", "set_ex", "ttl", "get_json", "set_json", "set_json_ex"]
    old += ["remember", "remember_forever", "increment", "decrement", "many", "put_many", "flush_prefix"]
    rows = {row[0]: row[1] for row in read_table("start/from-rust.md", "| Rust |")}
    for name in old:
        new = [cell for key, cell in rows.items() if re.match(rf"`{name}[`:]", key)]
        assert len(new) == 1, name
        method = re.search(r"rustforge\.cache\.Cache\.(\w+)\]", new[0])
        assert method
        assert hasattr(Cache, method[1])


def test_pages_describe_themselves() -> None:
    """Every guide and reference page has a title and a description of its own for search engines."""
    pages = [page for folder in ("start", "async", "reference") for page in (DOCS / folder).glob("*.md")]
    assert len(pages) > 10
    for page in [DOCS / "index.md", *pages]:
        head = page.read_text().split("\n---\n")[0]
        assert head.startswith("---\ntitle: "), page
        assert "\ndescription: " in head, page
