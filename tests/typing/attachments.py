"""What type checkers make of attachments: each `assert_type` is checked and nothing is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, assert_type

from rustforge.attachments import Attachment, Attachments, ManySlot, SingleSlot
from tests.support.attaching import Article

if TYPE_CHECKING:
    from rustforge.attachments import AttachmentInput


async def slots(attachments: Attachments, article: Article, articles: list[Article], file: AttachmentInput) -> None:
    """A slot says what is in it; a name cannot."""
    assert_type(Article.cover, SingleSlot)
    assert_type(article.gallery, ManySlot)
    assert_type(await attachments.set(article, Article.cover, file), Attachment)
    assert_type(await attachments.get(article, "cover"), Attachment | None)
    assert_type(await attachments.all(article, Article.gallery), list[Attachment])
    assert_type(await attachments.load(articles, Article.cover), Mapping[Article, Attachment | None])
    assert_type(await attachments.load(articles, Article.gallery), Mapping[Article, list[Attachment]])
    assert_type(await attachments.load(articles, "cover"), Mapping[Article, Any])
