"""What clients send, and what they get."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, EmailStr, Field, StringConstraints

Slug = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)
]
Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)
]
Body = Annotated[str, StringConstraints(max_length=100_000)]
Status = Literal["draft", "published"]


class NewArticle(BaseModel):
    """An article that is to be made."""

    slug: Slug
    title: Title
    body: Body
    status: Status = "published"


class ArticleChange(BaseModel):
    """What is to change of an article; the rest stays."""

    slug: Slug | None = None
    title: Title | None = None
    body: Body | None = None
    status: Status | None = None


class ArticleSummary(BaseModel):
    """An article in a list."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    slug: str
    title: str


class ArticlePage(BaseModel):
    """A page of the list."""

    articles: list[ArticleSummary]
    page: int
    pages: int


class ArticleText(ArticleSummary):
    """An article with its text."""

    body: str
    status: Status
    updated_at: datetime


class StoredArticle(ArticleText):
    """An article as it is cached."""

    view_count: int
    views_seen: int


class ArticleView(ArticleText):
    """An article to read."""

    views: int


class CoverView(BaseModel):
    """The picture of an article."""

    url: str
    content_type: str
    width: int | None
    height: int | None


class NewItem(BaseModel):
    """A line of an order that is to be placed."""

    sku: str = Field(min_length=1, max_length=64, examples=["mug"])
    quantity: int = Field(ge=1, le=1000)


class NewOrder(BaseModel):
    """An order that is to be placed."""

    customer_email: EmailStr
    items: list[NewItem] = Field(min_length=1, max_length=100)


class ItemView(BaseModel):
    """A line of an order."""

    model_config = ConfigDict(from_attributes=True)

    sku: str
    quantity: int
    price_cents: int


class OrderView(BaseModel):
    """An order, as its customer sees it."""

    model_config = ConfigDict(from_attributes=True)

    public_id: uuid.UUID
    customer_email: str
    total_cents: int
    currency: str
    status: str
    created_at: datetime
    items: list[ItemView]


class NewEndpoint(BaseModel):
    """Where somebody wants webhooks."""

    url: str = Field(max_length=2000, examples=["https://example.com/hooks"])
    events: list[str] = Field(default=["order.*"], min_length=1, max_length=50)
    description: str = Field(default="", max_length=500)


class EndpointView(BaseModel):
    """An endpoint of webhooks."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    url: str
    events: list[str]
    description: str
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None


class SecretView(BaseModel):
    """The secret of an endpoint, which is shown once."""

    id: str
    secret: str
