"""The read model "due": from which moment on time counts for a task, so that what is due is found without looking.

A mark is a class and a moment. What the moment leads to, and when, follows from rules that are not stored: a change of
configuration takes effect at once, on every task.
"""

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct, field

from tallystick.ledger.lifecycle import TERMINAL, Runtime, Status
from tallystick.ledger.limits import CANCEL_GRACE_MS, GRACE_MS, RETENTION_LOST_MS, RETENTION_TERMINAL_MS, TIME_MS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.projections.change import Changes
from tallystick.projections.codes import RUNTIME_CODES, STATUS_CODES
from tallystick.projections.keys import mark_heading, mark_place
from tallystick.projections.places import Entry, Groups, add, moment, moment_of, oldest_first, remove, stream_of
from tallystick.projections.projection import Contents, Flows, Table

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
_GRACE = 0x10  # + runtime
_RETENTION = 0x20  # + runtime * 8 + status


class DueMarks:
    """A mark for everything that will be due of a task that is not pruned."""

    name = NAME
    tables = (Table("marks", of_places=True),)

    def apply(self, txn: Transaction, tables: Sequence[Database], changes: Changes) -> None:
        gone: list[Entry] = []
        new: Groups = {}
        for stream, change in changes.tasks.items():
            marks = marks_of(change.after)
            before = [] if change.before is None else marks_of(change.before)
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

    def contents(self, tasks: Iterable[tuple[bytes, TaskRecord]], flows: Flows) -> Contents:
        del flows
        return ([_entry(mark, stream) for stream, record in tasks for mark in marks_of(record)],)


def _entry(mark: Mark, stream: bytes) -> Entry:
    code, since = mark
    return mark_heading(code), mark_place(since, stream)


def marks_of(record: TaskRecord) -> list[Mark]:
    """Return the moments that matter to a task as it stands."""
    if record.ended_at is not None:
        left = [(_CLEANUP, record.ended_at)] if record.resources else []
        if record.held_at is not None or record.pruned_at is not None:
            return left
        return [*left, (_RETENTION + RUNTIME_CODES[record.runtime] * 8 + STATUS_CODES[record.status], record.ended_at)]
    marks = []
    if record.deadline_at is not None:
        marks.append((_DEADLINE, record.deadline_at))
    if record.backing_missed_at is not None:
        marks.append((_GRACE + RUNTIME_CODES[record.runtime], record.backing_missed_at))
    if record.cancel_requested_at is not None:
        marks.append((_CANCEL, record.cancel_requested_at))
    if names_its_backing(record):
        marks.append((_BACKED, record.created_at))
    return marks


def names_its_backing(record: TaskRecord) -> bool:
    """Return whether a task itself says what to look for: a process, or signs of life in time."""
    return record.lease_ms is not None or (record.backing is not None and "pid" in record.backing)


def dues_of(record: TaskRecord, rules: DueRules) -> set[tuple[int, DueKind]]:
    """Return what will be due for a task as it stands, and when."""
    if record.ended_at is not None:
        left = {(record.ended_at, DueKind.CLEANUP)} if record.resources else set()
        kept = rules.retention_of(record.runtime, record.status)
        if kept is None or record.held_at is not None or record.pruned_at is not None:
            return left
        return left | {(record.ended_at + kept, DueKind.RETENTION)}
    dues = set()
    if record.deadline_at is not None:
        dues.add((record.deadline_at, DueKind.DEADLINE))
    if record.backing_missed_at is not None:
        watched_since = max(record.backing_missed_at, rules.watching_since)
        dues.add((watched_since + rules.grace_of(record.runtime), DueKind.GRACE))
    if record.cancel_requested_at is not None:
        dues.add((record.cancel_requested_at + rules.cancel_grace, DueKind.CANCEL))
    return dues


def scan(
    txn: Transaction, table: Database, until: int, rules: DueRules, kinds: Collection[DueKind] = ALL_KINDS
) -> Iterator[Due]:
    """Yield what the stored marks make due until then (ms, included), the longest overdue first.

    Costs a few steps in the tree for each rule, and one for what is due.
    """
    yield from heapq.merge(*(_due_of(txn, table, until, each) for each in _classes(rules) if each.kind in kinds))


def backed(txn: Transaction, table: Database) -> Iterator[bytes]:
    """Yield the active tasks that name what backs them, the oldest first."""
    for place in oldest_first(txn, table, mark_heading(_BACKED), moment(TIME_MS_MAX)):
        yield stream_of(place)


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
                yield _Class(_RETENTION + code * 8 + STATUS_CODES[status], DueKind.RETENTION, kept)


def _due_of(txn: Transaction, table: Database, until: int, marks: _Class) -> Iterator[Due]:
    last = until - marks.after
    if last >= marks.earliest:
        for place in oldest_first(txn, table, mark_heading(marks.code), moment(last + 1)):
            yield Due(max(moment_of(place), marks.earliest) + marks.after, marks.kind, stream_of(place))
