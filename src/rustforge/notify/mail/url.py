"""Read a mail URL: `log:`, `memory:`, `smtp://` and `smtps://`."""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from rustforge.errors import ConfigurationError

__all__ = ["MailUrl"]

Kind: TypeAlias = Literal["log", "memory", "smtp"]
Encryption: TypeAlias = Literal["tls", "required", "auto", "never"]

_FORMS = "log:, memory:, smtp://user:password@host:587 or smtps://user:password@host:465"
_OPTIONS = frozenset({"connections", "ssl_ca_certs", "starttls", "timeout"})
_STARTTLS: dict[str, Encryption] = {"required": "required", "auto": "auto", "never": "never"}
_MOST_CONNECTIONS = 100


@dataclass(frozen=True, slots=True)
class MailUrl:
    """A mail URL, taken apart. Neither `repr()` nor `str()` shows a password.

    Attributes:
        kind: `"log"`, `"memory"` or `"smtp"`.
        host: The server.
        port: Its port.
        username: Who logs in; `None` where nobody does.
        password: The password.
        encryption: `"tls"` from the first byte on, or by STARTTLS: `"required"`, `"auto"` (where the server has it) or
            `"never"`.
        timeout: Seconds that the server may take for an answer.
        connections: How many connections there are at most.
        ssl_ca_certs: A file with the certificates to trust, in place of the system's.
    """

    kind: Kind
    host: str = ""
    port: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    encryption: Encryption = "required"
    timeout: float = 30.0
    connections: int = 4
    ssl_ca_certs: str | None = None

    @classmethod
    def parse(cls, url: str) -> MailUrl:
        """Take a URL apart.

        Args:
            url: One of the forms `log:`, `memory:`, `smtp://[user:password@]host[:587]` and
                `smtps://[user:password@]host[:465]`. Options in the query: `starttls` (`required`, `auto` or `never`;
                without it `required` where there is a password, else `auto`), `timeout` in seconds (30), `connections`
                (4) and `ssl_ca_certs`.

        Raises:
            ConfigurationError: The URL has none of these forms. The message never shows credentials.
        """
        scheme, separator, rest = url.partition(":")
        scheme = scheme.lower()
        if separator and scheme in {"log", "memory"} and rest in {"", "//"}:
            return cls("log" if scheme == "log" else "memory")
        if scheme not in {"smtp", "smtps"} or not rest.startswith("//"):
            what = f"the unknown scheme {scheme!r}" if separator and scheme.isalnum() else "no scheme that is known"
            msg = f"mail URL has {what}; write {_FORMS}"
            raise ConfigurationError(msg)
        parts = _split(url)
        options = _options(parts.query)
        credentials, _, _ = parts.netloc.rpartition("@")
        username, _, password = (unquote(one) for one in credentials.partition(":"))
        if bool(username) != bool(password):
            msg = "mail URL needs both a user and a password, or none: smtp://user:password@host:587"
            raise ConfigurationError(msg)
        return cls(
            kind="smtp",
            host=parts.hostname or "",
            port=parts.port or (465 if scheme == "smtps" else 587),
            username=username or None,
            password=password or None,
            encryption=_encryption(scheme, options.get("starttls"), has_password=bool(password)),
            timeout=_number(options, "timeout", 30.0, 3600.0),
            connections=int(_number(options, "connections", 4, _MOST_CONNECTIONS)),
            ssl_ca_certs=options.get("ssl_ca_certs"),
        )

    def ssl_context(self) -> ssl.SSLContext | None:
        """Build the TLS settings, or `None` for a plain connection.

        Raises:
            ConfigurationError: The file of certificates cannot be read.
        """
        if self.encryption == "never":
            return None
        try:
            return ssl.create_default_context(cafile=self.ssl_ca_certs)
        except OSError as error:
            msg = f"ssl_ca_certs={self.ssl_ca_certs} of the mail URL cannot be read: {error.strerror or error}"
            raise ConfigurationError(msg) from error

    def __str__(self) -> str:
        """Return the address without credentials, for messages and logs."""
        if self.kind != "smtp":
            return f"{self.kind}:"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'smtps' if self.encryption == 'tls' else 'smtp'}://{host}:{self.port}"


def _split(url: str) -> SplitResult:
    """Split a URL, and refuse one whose password would end up in another part of it and so in a message."""
    with contextlib.suppress(ValueError):  # its text may hold the password, so it is not chained
        parts = urlsplit(url)
        odd = parts.fragment or "@" in parts.query or parts.path.strip("/") or "@" in parts.netloc.rpartition("@")[0]
        if not odd and parts.hostname and parts.port != 0:
            return parts
    msg = (
        "mail URL cannot be taken apart; write special characters of a user or password as %XX "
        f"(@ is %40, / is %2F, # is %23, ? is %3F, [ is %5B), and the whole as {_FORMS}"
    )
    raise ConfigurationError(msg)


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        msg = f"mail URL has the unknown option {unknown[0]!r}; known: {', '.join(sorted(_OPTIONS))}"
        raise ConfigurationError(msg)
    return options


def _encryption(scheme: str, starttls: str | None, *, has_password: bool) -> Encryption:
    if scheme == "smtps":
        if starttls is not None:
            msg = "smtps:// is encrypted from the first byte on; starttls= is for smtp://"
            raise ConfigurationError(msg)
        return "tls"
    if starttls is None:
        return "required" if has_password else "auto"
    if starttls not in _STARTTLS:
        msg = f"mail URL option starttls={starttls!r} must be required, auto or never"
        raise ConfigurationError(msg)
    if starttls == "auto" and has_password:
        msg = "with a password, starttls= must be required, or never where the password may be read on the way"
        raise ConfigurationError(msg)
    return _STARTTLS[starttls]


def _number(options: dict[str, str], name: str, default: float, most: float) -> float:
    text = options.get(name)
    if text is None:
        return default
    try:
        found = float(text)
    except ValueError:
        found = 0
    if not 0 < found <= most or (type(default) is int and not found.is_integer()):
        kind = "a whole number" if type(default) is int else "a number of seconds"
        msg = f"mail URL option {name}={text!r} must be {kind} above 0, and at most {most:g}"
        raise ConfigurationError(msg)
    return found
