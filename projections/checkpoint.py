"""The kept checkpoint: the newest one, beside the events; and whether a log is the one that a checkpoint is of.

When a log gets another origin, the newest of the origin before is set aside: whoever takes the old name again is held
to what was signed under it.
"""

from hashlib import sha256

from tallystick.ledger.errors import Corrupt, InvalidInput, NotProved
from tallystick.ledger.proofs import merkle
from tallystick.ledger.proofs.checkpoint import Checkpoint, parse_checkpoint
from tallystick.ledger.proofs.note import Note, parse_note
from tallystick.ledger.store.keys import CHECKPOINT_NOTE
from tallystick.ledger.store.nodes import StoredNodes
from tallystick.ledger.store.port import EventLog

_ASIDE = CHECKPOINT_NOTE + b"/"
_ASIDE_BYTES = 16

NO_CHECKPOINT = 'Set [integrity] key, or sign elsewhere: "tally checkpoint --help" says how.'


def kept(event_log: EventLog) -> Note | None:
    """Return the newest checkpoint that a log keeps; its signatures are not verified. None when there is none.

    Raises `NotProved` when what is kept is no checkpoint: somebody else wrote it.
    """
    return _read(event_log, CHECKPOINT_NOTE)


def set_aside(event_log: EventLog) -> list[Checkpoint | None]:
    """Return what the checkpoints say that were set aside for other origins; None for each that cannot be read."""
    found: list[Checkpoint | None] = []
    for _, value in event_log.notes(_ASIDE):
        try:
            found.append(parse_checkpoint(parse_note(value).text))
        except InvalidInput:
            found.append(None)
    return found


def newest(event_log: EventLog) -> Checkpoint | None:
    """Return what the newest kept checkpoint says, true or not; None when there is none that can be read."""
    try:
        note = kept(event_log)
    except NotProved:
        return None
    return None if note is None else parse_checkpoint(note.text)


def kept_of(event_log: EventLog, origin: str) -> Note | None:
    """Return the newest checkpoint that a log keeps and that is of this origin, to which the log was held.

    One of another origin is another log's for everybody who verifies: it binds nobody. Raises as `kept` and `hold`.
    """
    found = stored_of(event_log, origin)
    if found is not None:
        hold(event_log, parse_checkpoint(found.text))
    return found


def stored_of(event_log: EventLog, origin: str) -> Note | None:
    """Return what `kept_of` does, of whatever log it is. Raises as `kept`."""
    for name in (CHECKPOINT_NOTE, _aside(origin)):
        found = _read(event_log, name)
        if found is not None and parse_checkpoint(found.text).origin == origin:
            return found
    return None


def is_unreadable(event_log: EventLog, origin: str) -> bool:
    """Whether what a log keeps as its newest checkpoint of this origin is none."""
    try:
        stored_of(event_log, origin)
    except NotProved:
        return True
    return False


def in_the_way(event_log: EventLog, origin: str) -> tuple[bytes, bytes] | None:
    """Return the note that sets the kept checkpoint aside before one of this origin takes its place, if that is needed.

    One that cannot be read is not worth it.
    """
    try:
        found = kept(event_log)
    except NotProved:
        return None
    other = None if found is None else parse_checkpoint(found.text).origin
    return None if found is None or other is None or other == origin else (_aside(other), found.to_bytes())


def head_of(event_log: EventLog, origin: str) -> Checkpoint:
    """Return what a log says of its tree as it is now, true or not: `tree_of` holds it to what is stored."""
    head = event_log.tree_head()
    return Checkpoint(origin, head.size, head.root_hash)


def tree_of(event_log: EventLog, origin: str, nodes: StoredNodes | None = None) -> Checkpoint:
    """Return what is to be signed of a log as it is now; `nodes` of this log remember what is read.

    Raises `Corrupt` when its stored tree does not lead to the root that it goes on from: one of the two was changed,
    and whoever signed it would sign a tree that has no proofs. Reads some tiles.
    """
    head = head_of(event_log, origin)
    found = merkle.root(nodes or StoredNodes(event_log), head.size)
    if found != head.root_hash:
        raise Corrupt(
            f"what is stored of the tree does not lead to its root over {head.size} records: it leads to {found.hex()},"
            f" and the log goes on from {head.root_hash.hex()}"
        )
    return head


def _aside(origin: str) -> bytes:
    """The name of the note that has the newest checkpoint of an origin while the log has another one."""
    return _ASIDE + sha256(origin.encode()).digest()[:_ASIDE_BYTES]


def _read(event_log: EventLog, name: bytes) -> Note | None:
    value = event_log.note(name)
    if value is None:
        return None
    try:
        note = parse_note(value)
        parse_checkpoint(note.text)
    except InvalidInput as error:
        raise NotProved(
            "size",
            f"what the log keeps as its newest checkpoint is none: {error} One that was kept elsewhere takes its place:"
            ' "tally checkpoint --add FILE --key VKEY".',
        ) from error
    return note


def hold(event_log: EventLog, checkpoint: Checkpoint) -> None:
    """Hold a log to a checkpoint: its first records MUST have this root. Raises `NotProved`, `Corrupt`.

    Who signed the checkpoint is not looked at. Reads some tiles, of whatever log.
    """
    head = event_log.head()
    if checkpoint.size > head:
        raise NotProved(
            "size",
            f"the checkpoint is of {checkpoint.size} records, and the log has {head}: its end was cut off, or the"
            " checkpoint is of a later state, a copy that went on elsewhere, or another log.",
        )
    found = merkle.root(StoredNodes(event_log), checkpoint.size)
    if found != checkpoint.root_hash:
        raise NotProved(
            "root",
            f"the log's first {checkpoint.size} records have the root {found.hex()}, the checkpoint says"
            f" {checkpoint.root_hash.hex()}: the past was changed, or the checkpoint is of another log.",
        )
