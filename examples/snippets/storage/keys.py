"""Make keys on the server, and see which ones are refused."""

import re

from rustforge.errors import InvalidArgumentError

# --8<-- [start:keys]
from rustforge.storage import check_key, new_key

key = new_key("articles", "cover", "png")
print(re.sub(r"\d{4}/\d\d/\d\d/[0-9a-f]{32}", "yyyy/mm/dd/uuid", key))

for key in ("../secrets.txt", "invoices/7 (copy).pdf", "aux.txt"):
    try:
        check_key(key)
    except InvalidArgumentError as error:
        print(str(error).partition(": ")[0])
# --8<-- [end:keys]
