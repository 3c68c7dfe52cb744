"""The bytes of a row: a task's record, packed; and of a tombstone.

A row is MessagePack: an array without names, with numbers for the members of closed sets, without what the key says
already, and without the tail of fields that most tasks do not have.
"""

from hashlib import blake2b
from operator import itemgetter
from typing import Any

import msgspec
from msgspec.structs import FieldInfo, asdict, astuple, fields

from tallystick.ledger.errors import UNREADABLE, StoreError
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.ledger.flows.record import Claim, FlowRecord
from tallystick.ledger.ids import id_text
from tallystick.ledger.record import TaskRecord
from tallystick.projections.change import Tombstone
from tallystick.projections.codes import (
    DELIVERIES,
    DELIVERY_CODES,
    FACT_CODES,
    FACTS,
    FLOW_CODES,
    POLICIES,
    POLICY_CODES,
    RUNTIME_CODES,
    RUNTIMES,
    SCOPE_CODES,
    SCOPES,
    STATUS_CODES,
    STATUSES,
)

SAME = 0
"""Stands for a text that another field, or the key, has already."""

# A row that grows makes a full page split in two that stay half empty. So a task begins with some room,
# and what is told of it until its end takes from that.
_ROOM = bytes(48)
_ROOM_FOR_MOMENTS = 8

# First what is told in its own way, in this order; then the rest of the record as it is; last what few tasks have.
# Moments are told from the task's creation on, and the position of its end back from its newest one.
_HEAD: dict[str, Any] = {
    "runtime": int,
    "status": int,
    "scope_kind": int,
    "delivery_status": int,
    "notify_policy": int,
    "ended_by": int | None,
    "root_task_id": str | int | None,
    "requester_session_key": str | int | None,
    "parent_flow_id": str | int | None,
    "last_event_at": int,
    "started_at": int | None,
    "ended_at": int | None,
    "progress_at": int | None,
    "ended_at_position": int | None,
    "room": bytes | None,
}
_RARE = (
    "outbox",
    "work_version",
    "cleanup_after",
    "progress_step",
    "progress_steps",
    "tool_use_count",
    "last_tool_name",
    "metadata",
    "backing",
    "artifacts",
    "usage",
    "timeout_ms",
    "deadline_at",
    "origin",
    "terminal_outcome",
    "task_kind",
    "source_id",
    "agent_id",
    "requester_agent_id",
    "progress_phase",
    "idempotency_key",
    "further_keys",
    "cancel_requested_at",
    "cancel_reason",
    "cancel_confirmed",
    "backing_missed_at",
    "late_signals",
    "late_signal_count",
    "held_at",
    "pruned_at",
    "resources",
    "cleanup_begun_at",
    "lease_ms",
    "noted",
    "imported",
    "erased",
)
_MOMENTS = ("last_event_at", "started_at", "ended_at", "progress_at")

_FIELDS: dict[str, FieldInfo] = {field.name: field for field in fields(TaskRecord)}
_PLACES = {name: place for place, name in enumerate(_FIELDS)}
_BODY = tuple(name for name in _FIELDS if name not in {"task_id", *_HEAD, *_RARE})
_ABSENT = tuple(_FIELDS[name].default for name in _RARE)
# Where a row may end: without any of these; with messages, its retention's end, progress, what a creation may say; all
# that this ledger recorded of its work; and what it took over.
_CUTS = (0, 2, 3, 7, 13, _RARE.index("imported"), _RARE.index("erased"))

Row: type[Any] = msgspec.defstruct(
    "Row",
    [
        *_HEAD.items(),
        *((name, _FIELDS[name].type) for name in _BODY),
        *((name, _FIELDS[name].type, default) for name, default in zip(_RARE, _ABSENT, strict=True)),
    ],
    array_like=True,
    frozen=True,
    gc=False,
)
"""The twin of `TaskRecord` that is stored: what is not in `_HEAD` has the record's own name and value."""

# The encoder's and decoders' own methods: they are called for every row.
_encode = msgspec.msgpack.Encoder().encode
_body_of = itemgetter(*(_PLACES[name] for name in _BODY))
_rare_of = itemgetter(*(_PLACES[name] for name in _RARE))

_decode_row = msgspec.msgpack.Decoder(Row).decode
_decode_tombstone = msgspec.msgpack.Decoder(Tombstone).decode


class ViewsDamaged(StoreError):
    """The views contradict themselves. The log can tell what they should say."""


def pack(record: TaskRecord) -> bytes:
    """Return the bytes of a record, to be stored under the sixteen bytes of its id."""
    values = astuple(record)
    root, requester, ended_by = record.root_task_id, record.requester_session_key, record.ended_by
    flow = record.parent_flow_id
    began, started, ended, progressed = record.created_at, record.started_at, record.ended_at, record.progress_at
    room = None
    if ended is None:
        said = record.progress_summary
        taken = (0 if started is None else _ROOM_FOR_MOMENTS) + (len(said) if said else 0)
        room = _ROOM[taken:]
    row = (
        RUNTIME_CODES[record.runtime],
        STATUS_CODES[record.status],
        SCOPE_CODES[record.scope_kind],
        DELIVERY_CODES[record.delivery_status],
        POLICY_CODES[record.notify_policy],
        ended_by and FACT_CODES[ended_by],
        SAME if root == record.task_id else root,
        SAME if requester == record.owner_key else requester,
        SAME if flow is not None and flow == mirror_of(record.task_id) else flow,
        record.last_event_at - began,
        None if started is None else started - began,
        None if ended is None else ended - began,
        None if progressed is None else progressed - began,
        None if ended is None else record.position - (record.ended_at_position or 0),
        room,
        *_body_of(values),
    )
    rare = _rare_of(values)
    for end in _CUTS:
        if rare[end:] == _ABSENT[end:]:
            return _encode(row + rare[:end])
    return _encode(row + rare)


def read_row(stored: bytes) -> Any:
    """Return the `Row` that has these bytes: enough to filter by, at a fraction of the cost of a record."""
    try:
        return _decode_row(stored)
    except UNREADABLE as error:
        raise ViewsDamaged(f"a row cannot be read: {error}") from error


def read_tombstone(stored: bytes) -> Tombstone:
    """Return the tombstone that `pack_tombstone` made bytes of."""
    try:
        return _decode_tombstone(stored)
    except UNREADABLE as error:
        raise ViewsDamaged(f"a tombstone cannot be read: {error}") from error


def unpack(stream: bytes, stored: bytes) -> TaskRecord:
    """Return the record that `pack` made bytes of."""
    return as_record(stream, read_row(stored))


def as_record(stream: bytes, row: Any) -> TaskRecord:
    """Return the record that a `Row` tells of the task with this id."""
    told = asdict(row)
    task_id = id_text(stream)
    try:
        told["runtime"] = RUNTIMES[row.runtime]
        told["status"] = STATUSES[row.status]
        told["scope_kind"] = SCOPES[row.scope_kind]
        told["delivery_status"] = DELIVERIES[row.delivery_status]
        told["notify_policy"] = POLICIES[row.notify_policy]
        told["ended_by"] = row.ended_by and FACTS[row.ended_by]
    except KeyError as error:
        raise ViewsDamaged(f"the row of {task_id} has a number that nobody knows: {error}") from error
    for moment in _MOMENTS:
        if told[moment] is not None:
            told[moment] += row.created_at
    if row.ended_at_position is not None:
        told["ended_at_position"] = row.position - row.ended_at_position
    if row.root_task_id == SAME:
        told["root_task_id"] = task_id
    if row.requester_session_key == SAME:
        told["requester_session_key"] = row.owner_key
    if row.parent_flow_id == SAME:
        told["parent_flow_id"] = mirror_of(task_id)
    del told["room"]
    return TaskRecord(task_id=task_id, **told)


def pack_tombstone(record: TaskRecord | FlowRecord) -> bytes:
    """Return the bytes that stay of a pruned task or flow."""
    assert record.pruned_at is not None, "only what was pruned has a tombstone"
    outcome = record.terminal_outcome if isinstance(record, TaskRecord) else None
    return _encode(Tombstone(record.status.value, record.ended_at, record.pruned_at, outcome))


def shape_hash() -> str:
    """Return a digest of all that decides about the bytes of a row: it is part of the format of the views."""
    row = [(field.name, repr(field.default)) for kind in (Row, FlowRecord, Claim) for field in fields(kind)]
    codes = (RUNTIME_CODES, STATUS_CODES, SCOPE_CODES, DELIVERY_CODES, POLICY_CODES, FACT_CODES, FLOW_CODES)
    shape = [row, [[(str(name), code) for name, code in sorted(table.items())] for table in codes]]
    return blake2b(repr(shape).encode(), digest_size=8).hexdigest()
