"""Every bad day of a Redis: each gives one clear error that names what to do, in time, and the client recovers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from rustforge.errors import (
    ConfigurationError,
    RedisAuthenticationError,
    RedisConnectionError,
    RedisError,
    RedisOutcomeUnknownError,
    RedisOutOfMemoryError,
    RedisReadOnlyError,
    RedisReplyError,
    RedisTimeoutError,
)
from rustforge.redis import Script, connect
from tests.support.proxy import Plan, Proxy, serving, until
from tests.support.servers import RedisServer, free_port, talk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(30)

SECRET = "s3cr3t-w0rd"
WRITE = Script("write", "return redis.call('SET', KEYS[1], ARGV[1])")


@pytest.fixture(scope="module")
def own_server() -> Iterator[RedisServer]:
    """Run a server that these tests may configure and flush, with an ACL user `app` and a Unix socket."""
    with RedisServer("--unixsocket", "redis.sock") as server:
        talk(server.port, "ACL", "SETUSER", "app", "on", f">{SECRET}", "~*", "+@all", "-client|tracking", "-flushall")
        talk(server.port, "ACL", "SETUSER", "narrow", "on", f">{SECRET}", "~*", "+get", "+set")
        talk(server.port, "ACL", "SETUSER", "open", "on", "nopass", "~*", "+@all")
        yield server


@pytest.fixture(scope="module")
def locked_server() -> Iterator[RedisServer]:
    """Run a server that needs a password."""
    with RedisServer("--requirepass", SECRET) as server:
        yield server


@contextlib.contextmanager
def paused(server: RedisServer) -> Iterator[None]:
    """Let a server hang for the length of a block."""
    server.pause()
    try:
        yield
    finally:
        server.resume()


# -- nobody there ------------------------------------------------------------------------------------------------


async def test_refused_port_fails_soon_and_names_the_address() -> None:
    """Where nothing listens, opening fails at once and commands within the short backoff; both name the address."""
    port = free_port()
    client = connect(f"redis://127.0.0.1:{port}/0")
    started = time.monotonic()
    calls = [client.call("GET", "k", retry=True), client.call("INCR", "k"), client.run(WRITE, ["k"], [1])]
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert time.monotonic() - started < 1.5
    for error in errors:
        assert type(error) is RedisConnectionError
        assert f"127.0.0.1:{port}" in str(error)
        assert "is it running" in str(error)
    assert len({id(error) for error in errors}) == 3
    started = time.monotonic()
    with pytest.raises(RedisConnectionError, match=str(port)):
        await connect(f"redis://127.0.0.1:{port}/0").open()
    assert time.monotonic() - started < 0.5
    await client.aclose()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70])
async def test_unknown_host_names_it(host: str) -> None:
    """A host name that does not resolve, or cannot, gives a connection error that names it."""
    with pytest.raises(RedisConnectionError, match=host.replace(".", r"\.")):
        await connect(f"redis://{host}:6379/0?connect_timeout=5").open()


async def test_missing_unix_socket_names_the_path(tmp_path: Path) -> None:
    """A Unix socket that does not exist gives a connection error that names the path."""
    with pytest.raises(RedisConnectionError, match=r"absent\.sock"):
        await connect(f"unix://{tmp_path}/absent.sock").open()


async def test_server_that_comes_late_is_found(redis_server: RedisServer) -> None:
    """Commands made while the server is still away succeed when it comes back within the backoff."""
    async with Proxy(redis_server.port) as proxy, connect(f"redis://127.0.0.1:{proxy.port}/0") as client:
        proxy.refuse()
        await proxy.cut()
        waiting = asyncio.ensure_future(client.call("ECHO", "late"))
        await until(lambda: client.statistics()["queued"] == 1)
        await proxy.accept()
        assert await waiting == b"late"


# -- nobody answers ----------------------------------------------------------------------------------------------


async def test_hanging_server_times_out_and_recovers() -> None:
    """While the server hangs, every command times out at its time-out; when it goes on, so does the client."""
    with RedisServer() as server:
        async with connect(f"{server.url}?timeout=0.4&connect_timeout=0.3") as client:
            await client.call("SET", "k", "v")
            with paused(server):
                for _ in range(2):
                    started = time.monotonic()
                    calls = [
                        client.call("GET", "k", retry=True),
                        client.call("ECHO", "late"),
                        client.pipeline([["GET", "k"]]),
                    ]
                    errors = await asyncio.gather(*calls, return_exceptions=True)
                    assert 0.35 < time.monotonic() - started < 0.8
                    assert all(isinstance(error, RedisTimeoutError) for error in errors)
                    assert all(str(server.port) in str(error) for error in errors)
            replies = await asyncio.gather(*[client.call("ECHO", n, retry=True) for n in range(20)])
            assert replies == [str(n).encode() for n in range(20)]
            assert await client.call("GET", "k") == b"v"
            assert client.statistics()["in_flight"] == 0


async def test_server_that_accepts_and_says_nothing_times_out(redis_server: RedisServer) -> None:
    """A server that hangs from the start: opening ends at the connect time-out, a command at its own."""
    async with Proxy(redis_server.port) as proxy:
        proxy.stall()
        url = f"redis://127.0.0.1:{proxy.port}/0?timeout=0.4&connect_timeout=0.2"
        started = time.monotonic()
        with pytest.raises(RedisTimeoutError, match=f"127.0.0.1:{proxy.port} did not answer within 0.2 s"):
            await connect(url).open()
        assert time.monotonic() - started < 0.4
        client = connect(url)
        started = time.monotonic()
        with pytest.raises(RedisTimeoutError):
            await client.call("GET", "k", retry=True)
        assert time.monotonic() - started < 0.7
        proxy.flow()
        assert await client.call("ECHO", "awake", retry=True) == b"awake"
        await client.aclose()


async def test_time_out_counts_while_connecting_hangs(redis_server: RedisServer) -> None:
    """A command's own time-out holds although one attempt to connect may take far longer."""
    async with Proxy(redis_server.port) as proxy:
        proxy.stall()
        client = connect(f"redis://127.0.0.1:{proxy.port}/0?timeout=0.2&connect_timeout=20")
        started = time.monotonic()
        with pytest.raises(RedisTimeoutError, match="could not be sent"):
            await client.call("GET", "k", retry=True)
        assert time.monotonic() - started < 0.5
        await client.aclose()


async def test_one_slow_command_holds_up_but_does_not_kill(redis_server: RedisServer) -> None:
    """A dribbling server is slow, not dead: a long answer that keeps coming is waited for and not cut off."""
    async with (
        Proxy(redis_server.port, Plan(piece=200, delay=0.01)) as proxy,
        connect(f"redis://127.0.0.1:{proxy.port}/0?timeout=5") as client,
    ):
        assert await client.call("ECHO", "x" * 5_000) == b"x" * 5_000
        assert client.statistics()["lost"] == 0


# -- restarts ----------------------------------------------------------------------------------------------------


async def test_idempotent_commands_survive_a_restart() -> None:
    """While Redis is killed and started again, idempotent commands and scripts succeed without the caller noticing."""
    with RedisServer() as server:
        async with connect(server.url) as client:
            stop = asyncio.Event()
            done = 0

            async def work(number: int) -> None:
                nonlocal done
                while not stop.is_set():
                    value = f"{number}.{done}"
                    assert await client.call("ECHO", value, retry=True) == value.encode()
                    assert await client.run(WRITE, [f"k{number}"], [value], retry=True) == b"OK"
                    done += 1

            working = asyncio.gather(*[work(number) for number in range(10)])
            await until(lambda: done > 50)
            await asyncio.to_thread(server.restart)
            before = done
            await until(lambda: done > before + 50)
            stop.set()
            await working
            assert client.statistics()["connects"] >= 2


async def test_crash_leaves_others_in_doubt() -> None:
    """When the server dies with commands in flight, those that may have run say so, and what to do."""
    with RedisServer() as server:
        async with connect(server.url) as client:
            server.pause()
            unsure = asyncio.gather(client.call("INCR", "n"), client.pipeline([["INCR", "n"]]), return_exceptions=True)
            again = asyncio.ensure_future(client.call("ECHO", "again", retry=True))
            await until(lambda: client.statistics()["in_flight"] == 3)
            await asyncio.to_thread(server.restart)
            for error in await unsure:
                assert isinstance(error, RedisOutcomeUnknownError)
                assert "may have run" in str(error)
                assert str(server.port) in str(error)
            assert await again == b"again"


async def test_loading_server_is_named() -> None:
    """A server that still loads its data says so in the error, and works when it has loaded."""
    with RedisServer() as server:
        talk(server.port, "DEBUG", "POPULATE", 200)
        talk(server.port, "CONFIG", "SET", "loading-process-events-interval-bytes", 1024)
        talk(server.port, "CONFIG", "SET", "key-load-delay", 10_000)
        reloading = asyncio.create_task(asyncio.to_thread(talk, server.port, "DEBUG", "RELOAD", timeout=20.0))
        error: RedisError | None = None
        async with asyncio.timeout(10):
            while error is None:
                try:
                    async with connect(server.url):
                        await asyncio.sleep(0.01)
                except RedisError as refused:
                    error = refused
        assert isinstance(error, RedisConnectionError)
        assert "not ready: LOADING" in str(error)
        await reloading
        async with connect(server.url) as client:
            assert await client.call("DBSIZE") == 200


async def test_idle_connection_is_kept_alive(redis_server: RedisServer) -> None:
    """The system probes an idle connection, so that a dead peer is noticed without any command."""
    async with connect(redis_server.url) as client:
        link: Any = client._multiplexer._link  # type: ignore[attr-defined]
        connection = link.transport.get_extra_info("socket")
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


# -- who are you -------------------------------------------------------------------------------------------------


async def test_wrong_password_is_one_clear_error(locked_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong password is refused at once, without retries, and appears in no message, log or repr."""
    with caplog.at_level(logging.DEBUG):
        url = f"redis://app:{SECRET}-wrong@127.0.0.1:{locked_server.port}/0"
        client = connect(url)
        started = time.monotonic()
        errors = await asyncio.gather(
            client.call("GET", "k", retry=True), client.call("GET", "k"), return_exceptions=True
        )
        assert time.monotonic() - started < 0.5
        with pytest.raises(RedisAuthenticationError) as opened:
            await client.open()
    for error in [*errors, opened.value]:
        assert isinstance(error, RedisAuthenticationError)
        assert "refused the user or password" in str(error)
        assert str(locked_server.port) in str(error)
        chain: BaseException | None = error
        while chain is not None:
            assert SECRET not in repr(chain)
            chain = chain.__cause__ or chain.__context__
    for text in (caplog.text, repr(client.url), str(client.url), repr(client)):
        assert SECRET not in text


async def test_missing_password_says_where_it_goes(locked_server: RedisServer) -> None:
    """A server that needs a password, and a URL without one: the error shows where to write it."""
    with pytest.raises(RedisAuthenticationError, match=r"needs a password.*redis://user:password@host"):
        await connect(locked_server.url).open()


async def test_right_password_connects(locked_server: RedisServer) -> None:
    """The default user's password alone, and an ACL user with password, are let in."""
    async with connect(f"redis://:{SECRET}@127.0.0.1:{locked_server.port}/0") as client:
        assert await client.call("ACL", "WHOAMI") == b"default"


async def test_user_without_password_is_still_that_user(own_server: RedisServer) -> None:
    """A URL with only a user name connects as that user, and not silently as another."""
    async with connect(f"redis://open@127.0.0.1:{own_server.port}/0") as client:
        assert await client.call("ACL", "WHOAMI") == b"open"
    with pytest.raises(RedisAuthenticationError):
        await connect(f"redis://app@127.0.0.1:{own_server.port}/0").open()


async def test_missing_permission_names_the_remedy(own_server: RedisServer) -> None:
    """NOPERM names the command and ACL SETUSER; without CLIENT TRACKING the client works and says so."""
    async with connect(f"redis://app:{SECRET}@127.0.0.1:{own_server.port}/0") as client:
        assert await client.call("ACL", "WHOAMI") == b"app"
        assert not client.tracking
        await client.call("SET", "k", "v", "EX", 60)
        assert (await client.track("k"))[0] == b"v"
        with pytest.raises(RedisReplyError, match=r"flushall.*ACL SETUSER") as refused:
            await client.call("FLUSHALL")
        assert refused.value.code == "NOPERM"


async def test_narrow_user_can_connect(own_server: RedisServer) -> None:
    """A user who may only GET and SET, not even PING, can; one who may not SELECT is told so."""
    async with connect(f"redis://narrow:{SECRET}@127.0.0.1:{own_server.port}/0") as client:
        await client.call("SET", "k", "v", "EX", 60)
        assert await client.call("GET", "k") == b"v"
    with pytest.raises(RedisAuthenticationError, match="may not run SELECT"):
        await connect(f"redis://narrow:{SECRET}@127.0.0.1:{own_server.port}/1").open()


# -- not as expected ---------------------------------------------------------------------------------------------


async def test_out_of_memory_names_the_remedy(own_server: RedisServer) -> None:
    """At maxmemory a write gets its own error with the remedy; reads go on, scripts and pipelines tell the same."""
    async with connect(own_server.url) as client:
        await client.call("CONFIG", "SET", "maxmemory", 1)
        try:
            with pytest.raises(RedisOutOfMemoryError, match=r"maxmemory.*eviction policy"):
                await client.call("SET", "k", "v")
            with pytest.raises(RedisOutOfMemoryError):
                await client.run(WRITE, ["k"], ["v"])
            refused, value = await client.pipeline([["SET", "k", "v"], ["ECHO", "x"]])
            assert isinstance(refused, RedisOutOfMemoryError)
            assert value == b"x"
        finally:
            await client.call("CONFIG", "SET", "maxmemory", 0)
        assert await client.call("SET", "k", "v", "EX", 60) == b"OK"


async def test_read_only_replica_names_the_remedy(own_server: RedisServer) -> None:
    """A write to a replica says to use the primary; reads still work."""
    with RedisServer("--replicaof", "127.0.0.1", str(own_server.port)) as replica:
        async with connect(replica.url) as client:
            with pytest.raises(RedisReadOnlyError, match="point the URL at the primary"):
                await client.call("SET", "k", "v")
            with pytest.raises(RedisReadOnlyError):
                await client.run(WRITE, ["k"], ["v"])
            assert await client.call("GET", "nothing") is None


async def test_full_server_is_named(own_server: RedisServer) -> None:
    """A server that takes no more clients says so, and not just that the connection was closed."""
    async with connect(own_server.url) as client:
        await client.call("CONFIG", "SET", "maxclients", 1)
        try:
            with pytest.raises(RedisConnectionError, match="max number of clients"):
                await connect(own_server.url).open()
        finally:
            await client.call("CONFIG", "SET", "maxclients", 1_000)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28", b"*-7\r\n", b""]
)
async def test_what_is_not_redis_is_named(answer: bytes) -> None:
    """A web server, a TLS port, garbage or a hang-up at the address: the error says what it looks like."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)

    expected = "does not speak the Redis protocol" if answer else "closed the connection"
    async with serving(serve) as port:
        with pytest.raises(RedisConnectionError, match=expected) as caught:
            await connect(f"redis://127.0.0.1:{port}/0").open()
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "rediss://" in str(caught.value)
    assert not isinstance(caught.value, RedisOutcomeUnknownError)


async def test_server_without_resp3_is_named() -> None:
    """A server too old for RESP3 says which versions are needed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)
        writer.write(b"-ERR unknown command `HELLO`, with args beginning with: `3`\r\n+OK\r\n+PONG\r\n-ERR no\r\n")
        await reader.read(1_000)

    async with serving(serve) as port:
        with pytest.raises(RedisConnectionError, match=r"needs Redis 6\.2 or newer"):
            await connect(f"redis://127.0.0.1:{port}/0").open()


async def test_garbage_on_a_working_connection_starts_anew(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Bytes that are no protocol, in the middle of work, drop the connection; no reply is made up from them."""
    async with Proxy(redis_server.port) as proxy, connect(f"redis://127.0.0.1:{proxy.port}/0") as client:
        proxy.inject = (b"?what\r\n", b"")
        assert await client.call("ECHO", "mine", retry=True) == b"mine"
        assert client.statistics()["lost"] == 1
        assert "broke the protocol" in caplog.text


async def test_unasked_reply_starts_anew(redis_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """A reply that nobody asked for makes the line untrustworthy, so the connection is replaced."""
    async with Proxy(redis_server.port) as proxy, connect(f"redis://127.0.0.1:{proxy.port}/0") as client:
        proxy.inject = (b"", b"+OK\r\n")
        assert await client.call("ECHO", "mine", retry=True) == b"mine"
        await until(lambda: client.statistics()["lost"] == 1)
        assert await client.call("ECHO", "mine", retry=True) == b"mine"
        assert [record.name for record in caplog.records] == ["rustforge.redis.multiplexer"]


async def test_garbage_behind_the_greeting_is_not_taken(redis_server: RedisServer) -> None:
    """A connection that breaks in the very read that completes its greeting is not taken for a good one."""
    async with Proxy(redis_server.port) as proxy:
        proxy.inject = (b"", b"?what\r\n")
        with pytest.raises(RedisConnectionError, match="does not speak the Redis protocol"):
            await connect(f"redis://127.0.0.1:{proxy.port}/0").open()


# -- other ways in -----------------------------------------------------------------------------------------------


async def test_unix_socket(own_server: RedisServer) -> None:
    """A unix:// URL reaches the server through its socket, database number included."""
    path = own_server.folder / "redis.sock"
    async with connect(f"unix://{path}?db=3") as client:
        assert await client.call("ECHO", "x") == b"x"
        assert b"db=3" in await client.call("CLIENT", "INFO")


async def test_database_numbers(own_server: RedisServer) -> None:
    """Each URL sees its own database, also on the connection after a lost one; a number too high is refused."""
    address = f"redis://127.0.0.1:{own_server.port}"
    async with connect(f"{address}/1") as first, connect(f"{address}/2") as second:
        await first.call("SET", "k", "one", "EX", 60)
        await second.call("SET", "k", "two", "EX", 60)
        talk(own_server.port, "CLIENT", "KILL", "TYPE", "normal")
        assert await first.call("GET", "k", retry=True) == b"one"
        assert await second.call("GET", "k", retry=True) == b"two"
    with pytest.raises(RedisConnectionError, match="DB index is out of range"):
        await connect(f"{address}/99").open()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for 127.0.0.1, another one that nobody knows, and one for another name."""
    folder = tmp_path_factory.mktemp("tls")
    for name, subject in (("server", "IP:127.0.0.1"), ("stranger", "IP:127.0.0.1"), ("elsewhere", "DNS:redis.example")):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt", "-days", "2"]
        command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName={subject}"]
        subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
async def tls_port(own_server: RedisServer, certificates: Path) -> AsyncIterator[int]:
    """Serve TLS: by Redis itself, or by the proxy in front of it where Redis was built without TLS."""
    port = free_port()
    files = ("--tls-cert-file", f"{certificates}/server.crt", "--tls-key-file", f"{certificates}/server.key")
    try:
        server = RedisServer("--tls-port", str(port), *files, "--tls-auth-clients", "no")
    except RuntimeError:
        async with Proxy(own_server.port, tls=_tls(certificates, "server")) as proxy:
            yield proxy.port
    else:
        with server:
            yield port


def _tls(certificates: Path, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / f"{name}.crt", certificates / f"{name}.key")
    return context


async def test_tls(tls_port: int, certificates: Path) -> None:
    """A rediss:// URL with the right authority is encrypted and works, big values and concurrency included."""
    url = f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs={certificates}/server.crt"
    async with connect(url) as client:
        big = "b" * 300_000
        replies = await asyncio.gather(*[client.call("ECHO", f"{n}{big}") for n in range(5)])
        assert replies == [f"{n}{big}".encode() for n in range(5)]


async def test_tls_with_an_unknown_authority(tls_port: int, certificates: Path) -> None:
    """A certificate that is not trusted, or is for another name, is refused with the option that would help."""
    for url in (
        f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs={certificates}/stranger.crt",
        f"rediss://127.0.0.1:{tls_port}/0",
    ):
        with pytest.raises(RedisConnectionError, match=r"not trusted.*ssl_ca_certs"):
            await connect(url).open()
    async with Proxy(tls_port, tls=_tls(certificates, "elsewhere")) as proxy:
        url = f"rediss://127.0.0.1:{proxy.port}/0?ssl_ca_certs={certificates}/elsewhere.crt"
        with pytest.raises(RedisConnectionError, match=r"not trusted.*127\.0\.0\.1"):
            await connect(url).open()


async def test_tls_name_check_can_be_switched_off(own_server: RedisServer, certificates: Path) -> None:
    """With ssl_check_hostname=false a trusted certificate for another name is accepted."""
    async with Proxy(own_server.port, tls=_tls(certificates, "elsewhere")) as proxy:
        url = f"rediss://127.0.0.1:{proxy.port}/0?ssl_ca_certs={certificates}/elsewhere.crt&ssl_check_hostname=false"
        async with connect(url) as client:
            assert await client.call("ECHO", "x") == b"x"


async def test_tls_with_a_client_certificate(own_server: RedisServer, certificates: Path) -> None:
    """A server that asks for a client certificate gets it from the URL, and its refusal is named."""
    context = _tls(certificates, "server")
    context.load_verify_locations(certificates / "stranger.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    async with Proxy(own_server.port, tls=context) as proxy:
        url = f"rediss://127.0.0.1:{proxy.port}/0?ssl_ca_certs={certificates}/server.crt"
        with pytest.raises(RedisConnectionError):
            await connect(url).open()
        own = f"&ssl_certfile={certificates}/stranger.crt&ssl_keyfile={certificates}/stranger.key"
        async with connect(url + own) as client:
            assert await client.call("ECHO", "x") == b"x"


async def test_tls_against_a_plain_port_and_back(own_server: RedisServer, tls_port: int, certificates: Path) -> None:
    """TLS spoken to a plain port, and plain text to a TLS port, each end in an error that names the other scheme."""
    url = f"rediss://127.0.0.1:{own_server.port}/0?ssl_ca_certs={certificates}/server.crt&connect_timeout=0.5"
    with pytest.raises(RedisError, match="TLS"):
        await connect(url).open()
    with pytest.raises(RedisConnectionError, match="rediss://"):
        await connect(f"redis://127.0.0.1:{tls_port}/0").open()


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile"])
async def test_tls_file_that_is_missing(tmp_path: Path, option: str) -> None:
    """A TLS file that cannot be read is named together with its option."""
    with pytest.raises(ConfigurationError, match=rf"{option}=.*absent\.pem"):
        connect(f"rediss://127.0.0.1:6379/0?{option}={tmp_path}/absent.pem")


@pytest.mark.parametrize("cut", [0, 1, 20, 150, 400])
async def test_connection_cut_while_it_is_made(redis_server: RedisServer, cut: int) -> None:
    """A connection cut at any point of its greeting is a connection error on open, and a retry for commands."""
    plans: list[Callable[[], Plan]] = [lambda: Plan(cut_up=cut), lambda: Plan(cut_down=cut, reset=True)]
    async with Proxy(redis_server.port) as proxy:
        for plan in plans:
            proxy.plans.append(plan())
            with contextlib.suppress(RedisConnectionError):
                async with connect(f"redis://127.0.0.1:{proxy.port}/0") as client:
                    assert cut >= 150, "cut before the greeting was complete, yet open"
            proxy.plans.append(plan())
            client = connect(f"redis://127.0.0.1:{proxy.port}/0")
            assert await client.call("ECHO", "x", retry=True) == b"x"
            await client.aclose()
