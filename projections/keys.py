"""The bytes of every key of the read models: no other file makes or takes apart one.

`places` are tables of places under headings: a moment (6 bytes, ms) and a task's id (16 bytes) under a few bytes.

    board.rows        id                                        → the row
    board.index       runtime, 1; shown status, 1               → places, by creation: all tasks that are shown as that
    board.names       kind of name, 1; digest of the name, 6    → places, by creation: all tasks that have the name
    board.tombstones  id                                        → the tombstone
    counts.cells      "cells"                                   → a number for each runtime and shown status
    due.marks         class, 1                                  → places, by the moment from which time counts
    flows.rows        id                                        → the row
    flows.index       "S", status, 1; "C"                       → places, by creation: of a status; being cancelled
                      "B"; digest of a task's id, 6             → places, by creation: managed ones that it blocks
                      "O" or "P"; digest of the owner, 6        → places, by creation: active or ended, of an owner
                      "M" or "N"; digest of the owner, 6        → the same of mirrored flows, under their tasks' places
                      "Q"                                       → places of active managed flows, by their last move
                      "E", status, 1                            → places of all that have ended, by when they did
    flows.tombstones  id                                        → the tombstone
    quarantine.damaged  position, 8                             → records that cannot be read, from there on
    quarantine.streams  id                                      → where its events begin not to follow, and why
    outbox.places     kind, 1; digest of endpoint or session, 6 → places, by the moment that is due, or by position
"""

from enum import IntEnum
from functools import lru_cache
from hashlib import blake2b

from tallystick.ledger.flows.mirror import has_mirror
from tallystick.ledger.record import TaskRecord
from tallystick.projections.codes import RUNTIME_CODES, SHOWN_CODES, shown_code
from tallystick.projections.places import MOMENT_BYTES, moment

NAME_BYTES = 6  # a name whose digest is another's is told apart by the row


class NameKind(IntEnum):
    """What a name is to the tasks that are found by it.

    Sessions have two kinds, so that active tasks come first. A task at work has its flow's name twice, so that one is
    found among however many that have ended.
    """

    RUN = 1
    PARENT = 2
    OWNER_ACTIVE = 3
    OWNER_ENDED = 4
    REQUESTER_ACTIVE = 5
    REQUESTER_ENDED = 6
    CHILD_ACTIVE = 7
    CHILD_ENDED = 8
    FLOW = 9
    FLOW_ACTIVE = 10


ACTIVE_KINDS = (NameKind.OWNER_ACTIVE, NameKind.REQUESTER_ACTIVE, NameKind.CHILD_ACTIVE)
ENDED_KINDS = (NameKind.OWNER_ENDED, NameKind.REQUESTER_ENDED, NameKind.CHILD_ENDED)

CELLS_KEY = b"cells"

ENDPOINT, SESSION, UNCONFIRMED, STUCK, WITHHELD = b"E", b"S", b"U", b"X", b"W"
"""The kinds of headings of the outbox: of each endpoint, of each session, of all that have to be confirmed, of all that
wait for an operator, and of all that wait for work below their task."""

FLOW_STATUS, FLOW_CANCELLING, FLOW_BLOCKED_BY, FLOW_QUIET, FLOW_ENDED = b"S", b"C", b"B", b"Q", b"E"
FLOW_OWNER_ACTIVE, FLOW_OWNER_ENDED, FLOW_MIRROR_ACTIVE, FLOW_MIRROR_ENDED = b"O", b"P", b"M", b"N"

_RUN, _PARENT, _FLOW = bytes([NameKind.RUN]), bytes([NameKind.PARENT]), bytes([NameKind.FLOW])
_FLOW_ACTIVE = bytes([NameKind.FLOW_ACTIVE])
_ACTIVE = tuple(bytes([kind]) for kind in ACTIVE_KINDS)
_ENDED = tuple(bytes([kind]) for kind in ENDED_KINDS)
_CELLS = {
    (runtime, shown): bytes((runtime, shown)) for runtime in RUNTIME_CODES.values() for shown in SHOWN_CODES.values()
}
_MARKS = tuple(bytes([code]) for code in range(256))


def place(stream: bytes, record: TaskRecord) -> bytes:
    """Return where a task stands in every list: when it was created, and its id."""
    try:
        return record.created_at.to_bytes(MOMENT_BYTES) + stream
    except OverflowError:
        return moment(record.created_at) + stream


def cell_heading(runtime: int, shown: int) -> bytes:
    """Return the heading of all tasks of one runtime and shown status."""
    return _CELLS[runtime, shown]


def cell_in(heading: bytes) -> tuple[int, int]:
    """Return the runtime and the shown status that `cell_heading` was given."""
    return heading[0], heading[1]


def index_heading(record: TaskRecord) -> bytes:
    """Return the heading of a task in the index of runtimes and statuses."""
    return _CELLS[RUNTIME_CODES[record.runtime], shown_code(record)]


def digest(name: str) -> bytes:
    """Return the bytes that stand for a name."""
    return blake2b(name.encode(), digest_size=NAME_BYTES).digest()


_session_digest = lru_cache(4_096)(digest)  # few sessions own many tasks


def name_heading(kind: NameKind, name: str) -> bytes:
    """Return the heading of all tasks that have this name."""
    return bytes([kind]) + digest(name)


def name_headings(record: TaskRecord) -> list[bytes]:
    """Return the headings of a task in the index of names."""
    headings = changing_headings(record)
    if record.run_id is not None:
        headings.append(_RUN + digest(record.run_id))
    if record.parent_task_id is not None:
        headings.append(_PARENT + digest(record.parent_task_id))
    if record.parent_flow_id is not None and not has_mirror(record):
        headings.append(_FLOW + digest(record.parent_flow_id))
    return headings


def changing_headings(record: TaskRecord) -> list[bytes]:
    """Return those of the headings that change when the task ends."""
    owner, requester = record.owner_key, record.requester_session_key
    of_owner, of_requester, of_child = _ACTIVE if record.is_active else _ENDED
    headings = []
    if owner is not None:
        headings.append(of_owner + _session_digest(owner))
    if requester is not None and requester != owner:
        headings.append(of_requester + _session_digest(requester))
    if record.child_session_key is not None:
        headings.append(of_child + digest(record.child_session_key))
    if record.parent_flow_id is not None and record.is_active and not has_mirror(record):
        headings.append(_FLOW_ACTIVE + digest(record.parent_flow_id))
    return headings


def outbox_heading(kind: bytes, name: str | None = None) -> bytes:
    """Return the heading of what is to be done with the messages of an endpoint or a session, or of all of a kind."""
    return kind if name is None else kind + _session_digest(name)


def mark_heading(class_code: int) -> bytes:
    """Return the heading of all marks of one class."""
    return _MARKS[class_code]


def mark_place(since: int, stream: bytes) -> bytes:
    """Return the place of a task for which time counts from a moment on."""
    return moment(since) + stream
