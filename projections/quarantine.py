"""The read model "quarantine": what of the log says nothing, so that it is known without reading all of it again.

A record that is no event is known by its position alone: what it was about is in what cannot be read. The task or flow
shows when it goes on, for its next event does not follow the one before. Nothing but its pruning, or a rebuild that
does not find it any more, takes anything away.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from tallystick.ledger.errors import UNREADABLE
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.projections.change import Broken, BrokenStreams, Changes, Damage, Damages, joined
from tallystick.projections.projection import Contents, Table, Whole
from tallystick.projections.rows import ViewsDamaged

NAME = "quarantine"
DAMAGED, STREAMS = range(2)

_POSITION_BYTES = 8
_pack = msgspec.msgpack.Encoder().encode
_read_damage = msgspec.msgpack.Decoder(Damage).decode
_read_broken = msgspec.msgpack.Decoder(Broken).decode


class Quarantined(Struct, frozen=True, order=True):
    """What of the log says nothing, from a position on, and why.

    With a `stream` it is a task or a flow whose events do not follow each other from there on: it keeps its last good
    state. Without one it is the records up to `last`, which are no events.
    """

    position: int
    last: int
    detail: str
    stream: bytes | None = None


class Quarantine:
    """Positions that cannot be read, neighbours together, and the streams that do not go on."""

    name = NAME
    tables = (Table("damaged"), Table("streams"))

    def apply(self, txn: Transaction, tables: Sequence[Database], changes: Changes) -> None:
        for of_kind in (changes.tasks, changes.flows):
            for stream, change in of_kind.items():
                if change.after.pruned_at is not None:
                    txn.delete(stream, db=tables[STREAMS])
        for stream, broken in changes.broken.items():
            txn.put(stream, _pack(broken), db=tables[STREAMS], overwrite=False)
        for damage in changes.damaged:
            self._add(txn, tables[DAMAGED], damage)

    def _add(self, txn: Transaction, table: Database, damage: Damage) -> None:
        """Put damage behind what there is, or make it part of the last of that."""
        cursor = txn.cursor(table)
        together = (damage,) if not cursor.last() else joined((_damage(cursor.value()), damage))
        for each in together:
            txn.put(_key(each), _pack(each), db=table)

    def contents(self, whole: Whole) -> Contents:
        return (
            [(_key(damage), _pack(damage)) for damage in whole.damaged],
            [(stream, _pack(broken)) for stream, broken in whole.broken.items()],
        )


def _key(damage: Damage) -> bytes:
    return damage.first.to_bytes(_POSITION_BYTES)


def read(txn: Transaction, tables: Sequence[Database]) -> Changes:
    """Return what is stored. Raises `ViewsDamaged`."""
    return Changes(
        broken={stream: _broken(row) for stream, row in txn.cursor(tables[STREAMS])},
        damaged=tuple(_damage(row) for _, row in txn.cursor(tables[DAMAGED])),
    )


def _damage(row: bytes) -> Damage:
    try:
        return _read_damage(row)
    except UNREADABLE as error:
        raise ViewsDamaged(f"a row of the quarantine cannot be read: {error}") from error


def _broken(row: bytes) -> Broken:
    try:
        return _read_broken(row)
    except UNREADABLE as error:
        raise ViewsDamaged(f"a row of the quarantine cannot be read: {error}") from error


def in_order(broken: Mapping[bytes, Broken], damaged: Damages) -> list[Quarantined]:
    """Return all of it, by position."""
    found = [Quarantined(each.first, each.last, each.detail) for each in damaged]
    found.extend(Quarantined(each.position, each.position, each.detail, stream) for stream, each in broken.items())
    return sorted(found, key=lambda each: (each.position, each.stream or b""))


def together(stored: Changes, later: Changes) -> Changes:
    """Return what two accounts tell together, of which the later one may tell again what the first one has."""
    damaged = joined(sorted((*stored.damaged, *later.damaged), key=lambda each: (each.first, each.last)))
    pruned = {
        stream
        for of_kind in (later.tasks, later.flows)
        for stream, change in of_kind.items()
        if change.after.pruned_at is not None
    }
    broken: BrokenStreams = {stream: each for stream, each in stored.broken.items() if stream not in pruned}
    return Changes(broken=later.broken | broken, damaged=damaged)
