"""Proving: from what names an event, or an older tree, to a file that shows that the log has it."""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tallystick.config import ORIGIN_ALLOWED, Integrity
from tallystick.ledger import fields
from tallystick.ledger.errors import Corrupt, InvalidInput, NotFound, NotProved
from tallystick.ledger.events import Event
from tallystick.ledger.evolve import fold
from tallystick.ledger.proofs.checkpoint import Checkpoint, parse_checkpoint
from tallystick.ledger.proofs.note import Note, parse_note
from tallystick.ledger.proofs.proving import prove_consistency, prove_inclusion
from tallystick.ledger.store.nodes import StoredNodes
from tallystick.ledger.store.port import EventLog, Lost
from tallystick.ledger.store.tree import leaf_hash
from tallystick.projections.attested import cosigned, newest_cosigned
from tallystick.projections.checkpoint import NO_CHECKPOINT, hold, kept, kept_of, stored_of, tree_of
from tallystick.readings import Readings

if TYPE_CHECKING:
    from tallystick.keyring import Keyring

Fresh = Callable[[], bytes]
"""Makes a checkpoint over the log as it is now; or returns the newest one there is."""


class Prover:
    """Proves what one open log has: for any number of threads.

    It remembers the keys of its configuration, the checkpoints that were last found to be signed by them, and tiles:
    what costs most of a proof is the same for the next one.
    """

    def __init__(self, readings: Readings, fresh: Fresh, settings: Integrity) -> None:
        self._readings, self._fresh, self._settings = readings, fresh, settings
        self._nodes = StoredNodes(readings.log)
        self._turn = threading.Lock()
        self._ring: Keyring | None = None
        self._signed: tuple[Note, ...] = ()

    def prove(self, lookup: str | int, version: int | None = None) -> bytes:
        """Return the proof that an event is in the log (C2SP tlog-proof), which carries the bytes of its record.

        A number is a position. Of a task or flow it is the event with this version, else the one that ended it, else
        its newest. The newest checkpoint that others saw counts, with their signatures, else the newest that is kept,
        if it has the event, is of the configured origin, and signed by the configured keys; where these cannot be read
        nobody here can tell. Of a record that was deleted with its archive only the hash is left: the proof carries
        nothing then, and is for who has the record from elsewhere.

        Raises `NotFound` for an event that there is not, and when no checkpoint has it; `InvalidInput`; `Corrupt` when
        the record or the tree is not what was written: nobody gets a proof that would fail.
        """
        log = self._readings.log
        position = position_of(self._readings, lookup, version)
        checkpoint = self._seen(position) or self._covering(position)
        [body] = log.records(position, position)
        if isinstance(body, Lost) and body.is_deleted:
            body = None
        elif not isinstance(body, bytes):
            raise Corrupt("there is no record" if body is None else body.detail, position=position)
        with self._turn:
            if body is not None and leaf_hash(body) != self._nodes.node(0, position - 1):
                raise Corrupt("the record is not the one that the tree was built of", position=position)
            return prove_inclusion(self._nodes, position - 1, checkpoint, extra=body).to_bytes()

    def prove_from(self, old: int | bytes) -> bytes:
        """Return the proof that the tree of the first `old` records, or of an older checkpoint, is the beginning.

        The newest checkpoint that is kept counts, as `prove` says, with the signatures of others if it has any.
        Raises `InvalidInput`, `NotFound` when no checkpoint is that new, `NotProved` when the log does not go on from
        the checkpoint or has another name by now, `Corrupt`.
        """
        log = self._readings.log
        origin = None
        if isinstance(old, bytes):
            before = parse_checkpoint(parse_note(old).text)
            hold(log, before)
            old, origin = before.size, before.origin
        fields.whole("old size", old, least=0)
        head = log.head()
        if old > head:
            raise InvalidInput("old size", old, f"at most {head}, which is what the log has")
        size = old if old == head else old + 1  # of one that shows what came since
        checkpoint = self._covering(size)
        now = parse_checkpoint(parse_note(checkpoint).text).origin
        if origin not in (None, now):  # two logs to whoever verifies, who would refuse the proof
            reason = f"the old checkpoint is of {origin}, the newest of {now}. Its size, {old}, will do."
            raise NotProved("origin", reason)
        with self._turn:
            return prove_consistency(self._nodes, old, checkpoint).to_bytes()

    def _covering(self, size: int) -> bytes:
        """A checkpoint of at least so many records: the kept one, or else one that is made now."""
        newest = self._usable()
        if newest is not None and parse_checkpoint(newest.text).size >= size:
            return cosigned(self._readings.log, newest.to_bytes())
        made = self._fresh()
        found = parse_checkpoint(parse_note(made).text).size
        if found < size:
            hint = f'The newest has {found} records. Run "tally checkpoint", or add one that was signed elsewhere.'
            raise NotFound(f"one of at least {size} records", hint=hint, of="Checkpoint")
        return made

    def _seen(self, size: int) -> bytes | None:
        """The newest checkpoint that others saw, if it has so many records and can be believed as a kept one can."""
        note = None if self._settings.origin is None else newest_cosigned(self._readings.log)
        tree = None if note is None else parse_checkpoint(note.text)
        if note is None or tree is None or tree.origin != self._settings.origin or tree.size < size:
            return None
        return note.to_bytes() if self._is_believed(note) else None

    def _usable(self) -> Note | None:
        """The kept checkpoint, if whoever trusts the keys of the configuration can believe it."""
        origin = self._settings.origin
        if origin is None:
            return kept(self._readings.log)
        found = stored_of(self._readings.log, origin)
        return None if found is None or not self._is_believed(found) else found

    def _is_believed(self, note: Note) -> bool:
        """Whether the configured keys signed a checkpoint, as far as anybody here can tell."""
        if not self._settings.key or note in self._signed:
            return True
        try:
            if not self._keyring().is_signed(note):
                return False
        except InvalidInput:  # a key that this user may not read, or that is elsewhere by now
            return True
        self._signed = (note, *self._signed[:1])  # the newest that is kept, and the newest that others saw
        return True

    def _keyring(self) -> "Keyring":
        if self._ring is None:
            from tallystick.keyring import Keyring  # which loads cryptography

            self._ring = Keyring(self._settings)
        return self._ring


def beside(event_log: EventLog, settings: Integrity) -> bytes:
    """Return a checkpoint over a log as it is now without writing to it, or the newest that is kept.

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

        nodes = StoredNodes(event_log)
        return Keyring(settings).sign(lambda: unsigned(event_log, settings.origin, nodes), nodes).to_bytes()
    if found is None:
        raise NotFound(settings.origin, hint=NO_CHECKPOINT, of="Checkpoint")
    return found.to_bytes()


def unsigned(event_log: EventLog, origin: str | None, nodes: StoredNodes | None = None) -> Checkpoint:
    """Return what is to be signed of a log as it is now; `nodes` as `tree_of` has them.

    Raises `InvalidInput` without an origin, `NotProved` when the log does not go on from the kept checkpoint, `Corrupt`
    when its stored tree does not lead to its root.
    """
    if origin is None:
        raise no_origin()
    kept_of(event_log, origin)
    return tree_of(event_log, origin, nodes)


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
