"""What clients may send: chapter 11 of the cookbook, step 2."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shop.schemas import NewArticle, NewOrder


# --8<-- [start:valid]
def test_an_article_that_fits() -> None:
    """What is valid is taken, blanks around the title are not."""
    article = NewArticle(slug="hello-world", title="  Hello ", body="A text.")
    assert article.title == "Hello"
    assert article.status == "published"


# --8<-- [end:valid]


# --8<-- [start:invalid]
def wrong_fields(model: type[NewArticle | NewOrder], given: Any) -> set[str]:
    """Say which fields are refused."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(given)
    return {".".join(map(str, error["loc"])) for error in caught.value.errors()}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"title": ""}, {"title"}),
        ({"title": "   "}, {"title"}),
        ({"title": "x" * 201}, {"title"}),
        ({"slug": "Hello World"}, {"slug"}),
        ({"slug": "../etc", "body": None}, {"slug", "body"}),
        ({"status": "secret"}, {"status"}),
    ],
)
def test_articles_that_do_not_fit(change: dict[str, Any], wrong: set[str]) -> None:
    """Each rule names its field."""
    article = {"slug": "hello", "title": "Hello", "body": "A text.", **change}
    assert wrong_fields(NewArticle, article) == wrong


# --8<-- [end:invalid]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"customer_email": "ann"}, {"customer_email"}),
        (
            {"customer_email": "ann@example.com, bob@example.com"},
            {"customer_email"},
        ),
        ({"items": []}, {"items"}),
        ({"items": [{"sku": "mug", "quantity": 0}]}, {"items.0.quantity"}),
    ],
)
def test_orders_that_do_not_fit(change: dict[str, Any], wrong: set[str]) -> None:
    """Fields within fields are named by their path."""
    order = {
        "customer_email": "ann@example.com",
        "items": [{"sku": "mug", "quantity": 1}],
        **change,
    }
    assert wrong_fields(NewOrder, order) == wrong
