"""The errands: what a courier is told to do."""

from msgspec import Struct

from tallystick.actors.courier.waker import OnWake


class Errand(Struct, frozen=True):
    """Asks the courier to do all that is due now."""


class Settled(Struct, frozen=True):
    """Asks the courier to say when nothing that can be sent now is left."""


class Finish(Struct, frozen=True):
    """Asks the courier to begin nothing more, and to say when what it began is recorded."""


class Served(Struct, frozen=True):
    """Somebody sends on a channel now."""

    channel: str


class Heard(Struct, frozen=True):
    """Somebody wants to be told of wakes."""

    callback: OnWake
