"""Read a storage URL: `file:`, `memory://`, `s3://`, `minio://` and `r2://`."""

from __future__ import annotations

import contextlib
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from rustforge.errors import ConfigurationError, InvalidArgumentError
from rustforge.storage.keys import check_prefix

__all__ = ["StorageUrl"]

Kind: TypeAlias = Literal["file", "memory", "s3", "r2"]

_FORMS = (
    "file:./storage, file:///var/lib/shop, memory://, s3://bucket/prefix?region=eu-west-1, "
    "minio://host:9000/bucket or r2://account/bucket"
)
_OPTIONS = frozenset({"endpoint", "region", "style", "timeout", "tls"})
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ACCOUNT = re.compile(r"[a-z0-9-]{1,64}")
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-fA-F:]+\](:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class StorageUrl:
    """A storage URL, taken apart. `repr()` shows no credentials.

    Attributes:
        kind: `"file"`, `"memory"`, `"s3"` or `"r2"`.
        place: The folder, the name of a storage in this process, or the bucket.
        prefix: What stands before every key in the bucket.
        endpoint: Where the bucket is; empty for AWS.
        region: The region; empty for what the environment says.
        virtual: Whether the bucket's name is part of the host's.
        access_key: The access key; `None` where the environment has it.
        secret_key: The secret that belongs to it.
        timeout: Seconds that one request may stand still.
    """

    kind: Kind
    place: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    virtual: bool = False
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    timeout: float = 30.0

    @classmethod
    def parse(cls, url: str) -> StorageUrl:
        """Take a URL apart.

        Args:
            url: One of the forms `file:./folder`, `file:///folder`, `memory://`, `memory://name`,
                `s3://[key:secret@]bucket/prefix`, `minio://[key:secret@]host:9000/bucket/prefix` and
                `r2://[key:secret@]account/bucket/prefix`. Options in the query, but for files and memory: `region`,
                `endpoint`, `style` (`path` or `virtual`), `timeout` in seconds; for MinIO also `tls` (`true` or
                `false`).

        Raises:
            ConfigurationError: The URL has none of these forms. The message never shows credentials.
        """
        scheme, separator, rest = url.partition(":")
        scheme = scheme.lower()
        if scheme == "file" and separator:
            return cls("file", _folder(rest))
        if scheme not in {"memory", "s3", "minio", "r2"} or not rest.startswith("//"):
            what = f"the unknown scheme {scheme!r}" if separator and scheme.isalnum() else "no scheme that is known"
            msg = f"storage URL has {what}; write {_FORMS}"
            raise ConfigurationError(msg)
        parts = _split(url)
        options = _options(parts, scheme)
        segments = [unquote(segment) for segment in parts.path.split("/") if segment]
        credentials, _, host = parts.netloc.rpartition("@")
        if scheme == "memory":
            if credentials or segments:
                msg = "memory:// takes only a name, as in memory://tests"
                raise ConfigurationError(msg)
            return cls("memory", host)
        access_key, secret_key = _credentials(credentials)
        if scheme != "s3" and not segments:
            msg = f"{scheme}:// needs the bucket: {_FORMS}"
            raise ConfigurationError(msg)
        bucket, *below = segments if scheme != "s3" else [host, *segments]
        if not _BUCKET.fullmatch(bucket):
            msg = "storage URL has no bucket that S3 would take: 3 to 63 characters a-z, 0-9, '.' and '-'"
            raise ConfigurationError(msg)
        endpoint, region = options.get("endpoint", ""), options.get("region", "")
        if scheme == "minio":
            endpoint = f"{'https' if options.get('tls') == 'true' else 'http'}://{host}"
            region = region or "us-east-1"
        elif scheme == "r2":
            if not _ACCOUNT.fullmatch(host):
                msg = "r2:// needs the account's id: r2://account/bucket"
                raise ConfigurationError(msg)
            endpoint = endpoint or f"https://{host}.r2.cloudflarestorage.com"
            region = region or "auto"
        if endpoint and not _ENDPOINT.fullmatch(endpoint):
            msg = "the endpoint of a storage URL is http:// or https:// with a host, and a port if need be, no more"
            raise ConfigurationError(msg)
        return cls(
            "r2" if scheme == "r2" else "s3",
            bucket,
            _prefix(below),
            endpoint,
            region,
            options.get("style") == "virtual",
            access_key,
            secret_key,
            float(options.get("timeout", "30")),
        )

    def __str__(self) -> str:
        """Name the place in a message."""
        if self.kind in {"file", "memory"}:
            return f"{self.kind}:{'//' if self.kind == 'memory' else ''}{self.place}"
        below = f"/{self.prefix}" if self.prefix else ""
        return f"{self.kind}://{self.place}{below}{f' at {self.endpoint}' if self.endpoint else ''}"


def _folder(rest: str) -> str:
    path = rest.removeprefix("//") if rest.startswith("///") else rest
    if not path or path.startswith("//") or "?" in path or "#" in path or "\0" in unquote(path):
        msg = "file: needs a folder, as in file:./storage or file:///var/lib/shop, and takes no options"
        raise ConfigurationError(msg)
    return str(Path(unquote(path)))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        msg = f"storage URL cannot be read; write special characters of a secret as %XX: {_FORMS}"
        raise ConfigurationError(msg) from None


def _options(parts: SplitResult, scheme: str) -> dict[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(pairs)
    allowed = frozenset[str]() if scheme == "memory" else _OPTIONS - ({"endpoint"} if scheme == "minio" else {"tls"})
    unknown = sorted(options.keys() - allowed)
    if unknown or parts.fragment or len(options) != len(pairs):
        known = ", ".join(sorted(allowed)) or "none"
        what = (
            f"the option {ascii(unknown[0])[:40]} is not known" if unknown else "an option stands there twice, or a '#'"
        )
        msg = f"{scheme}://: {what}; there are: {known}"
        raise ConfigurationError(msg)
    for name, values in (("style", {"path", "virtual"}), ("tls", {"true", "false"})):
        if options.get(name, min(values)) not in values:
            msg = f"{scheme}://: {name} is {' or '.join(sorted(values))}"
            raise ConfigurationError(msg)
    seconds = math.nan
    with contextlib.suppress(ValueError):
        seconds = float(options.get("timeout", "30"))
    if not 0 < seconds <= 3600:  # noqa: PLR2004 - an hour
        msg = f"{scheme}://: timeout is a number of seconds up to 3600"
        raise ConfigurationError(msg)
    return options


def _credentials(text: str) -> tuple[str | None, str | None]:
    if not text:
        return None, None
    key, _, secret = text.partition(":")
    if not key or not secret:
        msg = "storage URL has half of the credentials: write key:secret@, or neither"
        raise ConfigurationError(msg)
    return unquote(key), unquote(secret)


def _prefix(segments: list[str]) -> str:
    try:
        return check_prefix("/".join(segments))
    except InvalidArgumentError as error:
        msg = f"the prefix of a storage URL: {error}"
        raise ConfigurationError(msg) from None
