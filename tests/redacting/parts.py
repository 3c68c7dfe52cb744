"""Parts for the tests of redaction: hooks that name one secret, or fail, and facts in which it stands somewhere."""

from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.redaction import TEXTS

SECRET = "hunter2"


def named(text: str) -> Iterable[str]:
    """Name the secret, where it is."""
    return [SECRET] if SECRET in text else []


def failing(error: Any) -> Callable[[str], Any]:
    """Return a hook that raises, or answers what nobody can take for texts."""

    def hook(_text: str) -> Any:
        if isinstance(error, BaseException):
            raise error
        return error

    return hook


def halfway(text: str) -> Iterable[str]:
    """Name nothing, and fail then, in what was returned, with the text in what it says."""
    yield "nothing"
    raise ValueError(f"cannot parse {text}")


class Noting:
    """A hook that notes which texts it is shown, and names always the same."""

    def __init__(self, *named: str) -> None:
        self.shown: list[str] = []
        self._named = named

    def __call__(self, text: str) -> Iterable[str]:
        self.shown.append(text)
        return self._named


FAILURES: dict[str, Callable[[str], Any]] = {
    "raises": failing(ValueError(SECRET)),
    "ends the program": failing(SystemExit(SECRET)),
    "interrupts": failing(KeyboardInterrupt(SECRET)),
    "numbers": failing([1]),
    "a number": failing(7),
    "bytes": failing([SECRET.encode()]),
    "raises in the middle": halfway,
}


def place(value: Any, secret: str, data: st.DataObject) -> Any:
    """Return a value in which a secret stands somewhere, if it has a text at all."""
    if isinstance(value, str):
        at = data.draw(st.integers(0, len(value)))
        return value[:at] + secret + value[at:]
    if isinstance(value, list | tuple) and value:
        at = data.draw(st.integers(0, len(value) - 1))
        return type(value)([*value[:at], place(value[at], secret, data), *value[at + 1 :]])
    if isinstance(value, dict) and value:
        at = data.draw(st.sampled_from(sorted(value)))
        return {**value, at: place(value[at], secret, data)}
    return value


def hide(fact: Any, data: st.DataObject) -> Any:
    """Return a fact with the secret in some of its texts."""
    said = {name: getattr(fact, name) for name in TEXTS[fact.__class__] if data.draw(st.booleans())}
    return replace(fact, **{name: place(value, SECRET, data) for name, value in said.items()})
