"""Verify a webhook without FastAPI."""

# --8<-- [start:verify]
from rustforge.errors import WebhookSignatureError
from rustforge.notify.webhook import new_secret, sign, verify_webhook

OLD, NEW = new_secret(), new_secret()


def answer(headers: dict[str, str], body: bytes) -> int:
    try:
        webhook_id = verify_webhook(headers, body, [NEW, OLD])
    except WebhookSignatureError as error:
        print(error)
        return 401
    print("from the sender:", webhook_id)
    return 204


signed = sign(b"{}", OLD, webhook_id="evt_1")
print(answer(signed, b"{}"))
print(answer(signed, b'{"forged": true}'))
# --8<-- [end:verify]
