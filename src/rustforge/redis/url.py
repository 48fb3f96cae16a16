"""Read a Redis URL: `memory://`, `redis://`, `rediss://`, `unix://`, Sentinel and Cluster."""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from rustforge.errors import ConfigurationError

__all__ = ["Address", "RedisUrl"]

Address: TypeAlias = tuple[str, int] | str
"""`(host, port)`, or the path of a Unix socket."""

Topology: TypeAlias = Literal["memory", "standalone", "sentinel", "cluster"]

_SCHEMES: dict[str, tuple[Topology, bool]] = {
    "memory": ("memory", False),
    "redis": ("standalone", False),
    "rediss": ("standalone", True),
    "unix": ("standalone", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
_FORMS = (
    "memory://, redis://[user:password@]host:6379/0, rediss://... for TLS, unix:///path/redis.sock?db=0, "
    "redis+sentinel://host:26379,host:26379/service/0 or redis+cluster://host:7000,host:7001"
)
_OPTIONS = frozenset(
    {
        "db",
        "timeout",
        "connect_timeout",
        "sentinel_username",
        "sentinel_password",
        "ssl_ca_certs",
        "ssl_certfile",
        "ssl_keyfile",
        "ssl_check_hostname",
    }
)
_FILES = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_DEFAULT_PORT = 6379
_DEFAULT_SENTINEL_PORT = 26379
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A Redis URL, taken apart. Neither `repr()` nor `str()` shows a password.

    Attributes:
        topology: `"memory"`, `"standalone"`, `"sentinel"` or `"cluster"`.
        addresses: Where to connect; for Sentinel the Sentinels, for Cluster the seed nodes.
        database: The database number; always 0 for Cluster.
        username: The ACL user, or `None` for the default user.
        password: The password, or `None`.
        tls: Whether connections are encrypted.
        name: The service name for Sentinel, the store's name for `memory://name`.
        options: The query part, checked: time-outs, Sentinel credentials and TLS files.
    """

    topology: Topology
    addresses: tuple[Address, ...]
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    name: str = ""
    options: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, url: str) -> RedisUrl:
        """Take a URL apart.

        Args:
            url: One of the forms `memory://`, `memory://name`, `redis://[user:password@]host:6379/0`, `rediss://...`
                (TLS), `unix:///path/redis.sock?db=0`, `redis+sentinel://host:26379,host:26379/service/0`,
                `redis+cluster://host:7000,host:7001`. Options in the query: `timeout` and `connect_timeout` in
                seconds, `sentinel_username`, `sentinel_password`, `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`,
                `ssl_check_hostname` (`true` or `false`).

        Raises:
            ConfigurationError: The URL has none of these forms. The message never shows the password.
        """
        scheme, separator, _ = url.partition("://")
        if not separator or scheme.lower() not in _SCHEMES:
            what = f"the unknown scheme {scheme!r}" if separator and scheme.isalnum() else "no scheme that is known"
            msg = f"Redis URL has {what}; write {_FORMS}"
            raise ConfigurationError(msg)
        parts = _split(url)
        topology, tls = _SCHEMES[parts.scheme]
        options = _options(parts.query, tls=tls)
        credentials, _, hosts = parts.netloc.rpartition("@")
        username, _, password = credentials.partition(":")
        segments = [unquote(segment) for segment in parts.path.split("/") if segment]
        addresses: tuple[Address, ...] = ()
        name = ""
        if topology == "memory":
            name = hosts
            if segments or options:
                msg = "memory:// takes only a name, as in memory://tests"
                raise ConfigurationError(msg)
        elif parts.scheme == "unix":
            addresses = (unquote(parts.path),)
            if not segments or hosts:
                msg = "unix:// needs the socket's path, with three slashes, as in unix:///run/redis.sock"
                raise ConfigurationError(msg)
            segments = []
        else:
            addresses = _addresses(hosts, topology)
            if topology == "sentinel":
                if not segments:
                    msg = "a Sentinel URL needs the service name: redis+sentinel://host:26379/mymaster/0"
                    raise ConfigurationError(msg)
                name = segments.pop(0)
        return cls(
            topology=topology,
            addresses=addresses,
            database=_database(segments or [options.get("db", "0")], topology),
            username=unquote(username) or None,
            password=unquote(password) or None,
            tls=tls,
            name=name,
            options=options,
        )

    def seconds(self, option: str, default: float) -> float:
        """Return a time-out of the query part in seconds, or `default` where the URL does not set it."""
        return float(self.options[option]) if option in self.options else default

    def ssl_context(self) -> ssl.SSLContext | None:
        """Build the TLS settings, or `None` for a plain connection.

        Raises:
            ConfigurationError: A certificate file cannot be read.
        """
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.options.get("ssl_ca_certs"))
            if self.options.get("ssl_check_hostname") == "false":
                context.check_hostname = False
            if "ssl_certfile" in self.options:
                context.load_cert_chain(self.options["ssl_certfile"], self.options.get("ssl_keyfile"))
        except OSError as error:
            files = ", ".join(f"{name}={self.options[name]}" for name in sorted(_FILES & set(self.options)))
            msg = f"a TLS file of the Redis URL cannot be read ({files}): {error.strerror or error}"
            raise ConfigurationError(msg) from error
        return context

    def __str__(self) -> str:
        """Return the address without credentials, for messages and logs."""
        scheme = next(scheme for scheme, kind in _SCHEMES.items() if kind == (self.topology, self.tls))
        if self.topology == "memory":
            return f"memory://{self.name}"
        places = ",".join(show_address(address) for address in self.addresses)
        if len(self.addresses) == 1 and isinstance(self.addresses[0], str):
            return f"{places}?db={self.database}"
        return f"{scheme}://{places}" + (f"/{self.name}" if self.name else "") + f"/{self.database}"


def show_address(address: Address) -> str:
    """Write an address the way that a URL does."""
    if isinstance(address, str):
        return f"unix://{address}"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _options(query: str, *, tls: bool) -> dict[str, str]:
    """Read and check the query part."""
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        msg = f"Redis URL has the unknown option {unknown[0]!r}; known: {', '.join(sorted(_OPTIONS))}"
        raise ConfigurationError(msg)
    if not tls and any(name.startswith("ssl_") for name in options):
        msg = "Redis URL has ssl_ options but no TLS; write rediss:// (rediss+sentinel://, rediss+cluster://)"
        raise ConfigurationError(msg)
    if options.get("ssl_check_hostname", "true") not in {"true", "false"}:
        msg = f"Redis URL option ssl_check_hostname={options['ssl_check_hostname']!r} must be true or false"
        raise ConfigurationError(msg)
    for name in ("timeout", "connect_timeout"):
        _positive_seconds(name, options.get(name))
    return options


def _addresses(hosts: str, topology: Topology) -> tuple[Address, ...]:
    """Read the hosts, one or several."""
    port = _DEFAULT_SENTINEL_PORT if topology == "sentinel" else _DEFAULT_PORT
    addresses = tuple(_address(host, port) for host in (hosts or "127.0.0.1").split(","))
    if topology == "standalone" and len(addresses) > 1:
        msg = "redis:// takes one host; for several write redis+cluster:// or redis+sentinel://"
        raise ConfigurationError(msg)
    return addresses


def _database(segments: list[str], topology: Topology) -> int:
    """Read the database number, the last part of the path."""
    database, *rest = segments
    if rest:
        msg = f"Redis URL has too many path parts; write {_FORMS}"
        raise ConfigurationError(msg)
    if not (database.isascii() and database.isdigit()):
        msg = f"Redis database {database!r} is not a number, as in redis://127.0.0.1:6379/0"
        raise ConfigurationError(msg)
    if topology == "cluster" and int(database):
        msg = "Redis Cluster has only database 0; take the number out of the URL"
        raise ConfigurationError(msg)
    return int(database)


def _split(url: str) -> SplitResult:
    """Split a URL, and refuse one whose password would end up in another part of it and so in a message."""
    parts = None
    with contextlib.suppress(ValueError):  # its text may hold the password, so it is not chained
        parts = urlsplit(url)
    if parts is None or parts.fragment or "@" in parts.query or ("@" in parts.path and parts.scheme != "unix"):
        msg = (
            "Redis URL cannot be taken apart; write special characters of a user or password as %XX "
            f"(@ is %40, / is %2F, # is %23, ? is %3F, [ is %5B), and the whole as {_FORMS}"
        )
        raise ConfigurationError(msg)
    return parts


def _address(text: str, default_port: int) -> Address:
    """Read `host`, `host:port` or `[ipv6]:port`."""
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = text, str(default_port)
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        msg = f"Redis address {text!r} has several colons; write an IPv6 address in brackets, as in [::1]:6379"
        raise ConfigurationError(msg)
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= _MAX_PORT):
        msg = f"Redis address {text!r} has no valid port; write host:port"
        raise ConfigurationError(msg)
    return unquote(host.strip("[]")) or "127.0.0.1", int(port)


def _positive_seconds(name: str, text: str | None) -> None:
    """Refuse a time-out that is not a positive number."""
    if text is None:
        return
    try:
        good = 0 < float(text) < float("inf")
    except ValueError:
        good = False
    if not good:
        msg = f"Redis URL option {name}={text!r} must be a positive number of seconds"
        raise ConfigurationError(msg)
