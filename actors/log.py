"""Logging: named events with key-values, handed to the standard library's loggers; the application configures them."""

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import structlog

logging.getLogger("tallystick").addHandler(logging.NullHandler())


@cache
def _bound(name: str) -> "structlog.stdlib.BoundLogger":
    # Loaded with the first event: structlog brings a console renderer along, half of what opening a ledger would load.
    import structlog  # noqa: PLC0415

    bound: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return bound


class Logger:
    """The logger of a part. Nothing is printed unless the application gives `tallystick` a handler.

    structlog's global configuration is the application's: this one does not read it, and does not touch it.
    """

    def __init__(self, name: str) -> None:
        self._name = f"tallystick.{name}"

    def info(self, event: str, **values: Any) -> None:
        """Tell of a moment that operators look for, by the name of the event; nothing is loaded if nobody listens."""
        if logging.getLogger(self._name).isEnabledFor(logging.INFO):
            _bound(self._name).info(event, **values)

    def error(self, event: str, **values: Any) -> None:
        """Tell that something failed, by the name of the event."""
        _bound(self._name).error(event, **values)

    def exception(self, event: str, **values: Any) -> None:
        """Tell that something failed, with the exception that is being handled."""
        _bound(self._name).exception(event, **values)


def logger(name: str) -> Logger:
    """Return the logger of a part of tallystick."""
    return Logger(name)
