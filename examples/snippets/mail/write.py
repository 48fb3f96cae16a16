"""Write a mail, and see what goes over the wire."""

import asyncio
import email
import email.policy

# --8<-- [start:import]
from rustforge.notify import Mail, MailChannel
from rustforge.notify.mail import MailAddress

# --8<-- [end:import]


async def main() -> None:
    # --8<-- [start:write]
    mail = Mail(
        to=["Ann Lee <ann@example.com>", MailAddress("jm@bücher.example", "Jörg")],
        cc="office@example.com",
        bcc="archive@example.com",
        reply_to="help@example.com",
        subject="Your order",
        html='<p>Thank you! <a href="https://example.com/7">Your order</a></p>',
        headers={"List-Unsubscribe": "<https://example.com/u/7>"},
    )
    print(mail.recipients)
    # --8<-- [end:write]
    async with MailChannel("memory:", sender="Shop <shop@example.com>") as mailer:
        # --8<-- [start:send]
        message_id = await mailer.send(mail, idempotency_key="order-7")
        # --8<-- [end:send]
        message = email.message_from_bytes(
            mailer.kept.sent[0].message, policy=email.policy.default
        )
    assert message["Message-ID"] == message_id
    for name in ("Message-ID", "From", "To", "Cc", "Reply-To", "Subject"):
        print(f"{name}: {message[name]}")
    for part in message.walk():
        if not part.is_multipart():
            print(f"{part.get_content_type()}: {part.get_content().strip()}")


asyncio.run(main())
