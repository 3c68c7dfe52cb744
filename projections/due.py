"""The read model "due": from which moment on time counts for a task, so that what is due is found without looking.

A mark is a class and a moment. What the moment leads to, and when, follows from rules that are not stored: a change of
configuration takes effect at once, on every task.
"""

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct, field

from tallystick.ledger.lifecycle import TERMINAL, DeliveryStatus, Runtime, Status
from tallystick.ledger.limits import (
    CANCEL_GRACE_MS,
    GRACE_MS,
    RETENTION_LOST_MS,
    RETENTION_TERMINAL_MS,
    STALE_BUCKET_MS,
    TIME_MS_MAX,
)
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.ledger.upkeep.times import INCONSISTENT, contradiction
from tallystick.projections.change import Changes
from tallystick.projections.codes import RUNTIME_CODES, STATUS_CODES
from tallystick.projections.keys import mark_heading, mark_place
from tallystick.projections.places import Entry, Groups, add, moment, moment_of, oldest_first, remove, stream_of
from tallystick.projections.projection import Contents, Table, Whole

NAME = "due"


class DueKind(StrEnum):
    """What the time has come for."""

    DEADLINE = "deadline"
    CANCEL = "cancel"
    GRACE = "grace"
    RETENTION = "retention"
    CLEANUP = "cleanup"


ALL_KINDS: frozenset[DueKind] = frozenset(DueKind)


class Due(Struct, frozen=True, order=True):
    """The time of one task has come, for something, since `at` (ms)."""

    at: int
    kind: DueKind
    stream: bytes


class DueRules(Struct, frozen=True, kw_only=True):
    """How long after its mark a thing is due, in ms.

    The grace of a pending miss runs only while somebody watches: not before `watching_since`.
    `retention` is looked up by runtime and status, then by status alone; None keeps for ever.
    """

    grace: Mapping[Runtime, int] = field(default_factory=dict)
    grace_default: int = GRACE_MS
    cancel_grace: int = CANCEL_GRACE_MS
    watching_since: int = 0
    retention: Mapping[tuple[Runtime | None, Status], int | None] = field(default_factory=dict)
    retention_default: int | None = RETENTION_TERMINAL_MS
    retention_lost: int | None = RETENTION_LOST_MS

    def grace_of(self, runtime: Runtime) -> int:
        """Return how long the backing of a task may be missing before the task is lost."""
        return self.grace.get(runtime, self.grace_default)

    def retention_of(self, runtime: Runtime, status: Status) -> int | None:
        """Return how long a task is kept after its end; None: for ever."""
        for key in ((runtime, status), (None, status)):
            if key in self.retention:
                return self.retention[key]
        return self.retention_lost if status is Status.LOST else self.retention_default


Mark: TypeAlias = tuple[int, int]
"""A class, and the moment (ms) from which time counts."""

_DEADLINE = 0x01
_CANCEL = 0x02
_BACKED = 0x03  # leads to nothing: it tells which tasks say themselves what backs them
_CLEANUP = 0x04
# These lead to nothing either: by them an audit finds what it looks at.
RUNNING = 0x05  # by the ten minutes in which it was last heard of
CONTRADICTED = 0x06  # by its creation
HELD = 0x07  # by its end, as all that has ended and has no cleanup time
UNDELIVERED = 0x08  # by its end
_GRACE = 0x10  # + runtime
_RETENTION = 0x20  # + runtime * 8 + status
_STAMPED = 0x60  # + the same

_RUNS, _FAILED = Status.RUNNING, DeliveryStatus.FAILED


class DueMarks:
    """A mark for everything that will be due of a task that is not pruned."""

    name = NAME
    tables = (Table("marks", of_places=True),)

    def apply(self, txn: Transaction, tables: Sequence[Database], changes: Changes) -> None:
        gone: list[Entry] = []
        new: Groups = {}
        for stream, change in changes.tasks.items():
            known = change.before
            if known is not None and _goes_on(known, change.after):
                continue
            marks = marks_of(change.after)
            before = [] if known is None else marks_of(known)
            if marks == before:
                continue
            if before:
                gone.extend([_entry(mark, stream) for mark in before if mark not in marks])
            for mark in marks:
                if mark not in before:
                    code, since = mark
                    new.setdefault(mark_heading(code), []).append(mark_place(since, stream))
        remove(txn, tables[0], gone)
        add(txn, tables[0], new)

    def contents(self, whole: Whole) -> Contents:
        return ([_entry(mark, stream) for stream, record in whole.tasks for mark in marks_of(record)],)


def _goes_on(before: TaskRecord, after: TaskRecord) -> bool:
    """Whether a task is active as it was, so that its marks are the same: so it is in most changes of one that runs."""
    return (
        before.ended_at is None
        and before.status is after.status
        and before.last_event_at // STALE_BUCKET_MS == after.last_event_at // STALE_BUCKET_MS
        and before.deadline_at == after.deadline_at
        and before.backing_missed_at == after.backing_missed_at
        and before.cancel_requested_at == after.cancel_requested_at
        and before.lease_ms == after.lease_ms
        and before.backing == after.backing
        and before.noted == after.noted
    )


def _entry(mark: Mark, stream: bytes) -> Entry:
    code, since = mark
    return mark_heading(code), mark_place(since, stream)


def marks_of(record: TaskRecord) -> list[Mark]:
    """Return the moments that matter to a task as it stands."""
    if record.ended_at is not None:
        return _marks_of_ended(record, record.ended_at)
    marks = []
    if record.status is _RUNS:
        marks.append((RUNNING, quiet_since(record.last_event_at)))
    if record.deadline_at is not None:
        marks.append((_DEADLINE, record.deadline_at))
    if record.backing_missed_at is not None:
        marks.append((_GRACE + RUNTIME_CODES[record.runtime], record.backing_missed_at))
    if record.cancel_requested_at is not None:
        marks.append((_CANCEL, record.cancel_requested_at))
    if names_its_backing(record):
        marks.append((_BACKED, record.created_at))
    if is_contradicted(record):
        marks.append((CONTRADICTED, record.created_at))
    return marks


def _marks_of_ended(record: TaskRecord, ended_at: int) -> list[Mark]:
    marks = [(_CLEANUP, ended_at)] if record.resources else []
    if record.pruned_at is not None:
        return marks
    if record.cleanup_after is None:
        if record.held_at is None:
            marks.append((retention_code(record.runtime, record.status), ended_at))
        else:
            marks.append((HELD, ended_at))
    elif record.held_at is None:
        code = _STAMPED - _RETENTION + retention_code(record.runtime, record.status)
        marks.append((code, record.cleanup_after))
    if is_undelivered(record):
        marks.append((UNDELIVERED, ended_at))
    if is_contradicted(record):
        marks.append((CONTRADICTED, record.created_at))
    return marks


def quiet_since(heard_at: int) -> int:
    """Return the moment by which a task that was heard of then is known: a running one moves every ten minutes."""
    return heard_at - heard_at % STALE_BUCKET_MS


def retention_code(runtime: Runtime, status: Status) -> int:
    """Return the class of the tasks of a runtime that ended in a status, are not held, and have no cleanup time."""
    return _RETENTION + RUNTIME_CODES[runtime] * 8 + STATUS_CODES[status]


def is_undelivered(record: TaskRecord) -> bool:
    """Return whether the one who was to hear how a task ended was not told, and will not be by itself."""
    return record.delivery_status is _FAILED


def is_contradicted(record: TaskRecord) -> bool:
    """Return whether the reported times of a task contradict each other, and nobody has taken note of that."""
    started, ended = record.started_at, record.ended_at
    if (started is None or started >= record.created_at) and (ended is None or ended >= (started or record.created_at)):
        return False  # as nearly all are, so that nobody need be asked
    return contradiction(record) is not None and INCONSISTENT not in record.noted


def names_its_backing(record: TaskRecord) -> bool:
    """Return whether a task itself says what to look for: a process, or signs of life in time."""
    return record.lease_ms is not None or (record.backing is not None and "pid" in record.backing)


def dues_of(record: TaskRecord, rules: DueRules) -> set[tuple[int, DueKind]]:
    """Return what will be due for a task as it stands, and when."""
    if record.ended_at is not None:
        left = {(record.ended_at, DueKind.CLEANUP)} if record.resources else set()
        over_at = retention_ends_at(record, rules)
        return left if over_at is None else left | {(over_at, DueKind.RETENTION)}
    dues = set()
    if record.deadline_at is not None:
        dues.add((record.deadline_at, DueKind.DEADLINE))
    if record.backing_missed_at is not None:
        watched_since = max(record.backing_missed_at, rules.watching_since)
        dues.add((watched_since + rules.grace_of(record.runtime), DueKind.GRACE))
    if record.cancel_requested_at is not None:
        dues.add((record.cancel_requested_at + rules.cancel_grace, DueKind.CANCEL))
    return dues


def retention_ends_at(record: TaskRecord, rules: DueRules) -> int | None:
    """Return when a task need not be kept any more (ms): as stamped, else so long after its end.

    None when nothing ends that: it has not ended, is held, was pruned, or is kept for ever.
    """
    if record.ended_at is None or record.held_at is not None or record.pruned_at is not None:
        return None
    kept = rules.retention_of(record.runtime, record.status)
    if kept is None or record.cleanup_after is None:
        return None if kept is None else record.ended_at + kept
    return record.cleanup_after


def scan(
    txn: Transaction,
    table: Database,
    until: int,
    rules: DueRules,
    *,
    kinds: Collection[DueKind] = ALL_KINDS,
    after: Due | None = None,
) -> Iterator[Due]:
    """Yield what the stored marks make due until then (ms, included), the longest overdue first.

    What comes behind `after` alone. Costs a few steps in the tree for each rule, and one for what is due.
    """
    first = None if after is None else after.at
    found = heapq.merge(*(_due_of(txn, table, until, each, first) for each in _classes(rules) if each.kind in kinds))
    return found if after is None else (each for each in found if each > after)


def backed(txn: Transaction, table: Database) -> Iterator[bytes]:
    """Yield the active tasks that name what backs them, the oldest first."""
    return map(stream_of, marked(txn, table, _BACKED))


def marked(
    txn: Transaction, table: Database, code: int, until: int = TIME_MS_MAX, first: int | None = None
) -> Iterator[bytes]:
    """Yield the places of the marks of one class from a moment on and until another (ms, both included), in order."""
    start = b"" if first is None else moment(first)
    return oldest_first(txn, table, mark_heading(code), moment(until + 1), start)


class _Class(Struct, frozen=True):
    """The marks that lead to the same thing after the same time."""

    code: int
    kind: DueKind
    after: int
    earliest: int = 0


def _classes(rules: DueRules) -> Iterator[_Class]:
    yield _Class(_DEADLINE, DueKind.DEADLINE, 0)
    yield _Class(_CANCEL, DueKind.CANCEL, rules.cancel_grace)
    yield _Class(_CLEANUP, DueKind.CLEANUP, 0)
    for runtime in Runtime:
        code = RUNTIME_CODES[runtime]
        yield _Class(_GRACE + code, DueKind.GRACE, rules.grace_of(runtime), rules.watching_since)
        for status in TERMINAL:
            kept = rules.retention_of(runtime, status)
            if kept is not None:
                by_end = retention_code(runtime, status)
                yield _Class(by_end, DueKind.RETENTION, kept)
                yield _Class(_STAMPED - _RETENTION + by_end, DueKind.RETENTION, 0)


def _due_of(txn: Transaction, table: Database, until: int, marks: _Class, first: int | None) -> Iterator[Due]:
    last = until - marks.after
    if last < marks.earliest:
        return
    begin = None if first is None or first <= marks.earliest + marks.after else first - marks.after
    for place in marked(txn, table, marks.code, last, begin):
        yield Due(max(moment_of(place), marks.earliest) + marks.after, marks.kind, stream_of(place))
