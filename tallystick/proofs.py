"""Proofs, verified: what a file proves of a ledger, without the ledger. All it takes are the keys that are trusted."""

from msgspec import Struct

from tallystick.ledger.errors import Corrupt, InvalidInput, NotProved
from tallystick.ledger.events import Event
from tallystick.ledger.payloads import put
from tallystick.ledger.proofs.checkpoint import Checkpoint, Opened, open_checkpoint
from tallystick.ledger.proofs.keys import VerifierKey, parse_vkey
from tallystick.ledger.proofs.note import parse_note
from tallystick.ledger.proofs.proving import verify_consistency, verify_inclusion
from tallystick.ledger.proofs.tlog_proof import (
    is_consistency_proof,
    parse_consistency_proof,
    parse_inclusion_proof,
)
from tallystick.ledger.proofs.witness import cosigned
from tallystick.ledger.store.codec import decode


class Seen(Struct, frozen=True, kw_only=True):
    """Who saw a checkpoint: the key of a witness as name+id, None for a timestamp authority; and when (s)."""

    name: str | None
    at: int


class Proved(Struct, frozen=True, kw_only=True):
    """What was proved: that the log `origin`, of `size` records with this root, has a record or goes on from a tree.

    `keys` are those of the trusted ones that signed the checkpoint, as name+id. Of one record: its `position`, its
    bytes and the `event` that they are, None when this version cannot read them. Else `old`: how many records the older
    tree has, which are the first of the log. Of a field that is kept beside the log the record, and so the `event`, has
    a digest and no value. `seen` is who saw the checkpoint, of those that were asked for.
    """

    origin: str
    size: int
    root_hash: bytes
    keys: tuple[str, ...]
    position: int | None = None
    record: bytes | None = None
    event: Event | None = None
    old: int | None = None
    seen: tuple[Seen, ...] = ()

    @property
    def beside(self) -> tuple[str, ...]:
        """The fields of the event that are kept beside the log, or were until they were erased."""
        return () if self.event is None else put(self.event.data)


def verify_proof(
    data: bytes,
    *keys: str,
    record: bytes | None = None,
    old: bytes | None = None,
    witnesses: tuple[str, ...] = (),
) -> Proved:
    """Verify a proof that `prove` or `prove_from` made, or any other tool for C2SP logs.

    `keys` are the verifier keys that are trusted, one of which MUST have signed. The record is the one that the proof
    carries, unless it is given. A proof from an older tree needs the `old` checkpoint that the caller kept, signed by
    one of the keys, too. Each of the `witnesses`, by its verifier key, MUST have cosigned. Raises `NotProved` when a
    part does not hold, `InvalidInput` for what cannot be read, and for a `record` or an `old` checkpoint that the proof
    has no use for.
    """
    trusted = trusted_keys(keys)
    if is_consistency_proof(data):
        if old is None:
            raise InvalidInput("old", None, "the older checkpoint that was kept, from which the proof goes on")
        if record is not None:
            raise InvalidInput("record", record, "nothing: this proof is of how the log went on, not of a record")
        return _consistent(data, old, trusted, witnesses)
    proof = parse_inclusion_proof(data)
    if old is not None:
        raise InvalidInput("old", old, "nothing: this proof is of one record, not of how the log went on")
    body = proof.extra if record is None else record
    if body is None:
        raise InvalidInput("record", None, "the bytes of the record, which this proof does not carry")
    tree = verify_inclusion(proof, body, *trusted)
    position = proof.index + 1
    return _proved(
        open_checkpoint(proof.checkpoint, *trusted),
        tree,
        position=position,
        record=body,
        event=_event(position, body),
        seen=verify_seen(proof.checkpoint, *witnesses),
    )


def verify_checkpoint(data: bytes, *keys: str) -> Proved:
    """Verify who signed a checkpoint. Raises `NotProved` when none of the keys did, `InvalidInput` when it is none."""
    opened = open_checkpoint(data, *trusted_keys(keys))
    return _proved(opened, opened.checkpoint)


def verify_seen(
    data: bytes, *witnesses: str, token: bytes | None = None, authority: bytes | None = None
) -> tuple[Seen, ...]:
    """Verify who saw a checkpoint and when: each of these witnesses, by its verifier key, and a timestamp authority.

    The `token` (RFC 3161, DER) MUST be over exactly these bytes and lead to a certificate of `authority` (PEM); the
    extra `timestamp` verifies it. When a witness saw it is what that says itself. Raises `NotProved` when one did not
    see it, `InvalidInput` for what cannot be read.
    """
    note = parse_note(data)
    seen: list[Seen] = []
    for key in map(parse_vkey, map(str.strip, witnesses)):
        name, at = f"{key.name}+{key.key_id.hex()}", cosigned(note, key)
        if at is None:
            raise NotProved("signature", f"the witness {name} did not cosign this checkpoint.")
        seen.append(Seen(name=name, at=at))
    if token is not None:
        from tallystick.timestamps import verify_token

        if authority is None:
            raise InvalidInput("authority", None, "the certificates of the authority in PEM")
        seen.append(Seen(name=None, at=int(verify_token(token, data, authority).timestamp())))
    return tuple(seen)


def trusted_keys(keys: tuple[str, ...]) -> tuple[VerifierKey, ...]:
    """Return verifier keys, of which there MUST be one. Raises `InvalidInput`."""
    if not keys:
        raise InvalidInput("key", None, "at least one verifier key that is trusted")
    return tuple(parse_vkey(key.strip()) for key in keys)


def _consistent(data: bytes, old: bytes, trusted: tuple[VerifierKey, ...], witnesses: tuple[str, ...]) -> Proved:
    proof = parse_consistency_proof(data)
    tree = verify_consistency(proof, old, *trusted)
    seen = verify_seen(proof.checkpoint, *witnesses)
    return _proved(open_checkpoint(proof.checkpoint, *trusted), tree, old=proof.old, seen=seen)


def _proved(opened: Opened, tree: Checkpoint, **more: object) -> Proved:
    names = tuple(f"{key.name}+{key.key_id.hex()}" for key in opened.signers)
    return Proved(origin=tree.origin, size=tree.size, root_hash=tree.root_hash, keys=names, **more)  # type: ignore[arg-type]


def _event(position: int, body: bytes) -> Event | None:
    """The event of a record that is proved to stand at a position. It says itself where it stands."""
    try:
        event = decode(body)
    except Corrupt:
        return None
    if event.position != position:
        raise NotProved(
            "index", f"the record at position {position} says that it stands at {event.position}: the log is wrong."
        )
    return event
