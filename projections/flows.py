"""The read model "flows": a row for every flow that has events of its own, and the indexes that lists read.

A flow that only mirrors its task has none: what the board has of the task tells all of it. Of a pruned one its
tombstone stays.
"""

from collections.abc import Iterator, Sequence

import msgspec

from tallystick.ledger.errors import UNREADABLE
from tallystick.ledger.flows.mirror import mirror_stream
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.lifecycle import FlowStatus
from tallystick.ledger.limits import STALE_BUCKET_MS
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.projections.change import Changes, KnownFlow
from tallystick.projections.codes import FLOW_CODES
from tallystick.projections.keys import (
    FLOW_BLOCKED_BY,
    FLOW_CANCELLING,
    FLOW_ENDED,
    FLOW_MIRROR_ACTIVE,
    FLOW_MIRROR_ENDED,
    FLOW_OWNER_ACTIVE,
    FLOW_OWNER_ENDED,
    FLOW_QUIET,
    FLOW_STATUS,
    digest,
)
from tallystick.projections.places import Entry, Groups, add, moment, remove
from tallystick.projections.projection import Contents, Table, Whole, put_all
from tallystick.projections.rows import ViewsDamaged, pack_tombstone, read_tombstone

NAME = "flows"
ROWS, INDEX, TOMBSTONES = range(3)

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(FlowRecord).decode


class FlowBoard:
    """Every flow as its own events tell it, by id, status, owner and time; what is being cancelled, or is blocked."""

    name = NAME
    tables = (Table("rows"), Table("index", of_places=True), Table("tombstones"))

    def apply(self, txn: Transaction, tables: Sequence[Database], changes: Changes) -> None:
        rows: list[Entry] = []
        tombstones: list[Entry] = []
        gone: list[Entry] = []
        new: Groups = {}
        for stream in sorted(changes.flows):
            change = changes.flows[stream]
            if change.after.pruned_at is None:
                rows.append((stream, _pack(change.after)))
            else:
                tombstones.append((stream, pack_tombstone(change.after)))
                txn.delete(stream, db=tables[ROWS])
            before = set() if change.before is None else set(entries_of(stream, change.before))
            after = set(entries_of(stream, change.after))
            gone.extend(before - after)
            for heading, place in after - before:
                new.setdefault(heading, []).append(place)
        put_all(txn, tables[ROWS], rows)
        put_all(txn, tables[TOMBSTONES], tombstones)
        remove(txn, tables[INDEX], gone)
        add(txn, tables[INDEX], new)

    def contents(self, whole: Whole) -> Contents:
        rows: list[Entry] = []
        index: list[Entry] = []
        tombstones: list[Entry] = []
        for stream, record in whole.flows:
            if record.pruned_at is None:
                rows.append((stream, _pack(record)))
                index.extend(entries_of(stream, record))
            else:
                tombstones.append((stream, pack_tombstone(record)))
        return (rows, index, tombstones)


def entries_of(stream: bytes, record: FlowRecord) -> Iterator[Entry]:
    """Yield where a flow stands in the index; a mirrored one stands where its task does, and a pruned one nowhere."""
    if record.pruned_at is not None:
        return
    here = moment(record.created_at) + stream
    if record.is_managed:
        yield status_heading(record.status), here
        yield owner_heading(record.owner_key, is_active=record.is_active), here
        if is_blocked_by_task(record):
            yield blocked_heading(record.blocked_task_id or ""), here
    else:
        of_task = moment(record.created_at) + mirror_stream(stream)
        yield status_heading(None), of_task
        yield mirror_heading(record.owner_key, is_active=record.is_active), of_task
    if record.cancel_requested_at is not None and record.is_active:
        yield FLOW_CANCELLING, here
    if not record.is_active:
        yield ended_heading(record.status), ended_place(stream, record)
    elif record.is_managed:
        yield FLOW_QUIET, quiet_place(stream, record)


def quiet_place(stream: bytes, record: FlowRecord) -> bytes:
    """Return where an active flow stands among those that have not moved: by the ten minutes in which it last did."""
    return moment(record.updated_at - record.updated_at % STALE_BUCKET_MS) + stream


def ended_place(stream: bytes, record: FlowRecord) -> bytes:
    """Return where a flow stands among those that have ended."""
    return moment(record.updated_at if record.ended_at is None else record.ended_at) + stream


def ended_heading(status: str) -> bytes:
    """Return the heading of all flows with events of their own that have ended in this status."""
    return FLOW_ENDED + bytes([FLOW_CODES[status]])


def is_blocked_by_task(record: FlowRecord) -> bool:
    """Return whether a task blocks a managed flow: until it is resumed, that is needed."""
    return record.is_managed and record.status is FlowStatus.BLOCKED and record.blocked_task_id is not None


def blocked_heading(task_id: str) -> bytes:
    """Return the heading of the managed flows that a task blocks."""
    return FLOW_BLOCKED_BY + digest(task_id)


def status_heading(status: str | None) -> bytes:
    """Return the heading of the managed flows of a status; None stands for mirrored ones, of any."""
    return FLOW_STATUS + bytes([0 if status is None else FLOW_CODES[status]])


def owner_heading(owner: str, *, is_active: bool) -> bytes:
    """Return the heading of the managed flows of an owner that have ended, or have not."""
    return (FLOW_OWNER_ACTIVE if is_active else FLOW_OWNER_ENDED) + digest(owner)


def mirror_heading(owner: str, *, is_active: bool) -> bytes:
    """Return the heading of the mirrored flows of an owner whose own events say that they have ended, or have not."""
    return (FLOW_MIRROR_ACTIVE if is_active else FLOW_MIRROR_ENDED) + digest(owner)


def known(txn: Transaction, tables: Sequence[Database], stream: bytes) -> KnownFlow:
    """Return what is stored of a flow: its record, its tombstone, or None."""
    row = txn.get(stream, db=tables[ROWS])
    if row is None:
        tombstone = txn.get(stream, db=tables[TOMBSTONES])
        return None if tombstone is None else read_tombstone(tombstone)
    try:
        return _unpack(row)
    except UNREADABLE as error:
        raise ViewsDamaged(f"the row of a flow cannot be read: {error}") from error
