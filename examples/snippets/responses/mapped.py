"""Say what exceptions of other libraries mean."""

# --8<-- [start:install]
from fastapi import FastAPI

from rustforge.http import ApiResponse, AppError, install


class Conflict(AppError):
    """Somebody else was faster."""

    status = 409


class OutOfStockError(Exception):  # of your domain, which knows nothing of HTTP
    def __init__(self, left: int) -> None:
        super().__init__(left)
        self.left = left


def out_of_stock(error: OutOfStockError) -> AppError:
    return Conflict(f"Only {error.left} are left.")


app = FastAPI(title="Mapped")
install(app, mappings={OutOfStockError: out_of_stock}, max_body_bytes=1_000)
# --8<-- [end:install]


# --8<-- [start:raise]
@app.post("/orders")
async def order(quantity: int = 1) -> ApiResponse[int]:
    if quantity > 3:
        raise OutOfStockError(left=3)
    return ApiResponse.success(quantity)


# --8<-- [end:raise]
