"""The orders: what a caretaker is told to do."""

from msgspec import Struct


class Care(Struct, frozen=True):
    """Asks the caretaker to do all that is due now, and to say when that is done.

    With `leftovers` also what earlier owners have left open, for which whoever closes it may have to register first.
    """

    leftovers: bool = False


class Finish(Struct, frozen=True):
    """Asks the caretaker to begin nothing more, and to say when what it began is recorded."""
