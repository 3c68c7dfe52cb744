"""The failure: what an error is to whoever called the command: an exit code, a sentence, and data."""

from signal import SIGINT
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import astuple

from tallystick.cli.answer import EXIT_DAMAGED, EXIT_REFUSED, EXIT_SIGNAL, EXIT_USAGE
from tallystick.ledger.errors import Corrupt, InvalidInput, NotProved, TallystickError
from tallystick.plain import plain_lines

USAGE = "UsageError"
INTERRUPTED = "Interrupted"


class Failure(Struct, frozen=True):
    """An error, told."""

    exit_code: int
    type: str
    message: str
    data: dict[str, Any]

    def as_data(self) -> dict[str, Any]:
        """The failure as `--json` says it."""
        return {"ok": False, "error": {"type": self.type, "message": self.message, **self.data}}

    def as_text(self) -> str:
        """The failure as people read it."""
        return "\n".join(plain_lines(self.message))


def failure_of(error: BaseException) -> Failure | None:
    """Return what is told of an error; None for one that nobody expected, which is a bug."""
    if isinstance(error, TallystickError):
        data = {_camel(name): _value(value) for name, value in error.data.items() if value is not None}
        return Failure(_exit_code(error), type(error).__name__, str(error), data)
    if isinstance(error, click.UsageError):
        return Failure(EXIT_USAGE, USAGE, error.format_message(), {})
    if isinstance(error, click.ClickException):
        return Failure(error.exit_code, type(error).__name__, error.format_message(), {})
    if isinstance(error, KeyboardInterrupt):
        number = getattr(error, "signal", SIGINT)
        return Failure(EXIT_SIGNAL + number, INTERRUPTED, f"Interrupted by {number.name}.", {})
    if isinstance(error, OSError):
        path = {"path": str(error.filename)} if error.filename is not None else {}
        return Failure(EXIT_REFUSED, type(error).__name__, str(error), path)
    return None


def _exit_code(error: TallystickError) -> int:
    if isinstance(error, InvalidInput):
        return EXIT_USAGE
    return EXIT_DAMAGED if isinstance(error, Corrupt | NotProved) else EXIT_REFUSED


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _value(value: Any) -> Any:
    if isinstance(value, BaseException):
        told = failure_of(value)
        return str(value) if told is None else told.as_data()["error"]
    if isinstance(value, tuple | list):
        return [_value(each) for each in value]
    if isinstance(value, Struct) and value.__struct_config__.array_like:
        return [_value(each) for each in astuple(value)]
    return value
