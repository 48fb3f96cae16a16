"""Attach files: bytes, objects of the storage, and pictures that the HTML shows."""

import asyncio

# --8<-- [start:import]
from rustforge.notify import Mail, MailAttachment, MailChannel

# --8<-- [end:import]
from rustforge.storage import Storage


# --8<-- [start:attachments]
def invoice(email: str, number: int, logo: bytes) -> Mail:
    return Mail(
        to=email,
        subject=f"Invoice {number}",
        html='<img src="cid:logo" alt="Shop"><p>Here is your invoice.</p>',
        attachments=[
            MailAttachment("invoice.pdf", key=f"invoices/{number}.pdf"),
            MailAttachment("logo.png", logo, content_id="logo"),
        ],
    )


# --8<-- [end:attachments]


async def main() -> None:
    async with Storage.connect("memory://") as storage:
        await storage.put("invoices/7.pdf", b"%PDF")
        async with MailChannel("memory:", storage=storage) as mailer:
            await mailer.send(invoice("ann@example.com", 7, b"\x89PNG"))
        assert b'filename="invoice.pdf"' in mailer.kept.sent[0].message


asyncio.run(main())
