"""Answer in the language that the client asks for."""

# --8<-- [start:install]
from fastapi import FastAPI
from pydantic import BaseModel, Field

from rustforge.http import ApiResponse, Catalogues, NotFound, install, t

catalogues = Catalogues(
    {
        "de": {
            "Article {slug} not found": "Den Artikel {slug} gibt es nicht",
            "The request is not valid.": "Ungültige Anfrage.",
            "string_too_short": "Mindestens {min_length} Zeichen",
        }
    }
)
app = FastAPI(title="Translated")
install(app, catalogues=catalogues)
# --8<-- [end:install]


class Article(BaseModel):
    title: str = Field(min_length=3)


# --8<-- [start:use]
@app.get("/articles/{slug}")
async def get_article(slug: str) -> ApiResponse[Article]:
    raise NotFound(t("Article {slug} not found", slug=slug))


# --8<-- [end:use]


@app.post("/articles", status_code=201)
async def create_article(article: Article) -> ApiResponse[Article]:
    return ApiResponse.created(article)
