"""What others saw: the newest checkpoint that was shown to witnesses and to a timestamp authority, and older ones.

Each stands in a note beside the events. Older ones have slots, so that their number has a bound without anybody
clearing up: the last of each hour of a day, and the last of each day of ten years.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from tallystick.ledger.errors import UNREADABLE, InvalidInput
from tallystick.ledger.limits import ATTESTED_DAYS, ATTESTED_HOURS, NOTE_SIGNATURES_MAX, TIME_MS_MAX, TREE_SIZE_MAX
from tallystick.ledger.proofs.checkpoint import parse_checkpoint
from tallystick.ledger.proofs.note import Note, merged, parse_note
from tallystick.ledger.store.port import EventLog

NEWEST: Final = b"attested"
"""The name of the note that has the newest."""

SLOTS: Final = b"attestation/"
"""What the names of the notes begin with that have older ones."""

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_SLOT_BYTES = 2


class Standing(Struct, frozen=True, array_like=True):
    """How it is with one who is asked: a witness by its key as name+id, or a timestamp authority by its address.

    `size` is how many records it saw last, 0 for none that is known, and `at` (s) when by its own clock. `failure` is
    why it did not see the newest checkpoint; `is_contradicted` that it saw a state from which the log does not go on.
    """

    name: str
    size: int = 0
    at: int | None = None
    failure: str | None = None
    is_contradicted: bool = False


class Attestation(Struct, frozen=True, array_like=True):
    """A checkpoint that was shown to others at `at` (ms): a signed note with their cosignatures.

    `token` is the answer of a timestamp authority (RFC 3161, DER) over exactly the bytes of `checkpoint`, if there is
    one. `standings` has everybody who was asked.
    """

    at: int
    checkpoint: bytes
    token: bytes | None = None
    standings: tuple[Standing, ...] = ()

    @property
    def is_seen(self) -> bool:
        """Whether anybody saw it."""
        return self.token is not None or any(each.failure is None for each in self.standings)

    def standing(self, name: str) -> Standing:
        """Return how it is with one who is asked."""
        return next((each for each in self.standings if each.name == name), Standing(name))


_pack = msgspec.msgpack.Encoder().encode
_read = msgspec.msgpack.Decoder(Attestation).decode


def attested(event_log: EventLog) -> Attestation | None:
    """Return the newest; None when there is none that can be read."""
    value = event_log.note(NEWEST)
    return None if value is None else _readable(value)


def attestations(event_log: EventLog) -> list[Attestation]:
    """Return all that are kept and that somebody saw, the oldest first. What cannot be read is left out."""
    found: dict[tuple[int, bytes], Attestation] = {}
    for _, value in event_log.notes(SLOTS):
        each = _readable(value)
        if each is not None:
            found[each.at, each.checkpoint] = each
    return sorted(found.values(), key=lambda each: each.at)


def _readable(value: bytes) -> Attestation | None:
    """What a note says; None when it is of no checkpoint, or has a time or a size that there cannot be.

    Whoever can write there has written it, and who goes on from it must not be kept from that.
    """
    try:
        found = _read(value)
        parse_checkpoint(parse_note(found.checkpoint).text)
    except (*UNREADABLE, InvalidInput):
        return None
    can_be = 0 <= found.at <= TIME_MS_MAX and all(0 <= each.size <= TREE_SIZE_MAX for each in found.standings)
    return found if can_be else None


def cosigned(event_log: EventLog, checkpoint: bytes) -> bytes:
    """Return a checkpoint with the signatures that others gave to it, if it is the newest that they saw.

    Of each key that has signed it already its own signature stays. Nobody has verified those of others. Raises
    `InvalidInput` when it is no checkpoint.
    """
    shown, note = newest_cosigned(event_log), parse_note(checkpoint)
    if shown is None or shown.text != note.text:
        return checkpoint
    together = merged(shown, note)
    return checkpoint if len(together.signatures) > NOTE_SIGNATURES_MAX else together.to_bytes()


def newest_cosigned(event_log: EventLog) -> Note | None:
    """Return the newest checkpoint that others saw; None when there is none, or what is there is none.

    Nobody has verified its signatures, or that it is of this log: whoever can write there has written it.
    """
    newest = attested(event_log)
    if newest is not None and not newest.is_seen:  # whoever was asked last could not be reached
        newest = next(reversed(attestations(event_log)), None)
    return None if newest is None else parse_note(newest.checkpoint)


def notes_of(attestation: Attestation) -> Iterator[tuple[bytes, bytes]]:
    """Yield the notes that keep an attestation: as the newest, and in its slots if somebody saw it."""
    value = _pack(attestation)
    if attestation.is_seen:
        yield SLOTS + b"h" + _slot(attestation.at // _HOUR_MS % ATTESTED_HOURS), value
        yield SLOTS + b"d" + _slot(attestation.at // _DAY_MS % ATTESTED_DAYS), value
    yield NEWEST, value


def _slot(number: int) -> bytes:
    return number.to_bytes(_SLOT_BYTES)
