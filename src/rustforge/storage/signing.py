"""Signatures of URLs and tokens, each for one purpose, one key and a limited time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from itsdangerous import BadData, URLSafeSerializer

from rustforge.errors import InvalidArgumentError, StorageTokenError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustforge.clock import Clock

__all__ = ["UPLOAD", "Signer", "reading", "writing"]

UPLOAD = "upload"
"""The purpose of the token that a client hands back after an upload."""

_LEAST = 16


def reading(key: str) -> str:
    """Name the purpose of a signature that reads an object."""
    return f"GET {key}"


def writing(key: str) -> str:
    """Name the purpose of a signature that writes an object."""
    return f"PUT {key}"


class Signer:
    """Signs facts with the application's secret, and reads them back."""

    def __init__(self, secret: str | Sequence[str], clock: Clock) -> None:
        """Take the secret; of several the last one signs, and all are accepted.

        Raises:
            InvalidArgumentError: A secret is shorter than 16 characters.
        """
        self._secrets = [secret] if isinstance(secret, str) else list(secret)
        if not self._secrets or any(len(each) < _LEAST for each in self._secrets):
            msg = f"the secret for signatures needs at least {_LEAST} characters that nobody can guess"
            raise InvalidArgumentError(msg)
        self._clock = clock

    def sign(self, purpose: str, expires: int, *facts: str | int | bool | None) -> str:
        """Sign facts.

        Args:
            purpose: What the signature is for; no other purpose accepts it.
            expires: How many seconds it is valid.
            facts: What is signed; whoever has the token can read it.
        """
        return str(self._serializer(purpose).dumps([int(self._clock.time()) + expires, *facts]))

    def read(self, purpose: str, token: str) -> tuple[int, list[Any]]:
        """Read the facts.

        Returns:
            How many seconds the token is still valid, and the facts.

        Raises:
            StorageTokenError: The token was not signed with this secret for this purpose, or has expired.
        """
        try:
            found: list[Any] = self._serializer(purpose).loads(token)
        except BadData:
            msg = "the signature is not valid here"
            raise StorageTokenError(msg) from None
        until, *facts = found
        left = int(until - self._clock.time())
        if left <= 0:
            msg = "the signature has expired"
            raise StorageTokenError(msg)
        return left, facts

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        return URLSafeSerializer(
            self._secrets,
            salt=f"rustforge.storage {purpose}",
            signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
        )
