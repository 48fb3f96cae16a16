"""Nothing leaves a test: requests get the responses that it declares, and all others are refused."""

from __future__ import annotations

import contextlib
import json as json_module
import re
import socket
import sys
from dataclasses import dataclass, field
from importlib import import_module
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import urlsplit

from rustforge.errors import RustforgeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Generator, Iterator, Mapping
    from types import ModuleType
    from typing import TypeAlias

    Responder: TypeAlias = Callable[["SentRequest"], "HttpResponse | Exception"]

__all__ = ["HttpResponse", "OutboundHttp", "SentRequest", "StrayRequestError", "hosts_of"]

_PORTS = {"http": 80, "https": 443}
_SHOWN = 20


class StrayRequestError(RustforgeError, AssertionError):
    """A test tried to reach something outside that it has not declared."""


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request that was sent.

    Attributes:
        method: The method, in capitals.
        url: The URL, with its query.
        headers: The headers, with names in small letters.
        body: The body.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Read the body as JSON."""
        return json_module.loads(self.body)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response to a request.

    Attributes:
        status: The status.
        headers: The headers.
        body: The body.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


@dataclass(eq=False)
class _Declared:
    """What a test has said of a request."""

    method: str
    url: re.Pattern[str]
    answer: Responder | HttpResponse | Exception
    left: int | None

    def fits(self, request: SentRequest) -> bool:
        return (
            self.left != 0
            and self.method in {"*", request.method}
            and any(self.url.fullmatch(url) for url in (request.url, request.url.partition("?")[0]))
        )


class OutboundHttp:
    """Answers the requests of an application, and keeps them.

    It stands in for httpx2, for httpx, for whatever else builds on their cores, and for
    [`WebhookChannel`][rustforge.notify.WebhookChannel]. Other libraries, SMTP among them, get as far as this machine:
    what they want to connect to beyond it is refused as well.

    Attributes:
        requests: What was sent, in order.

    Example:
        ```python
        http = OutboundHttp()  # in tests it is the fixture rustforge_http
        http.respond("POST", "https://pay.example.com/charges", status=201, json={"id": "ch_1"})
        with http.block():
            httpx2.post("https://pay.example.com/charges")
        http.assert_sent("POST", "https://pay.example.com/charges", times=1)
        ```
    """

    def __init__(self) -> None:
        """Begin with nothing declared; `block` makes it count."""
        self.requests: list[SentRequest] = []
        self._declared: list[_Declared] = []
        self._hosts: set[str] = set()
        self._strays: list[str] = []

    # -- declaring -----------------------------------------------------------------------------------------------

    def respond(
        self,
        method: str,
        url: str | re.Pattern[str],
        *,
        status: int = 200,
        json: Any = None,
        body: str | bytes = b"",
        headers: Mapping[str, str] | None = None,
        error: Exception | None = None,
        using: Responder | None = None,
        times: int | None = None,
    ) -> None:
        """Declare a request and its response.

        Of several that fit, the first counts that has responses left.

        Args:
            method: The method; `"*"` for any.
            url: The URL, in which `*` stands for anything. One without a query fits any query. Or a compiled
                expression, which has to fit as a whole.
            status: The status of the response.
            json: Its body, as JSON.
            body: Its body, where `json` is `None`.
            headers: Its headers.
            error: What is raised in place of a response, such as `httpx2.ConnectError("no route")`; for webhooks an
                `OSError`.
            using: A function that gets the [`SentRequest`][rustforge.testing.SentRequest] and returns an
                [`HttpResponse`][rustforge.testing.HttpResponse] or the exception to raise, in place of the others.
            times: How often; `None` for as often as it is asked for.
        """
        content = body.encode() if isinstance(body, str) else body
        named = {name.lower(): value for name, value in (headers or {}).items()}
        if json is not None:
            content = json_module.dumps(json).encode()
            named.setdefault("content-type", "application/json")
        answer = HttpResponse(status, named, content) if error is None else error
        self._declared.append(_Declared(method.upper(), _pattern(url), using or answer, times))

    def allow(self, *hosts: str) -> None:
        """Let requests to a server go out, such as one that the test has started.

        Args:
            hosts: Hosts, such as `"127.0.0.1"`, each with or without a port.
        """
        self._hosts.update(host.lower().removeprefix("[").replace("]:", ":") for host in hosts)

    # -- looking -------------------------------------------------------------------------------------------------

    def sent(
        self,
        method: str = "*",
        url: str | re.Pattern[str] = "*",
        where: Callable[[SentRequest], bool] | None = None,
    ) -> list[SentRequest]:
        """Return the requests that were sent, in order.

        Args:
            method: Only those with this method; `"*"` for any.
            url: Only those to this URL, as in `respond`.
            where: Only those for which this holds.
        """
        asked = _Declared(method.upper(), _pattern(url), HttpResponse(), None)
        return [one for one in self.requests if asked.fits(one) and (where is None or where(one))]

    def assert_sent(
        self,
        method: str = "*",
        url: str | re.Pattern[str] = "*",
        *,
        times: int | None = None,
        where: Callable[[SentRequest], bool] | None = None,
    ) -> None:
        """Fail unless such requests were sent; the arguments are those of `sent`.

        Args:
            method: The method.
            url: The URL.
            times: How many; `None` for at least one.
            where: What holds for them.

        Raises:
            AssertionError: There were none, or another number. The message lists what was sent.
        """
        found = len(self.sent(method, url, where))
        if found == times or (times is None and found):
            return
        wanted = "at least one" if times is None else str(times or "no")
        shown = url.pattern if isinstance(url, re.Pattern) else url
        listed = "".join(f"\n  {one.method} {one.url}" for one in self.requests[:_SHOWN])
        msg = (
            f"expected {wanted} {method} {shown}{' that fits `where`' if where else ''}, found {found or 'none'}; "
            f"{'sent were' + listed if listed else 'nothing was sent'}"
        )
        raise AssertionError(msg)

    def assert_nothing_sent(self) -> None:
        """Fail if any request was sent.

        Raises:
            AssertionError: One was. The message lists what was sent.
        """
        self.assert_sent(times=0)

    # -- standing in ---------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def block(self) -> Generator[None]:
        """Within the block, requests get the declared responses, and nothing else leaves this machine."""
        with contextlib.ExitStack() as stack:
            for owner, name, make in self._places():
                before: Any = cast("dict[str, Any]", vars(owner)).get(name)
                stack.callback(_put_back, owner, name, before)
                setattr(owner, name, make(getattr(owner, name)))
            yield

    @property
    def strays(self) -> list[str]:
        """What was refused, in words."""
        return self._strays

    def _places(self) -> Iterator[tuple[Any, str, Callable[[Any], Any]]]:
        """Say where requests pass, whatever sends them."""
        for module in (_imported("httpcore2"), sys.modules.get("httpcore")):
            if module is not None:
                yield module.AsyncConnectionPool, "handle_async_request", self._in_async_pool(module)
                yield module.ConnectionPool, "handle_request", self._in_pool(module)
        webhooks = _imported("rustforge.notify.webhook.connections")
        if webhooks is not None:
            yield webhooks.Connections, "post", self._in_webhooks
            yield webhooks.Connections, "addresses", self._in_webhook_addresses
        yield socket.socket, "connect", self._in_socket
        yield socket.socket, "connect_ex", self._in_socket
        yield socket, "getaddrinfo", self._in_look_up

    def _in_async_pool(self, module: ModuleType) -> Callable[[Any], Any]:
        def around(send: Any) -> Any:
            async def handle_async_request(pool: Any, request: Any) -> Any:
                host, port = _text(request.url.host), request.url.port or _PORTS.get(_text(request.url.scheme), 0)
                if self._goes_out(host, port):
                    return await send(pool, request)
                return _response(module, self._answer(_request(request, await _read(request.stream))))

            return handle_async_request

        return around

    def _in_pool(self, module: ModuleType) -> Callable[[Any], Any]:
        def around(send: Any) -> Any:
            def handle_request(pool: Any, request: Any) -> Any:
                host, port = _text(request.url.host), request.url.port or _PORTS.get(_text(request.url.scheme), 0)
                if self._goes_out(host, port):
                    return send(pool, request)
                return _response(module, self._answer(_request(request, b"".join(request.stream))))

            return handle_request

        return around

    def _in_webhooks(self, send: Any) -> Any:
        from rustforge.notify.webhook.wire import Answer  # noqa: PLC0415 - it has been imported

        async def post(connections: Any, address: Any, headers: list[tuple[Any, Any]], body: bytes) -> Any:
            if self._goes_out(address.host, address.port):
                return await send(connections, address, headers, body)
            named = {_text(name).lower(): _text(value) for name, value in headers}
            response = self._answer(SentRequest("POST", f"{address}{_text(address.target)}", named, body))
            return Answer(
                response.status, [(name.encode(), value.encode()) for name, value in response.headers.items()]
            )

        return post

    def _in_webhook_addresses(self, look_up: Any) -> Any:
        async def addresses(connections: Any, address: Any) -> Any:
            goes_out = address.ip is not None or self._goes_out(address.host, address.port)
            return await look_up(connections, address) if goes_out else [address.host]

        return addresses

    def _in_socket(self, connect: Any) -> Any:
        def guarded(this: socket.socket, address: Any) -> Any:
            if this.family in {socket.AF_INET, socket.AF_INET6} and not self._is_near(address[0], address[1]):
                self._refuse(f"a connection to {address[0]} port {address[1]}", str(address[0]))
            return connect(this, address)

        return guarded

    def _in_look_up(self, look_up: Any) -> Any:
        def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
            name = _text(host) if isinstance(host, (str, bytes)) else ""
            if name and not _is_ip(name) and not self._is_near(name, port):
                self._refuse(f"a look-up of {name}", name)
            found = look_up(host, port, *args, **options)
            if name and self._goes_out(name, port):
                self._hosts.update(str(info[4][0]) for info in found)
            return found

        return getaddrinfo

    def _goes_out(self, host: str, port: Any) -> bool:
        return not {host.lower(), f"{host.lower()}:{port}"}.isdisjoint(self._hosts)

    def _is_near(self, host: str, port: Any) -> bool:
        """Tell whether a host is this machine, or was allowed."""
        if self._goes_out(host, port) or host.lower() in {"localhost", socket.gethostname().lower()}:
            return True
        return _is_ip(host) and ip_address(host.partition("%")[0]).is_loopback

    def _answer(self, request: SentRequest) -> HttpResponse:
        """Find the declared response."""
        self.requests.append(request)
        declared = next((one for one in self._declared if one.fits(request)), None)
        if declared is None:
            url = request.url.partition("?")[0]
            self._refuse(
                f"{request.method} {request.url}",
                urlsplit(url).netloc,
                f'\n  to answer it: rustforge_http.respond("{request.method}", "{url}", json=...)',
            )
        if declared.left is not None:
            declared.left -= 1
        answer = declared.answer
        found = answer if isinstance(answer, (HttpResponse, Exception)) else answer(request)
        if isinstance(found, Exception):
            raise found
        return found

    def _refuse(self, what: str, host: str, advice: str = "") -> NoReturn:
        self._strays.append(what)
        way_out = f'\n  to let it go out: rustforge_http.allow("{host}")'
        msg = f"{what} was not declared, so it does not leave the test{advice}{way_out}"
        raise StrayRequestError(msg)


def _pattern(url: str | re.Pattern[str]) -> re.Pattern[str]:
    """Write a URL with stars as an expression."""
    if isinstance(url, re.Pattern):
        return url
    whole = f"{url}/" if re.fullmatch(r"\w+://[^/?*]+", url) else url
    return re.compile(re.escape(whole).replace(r"\*", ".*"), re.DOTALL)


def hosts_of(url: str) -> list[str]:
    """List the hosts of a URL; a cluster has several."""
    place = url.partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2]
    return [host for host in place.split(",") if host]


def _is_ip(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _imported(name: str) -> ModuleType | None:
    """Import a module that an extra brings; `None` where it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return None


def _put_back(owner: Any, name: str, before: Any) -> None:
    if before is None:
        delattr(owner, name)
    else:
        setattr(owner, name, before)


def _request(request: Any, body: bytes) -> SentRequest:
    """Read a request as the cores of httpx2 and httpx have it."""
    scheme, host, port = _text(request.url.scheme), _text(request.url.host), request.url.port
    place = f"[{host}]" if ":" in host else host
    if port is not None and port != _PORTS.get(scheme):
        place = f"{place}:{port}"
    headers = {_text(name).lower(): _text(value) for name, value in request.headers}
    return SentRequest(_text(request.method).upper(), f"{scheme}://{place}{_text(request.url.target)}", headers, body)


def _response(module: ModuleType, response: HttpResponse) -> Any:
    headers = [(name.encode(), value.encode()) for name, value in response.headers.items()]
    return module.Response(response.status, headers=headers, content=response.body)


async def _read(stream: AsyncIterable[bytes]) -> bytes:
    return b"".join([part async for part in stream])


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
