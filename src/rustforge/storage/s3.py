"""What S3 is told at the start, and the URLs that are signed for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, urlencode

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from rustforge.errors import StorageError, StorageUnavailableError

if TYPE_CHECKING:
    from obstore import HTTP_METHOD

    from rustforge.clock import Clock
    from rustforge.storage.url import StorageUrl

__all__ = ["S3Signer", "open_bucket"]

_CONNECT = timedelta(seconds=5)
_LONGEST = timedelta(hours=1)
_RETRIES = 3


def open_bucket(url: StorageUrl) -> S3Store:
    """Make the store of a bucket, which connects with its first request."""
    config: dict[str, Any] = {"virtual_hosted_style_request": url.virtual}
    if url.endpoint:
        scheme, _, host = url.endpoint.partition("://")
        config["endpoint"] = f"{scheme}://{url.place}.{host}" if url.virtual else url.endpoint
    if url.region:
        config["region"] = url.region
    if url.access_key is not None:
        config |= {"access_key_id": url.access_key, "secret_access_key": url.secret_key}
    stands_still = timedelta(seconds=url.timeout)
    return S3Store(
        url.place,
        prefix=url.prefix or None,
        client_options={
            "allow_http": url.endpoint.startswith("http:"),
            "connect_timeout": min(_CONNECT, stands_still),
            "read_timeout": stands_still,
            "timeout": _LONGEST,
        },
        retry_config={
            "max_retries": _RETRIES,
            "retry_timeout": 2 * stands_still,
            "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=2), "base": 2},
        },
        **config,
    )


class S3Signer:
    """Signs URLs of a bucket; a client that has one needs no credentials."""

    def __init__(self, store: S3Store, url: StorageUrl, clock: Clock) -> None:
        """Take the store, whose credentials sign."""
        self._store = store
        self._url = url
        self._clock = clock
        self._session: Any = None

    def get(self, key: str, expires: int, headers: dict[str, str]) -> str:
        """Sign a URL that reads an object, and has the bucket answer with other headers than were stored."""
        signed = self._signed("GET", key, expires)
        if not headers:
            return signed
        query = urlencode({f"response-{name.lower()}": value for name, value in headers.items()})
        return self._again("GET", f"{_place(signed)}?{query}", signed, expires)

    def put(self, key: str, expires: int, headers: dict[str, str]) -> str:
        """Sign a URL that writes an object, if it is sent with just these headers."""
        signed = self._signed("PUT", key, expires)
        return self._again("PUT", _place(signed), signed, expires, headers)

    def post(self, key: str, expires: int, fields: dict[str, str], most: int) -> tuple[str, dict[str, str]]:
        """Sign a form that writes an object of at most so many bytes, with just these fields."""
        signed = self._signed("POST", key, expires)
        path = f"{self._url.prefix}/{key}" if self._url.prefix else key
        form = {"key": path, **fields}
        until = datetime.fromtimestamp(self._clock.time() + expires, UTC)
        request = _botocore("awsrequest").AWSRequest(method="POST", url=_place(signed))
        request.context["s3-presign-post-fields"] = form
        request.context["s3-presign-post-policy"] = {
            "expiration": f"{until:%Y-%m-%dT%H:%M:%SZ}",
            "conditions": [
                {"bucket": self._url.place},
                ["content-length-range", 0, most],
                *({name: value} for name, value in form.items()),
            ],
        }
        _botocore("auth").S3SigV4PostAuth(self._credentials(), "s3", _region(signed)).add_auth(request)
        return _place(signed).removesuffix(f"/{path}"), form

    def _signed(self, method: HTTP_METHOD, key: str, expires: int) -> str:
        """Let the store sign, which knows address, region and credentials."""
        try:
            return obstore.sign(self._store, method, key, timedelta(seconds=expires))
        except BaseError as error:
            msg = f"{self._url}: no credentials were found that could sign a URL"
            raise StorageUnavailableError(msg) from error

    def _again(self, method: str, url: str, signed: str, expires: int, headers: dict[str, str] | None = None) -> str:
        """Sign what the store cannot: queries and headers."""
        request = _botocore("awsrequest").AWSRequest(method=method, url=url, headers=headers or {})
        auth = _botocore("auth").S3SigV4QueryAuth(self._credentials(), "s3", _region(signed), expires=expires)
        auth.add_auth(request)
        return str(request.url)

    def _credentials(self) -> Any:
        if self._url.access_key is not None:
            return _botocore("credentials").Credentials(self._url.access_key, self._url.secret_key)
        if self._session is None:
            self._session = _botocore("session").Session()
        found = self._session.get_credentials()
        if found is None:
            msg = f"{self._url}: no credentials were found that could sign a URL"
            raise StorageUnavailableError(msg)
        return found.get_frozen_credentials()


def _botocore(module: Literal["auth", "awsrequest", "credentials", "session"]) -> Any:
    """Import what signs more than obstore does."""
    try:
        return import_module(f"botocore.{module}")
    except ModuleNotFoundError as error:
        msg = f"{error.name} is not installed; it comes with: pip install 'rustforge[s3]'"
        raise StorageError(msg) from error


def _place(signed: str) -> str:
    return signed.partition("?")[0]


def _region(signed: str) -> str:
    """Read the region from a signature: key/date/region/s3/aws4_request."""
    return parse_qs(signed.partition("?")[2])["X-Amz-Credential"][0].split("/")[-3]
