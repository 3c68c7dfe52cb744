"""The checkpoints of an open ledger: made by its owner, wherever it is asked from, or beside it and not kept.

Whoever asks an owner in another process rings, and waits for a note in the log that says what became of it.
"""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from tallystick.actors.log import logger
from tallystick.actors.notary import Notary, Signer
from tallystick.actors.system import System
from tallystick.config import Integrity
from tallystick.keyring import Keyring
from tallystick.ledger.clock import Clock
from tallystick.ledger.errors import (
    UNREADABLE,
    Closed,
    InvalidInput,
    NotOwner,
    NotProved,
    StoreError,
    TallystickError,
)
from tallystick.ledger.limits import CHECKPOINT_BYTES_MAX
from tallystick.ledger.proofs.checkpoint import open_checkpoint, parse_checkpoint
from tallystick.ledger.proofs.keys import VerifierKey, parse_vkey
from tallystick.ledger.proofs.note import parse_note
from tallystick.ledger.store.port import EventLog
from tallystick.owner import live_owner
from tallystick.projections.checkpoint import hold
from tallystick.proving import Prover, beside, no_origin
from tallystick.sharing.bell import ATTEST, SEAL
from tallystick.sharing.ownership import Ownership
from tallystick.sharing.request import Request, answered, send, unreadable

if TYPE_CHECKING:
    from tallystick.house import House

log = logger("face")

ANSWER_S_MAX = 10.0
"""How long whoever asks the owner for a checkpoint waits for what became of it."""

_NOTE = b"sealed"


def newest(house: "House") -> bytes:
    """Return a checkpoint over the log as it is now, as a signed note; where no key is, the newest that is kept.

    The owner keeps it in the log. A ledger that only reads signs with the key that its configuration names, and writes
    nothing to the log. Raises `InvalidInput`, `NotFound` when there is neither a key nor a checkpoint, `NotProved` when
    the log is not the one that was signed before, or that a key signed last elsewhere, `StoreError`.
    """
    with house.owning() as owner:
        if owner is not None:
            return notary_in(owner).seal()
    try:
        house.facts()
    except NotOwner:
        return beside(house.readings.log, house.settings.integrity)
    told = asked(Path(house.path), house.readings.log, house.settings.integrity)
    return beside(house.readings.log, house.settings.integrity) if told is None else told


def add(house: "House", note: bytes, *trusted: str) -> bytes:
    """Keep a checkpoint of this log that was signed elsewhere; return the newest one then, it or a newer one.

    One of the `trusted` verifier keys, and of this log, MUST have signed it. Nothing is kept but the lines of these
    keys, of each the last. It takes the place of a kept one that cannot be read any more. Raises `InvalidInput`, also
    when the checkpoint would have too many signatures with those that are kept; `NotProved` when none of the keys
    signed it, or it is not of this log; `NotOwner`, `StoreError`; nothing is kept then.
    """
    house.facts()
    keys = tuple(map(parse_vkey, trusted))
    note = open_checkpoint(note, *keys).verified.to_bytes()
    if len(note) > CHECKPOINT_BYTES_MAX:
        raise InvalidInput("checkpoint", f"{len(note)} bytes", f"at most {CHECKPOINT_BYTES_MAX} bytes")
    with house.owning() as owner:
        if owner is not None:
            return notary_in(owner).take(note)
    told = asked(Path(house.path), house.readings.log, house.settings.integrity, note, *keys)
    if told is None:
        raise StoreError("The ledger has no owner that could keep the checkpoint. Try again.")
    return told


def prove(house: "House", lookup: str | int, version: int | None) -> bytes:
    """Return the proof that an event is in the log. Raises as `Prover.prove`."""
    return _prover(house).prove(lookup, version)


def prove_from(house: "House", old: int | bytes) -> bytes:
    """Return the proof that the log goes on from an older tree. Raises as `Prover.prove_from`."""
    return _prover(house).prove_from(old)


def _prover(house: "House") -> Prover:
    """Who proves for an open ledger, made when something is proved for the first time."""
    if house.prover is None:
        house.prover = Prover(house.readings, lambda: newest(house), house.settings.integrity)
    return house.prover


def notary_in(owner: Ownership) -> Notary:
    """Return who makes the checkpoints of a ledger that this process owns. Raises `InvalidInput` without an origin."""
    if owner.notary is None:
        raise no_origin()
    return owner.notary


def signer_of(settings: Integrity, ledger: Path | None = None) -> Signer | None:
    """Return who signs by a configuration: None when it names no log."""
    if settings.origin is None:
        return None
    if not settings.key:
        return Signer(settings.origin)
    ring = Keyring(settings, ledger)
    return Signer(settings.origin, ring.sign, ring.is_signed, ring.sound)


def notary_of(system: System, settings: Integrity, clock: Clock, ledger: Path | None) -> Notary | None:
    """Return who makes the checkpoints of a ledger, to be begun with its system; None when it has no origin."""
    signer = signer_of(settings, ledger)
    if signer is None:
        return None
    by_hand = bool(getattr(clock, "is_by_hand", False))
    notary = Notary(system.log, system.keep, signer, clock, every_ms=settings.checkpoint, by_hand=by_hand)
    if settings.has_others:
        from tallystick.attestations import attestor_of  # which loads what speaks over a network

        notary.attestor = attestor_of(system, settings, clock, notary.seal, by_hand=by_hand)
    system.listen(notary.noted)
    return notary


# From another process.


class _Told(Struct, frozen=True, array_like=True):
    """What became of what somebody asked for: a checkpoint, or why there is none, and which part of a proof failed."""

    note: bytes | None = None
    why: str = ""
    what: str | None = None


_pack = msgspec.msgpack.Encoder().encode
_read = msgspec.msgpack.Decoder(_Told).decode


def asked(
    folder: Path, event_log: EventLog, settings: Integrity, note: bytes = b"", *trusted: VerifierKey
) -> bytes | None:
    """Ask as `ask` does; return what was told if it can be a checkpoint of this log. None when nobody hears.

    What was told is bytes in the log, and whoever can write there can put others in their place: it MUST be of this
    log, and signed by one of the keys that the configuration names, as far as they can be read here. The note that is
    to be kept MUST still have a signature of the keys that are trusted. Raises as `ask`, `StoreError` for what is no
    checkpoint, `NotProved` for one that is not of this log or not signed.
    """
    told = ask(folder, event_log, note)
    if told is None:
        return None
    try:
        checkpoint = parse_checkpoint(parse_note(told).text)
    except InvalidInput as error:
        raise StoreError(f"The ledger has an owner, and {unreadable(live_owner(folder), error)} Try again.") from error
    if settings.origin is not None and checkpoint.origin != settings.origin:
        raise NotProved("origin", f"the owner answered with a checkpoint of {checkpoint.origin}.")
    hold(event_log, checkpoint)
    keys = _known(settings)
    if note and parse_note(note).text == checkpoint.text:
        keys = (*keys, *trusted)
    try:
        return open_checkpoint(told, *keys).note.to_bytes() if keys else told
    except NotProved as error:
        hint = "The owner signs with other keys until the ledger is opened again, or somebody else answered."
        raise NotProved(error.what, f"{error.reason} {hint}") from error


def _known(settings: Integrity) -> tuple[VerifierKey, ...]:
    """The keys that sign by a configuration; none where this user may not read them, or they are elsewhere by now."""
    ring = Keyring(settings)
    try:
        return tuple(key.verifier for key in ring.keys())  # noqa: SIM118 - it is no dict
    except InvalidInput:
        return ()


def ask(
    folder: Path, event_log: EventLog, note: bytes = b"", *, kind: bytes = SEAL, answer_s: float = ANSWER_S_MAX
) -> bytes | None:
    """Ask the owner, another process, for a checkpoint, to keep this one, or to show it; None when nobody hears."""
    owner = live_owner(folder)
    request = None if owner is None else send(folder, kind, note)
    if request is None:
        return None
    answer = answered(folder, event_log, _NOTE, request, answer_s)
    if answer is None:
        raise StoreError(f"{owner} owns the ledger, and has not said in {answer_s:.0f} s what became of it.")
    try:
        told = _read(answer)
    except UNREADABLE as error:
        raise StoreError(f"The ledger has an owner, and {unreadable(owner, error)}. Try again.") from error
    if told.note is not None:
        return told.note
    raise (
        StoreError(f"{owner} owns the ledger, and says: {told.why}")
        if told.what is None
        else NotProved(told.what, told.why)
    )


def attend(owner: Ownership, message: bytes) -> None:
    """Make, keep or show a checkpoint for another process that rang, and note what became of it. Never raises."""
    kind = ATTEST if message.startswith(ATTEST) else SEAL
    request = Request.heard(kind, message)
    if request is None:
        return
    try:
        notary = notary_in(owner)
        if kind == ATTEST:
            from tallystick.attestations import attestor_in

            attestor_in(notary).attest()
            told = _Told(b"")
        else:
            told = _Told(notary.take(request.said) if request.said else notary.seal())
    except Closed:
        return  # the next owner is asked again
    except NotProved as error:
        told = _Told(None, error.reason, error.what)
    except TallystickError as error:
        told = _Told(None, str(error))
    except Exception as error:
        log.exception("seal_failed")
        told = _Told(None, f"{type(error).__name__}: {error}")
    with suppress(Closed):
        owner.system.keep(*request.answer(_NOTE, _pack(told)))
