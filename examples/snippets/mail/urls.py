"""Read mail URLs, and see which ones are refused."""

from rustforge.errors import ConfigurationError

# --8<-- [start:urls]
from rustforge.notify.mail import MailUrl

for url in (
    "smtps://shop:s3cret@mail.example.com",
    "smtp://shop:s3cret@mail.example.com:2525?timeout=10",
    "smtp://127.0.0.1:1025",
):
    found = MailUrl.parse(url)
    print(found, found.encryption)

for url in (
    "smtp://shop:s3cret@mail.example.com?starttls=auto",
    "smtp://shop:s3c#et@mail.example.com",
):
    try:
        MailUrl.parse(url)
    except ConfigurationError as error:
        print(str(error).partition(";")[0])
# --8<-- [end:urls]
