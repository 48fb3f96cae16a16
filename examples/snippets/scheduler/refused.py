"""An expression that is not understood says why."""

from rustforge.errors import InvalidArgumentError
from rustforge.jobs import Cron

# --8<-- [start:refused]
for expression in ("61 * * * *", "0 0 30 2 *", "0 9 * * monday"):
    try:
        Cron(expression)
    except InvalidArgumentError as error:
        print(error)
# --8<-- [end:refused]
