"""Articles with a cover and a gallery: from the upload to the URL."""

# --8<-- [start:app]
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, Request, UploadFile
from pydantic import BaseModel
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rustforge.attachments import (
    AttachmentRules,
    Attachments,
    Resize,
    accept,
    many_slot,
    single_slot,
)
from rustforge.boot import BootContext, boot
from rustforge.http import (
    ApiResponse,
    NotFound,
    files_app,
    install,
    multipart,
    store_upload,
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with boot() as ctx:
        app.state.ctx = ctx
        await create_tables(ctx)
        yield


app = FastAPI(lifespan=lifespan)
install(app)
app.mount("/files", files_app(lambda request: request.app.state.ctx.storage))


async def context(request: Request) -> BootContext:
    ctx: BootContext = request.app.state.ctx
    return ctx


Ctx = Annotated[BootContext, Depends(context)]
# --8<-- [end:app]


# --8<-- [start:model]
class Base(DeclarativeBase): ...


class Article(Base):
    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]

    cover = single_slot(
        AttachmentRules(allowed=["image/*"], resize=Resize(width=320))
    )
    gallery = many_slot(
        AttachmentRules(allowed=["image/jpeg", "image/png"]), max_count=20
    )


# --8<-- [end:model]


async def create_tables(ctx: BootContext) -> None:
    async with ctx.db.transaction() as session:
        await session.run_sync(
            lambda sync: Base.metadata.create_all(sync.connection())
        )
        session.add(Article(id=7, title="Hello"))


# --8<-- [start:cover]
class CoverView(BaseModel):
    url: str
    content_type: str
    width: int | None
    height: int | None
    name: str | None


@app.put("/articles/{article_id}/cover")
async def set_cover(
    article_id: int, file: UploadFile, ctx: Ctx
) -> ApiResponse[CoverView]:
    # 1. Check the file and store it
    stored = await store_upload(
        file, ctx.storage, Article.cover.rules, owner="articles", field="cover"
    )
    async with ctx.db.transaction() as session:
        article = await session.get(Article, article_id)
        if article is None:
            raise NotFound("Article not found")
        # 2. Attach what was stored
        attachments = Attachments(session, ctx.storage, expires=timedelta(hours=2))
        cover = await attachments.set(article, Article.cover, stored)
        # 3. Answer with its URL
        view = CoverView(
            url=attachments.url(cover),
            content_type=cover.content_type,
            width=cover.width,
            height=cover.height,
            name=cover.name,
        )
        return ApiResponse.success(view, "Cover uploaded")


# --8<-- [end:cover]


# --8<-- [start:read]
class ArticleView(BaseModel):
    title: str
    cover_url: str | None
    gallery_urls: list[str]


@app.get("/articles/{article_id}")
async def get_article(article_id: int, ctx: Ctx) -> ApiResponse[ArticleView]:
    async with ctx.db.reading() as session:
        article = await session.get(Article, article_id)
        if article is None:
            raise NotFound("Article not found")
        attachments = Attachments(session, ctx.storage)
        cover = await attachments.get(article, Article.cover)
        gallery = await attachments.all(article, Article.gallery)
        return ApiResponse.success(
            ArticleView(
                title=article.title,
                cover_url=attachments.url(cover) if cover else None,
                gallery_urls=[attachments.url(photo) for photo in gallery],
            )
        )


# --8<-- [end:read]


# --8<-- [start:clear]
@app.delete("/articles/{article_id}/cover")
async def clear_cover(article_id: int, ctx: Ctx) -> ApiResponse[None]:
    async with ctx.db.transaction() as session:
        article = await session.get(Article, article_id)
        if article is None:
            raise NotFound("Article not found")
        await Attachments(session, ctx.storage).clear(article, Article.cover)
    return ApiResponse.success(None, "Cover removed")


# --8<-- [end:clear]


# --8<-- [start:stream]
@app.post("/articles/{article_id}/gallery")
async def add_photos(
    article_id: int, request: Request, ctx: Ctx
) -> ApiResponse[int]:
    photos = [
        await store_upload(
            part,
            ctx.storage,
            Article.gallery.rules,
            owner="articles",
            field="gallery",
        )
        async for part in multipart(request, max_size=200 * 1024**2)
        if part.filename is not None
    ]
    async with ctx.db.transaction() as session:
        article = await session.get(Article, article_id)
        if article is None:
            raise NotFound("Article not found")
        attachments = Attachments(session, ctx.storage)
        for photo in photos:
            await attachments.add(article, Article.gallery, photo)
    return ApiResponse.success(len(photos))


# --8<-- [end:stream]


# --8<-- [start:permit]
class Upload(BaseModel):
    url: str
    method: str
    headers: dict[str, str]
    fields: dict[str, str]
    token: str


@app.post("/articles/{article_id}/cover/uploads")
async def permit_cover(article_id: int, ctx: Ctx) -> ApiResponse[Upload]:
    upload = ctx.storage.presign_upload(
        "articles/cover", max_size=Article.cover.rules.max_size
    )
    return ApiResponse.success(
        Upload(
            url=upload.url,
            method=upload.method,
            headers=dict(upload.headers),
            fields=dict(upload.fields),
            token=upload.token,
        )
    )


# --8<-- [end:permit]


# --8<-- [start:accept]
class Uploaded(BaseModel):
    token: str
    name: str | None = None


@app.put("/articles/{article_id}/cover/uploads")
async def accept_cover(
    article_id: int, uploaded: Uploaded, ctx: Ctx
) -> ApiResponse[str]:
    stored = await accept(
        ctx.storage,
        uploaded.token,
        Article.cover.rules,
        owner="articles",
        field="cover",
        name=uploaded.name,
    )
    async with ctx.db.transaction() as session:
        article = await session.get(Article, article_id)
        if article is None:
            raise NotFound("Article not found")
        attachments = Attachments(session, ctx.storage)
        cover = await attachments.set(article, Article.cover, stored)
        return ApiResponse.success(attachments.url(cover), "Cover uploaded")


# --8<-- [end:accept]
