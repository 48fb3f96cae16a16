"""Test what is sent and queued."""

import asyncio

# --8<-- [start:import]
from rustforge.boot import BootContext, boot
from rustforge.notify import Mail, MailChannel, SendMail
from rustforge.testing import job_context, run_job

# --8<-- [end:import]


async def place_order(ctx: BootContext, email: str) -> None:
    mail = Mail(to=email, subject="Your order", text="Thank you!")
    await ctx.mailer.queue(ctx.queue, mail)


# --8<-- [start:fake]
async def test_an_order_is_confirmed() -> None:
    async with boot() as ctx:
        with ctx.mailer.fake() as mails:
            await place_order(ctx, "ann@example.com")
        mails.assert_queued(to="ann@example.com", subject="Your order", times=1)
        mails.assert_sent(where=lambda mail: mail.html is not None, times=0)
        assert mails.queued[0].delay == 0


# --8<-- [end:fake]
# --8<-- [start:memory]
async def test_queued_mail_goes_out() -> None:
    ctx = job_context(mailer=MailChannel("memory:"))
    mail = Mail(to="ann@example.com", subject="Your order", text="Thank you!")
    await run_job(SendMail(mail=mail), ctx)
    mails = ctx.mailer.kept
    mails.assert_sent(to="ann@example.com")
    assert ctx.job_id in mails.sent[0].message_id
    mails.clear()
    mails.assert_nothing_sent()


# --8<-- [end:memory]


async def main() -> None:
    await test_an_order_is_confirmed()
    await test_queued_mail_goes_out()


asyncio.run(main())
