"""Alerts to the people who run an application, by the services that Apprise knows."""

from __future__ import annotations

import asyncio
import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from rustforge.errors import ConfigurationError, InvalidArgumentError, NotifyError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from rustforge.notify.delivery import DeliveryJob
    from rustforge.notify.fanout import Target

__all__ = ["AlertChannel", "AlertLevel", "AlertResult"]

AlertLevel: TypeAlias = Literal["info", "success", "warning", "failure"]
"""How bad it is; many services show it as a colour or an icon."""

_logger = logging.getLogger("rustforge.notify.alert")

_LEVELS = {"info": logging.INFO, "success": logging.INFO, "warning": logging.WARNING, "failure": logging.ERROR}


@dataclass(frozen=True, slots=True)
class AlertResult:
    """What became of an alert.

    Attributes:
        delivered: The services that took it, each as its name and its place among the URLs, such as `"Slack #1"`.
        failed: Those that did not.
    """

    delivered: tuple[str, ...]
    failed: tuple[str, ...]


class AlertChannel:
    """Alerts people by chat, pager, mail or push: whatever [Apprise](https://appriseit.com/) has a URL for.

    No error shows a URL, as it holds the token of the service, and no log but Apprise's own at level DEBUG.

    Example:
        ```python
        await ctx.alerts.send("Order 7 was not charged", "The card has expired.", level="warning")
        ```
    """

    def __init__(self, urls: Iterable[str] = (), *, timeout: float = 30.0) -> None:
        """Read the URLs; nothing is sent yet.

        Args:
            urls: One for each service; none writes alerts into the log.
            timeout: Seconds that a service may take.

        Raises:
            ConfigurationError: A URL cannot be used. The message says which one, and shows only its scheme.
            ModuleNotFoundError: The extra `alerts` is not installed, and there are URLs.
        """
        self._timeout = timeout
        self._services: list[tuple[str, Any]] = [_open(number, url) for number, url in enumerate(urls, 1)]

    async def send(self, title: str, body: str = "", *, level: AlertLevel = "failure") -> AlertResult:
        """Send an alert to all services at once.

        One that fails does not keep the others from it, and is named in the log and in the result.

        Args:
            title: What happened, on one line.
            body: What else is to be said, as plain text.
            level: How bad it is.

        Returns:
            Which services took it.

        Raises:
            NotifyError: None of them took it. In a job's `failed()` that is logged, and does no harm.
            InvalidArgumentError: There is no title, or the level is unknown.
        """
        title = _checked(title, level)
        if not self._services:
            _logger.log(_LEVELS[level], "Alert: %s%s", title, f"\n{body}" if body else "")
            return AlertResult((), ())
        took = await asyncio.gather(*[self._tell(service, title, body, level) for _, service in self._services])
        names = [name for name, _ in self._services]
        delivered = tuple(name for name, good in zip(names, took, strict=True) if good)
        failed = tuple(name for name, good in zip(names, took, strict=True) if not good)
        if not delivered:
            msg = f"no service took the alert {title!r}: {', '.join(failed)} (the logger 'apprise' says why)"
            raise NotifyError(msg)
        if failed:
            _logger.warning("The alert %r did not reach %s", title, ", ".join(failed))
        return AlertResult(delivered, failed)

    @staticmethod
    def target(
        title: str, body: str = "", *, level: AlertLevel = "failure", job: type[DeliveryJob] | None = None
    ) -> Target:
        """Make an alert one of the targets of an event, for [`fan_out`][rustforge.notify.fan_out].

        Its delivery is sent when one service or more took it, so that no service is told twice.

        Args:
            title: As for `send`.
            body: As for `send`.
            level: As for `send`.
            job: The job's class; `None` for [`DeliverAlert`][rustforge.notify.alert.DeliverAlert].

        Raises:
            InvalidArgumentError: There is no title, or the level is unknown.
        """
        from rustforge.notify.alert.deliver import DeliverAlert  # noqa: PLC0415 - an extra
        from rustforge.notify.fanout import Target  # noqa: PLC0415 - an extra

        chosen = DeliverAlert if job is None else job
        message = {"title": _checked(title, level), "body": body, "level": level}
        return Target(chosen.CHANNEL, "alerts", message, chosen)

    async def aclose(self) -> None:
        """Forget the services; alerts that come later go to the log."""
        self._services.clear()

    async def __aenter__(self) -> Self:
        """Return the channel."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.aclose()

    def __repr__(self) -> str:
        """Name the services."""
        return f"<AlertChannel {', '.join(name for name, _ in self._services) or 'log'}>"

    async def _tell(self, service: Any, title: str, body: str, level: AlertLevel) -> bool:
        """Tell one service; Apprise does it in a thread, and logs what goes wrong."""
        from apprise import NotifyFormat  # noqa: PLC0415 - an extra

        try:
            async with asyncio.timeout(self._timeout):
                answer = await service.async_notify(
                    body=body or title, title=title if body else "", notify_type=level, body_format=NotifyFormat.TEXT
                )
        except Exception as error:  # noqa: BLE001 - whatever a plugin does; its text may hold a token
            _logger.warning("A service of alerts failed: %s", type(error).__name__)
            return False
        return bool(answer)


def _checked(title: str, level: str) -> str:
    """Refuse what no service could show, and write the title on one line."""
    shown = " ".join(title.split())
    if not shown or level not in _LEVELS:
        msg = f"an alert needs a title, and one of the levels {', '.join(_LEVELS)}, not {level!r}"
        raise InvalidArgumentError(msg)
    return shown


def _open(number: int, url: str) -> tuple[str, Any]:
    """Make the service of a URL, with its name."""
    with _silence():
        try:
            from apprise import Apprise  # noqa: PLC0415 - an extra, and slow to load
        except ModuleNotFoundError as error:
            if error.name != "apprise":
                raise
            msg = "apprise is not installed; it comes with: pip install 'rustforge[alerts]'"
            raise ModuleNotFoundError(msg, name=error.name) from error
        service: Any = Apprise()
        good = service.add(url) and len(service) == 1
    if not good:
        scheme, separator, _ = url.partition("://")
        shown = scheme if separator and scheme.isalnum() else "..."
        msg = f"URL {number} of alerts ({shown}://...) is none that Apprise knows"
        raise ConfigurationError(msg)
    return f"{service[0].service_name} #{number}", service


@contextmanager
def _silence() -> Generator[None]:
    """Keep Apprise from writing a URL that it cannot read into the log, and from warning of what it imports."""
    logger = logging.getLogger("apprise")
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.disabled = before
