"""Every error that Rustforge raises, under one root.

Catch [`RustforgeError`][rustforge.errors.RustforgeError] for all of them. The Redis errors also derive from
the built-in exception of their kind (`ConnectionError`, `TimeoutError`), so code that knows only those works too.
"""

from __future__ import annotations

__all__ = [
    "AttachmentError",
    "AttachmentRejectedError",
    "BootError",
    "CacheDecodeError",
    "CacheEncodeError",
    "CacheError",
    "ConfigurationError",
    "DatabaseError",
    "DeliveryRefusedError",
    "InvalidArgumentError",
    "InvalidTypeError",
    "JobDecodeError",
    "JobEncodeError",
    "JobError",
    "LockLostError",
    "LockTimeoutError",
    "MailError",
    "MailTemplateError",
    "NotifyError",
    "ObjectExistsError",
    "ObjectNotFoundError",
    "RealtimeError",
    "RedisAuthenticationError",
    "RedisClosedError",
    "RedisConnectionError",
    "RedisError",
    "RedisOutOfMemoryError",
    "RedisOutcomeUnknownError",
    "RedisOverloadedError",
    "RedisReadOnlyError",
    "RedisReplyError",
    "RedisTimeoutError",
    "RustforgeError",
    "StorageError",
    "StorageTokenError",
    "StorageUnavailableError",
    "WebhookAddressError",
    "WebhookError",
    "WebhookSignatureError",
]


class RustforgeError(Exception):
    """The root of every error that Rustforge raises."""


class ConfigurationError(RustforgeError, ValueError):
    """A setting, URL or option is wrong; the message names it and says what to write instead."""


class BootError(RustforgeError):
    """The application cannot start; the one-line message names the setting and the address."""


class InvalidArgumentError(RustforgeError, ValueError):
    """An argument has a value that cannot be used; the message says which values can."""


class InvalidTypeError(InvalidArgumentError, TypeError):
    """An argument has the wrong type; the message says which types can be used."""


class DatabaseError(RustforgeError):
    """The SQL database cannot be opened; the one-line message names `DATABASE_URL` and the address.

    What goes wrong later, within a transaction, is raised by SQLAlchemy and goes out as it is.
    """


class RedisError(RustforgeError):
    """Redis could not do what was asked."""


class RedisConnectionError(RedisError, ConnectionError):
    """Redis cannot be reached: refused, unknown host, closed by the peer.

    The command did not run, or it is idempotent and may have run before the connection was lost.
    """


class RedisAuthenticationError(RedisConnectionError):
    """Redis refused the user name or password."""


class RedisOutcomeUnknownError(RedisConnectionError):
    """The connection was lost after the command was sent, so it may or may not have run.

    Raised only for commands that are not idempotent, such as an increment. Idempotent commands are sent again.
    """


class RedisClosedError(RedisConnectionError):
    """The client was closed, or belongs to another event loop."""


class RedisTimeoutError(RedisError, TimeoutError):
    """Redis did not answer in time. A command that had been sent may still run."""


class RedisOverloadedError(RedisError):
    """More commands are waiting than the client's bound allows. The command was not sent."""


class RedisReplyError(RedisError):
    """Redis answered a command with an error.

    Attributes:
        code: The first word of the reply, such as `"WRONGTYPE"` or `"ERR"`.
    """

    def __init__(self, message: str, code: str = "ERR") -> None:
        """Keep the reply's text and its code."""
        super().__init__(message)
        self.code = code


class RedisReadOnlyError(RedisReplyError):
    """The server is a read-only replica: point the URL at the primary, or use a Sentinel or Cluster URL."""


class RedisOutOfMemoryError(RedisReplyError):
    """The server is at its `maxmemory` and evicts nothing: raise it, or set an eviction policy."""


class CacheError(RustforgeError):
    """The cache could not do what was asked."""


class CacheDecodeError(CacheError, ValueError):
    """A cached value is not of the type that was asked for. The message never holds the value.

    Attributes:
        key: The key as the caller wrote it.
    """

    def __init__(self, key: str, message: str) -> None:
        """Keep the key beside the text."""
        super().__init__(message)
        self.key = key


class CacheEncodeError(CacheError, TypeError):
    """A value cannot be written as JSON.

    Attributes:
        key: The key as the caller wrote it.
    """

    def __init__(self, key: str, message: str) -> None:
        """Keep the key beside the text."""
        super().__init__(message)
        self.key = key


class LockTimeoutError(CacheError, TimeoutError):
    """The lock stayed with another owner for the whole time that the caller was willing to wait."""


class LockLostError(CacheError):
    """The lock's lease ran out, or was taken away, while its owner still worked."""


class JobError(RustforgeError):
    """The job system could not do what was asked."""


class JobEncodeError(JobError, TypeError):
    """A job cannot be written as JSON, or its payload is larger than the queue's bound. Nothing was enqueued."""


class JobDecodeError(JobError, ValueError):
    """What stands in a queue is not a job, or its payload does not fit the class.

    The message never holds the payload.
    """


class AttachmentError(RustforgeError):
    """A file could not be attached."""


class AttachmentRejectedError(AttachmentError, ValueError):
    """A file that somebody sent is not what the rules allow. Nothing was stored.

    The message is made for the person who sent it, and repeats nothing of what was sent.

    Attributes:
        reason: A word for programs: `"empty"`, `"too_large"`, `"type_not_allowed"`, `"too_many_pixels"`,
            `"unreadable"` or `"too_many"`.
        field: The field that it was sent for.
        text: The message as it can be translated, with names in braces for what changes.
        values: What the names stand for.
    """

    def __init__(self, reason: str, text: str, *, field: str = "file", **values: object) -> None:
        """Keep the reason and the field beside the text."""
        super().__init__(text.format(**values) if values else text)
        self.reason = reason
        self.field = field
        self.text = text
        self.values = values


class StorageError(RustforgeError):
    """The object storage could not do what was asked."""


class ObjectNotFoundError(StorageError, LookupError):
    """The storage has no object of this key.

    Attributes:
        key: The key as the caller wrote it.
    """

    def __init__(self, key: str) -> None:
        """Name the key."""
        super().__init__(f"there is no object {key!r}")
        self.key = key


class ObjectExistsError(StorageError):
    """The storage has an object of this key already, and it was not to be overwritten.

    Attributes:
        key: The key as the caller wrote it.
    """

    def __init__(self, key: str) -> None:
        """Name the key."""
        super().__init__(f"there is an object {key!r} already")
        self.key = key


class StorageUnavailableError(StorageError):
    """The storage cannot be reached, did not answer in time, or refused the credentials.

    Requests that can be repeated were repeated before.
    """


class StorageTokenError(StorageError, ValueError):
    """A token of the storage was not signed by this application, was signed for something else, or has expired."""


class NotifyError(RustforgeError):
    """A message could not be delivered. Another attempt may help."""


class DeliveryRefusedError(NotifyError):
    """A message was refused for good, such as by an unknown mailbox; no other attempt is made.

    Attributes:
        status: The status of the answer, such as 550 of SMTP or 410 of HTTP; `None` where there was none.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        """Keep the status beside the text."""
        super().__init__(message)
        self.status = status


class MailError(NotifyError):
    """The mail server could not be reached, or did not take the mail now."""


class MailTemplateError(NotifyError):
    """A template of mail is not there, is not right, or was not given a value that it asks for."""


class RealtimeError(NotifyError):
    """A message could not be published, or a subscription could not go on."""


class WebhookError(NotifyError):
    """The receiver of a webhook could not be reached, or did not answer with a status of success.

    Attributes:
        status: The status of the answer; `None` where there was none.
        retry_after: The seconds for which the receiver asked to be left alone; `None` where it did not.
    """

    def __init__(self, message: str, status: int | None = None, retry_after: float | None = None) -> None:
        """Keep what the receiver said beside the text."""
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class WebhookAddressError(NotifyError, ValueError):
    """A webhook must not go to this address: it is not HTTPS, or belongs to this machine or a private network."""


class WebhookSignatureError(NotifyError, ValueError):
    """What came in as a webhook was not signed with the secret, or too long ago; answer it with 401."""
