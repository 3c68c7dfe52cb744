"""The answer: what a command found, as data for programs and as lines for people. Both say the same."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec import Struct

from tallystick.cli.screen import Screen, screen_of

EXIT_OK = 0
EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_FOUND = 3
EXIT_DAMAGED = 4
EXIT_SIGNAL = 128  # … plus the signal's number: 130 after Ctrl-C

# Inside of JSON these can only stand in texts, and there they may be escaped: no terminal obeys what it does not see.
_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


class Answer(Struct, frozen=True):
    """What a command says when it has not failed; `exit_code` is for answers that are bad news.

    `content` is what the lines are of an answer that is a file: a pipe or a file gets these bytes, in whatever encoding
    people read here.
    """

    data: Any
    lines: Callable[[Screen], Iterable[str]]
    exit_code: int = EXIT_OK
    content: bytes | None = None


def present(**fields: Any) -> dict[str, Any]:
    """Return the fields that there are: absent rather than null."""
    return {name: value for name, value in fields.items() if value is not None}


def as_json(data: Any, *, indent: int = 2) -> str:
    """Return data as JSON that is safe to look at; `indent=0` makes it one line."""
    try:
        raw = msgspec.json.encode(data, enc_hook=_other)
        text = (msgspec.json.format(raw, indent=indent) if indent else raw).decode()
    except UnicodeEncodeError:  # the name of a file that is no UTF-8: what cannot be said is escaped
        from json import dumps

        text = dumps(msgspec.to_builtins(data, enc_hook=_other), indent=indent or None)
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _other(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


class Unheard(OSError):
    """Standard output takes nothing more: its disk is full, say."""

    def __str__(self) -> str:
        return f"standard output: {self.strerror}. Not all of the answer is there."


@contextmanager
def heard() -> Iterator[None]:
    """Raise `Unheard` for what the system says of standard output, but `BrokenPipeError` as it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unheard(error.errno, error.strerror or str(error)) from error


def say(*lines: str) -> None:
    """Print lines on standard output now: others may be reading. Raises `BrokenPipeError`, `Unheard`."""
    text = "".join(f"{line}\n" for line in lines)
    with heard():
        sys.stdout.write(text)
        sys.stdout.flush()


def _put(content: bytes) -> None:
    """Write bytes on standard output as they are."""
    with heard():
        sys.stdout.flush()
        left = memoryview(content)
        while left:  # what is not buffered may take a part
            left = left[sys.stdout.buffer.write(left) :]
        sys.stdout.flush()


def give(answer: Answer, *, json: bool) -> int:
    """Print an answer and return its exit code. A reader that left early changes nothing about it."""
    try:
        if json:
            say(as_json(answer.data))
        elif answer.content is not None and not sys.stdout.isatty():
            _put(answer.content)
        else:
            say(*answer.lines(screen_of(sys.stdout)))
    except BrokenPipeError:
        hush()
    return answer.exit_code


def hush() -> None:
    """Send what is still to be printed nowhere: nobody gets it, and Python would complain at exit."""
    import os

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
