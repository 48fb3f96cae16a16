"""One mail address, checked, and the rule that no part of a header holds a line break."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.headerregistry import Address
from typing import TYPE_CHECKING, TypeAlias

from email_validator import EmailNotValidError, validate_email

from rustforge.errors import InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["AddressLike", "MailAddress", "addresses", "one_line"]

_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NAMED = re.compile(r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<name>[^"<>@,:;\\]*?))\s*<(?P<address>[^<>]*)>\s*')
_OWN_NETWORK = re.compile(r"(?i)[@.]local(host)?$")
_ELSEWHERE = ".example"


def one_line(value: object, name: str) -> str:
    """Refuse what would break out of a header: line breaks, other control characters, halves of characters.

    Args:
        value: The text.
        name: What the error calls it.

    Raises:
        InvalidArgumentError: It is no text, or holds such a character. The message does not repeat it.
    """
    if not isinstance(value, str):
        msg = f"{name} must be text, not {type(value).__name__}"
        raise InvalidTypeError(msg)
    found = _BREAKS.search(value)
    if found:
        msg = f"{name} must be one line without control characters; it has U+{ord(found[0]):04X}"
        raise InvalidArgumentError(msg)
    return value


@dataclass(frozen=True, slots=True)
class MailAddress:
    """One address, with the name of whom it belongs to.

    It is checked when it is made, without asking DNS: it has the form of an address, and is exactly one.

    Attributes:
        address: The address as it goes to the server: its domain in ASCII, as in `ann@xn--bcher-kva.example`.
        name: The name that is shown; empty for none.

    Example:
        ```python
        MailAddress("ann@example.com", "Ann Lee")
        ```
    """

    address: str
    name: str = ""

    def __post_init__(self) -> None:
        """Check both.

        Raises:
            InvalidArgumentError: It is not one address, or the name is not one line.
        """
        if not isinstance(self.address, str):
            msg = f"a mail address must be text, not {type(self.address).__name__}"
            raise InvalidTypeError(msg)
        object.__setattr__(self, "address", _checked(self.address))
        object.__setattr__(self, "name", one_line(self.name, "the name of a mail address").strip())

    @classmethod
    def parse(cls, text: str) -> MailAddress:
        """Read an address as people write it.

        Args:
            text: One address, alone or with a name: `ann@example.com` or `Ann Lee <ann@example.com>`.

        Raises:
            InvalidArgumentError: It is not exactly one address.
        """
        if not isinstance(text, str):
            msg = f"a mail address must be text, not {type(text).__name__}"
            raise InvalidTypeError(msg)
        found = _NAMED.fullmatch(text)
        if found is None:
            return cls(text.strip(" "))
        name = found["name"] if found["quoted"] is None else re.sub(r"\\(.)", r"\1", found["quoted"])
        return cls(found["address"], name)

    @property
    def domain(self) -> str:
        """What stands behind the `@`, in ASCII."""
        return self.address.rpartition("@")[2]

    @property
    def header(self) -> Address:
        """The address as the standard library writes it in a header."""
        local, _, domain = self.address.rpartition("@")
        return Address(self.name, local, domain)

    def __str__(self) -> str:
        """Write it as in a header."""
        return str(self.header)


AddressLike: TypeAlias = str | MailAddress
"""An address: text such as `"Ann Lee <ann@example.com>"`, or a `MailAddress`."""


def addresses(value: AddressLike | Iterable[AddressLike]) -> tuple[MailAddress, ...]:
    """Read one address or several; text is always one."""
    several = (value,) if isinstance(value, (str, MailAddress)) else value
    return tuple(MailAddress.parse(one) if isinstance(one, str) else one for one in several)


def _checked(text: str) -> str:
    """Check that this is one address, and return it with its domain in ASCII."""
    # The library refuses names of one's own network, so it is asked about another domain.
    own = _ELSEWHERE if _OWN_NETWORK.search(text) else ""
    try:
        found = validate_email(
            text + own, check_deliverability=False, globally_deliverable=False, test_environment=True
        )
    except EmailNotValidError as error:
        msg = f"{text!r} is not one mail address: {error}"
        raise InvalidArgumentError(msg) from None
    return f"{found.local_part}@{found.ascii_domain.removesuffix(own)}"
