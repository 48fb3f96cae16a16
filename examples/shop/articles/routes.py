"""The HTTP API of articles."""

from typing import Annotated

from fastapi import APIRouter, Query, UploadFile

from rustforge.http import ApiResponse, NotFound, Unauthorized, errors, store_upload
from shop.articles import service
from shop.articles.cached import list_articles, read_article
from shop.articles.views import count_view
from shop.models import Article
from shop.schemas import (
    ArticleChange,
    ArticlePage,
    ArticleSummary,
    ArticleText,
    ArticleView,
    CoverView,
    NewArticle,
)
from shop.state import Admin, State

router = APIRouter(prefix="/articles", tags=["articles"])


# --8<-- [start:list]
@router.get("")
async def list_(
    state: State, page: Annotated[int, Query(ge=1, le=1000)] = 1
) -> ApiResponse[ArticlePage]:
    """List published articles, the newest first."""
    return ApiResponse.success(await list_articles(state.cache, state.ctx.db, page))


# --8<-- [end:list]


@router.get("/search")
async def search(
    state: State, word: Annotated[str, Query(min_length=2, max_length=40)]
) -> ApiResponse[list[ArticleSummary]]:
    """Find articles by a word."""
    return ApiResponse.success(await service.search_articles(state, word))


# --8<-- [start:read]
@router.get("/{slug}", responses=errors(NotFound))
async def read(slug: str, state: State) -> ApiResponse[ArticleView]:
    """Read an article, and count that it was read."""
    article = await read_article(state.cache, state.ctx.db, slug)
    views = await count_view(state.cache, article)
    return ApiResponse.success(ArticleView(**article.model_dump(), views=views))


# --8<-- [end:read]


@router.post(
    "", status_code=201, dependencies=[Admin], responses=errors(Unauthorized)
)
async def create(new: NewArticle, state: State) -> ApiResponse[ArticleText]:
    """Make an article."""
    return ApiResponse.created(
        _text(await service.create_article(state, new)), "Article created"
    )


@router.patch(
    "/{article_id}", dependencies=[Admin], responses=errors(Unauthorized, NotFound)
)
async def update(
    article_id: int, change: ArticleChange, state: State
) -> ApiResponse[ArticleText]:
    """Change an article."""
    return ApiResponse.success(
        _text(await service.update_article(state, article_id, change))
    )


@router.delete(
    "/{article_id}", dependencies=[Admin], responses=errors(Unauthorized, NotFound)
)
async def delete(article_id: int, state: State) -> ApiResponse[None]:
    """Delete an article and its cover."""
    await service.delete_article(state, article_id)
    return ApiResponse.success(None, "Article deleted")


@router.put(
    "/{article_id}/cover",
    dependencies=[Admin],
    responses=errors(Unauthorized, NotFound),
)
async def set_cover(
    article_id: int, file: UploadFile, state: State
) -> ApiResponse[CoverView]:
    """Put a picture to an article: checked and stored before its row is made."""
    stored = await store_upload(
        file,
        state.ctx.storage,
        Article.cover.rules,
        owner="articles",
        field="cover",
    )
    return ApiResponse.success(
        await service.set_cover(state, article_id, stored), "Cover uploaded"
    )


@router.get("/{article_id}/cover", responses=errors(NotFound))
async def get_cover(article_id: int, state: State) -> ApiResponse[CoverView]:
    """Find the picture of an article."""
    return ApiResponse.success(await service.get_cover(state, article_id))


@router.delete(
    "/{article_id}/cover",
    dependencies=[Admin],
    responses=errors(Unauthorized, NotFound),
)
async def clear_cover(article_id: int, state: State) -> ApiResponse[None]:
    """Take the picture off an article."""
    await service.clear_cover(state, article_id)
    return ApiResponse.success(None, "Cover removed")


def _text(article: Article) -> ArticleText:
    return ArticleText.model_validate(article)
