"""What the shop is told from outside: Rustforge's settings, and its own."""

from __future__ import annotations

from pydantic import Field, SecretStr

from rustforge.settings import Settings


class ShopSettings(Settings):
    """Rustforge's settings, and those of the shop."""

    database_url: str = Field()
    """`DATABASE_URL`: must be set, as the shop has tables of its own there."""

    admin_token: SecretStr = Field(default=SecretStr(""))
    """`ADMIN_TOKEN`: what staff send as a bearer token. Empty, nobody is let in."""
