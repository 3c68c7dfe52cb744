"""Logging: named events with key-values, handed to the standard library's loggers; the application configures them."""

import logging

import structlog

logging.getLogger("tallystick").addHandler(logging.NullHandler())


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a part. Nothing is printed unless the application gives `tallystick` a handler.

    structlog's global configuration is the application's: this one does not read it, and does not touch it.
    """
    bound: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(f"tallystick.{name}"),
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
