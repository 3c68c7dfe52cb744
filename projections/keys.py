"""The bytes of every key of the read models: no other file makes or takes apart one.

Numbers are big-endian, so that the order of bytes is the order of numbers. A task's *place* is its moment of creation
(6 bytes, ms) and its id (16 bytes): the order in which lists show tasks, newest last.

    board.rows        id                                                     → the row
    board.index       runtime, 1; shown status, 1; place                     → nothing
    board.names       kind of name, 1; digest of the name, 6; place          → nothing
    board.tombstones  id                                                     → the tombstone
    counts.cells      "cells"                                                → a number for each runtime and status
    due.marks         class, 1; the moment from which time counts, 6; id     → nothing
"""

from enum import IntEnum
from functools import lru_cache
from hashlib import blake2b

from tallystick.ledger.ids import ID_BYTES
from tallystick.ledger.record import TaskRecord
from tallystick.projections.codes import RUNTIME_CODES, shown_code

MOMENT_BYTES = 6  # ends in the year 10889, after `TIME_MS_MAX`
PLACE_BYTES = MOMENT_BYTES + ID_BYTES
NAME_BYTES = 6  # a name whose digest is another's is told apart by the row


class NameKind(IntEnum):
    """What a name is to the tasks that are found by it. Sessions have two kinds, so that active tasks come first."""

    RUN = 1
    PARENT = 2
    OWNER_ACTIVE = 3
    OWNER_ENDED = 4
    REQUESTER_ACTIVE = 5
    REQUESTER_ENDED = 6
    CHILD_ACTIVE = 7
    CHILD_ENDED = 8


ACTIVE_KINDS = (NameKind.OWNER_ACTIVE, NameKind.REQUESTER_ACTIVE, NameKind.CHILD_ACTIVE)
ENDED_KINDS = (NameKind.OWNER_ENDED, NameKind.REQUESTER_ENDED, NameKind.CHILD_ENDED)

_RUN, _PARENT = bytes([NameKind.RUN]), bytes([NameKind.PARENT])
_ACTIVE = tuple(bytes([kind]) for kind in ACTIVE_KINDS)
_ENDED = tuple(bytes([kind]) for kind in ENDED_KINDS)
_CELLS = {(runtime, shown): bytes((runtime, shown)) for runtime in range(1, 5) for shown in range(1, 9)}


def moment(at: int) -> bytes:
    """Return a time in ms as the bytes that keys have; what no key can hold becomes the nearest that can."""
    try:
        return at.to_bytes(MOMENT_BYTES)
    except OverflowError:
        return (b"\x00" if at < 0 else b"\xff") * MOMENT_BYTES


def place(stream: bytes, record: TaskRecord) -> bytes:
    """Return where a task stands in every list."""
    return moment(record.created_at) + stream


def moment_of(key: bytes) -> int:
    """Return the moment of creation that a place begins with."""
    return int.from_bytes(key[:MOMENT_BYTES])


def index_prefix(runtime: int, shown: int) -> bytes:
    """Return what the keys of all tasks of one runtime and shown status begin with."""
    return _CELLS[runtime, shown]


def cell_in(key: bytes) -> tuple[int, int]:
    """Return the runtime and the shown status that a key of the index begins with."""
    return key[0], key[1]


def index_key(place: bytes, record: TaskRecord) -> bytes:
    """Return the key of a task in the index of runtimes and statuses."""
    return _CELLS[RUNTIME_CODES[record.runtime], shown_code(record)] + place


def digest(name: str) -> bytes:
    """Return the bytes that stand for a name in a key."""
    return blake2b(name.encode(), digest_size=NAME_BYTES).digest()


_session_digest = lru_cache(4_096)(digest)  # few sessions own many tasks


def name_prefix(kind: NameKind, name: str) -> bytes:
    """Return what the keys of all tasks that have this name begin with."""
    return bytes([kind]) + digest(name)


def name_keys(place: bytes, record: TaskRecord) -> list[bytes]:
    """Return the keys of a task in the index of names."""
    keys = []
    if record.run_id is not None:
        keys.append(_RUN + digest(record.run_id) + place)
    if record.parent_task_id is not None:
        keys.append(_PARENT + digest(record.parent_task_id) + place)
    owner, requester, child = _ACTIVE if record.is_active else _ENDED
    if record.owner_key is not None:
        keys.append(owner + _session_digest(record.owner_key) + place)
    if record.requester_session_key is not None and record.requester_session_key != record.owner_key:
        keys.append(requester + _session_digest(record.requester_session_key) + place)
    if record.child_session_key is not None:
        keys.append(child + digest(record.child_session_key) + place)
    return keys


def mark_prefix(class_code: int) -> bytes:
    """Return what the keys of all marks of one class begin with."""
    return bytes([class_code])


def mark_key(class_code: int, since: int, stream: bytes) -> bytes:
    """Return the key of a task for which time counts from a moment on."""
    return bytes([class_code]) + moment(since) + stream


def mark_of(key: bytes) -> tuple[int, bytes]:
    """Return the moment and the id that `mark_key` was given."""
    return int.from_bytes(key[1 : 1 + MOMENT_BYTES]), key[1 + MOMENT_BYTES :]
