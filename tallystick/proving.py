"""Proving: from what names an event, or an older tree, to a file that shows that the log has it."""

from collections.abc import Callable, Sequence

from tallystick.config import ORIGIN_ALLOWED, Integrity
from tallystick.ledger import fields
from tallystick.ledger.errors import Corrupt, InvalidInput, NotFound
from tallystick.ledger.events import Event
from tallystick.ledger.evolve import fold
from tallystick.ledger.proofs.checkpoint import Checkpoint, parse_checkpoint
from tallystick.ledger.proofs.note import Note, parse_note
from tallystick.ledger.proofs.proving import prove_consistency, prove_inclusion
from tallystick.ledger.store.nodes import StoredNodes
from tallystick.ledger.store.port import EventLog, Lost
from tallystick.ledger.store.tree import leaf_hash
from tallystick.projections.checkpoint import NO_CHECKPOINT, hold, kept, kept_of, stored_of, tree_of
from tallystick.readings import Readings

Fresh = Callable[[], bytes]
"""Makes a checkpoint over the log as it is now; or returns the newest one there is."""


def prove(
    readings: Readings,
    fresh: Fresh,
    lookup: str | int,
    version: int | None = None,
    settings: Integrity | None = None,
) -> bytes:
    """Return the proof that an event is in the log (C2SP tlog-proof), which carries the bytes of its record.

    A number is a position. Of a task or flow it is the event with this version, else the one that ended it, else its
    newest. The newest checkpoint that is kept counts, if it has the event, is of the origin of `settings`, and signed
    by the keys that they name; where these cannot be read nobody here can tell. Of a record that was deleted with its
    archive only the hash is left: the proof carries nothing then, and is for who has the record from elsewhere.

    Raises `NotFound` for an event that there is not, and when no checkpoint has it; `InvalidInput`; `Corrupt` when the
    record or the tree is not what was written: nobody gets a proof that would fail.
    """
    position = position_of(readings, lookup, version)
    checkpoint = _covering(readings, fresh, position, settings)
    nodes = StoredNodes(readings.log)
    [body] = readings.log.records(position, position)
    if isinstance(body, Lost) and body.is_deleted:
        body = None
    elif not isinstance(body, bytes):
        raise Corrupt("there is no record" if body is None else body.detail, position=position)
    elif leaf_hash(body) != nodes.node(0, position - 1):
        raise Corrupt("the record is not the one that the tree was built of", position=position)
    return prove_inclusion(nodes, position - 1, checkpoint, extra=body).to_bytes()


def prove_from(readings: Readings, fresh: Fresh, old: int | bytes, settings: Integrity | None = None) -> bytes:
    """Return the proof that the tree of the first `old` records, or of an older checkpoint, is the log's beginning.

    Which kept checkpoint counts, `prove` says.
    Raises `InvalidInput`, `NotFound` when no checkpoint is that new, `NotProved` when the log does not go on from the
    checkpoint, `Corrupt`.
    """
    if isinstance(old, bytes):
        before = parse_checkpoint(parse_note(old).text)
        hold(readings.log, before)
        old = before.size
    fields.whole("old size", old, least=0)
    head = readings.log.head()
    if old > head:
        raise InvalidInput("old size", old, f"at most {head}, which is what the log has")
    size = old if old == head else old + 1  # of one that shows what came since
    checkpoint = _covering(readings, fresh, size, settings)
    return prove_consistency(StoredNodes(readings.log), old, checkpoint).to_bytes()


def beside(event_log: EventLog, settings: Integrity) -> bytes:
    """Return a checkpoint over a log as it is now without writing, or the newest that is kept.

    Raises `InvalidInput`, `NotFound` when there is neither a key nor a checkpoint, `NotProved`.
    """
    if settings.origin is None:
        found = kept(event_log)
        if found is None:
            raise no_origin()
        hold(event_log, parse_checkpoint(found.text))
        return found.to_bytes()
    found = kept_of(event_log, settings.origin)
    if settings.key:
        from tallystick.keyring import Keyring  # which loads cryptography

        return Keyring(settings).sign(unsigned(event_log, settings.origin)).to_bytes()
    if found is None:
        raise NotFound(settings.origin, hint=NO_CHECKPOINT, of="Checkpoint")
    return found.to_bytes()


def unsigned(event_log: EventLog, origin: str | None) -> Checkpoint:
    """Return what is to be signed of a log as it is now.

    Raises `InvalidInput` without an origin, `NotProved` when the log does not go on from the kept checkpoint, `Corrupt`
    when its stored tree does not lead to its root.
    """
    if origin is None:
        raise no_origin()
    kept_of(event_log, origin)
    return tree_of(event_log, origin)


def no_origin() -> InvalidInput:
    """Return the error of a ledger whose log has no name."""
    return InvalidInput("integrity.origin", None, f"{ORIGIN_ALLOWED}; and [integrity] key, if it is on this host")


def position_of(readings: Readings, lookup: str | int, version: int | None = None) -> int:
    """Return the position of the event that is meant. Raises `NotFound`, `InvalidInput`."""
    if isinstance(lookup, int):
        fields.whole("position", lookup, least=1)
        if version is not None:
            raise InvalidInput("version", version, "none with a position, which is that of one event")
        if lookup > readings.log.head():
            hint = f"The log has {readings.log.head()} events."
            raise NotFound(f"position {lookup}", hint=hint, of="Event")
        return lookup
    events = readings.timeline(lookup)
    if version is None:
        return _ending(events)
    fields.whole("version", version, least=1)
    for event in events:
        if event.version == version:
            return event.position
    raise NotFound(f"version {version} of {lookup}", hint=f"It has versions 1 to {events[-1].version}.", of="Event")


def _ending(events: Sequence[Event]) -> int:
    """The position of the event that ended a task, or else of the newest."""
    last = events[-1].position
    if any(event.is_of_flow for event in events):
        return last
    try:
        record = fold(events)
    except Corrupt:  # some of its history is gone, or cannot be read
        return last
    return last if record is None or record.ended_at_position is None else record.ended_at_position


def _covering(readings: Readings, fresh: Fresh, size: int, settings: Integrity | None) -> bytes:
    """A checkpoint of at least so many records: the kept one, or else one that is made now."""
    newest = _usable(readings, settings)
    if newest is not None and parse_checkpoint(newest.text).size >= size:
        return newest.to_bytes()
    made = fresh()
    found = parse_checkpoint(parse_note(made).text).size
    if found < size:
        hint = f'The newest has {found} records. Run "tally checkpoint", or add one that was signed elsewhere.'
        raise NotFound(f"one of at least {size} records", hint=hint, of="Checkpoint")
    return made


def _usable(readings: Readings, settings: Integrity | None) -> Note | None:
    """The kept checkpoint, if whoever trusts the keys of a configuration can believe it."""
    if settings is None or settings.origin is None:
        return kept(readings.log)
    found = stored_of(readings.log, settings.origin)
    if found is None or not settings.key:
        return found
    from tallystick.keyring import Keyring  # which loads cryptography

    ring = Keyring(settings)
    try:
        return found if ring.is_signed(found) else None
    except InvalidInput:  # a key that this user may not read, or that is elsewhere by now
        return found
