"""Objects by key: in a folder, in this process, or in a bucket of S3, R2 or MinIO."""

from __future__ import annotations

try:
    from rustforge.storage.storage import Storage as Storage
    from rustforge.storage.storage import StorageConnecting as StorageConnecting
except ModuleNotFoundError as _error:
    if _error.name is None or _error.name.partition(".")[0] not in {"itsdangerous", "obstore"}:
        raise
    _msg = f"{_error.name.partition('.')[0]} is not installed; it comes with: pip install 'rustforge[storage]'"
    raise ModuleNotFoundError(_msg, name=_error.name) from _error
from rustforge.storage.keys import QUARANTINE as QUARANTINE
from rustforge.storage.keys import check_key as check_key
from rustforge.storage.keys import new_key as new_key
from rustforge.storage.objects import SignedUpload as SignedUpload
from rustforge.storage.objects import StoredObject as StoredObject
from rustforge.storage.objects import UploadGrant as UploadGrant
from rustforge.storage.url import StorageUrl as StorageUrl

__all__ = [
    "QUARANTINE",
    "SignedUpload",
    "Storage",
    "StorageConnecting",
    "StorageUrl",
    "StoredObject",
    "UploadGrant",
    "check_key",
    "new_key",
]
