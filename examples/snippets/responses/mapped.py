"""Say what exceptions of the domain mean."""

from fastapi import FastAPI

from rustforge.http import ApiResponse, AppError, install


# --8<-- [start:conflict]
class Conflict(AppError):
    """Somebody else was faster."""

    status = 409


# --8<-- [end:conflict]


# --8<-- [start:install]
class OutOfStockError(Exception):  # knows nothing of HTTP
    def __init__(self, left: int) -> None:
        super().__init__(left)
        self.left = left


def out_of_stock(error: OutOfStockError) -> AppError:
    return Conflict(f"Only {error.left} are left.")


app = FastAPI(title="Orders")
install(app, mappings={OutOfStockError: out_of_stock}, max_body_bytes=1_000)


@app.post("/orders")
async def place_order(quantity: int) -> ApiResponse[int]:
    if quantity > 3:
        raise OutOfStockError(left=3)
    return ApiResponse.success(quantity)


# --8<-- [end:install]
