"""Look at what the OpenAPI document says."""

from fastapi import FastAPI

from rustforge.http import ApiResponse, NotFound, TooManyRequests, errors, install

app = FastAPI()
install(app)


# --8<-- [start:route]
@app.get("/articles/{article_id}", responses=errors(NotFound, TooManyRequests))
async def get_article(article_id: int) -> ApiResponse[str]:
    raise NotFound


# --8<-- [end:route]

responses = app.openapi()["paths"]["/articles/{article_id}"]["get"]["responses"]
for status, response in responses.items():
    print(status, response["description"])
    for kind, body in response["content"].items():
        print(f"    {kind}: {body['schema']['$ref'].rpartition('/')[2]}")
