"""See what is refused."""

from typing import Any

from rustforge.errors import InvalidArgumentError
from rustforge.notify import Mail

# --8<-- [start:refused]
tries: list[dict[str, Any]] = [
    {"to": "ann@example.com, eve@example.com"},
    {"to": "ann@example.com", "subject": "Hi\r\nBcc: eve@example.com"},
    {"to": "ann@example.com", "headers": {"Bcc": "eve@example.com"}},
    {"to": []},
]
for fields in tries:
    try:
        Mail(text="Hello", **fields)
    except InvalidArgumentError as error:
        print(str(error).partition(":")[0])
# --8<-- [end:refused]
