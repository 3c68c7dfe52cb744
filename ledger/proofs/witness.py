"""Witnesses (C2SP tlog-witness v1.0.0): what the answer of one means to the log that asked it for a cosignature.

What it is asked is a consistency proof as a file. Owns no connection: a status and a body are arguments.
"""

from typing import Final, TypeAlias

from msgspec import Struct

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.proofs import lines
from tallystick.ledger.proofs.keys import COSIGNATURE, VerifierKey, cosigned_at
from tallystick.ledger.proofs.note import Note, Signature, parse_note
from tallystick.ledger.proofs.tlog_proof import ConsistencyProof, claimed

PATH: Final = "/add-checkpoint"
"""What is posted to, below the address of a witness."""

_OK, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _UNPROCESSABLE = 200, 403, 404, 409, 422
_SIZE_BYTES_MAX = 64
_REASONS = {
    _FORBIDDEN: "it does not know the key that signed the checkpoint: give it the verifier key of this log.",
    _NOT_FOUND: "it does not know this log: give it the origin and the verifier key.",
}


class Cosigned(Struct, frozen=True):
    """It saw the checkpoint: the note with its signature, which was verified, and the time (s) that it signed."""

    note: bytes
    at: int


class Remembers(Struct, frozen=True):
    """It cosigned a tree of another size last: the proof has to begin there."""

    size: int


class Declined(Struct, frozen=True):
    """It did not cosign, and that says nothing of the log."""

    why: str


class Contradicted(Struct, frozen=True):
    """It saw a state that this log does not go on from: one of the two was changed."""

    why: str


Response: TypeAlias = Cosigned | Remembers | Declined | Contradicted


def response(asked: ConsistencyProof, key: VerifierKey, status: int, body: bytes) -> Response:
    """Return what a witness with this key says to a proof whose hashes are right for the log that asks.

    No answer is trusted: a cosignature is taken when the key made it over the very text that was sent.
    """
    size = claimed(asked).size
    if status == _OK:
        return _cosigned(asked.checkpoint, key, body)
    if status == _CONFLICT:
        return _conflict(asked.old, size, body)
    if status == _UNPROCESSABLE and asked.old:  # from no records whatever goes on
        return Contradicted(
            f"it saw {asked.old} records of this log, and the {size} of the checkpoint do not go on from these."
        )
    return Declined(_REASONS.get(status, f"it answered with the status {status}, not with a cosignature."))


def cosigned(note: Note, key: VerifierKey) -> int | None:
    """Return when (s) a witness with this key cosigned a checkpoint, by its own clock; None when it did not."""
    text = note.text.encode()
    for signature in note.signatures:
        at = cosigned_at(signature.signature) if key.has_made(signature) else None
        if at is not None and key.algorithm == COSIGNATURE and key.verifies(text, signature.signature):
            return at
    return None


def merged(note: Note, signature: Signature) -> Note:
    """Return a note with one more signature, in the place of an older one of the same key."""
    others = (each for each in note.signatures if (each.name, each.key_id) != (signature.name, signature.key_id))
    return Note(note.text, (*others, signature))


def _conflict(old: int, size: int, body: bytes) -> Response:
    text = body[:_SIZE_BYTES_MAX].decode("ascii", "replace").removesuffix("\n")
    try:
        seen = lines.number("size", text)
    except InvalidInput:
        return Declined("it answered that it saw another size, and did not say which.")
    if seen > size:
        return Contradicted(f"it saw {seen} records of this log, and the checkpoint has {size}: the end was cut off.")
    if seen == old == size:
        return Contradicted(f"it saw another tree of the same {size} records: the past was changed.")
    if seen == old:
        return Declined(f"it answered that it saw another size than {old}, and named {seen}.")
    return Remembers(seen)


def _cosigned(checkpoint: bytes, key: VerifierKey, body: bytes) -> Response:
    """Take the newest of the signatures that are of the key; those of other keys are nobody's business."""
    try:
        found = parse_note(checkpoint + body).signatures
    except InvalidInput as error:
        return Declined(f"what it answered is no signature of a note: {error}")
    note = parse_note(checkpoint)
    text = note.text.encode()
    good: list[tuple[int, Signature]] = []
    for signature in found[len(note.signatures) :]:
        if not key.has_made(signature):
            continue
        at = cosigned_at(signature.signature)
        if at is None or not key.verifies(text, signature.signature):
            return Declined("its cosignature is not that of this checkpoint by the key that is configured.")
        good.append((at, signature))
    if not good:
        return Declined(f"no line of its answer is of the key that is configured, {key.name}+{key.key_id.hex()}.")
    at, newest = max(good, key=lambda each: each[0])
    return Cosigned(merged(note, newest).to_bytes(), at)
