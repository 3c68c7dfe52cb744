"""The orders: what a keeper is told to do, and what an archivist tells it."""

from msgspec import Struct


class Keep(Struct, frozen=True):
    """Asks the keeper to do all that is due now, and to say when that is done."""


class Archived(Struct, frozen=True):
    """The archivist has moved what was due, or says what kept it from that."""

    error: Exception | None = None
