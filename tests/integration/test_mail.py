"""Mail by a real server: what arrives, what is refused, and what happens when the server fails."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from rustforge.clock import ManualClock
from rustforge.errors import ConfigurationError, DeliveryRefusedError, InvalidArgumentError, MailError
from rustforge.notify.mail import Mail, MailAttachment, MailChannel
from rustforge.notify.mail import smtp as smtp_module
from rustforge.storage import Storage
from tests.support.mailing import CUT, HANG, PASSWORD, USER, MailServer, mail_server, make_certificate
from tests.support.servers import free_port
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SHOP = "Shop <shop@example.com>"
HELLO = Mail(to="ann@example.com", subject="Hello", text="Hello, Ann!")
LOGIN = "shop:p%40ss%2Fword"


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    """Run a server without TLS."""
    async with mail_server() as server:
        yield server


@pytest.fixture
async def mailer(server: MailServer) -> AsyncIterator[MailChannel]:
    """Send to it."""
    async with MailChannel(f"smtp://127.0.0.1:{server.port}", sender=SHOP) as mailer:
        yield mailer
    assert server.open_sessions == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate of 127.0.0.1."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def tls(certificate: Path) -> ssl.SSLContext:
    """Make the server's side of TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


async def test_a_mail_arrives(server: MailServer, mailer: MailChannel) -> None:
    """It arrives as it was written, from the channel's sender, with an id of its own and the time of the clock."""
    message_id = await mailer.send(HELLO)
    (found,) = server.received
    assert (found.sender, found.recipients) == ("shop@example.com", ["ann@example.com"])
    assert found.message["Message-ID"] == message_id
    assert message_id.startswith("<")
    assert message_id.endswith("@example.com>")
    assert found.message["From"] == SHOP
    assert found.message["Subject"] == "Hello"
    assert found.message["Date"].datetime.tzinfo is not None
    assert found.message.get_content() == "Hello, Ann!\n"
    assert await mailer.send(HELLO) != message_id


async def test_all_recipients_get_it_and_blind_copies_stay_blind(server: MailServer, mailer: MailChannel) -> None:
    """Every recipient is told to the server, once, and who gets a blind copy stands nowhere in the message."""
    mail = Mail(
        to=["ann@example.com", "bob@example.com"],
        cc="cem@example.com",
        bcc=["archive@example.com", "ann@example.com"],
        text="Hello",
    )
    await mailer.send(mail)
    (found,) = server.received
    assert found.recipients == ["ann@example.com", "bob@example.com", "cem@example.com", "archive@example.com"]
    assert b"archive" not in found.data


async def test_the_key_is_the_message_id(server: MailServer, mailer: MailChannel) -> None:
    """Each attempt with the same key has the same id, by which a mailbox knows that it has the mail already."""
    clock = ManualClock()
    async with MailChannel(f"smtp://127.0.0.1:{server.port}", sender=SHOP, clock=clock) as other:
        assert await mailer.send(HELLO, idempotency_key="order-7.receipt") == "<order-7.receipt@example.com>"
        assert await other.send(HELLO, idempotency_key="order-7.receipt") == "<order-7.receipt@example.com>"
    assert [one.message["Message-ID"] for one in server.received] == ["<order-7.receipt@example.com>"] * 2
    assert server.received[1].message["Date"].datetime.timestamp() == clock.time()
    for key in ("", "a b", "a@b", "a..b", ".a", "a\r\nBcc: b", "<a>", "a" * 201):
        with pytest.raises(InvalidArgumentError, match="idempotency_key"):
            await mailer.send(HELLO, idempotency_key=key)


async def test_hostile_text_is_text(server: MailServer, mailer: MailChannel) -> None:
    """Dots, commands and control characters in the text end neither the mail nor the line."""
    text = ".\r\n.\r\nQUIT\r\nMAIL FROM:<evil@example.com>\n\n..\x00\x1a\rFrom here\n" + "x" * 5000
    await mailer.send(Mail(to="ann@example.com", text=text, html=f"<pre>{text}</pre>"))
    await mailer.send(Mail(to="ann@example.com", text=".\r\n.\r\n..\r\n"))
    first, second = server.received
    body = first.message.get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines() == text.splitlines()
    assert second.message.get_content().splitlines() == [".", ".", ".."]
    assert server.heard.count("MAIL shop@example.com") == 2


async def test_letters_of_all_kinds(server: MailServer, mailer: MailChannel) -> None:
    """Names, subjects and texts are what they were; domains go in ASCII, and names of mailboxes in UTF-8."""
    await mailer.send(Mail(to="Jörg <jm@bücher.example>", subject="Grüße 🎉", text="Köln\n"))
    await mailer.send(Mail(to="用户@bücher.example", cc="Ann <ann@example.com>", subject="Grüße", text="Köln\n"))
    first, second = server.received
    assert first.recipients == ["jm@xn--bcher-kva.example"]
    assert "SMTPUTF8" not in first.options
    assert str(first.message["To"]) == "Jörg <jm@xn--bcher-kva.example>"
    assert first.message["Subject"] == "Grüße 🎉"
    assert second.recipients == ["用户@xn--bcher-kva.example", "ann@example.com"]
    assert "SMTPUTF8" in second.options
    assert "To: 用户@xn--bcher-kva.example\r\n".encode() in second.data
    assert second.message["Subject"] == "Grüße"
    assert [one.message.get_content() for one in server.received] == ["Köln\n", "Köln\n"]


async def test_a_server_that_takes_only_ascii() -> None:
    """Where the server takes no UTF-8, such an address is refused for good, and others are not."""
    async with (
        mail_server(smtputf8=False) as server,
        MailChannel(f"smtp://127.0.0.1:{server.port}", sender=SHOP) as mailer,
    ):
        with pytest.raises(DeliveryRefusedError, match=r"SMTPUTF8.*: jörg@example\.com"):
            await mailer.send(Mail(to="jörg@example.com", text="Hello"))
        await mailer.send(Mail(to="Jörg <joerg@bücher.example>", text="Grüße"))
    assert len(server.received) == 1


async def test_files_from_the_storage(server: MailServer) -> None:
    """A file that is named by its key is read when the mail is sent, and is what the storage has then."""
    async with Storage.connect("memory://") as storage:
        mail = Mail(to="ann@example.com", text="Hello", attachments=[MailAttachment("a.pdf", key="invoices/7.pdf")])
        await storage.put("invoices/7.pdf", b"%PDF" + bytes(500_000))
        for given in (storage, lambda: storage):
            async with MailChannel(f"smtp://127.0.0.1:{server.port}", sender=SHOP, storage=given) as mailer:
                await mailer.send(mail)
    for found in server.received:
        (file,) = found.message.iter_attachments()
        assert (file.get_filename(), file.get_content_type()) == ("a.pdf", "application/pdf")
        assert file.get_content() == b"%PDF" + bytes(500_000)
    async with MailChannel(f"smtp://127.0.0.1:{server.port}", sender=SHOP) as mailer:
        with pytest.raises(ConfigurationError, match=r"'a.pdf' is in a storage, and the channel has none"):
            await mailer.send(mail)


# -- the sender --------------------------------------------------------------------------------------------------------


async def test_whose_mail_it_is(server: MailServer) -> None:
    """A mail names its sender, or takes the channel's; without either it is refused before anything is opened."""
    async with MailChannel(f"smtp://127.0.0.1:{server.port}") as mailer:
        with pytest.raises(InvalidArgumentError, match="set MAIL_FROM"):
            await mailer.send(HELLO)
        assert server.sessions == []
        await mailer.send(Mail(to="ann@example.com", sender="help@shop.example", text="Hello"))
    assert server.received[0].sender == "help@shop.example"
    assert server.received[0].message["Message-ID"].endswith("@shop.example>")
    with pytest.raises(ConfigurationError, match=r"MAIL_FROM.*is not one mail address"):
        MailChannel("log:", sender="nobody")


# -- connections -------------------------------------------------------------------------------------------------------


async def test_one_connection_serves_many_mails(server: MailServer, mailer: MailChannel) -> None:
    """Mails one after the other go over one connection."""
    for _ in range(10):
        await mailer.send(HELLO)
    assert len(server.received) == 10
    assert len(server.sessions) == 1


async def test_no_more_connections_than_said(server: MailServer) -> None:
    """Many mails at once share the connections that the URL allows, and all arrive."""
    async with MailChannel(f"smtp://127.0.0.1:{server.port}?connections=3", sender=SHOP) as mailer:
        await asyncio.gather(*[mailer.send(HELLO) for _ in range(30)])
        assert len(server.sessions) == server.open_sessions == 3
    assert len(server.received) == 30


async def test_a_connection_that_was_lost_in_between(server: MailServer, mailer: MailChannel) -> None:
    """A connection that the server has closed since the last mail is replaced, and the mail is sent once."""
    await mailer.send(HELLO)
    server.hang_up()
    await wait_until(lambda: server.open_sessions == 0)
    await mailer.send(HELLO)
    assert len(server.received) == 2


@pytest.mark.parametrize("answer", ["421 4.4.2 timeout", CUT])
@pytest.mark.parametrize("command", ["MAIL", "RCPT"])
async def test_a_connection_that_is_lost_at_its_next_use(
    server: MailServer, mailer: MailChannel, command: str, answer: str
) -> None:
    """One that turns out to be closed, before the server has taken anything, is replaced as well."""
    await mailer.send(HELLO)
    server.script[command] = [answer]
    await mailer.send(HELLO)
    assert len(server.received) == 2
    assert len(server.sessions) == 2


async def test_a_new_connection_is_not_tried_twice(server: MailServer, mailer: MailChannel) -> None:
    """A server that hangs up on a new connection is left alone; the next attempt is the caller's."""
    server.script["MAIL"] = [CUT, "421 4.3.2 shutting down"]
    for _ in range(2):
        with pytest.raises(MailError):
            await mailer.send(HELLO)
    assert len(server.sessions) == 2
    await mailer.send(HELLO)
    assert len(server.received) == 1


async def test_a_cut_while_the_text_is_taken_is_not_repeated(server: MailServer, mailer: MailChannel) -> None:
    """Where nobody knows whether the server has the mail, it is an error, and not sent again behind one's back."""
    await mailer.send(HELLO)
    server.script["DATA"] = [CUT]
    with pytest.raises(MailError, match=f"smtp://127.0.0.1:{server.port}"):
        await mailer.send(HELLO)
    assert len(server.received) == 2  # the server did have it
    await mailer.send(HELLO)
    assert len(server.received) == 3


async def test_a_connection_has_its_time(
    server: MailServer, mailer: MailChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection says goodbye after so many mails, and when it was not needed for a while."""
    monkeypatch.setattr(smtp_module, "_MAILS", 2)
    monkeypatch.setattr(smtp_module, "_IDLE_SECONDS", 0.01)
    await mailer.send(HELLO)
    await wait_until(lambda: server.open_sessions == 0)
    monkeypatch.setattr(smtp_module, "_IDLE_SECONDS", 60)
    for _ in range(4):
        await mailer.send(HELLO)
    await wait_until(lambda: server.open_sessions == 0)
    assert len(server.sessions) == 3
    assert len(server.received) == 5


async def test_a_closed_channel_sends_nothing(server: MailServer) -> None:
    """It lets what is on its way come to its end, says goodbye, and refuses what comes later."""
    mailer = MailChannel(f"smtp://127.0.0.1:{server.port}?connections=1", sender=SHOP)
    sending = asyncio.create_task(mailer.send(HELLO))
    await wait_until(lambda: server.heard)
    await mailer.aclose()
    await sending
    assert len(server.received) == 1
    assert server.open_sessions == 0
    with pytest.raises(MailError, match="the channel is closed"):
        await mailer.send(HELLO)
    await mailer.aclose()


async def test_a_cancelled_mail_harms_no_other(server: MailServer) -> None:
    """A task that is cancelled in the middle of a mail takes its connection with it, and gives its turn back."""
    async with MailChannel(f"smtp://127.0.0.1:{server.port}?connections=1", sender=SHOP) as mailer:
        server.script["RCPT"] = [HANG]
        sending = asyncio.create_task(mailer.send(HELLO))
        await wait_until(lambda: "RCPT ann@example.com" in server.heard)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await mailer.send(Mail(to="bob@example.com", text="Hello"))
    assert [one.recipients for one in server.received] == [["bob@example.com"]]


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
async def test_a_refusal_for_good(server: MailServer, mailer: MailChannel, command: str) -> None:
    """A 5xx to the sender, a recipient or the message is final, has its status, and the connection goes on."""
    server.script[command] = ["550 5.1.1 No such\tmailbox"]
    with pytest.raises(DeliveryRefusedError, match=r"550 5\.1\.1 No such mailbox") as caught:
        await mailer.send(HELLO)
    assert caught.value.status == 550
    assert server.received == []
    await mailer.send(HELLO)
    assert len(server.received) == 1
    assert len(server.sessions) == 1


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
async def test_a_refusal_for_now(server: MailServer, mailer: MailChannel, command: str) -> None:
    """A 4xx is not: another attempt may help, and nothing was sent."""
    server.script[command] = ["451 4.7.1 Greylisted"]
    with pytest.raises(MailError, match=r"451 4\.7\.1 Greylisted") as caught:
        await mailer.send(HELLO)
    assert not isinstance(caught.value, DeliveryRefusedError)
    assert server.received == []
    await mailer.send(HELLO)
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("answers", "error", "reason"),
    [
        ({"RCPT bob@example.com": "550 5.1.1 unknown"}, DeliveryRefusedError, "bob@example.com was refused: 550"),
        ({"RCPT bob@example.com": "450 4.2.1 busy"}, MailError, "bob@example.com was refused: 450"),
        (
            {"RCPT ann@example.com": "450 4.2.1 busy", "RCPT bob@example.com": "553 5.1.3 bad"},
            DeliveryRefusedError,
            ": bob@example.com was refused: 553 5.1.3 bad$",
        ),
    ],
)
async def test_all_get_it_or_none(
    server: MailServer, mailer: MailChannel, answers: dict[str, str], error: type[Exception], reason: str
) -> None:
    """Where one recipient is refused, no other one gets the mail, so that the next attempt sends it to none twice."""
    server.script.update({key: [answer] for key, answer in answers.items()})
    mail = Mail(to=["ann@example.com", "bob@example.com", "cem@example.com"], text="Hello")
    with pytest.raises(error, match=reason):
        await mailer.send(mail)
    assert server.received == []
    await mailer.send(mail)
    assert server.received[0].recipients == list(mail.recipients)
    assert len(server.received) == len(server.sessions) == 1


@pytest.mark.parametrize("answer", ["530 5.7.0 Log in first", "503 5.5.1 Bad sequence"])
async def test_a_refusal_that_is_not_the_mails_fault(server: MailServer, mailer: MailChannel, answer: str) -> None:
    """A server that wants another login says nothing about the mail, which can be sent when that is mended."""
    server.script["MAIL"] = [answer]
    with pytest.raises(MailError, match=answer):
        await mailer.send(HELLO)


# -- a server that fails -----------------------------------------------------------------------------------------------


async def test_nobody_is_there() -> None:
    """A server that is away is an error of now, which names it and shows no password; when it is there, mail goes."""
    port = free_port()
    async with MailChannel(f"smtp://{LOGIN}@127.0.0.1:{port}?starttls=never", sender=SHOP) as mailer:
        with pytest.raises(MailError, match=f"smtp://127.0.0.1:{port}: ") as caught:
            await mailer.send(HELLO)
        assert PASSWORD not in repr(caught.value)
    async with MailChannel(f"smtp://127.0.0.1:{port}", sender=SHOP) as mailer:
        with pytest.raises(MailError):
            await mailer.send(HELLO)
        async with mail_server(port=port) as server:
            await mailer.send(HELLO)
            assert len(server.received) == 1


@pytest.mark.parametrize("greeting", ["421 4.3.2 Too busy", "554 5.7.1 Go away", "hello?", "HTTP/1.1 400 Bad Request"])
async def test_a_greeting_that_is_none(greeting: str) -> None:
    """A server that does not want to talk, or is none of mail, says nothing about the mail."""
    async with (
        mail_server(greeting=greeting) as server,
        MailChannel(f"smtp://127.0.0.1:{server.port}", sender=SHOP) as mailer,
    ):
        with pytest.raises(MailError, match=f"smtp://127.0.0.1:{server.port}: "):
            await mailer.send(HELLO)


@pytest.mark.parametrize("command", ["EHLO", "MAIL", "RCPT", "DATA"])
async def test_a_server_that_says_nothing(server: MailServer, command: str) -> None:
    """A server that hangs is given up after the time-out, and holds up no later mail."""
    async with MailChannel(f"smtp://127.0.0.1:{server.port}?timeout=0.05&connections=1", sender=SHOP) as mailer:
        server.script[command] = [HANG]
        with pytest.raises(MailError, match=f"smtp://127.0.0.1:{server.port}: "):
            await mailer.send(HELLO)
    async with MailChannel(f"smtp://127.0.0.1:{server.port}?connections=1", sender=SHOP) as mailer:
        await mailer.send(HELLO)
    assert len(server.received) == 1


@pytest.mark.parametrize("command", ["EHLO", "MAIL", "RCPT"])
async def test_a_cut_in_the_middle(server: MailServer, mailer: MailChannel, command: str) -> None:
    """A connection that is lost in the middle is an error of now, and the next mail has a new one."""
    server.script[command] = [CUT]
    with pytest.raises(MailError, match=f"smtp://127.0.0.1:{server.port}: "):
        await mailer.send(HELLO)
    await mailer.send(HELLO)
    assert len(server.received) == 1


# -- TLS and login -----------------------------------------------------------------------------------------------------


async def test_tls_from_the_first_byte(tls: ssl.SSLContext, certificate: Path) -> None:
    """With smtps:// all is encrypted, and the login is that of the URL."""
    async with mail_server(tls=tls, login=True) as server:
        url = f"smtps://{LOGIN}@127.0.0.1:{server.port}?ssl_ca_certs={certificate}"
        async with MailChannel(url, sender=SHOP) as mailer:
            await mailer.send(HELLO)
    assert (server.received[0].user, server.received[0].encrypted) == (USER, True)


@pytest.mark.parametrize(("login", "starttls"), [(LOGIN, ""), (LOGIN, "&starttls=required"), ("", "&starttls=auto")])
async def test_starttls(tls: ssl.SSLContext, certificate: Path, login: str, starttls: str) -> None:
    """With smtp:// the connection is encrypted before the login, and where nobody logs in if the server can."""
    async with mail_server(starttls=tls, login=bool(login)) as server:
        url = f"smtp://{login}{'@' * bool(login)}127.0.0.1:{server.port}?ssl_ca_certs={certificate}{starttls}"
        async with MailChannel(url, sender=SHOP) as mailer:
            await mailer.send(HELLO)
            await mailer.send(HELLO)
    assert [one.encrypted for one in server.received] == [True, True]
    assert len(server.sessions) == 1


@pytest.mark.parametrize("kind", ["smtps", "required", "auto", "never"])
async def test_what_the_server_can_do_is_known(tls: ssl.SSLContext, certificate: Path, kind: str) -> None:
    """However the connection began, it is known whether the server takes UTF-8, from the first mail on."""
    options: dict[str, Any] = {"tls": tls} if kind == "smtps" else {} if kind == "never" else {"starttls": tls}
    async with mail_server(**options) as server:
        url = f"smtp://127.0.0.1:{server.port}?starttls={kind}"
        if kind == "smtps":
            url = f"smtps://127.0.0.1:{server.port}?"
        async with MailChannel(f"{url}&ssl_ca_certs={certificate}", sender=SHOP) as mailer:
            await mailer.send(Mail(to="jörg@example.com", text="Hello"))
    assert server.received[0].recipients == ["jörg@example.com"]
    assert "SMTPUTF8" in server.received[0].options


async def test_a_server_of_old(server: MailServer) -> None:
    """A server that knows no EHLO is greeted by HELO, and takes mail of ASCII; one that leaves then does not."""
    async with MailChannel(f"smtp://127.0.0.1:{server.port}?starttls=never", sender=SHOP) as mailer:
        server.script["EHLO"] = ["502 5.5.1 unknown"]
        await mailer.send(Mail(to="ann@example.com", subject="Grüße", text="Köln"))
    assert server.received[0].data.isascii()
    async with MailChannel(f"smtp://127.0.0.1:{server.port}?starttls=never", sender=SHOP) as mailer:
        server.script["EHLO"] = ["421 4.3.2 shutting down"]
        with pytest.raises(MailError, match="421"):
            await mailer.send(HELLO)


async def test_a_password_does_not_go_in_the_clear() -> None:
    """Where the server does not encrypt, and must, nothing is said to it: neither password nor mail."""
    async with (
        mail_server() as server,
        MailChannel(f"smtp://{LOGIN}@127.0.0.1:{server.port}", sender=SHOP) as mailer,
    ):
        with pytest.raises(MailError, match="STARTTLS"):
            await mailer.send(HELLO)
        assert server.received == []
        assert not any("AUTH" in one for one in server.heard)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_certificate_of_nobody(tls: ssl.SSLContext, scheme: str) -> None:
    """A certificate that nobody has signed is not trusted."""
    options: dict[str, Any] = {"tls": tls} if scheme == "smtps" else {"starttls": tls}
    async with (
        mail_server(**options) as server,
        MailChannel(f"{scheme}://127.0.0.1:{server.port}", sender=SHOP) as mailer,
    ):
        with pytest.raises(MailError, match=r"(?i)certificate"):
            await mailer.send(HELLO)
    assert server.received == []


async def test_a_wrong_password(tls: ssl.SSLContext, certificate: Path) -> None:
    """It is an error of now, as the mail can be sent when the setting is right, and shows no password."""
    async with mail_server(tls=tls, login=True) as server:
        url = f"smtps://{USER}:wrong-one@127.0.0.1:{server.port}?ssl_ca_certs={certificate}"
        async with MailChannel(url, sender=SHOP) as mailer:
            with pytest.raises(MailError, match="535") as caught:
                await mailer.send(HELLO)
    assert "wrong-one" not in f"{caught.value!r}{caught.value.__cause__!r}"
    with pytest.raises(ConfigurationError, match="ssl_ca_certs=/no/such"):
        MailChannel(f"smtps://{LOGIN}@127.0.0.1?ssl_ca_certs=/no/such")


# -- without a server --------------------------------------------------------------------------------------------------


async def test_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Without a server the log says who would get what; the text only at level DEBUG, and blind copies never."""
    mail = Mail(to="ann@example.com", cc="bob@example.com", bcc="eve@example.com", subject="Hi", text="Token 1234")
    caplog.set_level(logging.INFO, "rustforge.notify.mail")
    async with MailChannel() as mailer:
        message_id = await mailer.send(mail)
        assert message_id.startswith("<")
        assert "ann@example.com" in caplog.text
        assert "Hi" in caplog.text
        assert "1234" not in caplog.text
        caplog.set_level(logging.DEBUG, "rustforge.notify.mail")
        await mailer.send(mail)
    assert "Token 1234" in caplog.text
    assert "eve@example.com" not in caplog.text


async def test_memory_keeps_mail() -> None:
    """A channel in memory keeps what it sends, as it would have gone over the wire."""
    async with MailChannel("memory:") as mailer:
        message_id = await mailer.send(HELLO)
        (found,) = mailer.kept.sent
        assert (found.mail, found.message_id) == (HELLO, message_id)
        assert b"Hello, Ann!" in found.message
        mailer.kept.clear()
        mailer.kept.assert_nothing_sent()
    with pytest.raises(ConfigurationError, match="at log: keeps no mail"):
        _ = MailChannel("log:").kept
    assert repr(mailer) == "<MailChannel memory:>"
