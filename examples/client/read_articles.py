"""Use a client that was generated from the application's OpenAPI document."""

import sys

# --8<-- [start:client]
from articles_client import Client
from articles_client.api.default import get_article
from articles_client.models import ApiResponseArticle, ErrorResponse


def show(client: Client, slug: str) -> None:
    """Print the title of an article."""
    match get_article.sync(slug, client=client):
        case ApiResponseArticle(data=article):
            print(article.title)
        case ErrorResponse(error_code="NOT_FOUND"):
            print("There is no such article.")
        case other:
            raise RuntimeError(other)


# --8<-- [end:client]

with Client(base_url=sys.argv[1]) as articles:
    show(articles, "hello")
    show(articles, "gone")
