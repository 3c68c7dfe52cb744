"""Channels: what carries a message to a chat, an endpoint or a file, and says what became of it.

`check` looks at the settings of a channel, `build` makes its `Sender`, `secrets_of` says what no message may have in it
because of them; `KINDS` are the kinds that there are.

A sender raises `Retryable` when the message certainly did not arrive, `Permanent` when it never will, and `Unconfirmed`
when nobody can tell. No message of an error has a secret in it.

Importing this starts nothing and loads little: each name is loaded when it is first used, a library when `build` needs
it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and readers; at run time `__getattr__` loads the same names one by one
    from tallystick.channels.catalogue import build, check, secrets_of
    from tallystick.channels.kinds import KINDS
    from tallystick.channels.sender import Sender

_HOMES = {
    "KINDS": "kinds",
    "Sender": "sender",
    "build": "catalogue",
    "check": "catalogue",
    "secrets_of": "catalogue",
}

__all__ = ["KINDS", "Sender", "build", "check", "secrets_of"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tallystick.channels' has no attribute {name!r}")
    value = getattr(import_module(f"tallystick.channels.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
