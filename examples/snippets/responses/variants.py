"""Look at what the errors are without a message."""

# --8<-- [start:variants]
from rustforge.http import (
    BadRequest,
    Internal,
    TooManyRequests,
    Unauthorized,
    UnprocessableEntity,
)

for kind in (BadRequest, Unauthorized, UnprocessableEntity, Internal):
    print(kind.status, kind.error_code, kind().message)

error = TooManyRequests("Not so fast.", retry_after=30)
print(error.status, error.error_code, error.message, error.headers)
# --8<-- [end:variants]
