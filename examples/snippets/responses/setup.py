"""Let every error of an application be answered in one shape."""

# --8<-- [start:setup]
from fastapi import FastAPI

from rustforge.http import install

app = FastAPI()
install(app)
# --8<-- [end:setup]
