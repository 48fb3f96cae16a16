"""Make keys on the server, and see which ones are refused."""

import re

from rustforge.errors import InvalidArgumentError

# --8<-- [start:keys]
from rustforge.storage import check_key, new_key

key = new_key("articles", "cover", "png")
print(re.sub("[0-9a-f]{32}", "(32 digits)", key))
# --8<-- [end:keys]
# --8<-- [start:refused]
for key in ("../secrets.txt", "invoices/7 (copy).pdf", "aux.txt"):
    try:
        check_key(key)
    except InvalidArgumentError as error:
        print(str(error).partition(": ")[0])
# --8<-- [end:refused]
