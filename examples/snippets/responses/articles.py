"""Answer in the envelope, and raise what goes wrong."""

# --8<-- [start:app]
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from rustforge.http import (
    ApiResponse,
    Forbidden,
    NotFound,
    Validation,
    errors,
    install,
    t,
)

app = FastAPI(
    title="Articles", generate_unique_id_function=lambda route: route.name
)
install(app)
# --8<-- [end:app]


# --8<-- [start:model]
class Article(BaseModel):
    slug: str = Field(pattern="^[a-z0-9-]+$", max_length=80)
    title: str = Field(min_length=3, max_length=200)


articles = {"hello": Article(slug="hello", title="Hello, world")}
# --8<-- [end:model]


# --8<-- [start:success]
@app.get("/articles")
async def list_articles() -> ApiResponse[list[Article]]:
    return ApiResponse.success(list(articles.values()))


# --8<-- [end:success]


# --8<-- [start:created]
@app.post("/articles", status_code=201)
async def create_article(article: Article) -> ApiResponse[Article]:
    articles[article.slug] = article
    return ApiResponse.created(article, "The article is saved.")


# --8<-- [end:created]


# --8<-- [start:not_found]
@app.get("/articles/{slug}", responses=errors(NotFound))
async def get_article(slug: str) -> ApiResponse[Article]:
    article = articles.get(slug)
    if article is None:
        raise NotFound(t("Article not found"))
    return ApiResponse.success(article)


# --8<-- [end:not_found]


# --8<-- [start:user]
class User(BaseModel):
    name: str
    is_editor: bool


bearer = HTTPBearer(description="Your name, which stands for a token.")


async def current_user(
    sent: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
) -> User:
    return User(name=sent.credentials, is_editor=sent.credentials == "eva")


# --8<-- [end:user]


# --8<-- [start:forbidden]
@app.delete("/articles/{slug}", responses=errors(Forbidden, NotFound))
async def delete_article(
    slug: str, user: Annotated[User, Depends(current_user)]
) -> ApiResponse[None]:
    if not user.is_editor:
        raise Forbidden(t("Not allowed to delete articles"))
    if articles.pop(slug, None) is None:
        raise NotFound(t("Article not found"))
    return ApiResponse.success(None, t("The article is deleted."))


# --8<-- [end:forbidden]


# --8<-- [start:validation]
class Subscriber(BaseModel):
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=200)


subscribers = {"ada@example.org"}


@app.post("/subscribers", status_code=201)
async def subscribe(subscriber: Subscriber) -> ApiResponse[Subscriber]:
    if subscriber.email in subscribers:
        raise Validation(
            t("Validation failed"), {"email": t("Email already taken")}
        )
    subscribers.add(subscriber.email)
    return ApiResponse.created(subscriber)


# --8<-- [end:validation]


# --8<-- [start:internal]
@app.get("/report")
async def report() -> ApiResponse[float]:
    visits, days = 120, 0
    return ApiResponse.success(visits / days)


# --8<-- [end:internal]
