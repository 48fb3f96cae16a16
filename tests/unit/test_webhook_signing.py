"""Signatures of webhooks: those of the specification, and one error for whatever else comes in."""

from __future__ import annotations

import re
import string
import subprocess
import sys
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustforge.clock import ManualClock
from rustforge.errors import ConfigurationError, InvalidArgumentError, InvalidTypeError, WebhookSignatureError
from rustforge.notify.webhook import new_secret, sign, verify_webhook
from rustforge.notify.webhook.signing import check_secret

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
NOW = 1614265330
CLOCK = ManualClock(NOW)
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(NOW),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}

ids = st.text(string.ascii_letters + string.digits + "_:-", min_size=1, max_size=50)
keys = st.binary(min_size=24, max_size=64).map(lambda key: "whsec_" + b64encode(key).decode())


def changed(**headers: Any) -> dict[str, Any]:
    """Change some of the good headers; `None` takes one away."""
    found = {**HEADERS, **{f"webhook-{name}": value for name, value in headers.items()}}
    return {name: value for name, value in found.items() if value is not None}


def test_the_signature_is_that_of_the_specification() -> None:
    """The example that the libraries of all languages share is signed, and verified, with the same signature."""
    assert sign(BODY, SECRET, webhook_id=HEADERS["webhook-id"], clock=CLOCK) == HEADERS
    assert verify_webhook(HEADERS, BODY, SECRET, clock=CLOCK) == HEADERS["webhook-id"]


@given(ids, keys, st.binary(), st.integers(0, 10**11))
def test_the_reference_library_verifies_what_is_signed(webhook_id: str, secret: str, body: bytes, moment: int) -> None:
    """What is signed here has the signature that the library of the specification makes, byte for byte."""
    library = pytest.importorskip("standardwebhooks")
    text = body.decode("latin-1").encode("ascii", "replace").decode()  # the library signs text
    ours = sign(text.encode(), secret, webhook_id=webhook_id, timestamp=moment % 2**32)
    theirs = library.Webhook(secret).sign(webhook_id, datetime.fromtimestamp(moment % 2**32, UTC), text)
    assert ours["webhook-signature"] == theirs
    assert verify_webhook(
        {**ours, "webhook-signature": theirs}, text.encode(), secret, clock=ManualClock(moment % 2**32)
    )


def test_the_reference_library_takes_what_is_sent() -> None:
    """The library of the specification reads a signed webhook, also while two secrets sign."""
    library = pytest.importorskip("standardwebhooks")
    old, new = new_secret(), new_secret()
    headers = sign(BODY, [new, old], webhook_id="evt_1")
    for secret in (old, new):
        assert library.Webhook(secret).verify(BODY, headers) == {"test": 2432232314}


@given(ids, st.lists(keys, min_size=1, max_size=4), st.binary(), st.data())
def test_what_is_signed_is_verified_by_each_of_its_secrets(
    webhook_id: str, secrets: list[str], body: bytes, data: st.DataObject
) -> None:
    """Whoever has one of the secrets verifies it; who has none does not, and nothing may be changed."""
    headers = sign(body, secrets, webhook_id=webhook_id, clock=CLOCK)
    one = data.draw(st.sampled_from(secrets))
    assert verify_webhook(headers, body, one, clock=CLOCK) == webhook_id
    assert verify_webhook(headers, body, [new_secret(), one], clock=CLOCK) == webhook_id
    with pytest.raises(WebhookSignatureError):
        verify_webhook(headers, body, new_secret(), clock=CLOCK)
    with pytest.raises(WebhookSignatureError):
        verify_webhook(headers, body + b" ", one, clock=CLOCK)
    with pytest.raises(WebhookSignatureError):
        verify_webhook({**headers, "webhook-id": webhook_id + "x"}, body, one, clock=CLOCK)
    with pytest.raises(WebhookSignatureError):
        verify_webhook({**headers, "webhook-timestamp": str(NOW + 1)}, body, one, clock=CLOCK)


hostile = st.one_of(
    st.none(),
    st.text(),
    st.text(st.characters(categories=["Cs", "N", "Zs", "Cc"])),
    st.sampled_from(["v1,", "v1", ",", " ", "v1,ä", "v2,x", "\udcff", "9" * 5000, "-1", "1e3", "١٢٣", "٣", "nan"]),
    st.binary(),
    st.integers(),
)


@given(
    st.one_of(
        st.dictionaries(st.one_of(st.text(), st.sampled_from(list(HEADERS))), hostile),
        st.builds(changed, id=hostile),
        st.builds(changed, timestamp=hostile),
        st.builds(changed, signature=hostile),
    ),
    st.binary(),
)
def test_whatever_comes_in_there_is_one_error(headers: dict[str, Any], body: bytes) -> None:
    """Headers and bodies of any kind, for which the reference library raises ValueError and UnicodeDecodeError."""
    with pytest.raises(WebhookSignatureError):
        verify_webhook(headers, body, SECRET, clock=CLOCK)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (changed(id=None), "no header webhook-id"),
        (changed(id=""), "no header webhook-id"),
        (changed(id="msg.1"), "full stop"),
        (changed(timestamp=None), "no header webhook-timestamp"),
        (changed(timestamp=f"{NOW}.0"), "no number of seconds"),
        (changed(timestamp=f" {NOW}"), "no number of seconds"),
        (changed(timestamp="9" * 4301), "no number of seconds"),
        (changed(signature=None), "no header webhook-signature"),
        (changed(signature="v1,"), "no signature"),
        (changed(signature=HEADERS["webhook-signature"].replace("v1,", "v2,")), "no signature"),
        (changed(signature=HEADERS["webhook-signature"].removeprefix("v1,")), "no signature"),
        (changed(signature="v1,\udc80\xff="), "no signature"),
    ],
)
def test_the_error_says_what_is_wrong(headers: dict[str, str], reason: str) -> None:
    """The reasons that the sender, or whoever reads the log, can do something about."""
    with pytest.raises(WebhookSignatureError, match=reason):
        verify_webhook(headers, BODY, SECRET, clock=CLOCK)


def test_headers_may_be_written_in_any_case_and_with_other_signatures() -> None:
    """Names of headers have no case, and signatures of other schemes and secrets stand beside ours."""
    headers = {name.title(): value for name, value in HEADERS.items()}
    headers["Webhook-Signature"] = f"v1a,hnO3 v1,AAAA {HEADERS['webhook-signature']} v3"
    assert verify_webhook(headers, BODY, SECRET, clock=CLOCK) == HEADERS["webhook-id"]


@pytest.mark.parametrize(("apart", "fits"), [(-300, True), (-301, False), (300, True), (301, False)])
def test_the_tolerance_holds_both_ways(apart: int, fits: bool) -> None:
    """A webhook that was signed more than five minutes ago, or in the future, is refused, whoever signed it."""
    clock = ManualClock(NOW - apart)
    if fits:
        assert verify_webhook(HEADERS, BODY, SECRET, clock=clock)
        return
    with pytest.raises(WebhookSignatureError, match=r"more than 300 s (before|after) now"):
        verify_webhook(HEADERS, BODY, SECRET, clock=clock)
    assert verify_webhook(HEADERS, BODY, SECRET, tolerance=302, clock=clock)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_ä", "whsec_AAA", "not base64!", "whsec_ AAAA"])
@pytest.mark.parametrize("use", ["verify", "sign", "check"])
def test_a_secret_that_is_none_is_a_fault_of_ours(secret: str, use: str) -> None:
    """A wrong secret is told apart from a wrong signature, and is not shown."""
    uses: dict[str, Callable[[], Any]] = {
        "verify": lambda: verify_webhook(HEADERS, BODY, secret, clock=CLOCK),
        "sign": lambda: sign(BODY, secret, webhook_id="evt_1"),
        "check": lambda: check_secret(secret),
    }
    with pytest.raises(ConfigurationError, match="a webhook secret must be") as caught:
        uses[use]()
    assert len(secret) < 8 or secret not in str(caught.value)


def test_there_must_be_a_secret() -> None:
    """No secret at all would let everything pass, or nothing."""
    with pytest.raises(ConfigurationError, match="no webhook secret"):
        verify_webhook(HEADERS, BODY, [], clock=CLOCK)
    with pytest.raises(ConfigurationError, match="no webhook secret"):
        sign(BODY, (), webhook_id="evt_1")


@pytest.mark.parametrize("size", [1, 23, 65])
def test_a_secret_of_an_endpoint_has_the_size_of_the_specification(size: int) -> None:
    """Between 24 and 64 bytes; what is made has 32."""
    with pytest.raises(ConfigurationError, match="24 to 64 bytes"):
        check_secret("whsec_" + b64encode(bytes(size)).decode())
    made = new_secret()
    assert check_secret(made) == made
    assert made != new_secret()
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made)


@pytest.mark.parametrize("webhook_id", ["", "a.b", "a b", "ä", "a\r\nx: y", "\0"])
def test_an_id_that_cannot_be_a_header_is_refused(webhook_id: str) -> None:
    """An id goes into a header, and a full stop in it would make two webhooks of one signature."""
    with pytest.raises(InvalidArgumentError, match="visible ASCII"):
        sign(BODY, SECRET, webhook_id=webhook_id)


def test_the_body_must_be_the_bytes_that_came() -> None:
    """A text is what some parser made of the body, so that is refused where it is written."""
    with pytest.raises(InvalidTypeError, match="bytes of the request"):
        verify_webhook(HEADERS, BODY.decode(), SECRET, clock=CLOCK)  # type: ignore[arg-type]


WITHOUT = """
import sys
sys.modules |= dict.fromkeys(["h11", "idna", "sqlalchemy"])
from rustforge.http import verified_webhook
from rustforge.notify.webhook import sign, verify_webhook
import rustforge.notify.webhook as webhook
for name in ("WebhookChannel", "WebhookEndpoints", "DeliverWebhook"):
    try:
        getattr(webhook, name)
    except ModuleNotFoundError as error:
        print(error)
"""


def test_who_receives_needs_nothing_that_sends() -> None:
    """Without the extra, webhooks are verified, and what sends them says how it is installed."""
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    missing = ("h11", "sqlalchemy", "sqlalchemy")
    expected = [f"{one} is not installed; it comes with: pip install 'rustforge[webhooks]'" for one in missing]
    assert done.stdout.splitlines() == expected
