"""Which addresses webhooks may go to: URLs as people write them, and IP addresses as names resolve to them."""

from __future__ import annotations

import functools
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from rustforge.errors import WebhookAddressError

__all__ = ["Address", "read_url", "refuse_ip"]

_LONGEST = 2048
_PORTS = {"https": 443, "http": 80}
_PATH = "/%!$&'()*+,;=:@~"
_QUERY = _PATH + "?"
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_LOCAL = ("localhost", "local", "internal", "localdomain", "lan", "home.arpa")

_PRIVATE_V4 = {
    IPv4Network("0.0.0.0/8"): "this machine",
    IPv4Network("10.0.0.0/8"): "a private network",
    IPv4Network("100.64.0.0/10"): "a provider's private network",
    IPv4Network("127.0.0.0/8"): "this machine",
    IPv4Network("168.63.129.16/32"): "the platform of a cloud",
    IPv4Network("169.254.0.0/16"): "the local link, where clouds keep credentials",
    IPv4Network("172.16.0.0/12"): "a private network",
    IPv4Network("192.0.0.0/24"): "protocols",
    IPv4Network("192.0.2.0/24"): "documentation",
    IPv4Network("192.88.99.0/24"): "relays from IPv6",
    IPv4Network("192.168.0.0/16"): "a private network",
    IPv4Network("198.18.0.0/15"): "measurements",
    IPv4Network("198.51.100.0/24"): "documentation",
    IPv4Network("203.0.113.0/24"): "documentation",
    IPv4Network("224.0.0.0/4"): "groups of machines",
    IPv4Network("240.0.0.0/4"): "nobody",
}
# Everything public is in here. What stands for an IPv4 address in some other way (mapped, NAT64), is for one machine,
# link, site or group, or for nobody yet, is not.
_PUBLIC_V6 = IPv6Network("2000::/3")
_PRIVATE_V6 = {
    IPv6Network("2001::/23"): "protocols, Teredo among them",
    IPv6Network("2001:db8::/32"): "documentation",
    IPv6Network("2002::/16"): "IPv4 addresses (6to4)",
    IPv6Network("3fff::/20"): "documentation",
}


class Address(NamedTuple):
    """Where a webhook goes, taken apart once, so that what is checked is what is connected to.

    Attributes:
        scheme: `"https"` or `"http"`.
        host: The host's name in ASCII, or its IP address without brackets.
        port: The port.
        authority: What the header `Host` says.
        target: Path and query, as the request has them.
        ip: The IP address where the host is one.
    """

    scheme: str
    host: str
    port: int
    authority: str
    target: bytes
    ip: IPv4Address | IPv6Address | None

    def __str__(self) -> str:
        """Show it without path and query, which may hold keys."""
        return f"{self.scheme}://{self.authority}"


def refuse_ip(ip: IPv4Address | IPv6Address) -> str | None:
    """Say what an address is for where it is not one that everybody on the internet may use; else `None`."""
    if isinstance(ip, IPv4Address):
        return next((use for network, use in _PRIVATE_V4.items() if ip in network), None)
    if ip not in _PUBLIC_V6:
        return "no public network"
    return next((use for network, use in _PRIVATE_V6.items() if ip in network), None)


@functools.lru_cache(maxsize=4096)
def read_url(url: str, *, allow_private: bool = False) -> Address:
    """Take the URL of a webhook apart, and check what can be seen without asking the DNS.

    Args:
        url: The URL.
        allow_private: Whether plain HTTP, private addresses and local names are taken, too.

    Raises:
        WebhookAddressError: It cannot be used. The message shows nothing of the URL but its scheme or host.
    """
    if len(url) > _LONGEST:
        raise _refused(why=f"a webhook URL must have at most {_LONGEST:,} characters")
    if any(character <= " " or character in "\\\x7f" for character in url):
        raise _refused(why="a webhook URL must not have blanks, control characters or backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise _refused(why="the webhook URL cannot be taken apart") from None
    if parts.scheme not in _PORTS or (parts.scheme == "http" and not allow_private):
        raise _refused(why=f"a webhook URL must begin with https://, not {parts.scheme[:20]}:")
    if "@" in parts.netloc:
        raise _refused(why="a webhook URL must not have a user name or password")
    if "#" in url:
        raise _refused(why="a webhook URL must not have a fragment (#)")
    if port == 0 or parts.netloc.endswith(":"):
        raise _refused(why="the webhook URL has no usable port")
    ip = _read_ip(host, bracketed="[" in parts.netloc)
    name = str(ip) if ip else _read_name(host)
    if not allow_private:
        _refuse_private(name, ip)
    shown = f"[{name}]" if isinstance(ip, IPv6Address) else name
    standard = _PORTS[parts.scheme]
    target = quote(parts.path or "/", safe=_PATH) + (f"?{quote(parts.query, safe=_QUERY)}" if parts.query else "")
    return Address(
        parts.scheme,
        name,
        port or standard,
        shown if port in {None, standard} else f"{shown}:{port}",
        target.encode(),
        ip,
    )


def _read_ip(host: str, *, bracketed: bool) -> IPv4Address | IPv6Address | None:
    """Read a host that is an IP address."""
    if bracketed:
        try:
            ip = IPv6Address(host)
        except ValueError:
            ip = None
        if ip is None or ip.scope_id is not None:
            raise _refused(why=f"the host of the webhook URL is no IPv6 address: {host[:80]!r}")
        return ip
    try:
        return ip_address(host)
    except ValueError:
        return None


def _read_name(host: str) -> str:
    """Write a host name in ASCII; it must look like one, and not like an IP address in some other spelling."""
    name = host.removesuffix(".")
    if not name.isascii():
        import idna  # noqa: PLC0415 - its tables are large, and few need them

        try:
            name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError:
            raise _refused(why=f"the webhook URL has no usable host name: {host[:80]!r}") from None
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004 - DNS
        raise _refused(why=f"the webhook URL has no usable host name: {host[:80]!r}")
    if _NUMBER.fullmatch(labels[-1]):
        raise _refused(why=f"an IP address must be written as four decimal numbers, not {host[:80]!r}")
    return name


def _refuse_private(name: str, ip: IPv4Address | IPv6Address | None) -> None:
    if ip is not None:
        use = refuse_ip(ip)
        if use is not None:
            raise _refused(why=f"webhooks must not go to {name}, an address of {use}")
    elif "." not in name or name.endswith(tuple(f".{local}" for local in _LOCAL)):
        raise _refused(why=f"webhooks must not go to {name}, a name of this machine or its network")


def _refused(*, why: str) -> WebhookAddressError:
    return WebhookAddressError(why)
