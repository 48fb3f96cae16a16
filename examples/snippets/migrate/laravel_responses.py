"""Responses and errors, for users of Laravel."""

import asyncio

import httpx2

# --8<-- [start:responses]
from fastapi import FastAPI
from pydantic import BaseModel, Field

from rustforge.http import ApiResponse, NotFound, install

app = FastAPI()
install(app)


class Article(BaseModel):
    slug: str = Field(pattern="^[a-z0-9-]+$")
    title: str = Field(min_length=3, max_length=200)


articles = {"hello": Article(slug="hello", title="Hello")}


@app.get("/articles/{slug}")
async def get_article(slug: str) -> ApiResponse[Article]:
    if slug not in articles:
        raise NotFound("Article not found")
    return ApiResponse.success(articles[slug])


@app.post("/articles", status_code=201)
async def create(article: Article) -> ApiResponse[Article]:
    articles[article.slug] = article
    return ApiResponse.created(article)


# --8<-- [end:responses]


async def main() -> None:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://shop"
    ) as client:
        for answer in (
            await client.get("/articles/hello"),
            await client.get("/articles/gone"),
            await client.post(
                "/articles",
                json={"slug": "?", "title": "Hi"},
            ),
        ):
            print(answer.status_code, answer.text)


asyncio.run(main())
