"""Where settings come from, and which source wins."""

import os
from pathlib import Path

from rustforge.settings import Settings

# --8<-- [start:sources]
with Path(".env").open("w") as file:
    file.write("REDIS_URL=redis://from-dotenv:6379/0\n")
    file.write("REDIS_PREFIX=shop\n")
    file.write("DEBUG=true\n")
os.environ["REDIS_URL"] = "redis://from-environment:6379/0"

settings = Settings(debug=False)  # an argument wins over both
print(settings.redis_url)  # the environment wins over .env
print(settings.redis_prefix)  # .env wins over the default
print(settings.debug)
print(settings.mail_url)  # the default
# --8<-- [end:sources]
