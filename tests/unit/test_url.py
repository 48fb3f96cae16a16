"""Redis URLs: every form, every mistake with the right words, and no password in any of them."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustforge.errors import ConfigurationError
from rustforge.redis import RedisUrl

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("text", "topology", "addresses", "database", "shown"),
    [
        ("redis://", "standalone", (("127.0.0.1", 6379),), 0, "redis://127.0.0.1:6379/0"),
        ("redis://cache", "standalone", (("cache", 6379),), 0, "redis://cache:6379/0"),
        ("redis://cache:7000/3", "standalone", (("cache", 7000),), 3, "redis://cache:7000/3"),
        ("REDIS://cache?db=2", "standalone", (("cache", 6379),), 2, "redis://cache:6379/2"),
        ("redis://[::1]:7000", "standalone", (("::1", 7000),), 0, "redis://[::1]:7000/0"),
        ("redis://[::1]", "standalone", (("::1", 6379),), 0, "redis://[::1]:6379/0"),
        ("rediss://cache", "standalone", (("cache", 6379),), 0, "rediss://cache:6379/0"),
        ("unix:///run/redis.sock?db=4", "standalone", ("/run/redis.sock",), 4, "unix:///run/redis.sock?db=4"),
        ("unix:///run/a%20b@c.sock", "standalone", ("/run/a b@c.sock",), 0, "unix:///run/a b@c.sock?db=0"),
        (
            "redis+sentinel://a,b:7000/main/1",
            "sentinel",
            (("a", 26379), ("b", 7000)),
            1,
            "redis+sentinel://a:26379,b:7000/main/1",
        ),
        ("redis+cluster://a:1,b:2", "cluster", (("a", 1), ("b", 2)), 0, "redis+cluster://a:1,b:2/0"),
        ("memory://", "memory", (), 0, "memory://"),
        ("memory://tests", "memory", (), 0, "memory://tests"),
    ],
)
def test_forms(
    text: str, topology: str, addresses: tuple[tuple[str, int] | str, ...], database: int, shown: str
) -> None:
    """Each documented form is taken apart, and shown again without what it does not need."""
    url = RedisUrl.parse(text)
    assert (url.topology, url.addresses, url.database, str(url)) == (topology, addresses, database, shown)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+sentinel", "redis+cluster"])
def test_credentials_are_taken_and_never_shown(scheme: str) -> None:
    """User and password are read, percent-encoding included, and neither form of printing shows the password."""
    path = "/main" if "sentinel" in scheme else ""
    url = RedisUrl.parse(f"{scheme}://ap%40p:{SECRET}%2F%23%3F@host:6379{path}")
    assert (url.username, url.password) == ("ap@p", f"{SECRET}/#?")
    assert SECRET not in f"{url!r}{url}"


def test_sentinel_credentials_are_not_shown() -> None:
    """The Sentinels' own password is an option, and as secret as the other."""
    url = RedisUrl.parse(f"redis+sentinel://a/main?sentinel_username=s&sentinel_password={SECRET}")
    assert url.options["sentinel_password"] == SECRET
    assert SECRET not in f"{url!r}{url}"


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_any_credentials_survive_quoting(username: str, password: str) -> None:
    """Whatever is in a user name or password, written as %XX it arrives unchanged."""
    url = RedisUrl.parse(f"redis://{quote(username, safe='')}:{quote(password, safe='')}@host")
    assert (url.username, url.password, url.addresses) == (username, password, (("host", 6379),))


@given(st.text(alphabet="aZ0:/?#[]@%&=+ ,.-_~é\u2100", min_size=1, max_size=12), st.sampled_from(["host", "host:1/2"]))
def test_a_password_that_is_not_quoted_is_in_no_message(mess: str, host: str) -> None:
    """A password with special characters is either understood or refused, and never repeated in the error."""
    password = f"{SECRET}{mess}{SECRET}"
    for scheme in ("redis", "redis+cluster", "redis+sentinel", "", "my"):
        shown = ""
        try:
            url = RedisUrl.parse(f"{scheme}://user:{password}@{host}" if scheme else f"user:{password}@{host}")
        except ConfigurationError as error:
            shown = f"{error!r}{error.__cause__!r}{error.__context__!r}"
        else:
            shown = f"{url}{url!r}"
            assert url.addresses == (("host", 1 if ":" in host else 6379),)
        assert SECRET not in shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no scheme"),
        ("localhost:6379", "no scheme"),
        ("http://host", "unknown scheme 'http'"),
        ("redis:/host", "no scheme"),
        ("redis://host:port", "no valid port"),
        ("redis://host:0", "no valid port"),
        ("redis://host:65536", "no valid port"),
        ("redis://::1", "in brackets"),
        ("redis://::1:6379", "in brackets"),
        ("redis://[::1", "cannot be taken apart"),
        ("redis://host/x", "'x' is not a number"),
        ("redis://host/-1", "is not a number"),
        ("redis://host/0/1", "too many path parts"),
        ("redis://a,b", "redis\\+cluster:// or redis\\+sentinel://"),
        ("redis://host#2", "cannot be taken apart"),
        ("redis://host?dbase=2", "unknown option 'dbase'"),
        ("redis://host?timeout=soon", "timeout='soon' must be a positive number"),
        ("redis://host?timeout=0", "positive number"),
        ("redis://host?connect_timeout=nan", "positive number"),
        ("redis://host?timeout=inf", "positive number"),
        ("redis://host?ssl_ca_certs=/ca.pem", "write rediss://"),
        ("rediss://host?ssl_check_hostname=maybe", "must be true or false"),
        ("redis+sentinel://host", "needs the service name"),
        ("redis+cluster://host/2", "only database 0"),
        ("unix://", "needs the socket's path"),
        ("unix://run/redis.sock", "three slashes"),
        ("memory://name/0", "takes only a name"),
        ("memory://?db=1", "takes only a name"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    """Each mistake is refused with words that name it."""
    with pytest.raises(ConfigurationError, match=message):
        RedisUrl.parse(text)


def test_seconds() -> None:
    """Time-outs come from the query, else from the default."""
    url = RedisUrl.parse("redis://host?timeout=0.5")
    assert (url.seconds("timeout", 5.0), url.seconds("connect_timeout", 3.0)) == (0.5, 3.0)


def test_tls_settings() -> None:
    """TLS verifies the server's certificate and name, unless the name check is switched off."""
    context = RedisUrl.parse("rediss://host").ssl_context()
    assert context is not None
    assert context.check_hostname
    relaxed = RedisUrl.parse("rediss://host?ssl_check_hostname=false").ssl_context()
    assert relaxed is not None
    assert not relaxed.check_hostname
    assert relaxed.verify_mode == context.verify_mode
    assert RedisUrl.parse("redis://host").ssl_context() is None
