"""The summary: a task in a few words, for lists, boards and the line at the top of `show`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tallystick.cli.screen import Screen
from tallystick.cli.table import Column, table
from tallystick.cli.times import age, relative, stamp, took
from tallystick.ledger.content import Erased
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.record import TaskRecord
from tallystick.plain import plain
from tallystick.projections.counts import Counts

if TYPE_CHECKING:  # loaded by who audits
    from tallystick.ledger.upkeep.finding import Summary

ID_TAIL = 12  # an id's last group: what a double click selects, and what tells neighbours apart
WHOLE_IDS_FROM = 140
OWNERS_FROM = 100
OWNER_MOST = 28
WORK_MOST = 200

ERASED = "(erased)"
"""Stands where a text would be that was erased; who looks for it in data finds `erased` in the record."""


def pressure(counts: Counts) -> str:
    """Return how much there is to do and to worry about: 3 queued · 2 running · 1 issue."""
    issues = many(counts.issues, "issue")
    return f"{counts.by_status[Status.QUEUED]:,} queued · {counts.by_status[Status.RUNNING]:,} running · {issues}"


def many(count: int, noun: str) -> str:
    """Return how many there are of what a noun names, which takes an s for several: 1 task, 2 tasks."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def name_of(record: TaskRecord) -> str:
    """Return what a task is called: its label, else its text."""
    return text_of(record.label or record.task, record.erased)


def text_of(text: str, erased: Erased | None) -> str:
    """Return a text that everything of its kind has, on one line; or what stands for it when it was erased."""
    return plain(text) or ("-" if erased is None else ERASED)


def erased_words(erased: Erased, now: int) -> str:
    """Return when content was erased, by whom and why."""
    return f"{stamp(erased.at)} ({relative(erased.at, now)}) by {plain(erased.by)}: {plain(erased.reason)}"


def first_line(text: str) -> str:
    """Return the first line of a text."""
    return next(iter(text.splitlines()), "")


def work(record: TaskRecord) -> str:
    """Return what a task is about and how it stands, on one line: its label, else its text, then the news."""
    name = name_of(record)
    said = news(record)
    return f"{name}: {said}" if said else name


def news(record: TaskRecord) -> str:
    """Return the newest that a task said of itself: how it ended, else how far it is; empty if nothing."""
    if record.status is Status.SUCCEEDED:
        return plain(record.terminal_summary or "")
    if not record.is_active:
        return plain(record.error or record.terminal_summary or "")
    parts = []
    if record.cancel_requested_at is not None:
        parts.append("cancel requested")
    if record.backing_missed_at is not None:
        parts.append("its process is missing")
    if record.progress_step is not None:
        parts.append(f"{record.progress_step}/{'?' if record.progress_steps is None else record.progress_steps}")
    parts.append(plain(record.progress_summary or record.progress_phase or ""))
    return " ".join(filter(None, parts))


def lasted(record: TaskRecord, now: int) -> int | None:
    """Return how long a task ran, or has run by now (ms); None if it never started."""
    if record.started_at is None:
        return None
    return (now if record.ended_at is None else record.ended_at) - record.started_at


def task_table(screen: Screen, tasks: Sequence[TaskRecord], now: int) -> Iterator[str]:
    """Yield tasks as a table that fits the screen."""
    whole = screen.columns >= WHOLE_IDS_FROM
    spans = [lasted(record, now) for record in tasks]
    columns = [
        Column("Task", [record.task_id if whole else record.task_id[-ID_TAIL:] for record in tasks], 36),
        Column("Runtime", [record.runtime.value for record in tasks], 8),
        Column("Status", [record.shown_status for record in tasks], 9, paint=screen.status),
        Column("Age", [age(now - record.created_at) for record in tasks], 6, right=True),
        Column("Took", ["-" if span is None else took(span) for span in spans], 6, right=True),
        Column("Owner", [plain(record.owner_key or "-") for record in tasks], OWNER_MOST),
        Column("Work", [work(record) for record in tasks], WORK_MOST),
    ]
    if screen.columns < OWNERS_FROM:
        columns = [column for column in columns if column.title != "Owner"]
    return table(screen, columns)


def severities(summary: "Summary") -> str:
    """Return how many errors and warnings an audit has."""
    errors = f"{summary.errors:,} {'error' if summary.errors == 1 else 'errors'}"
    return f"{errors}, {summary.warnings:,} {'warning' if summary.warnings == 1 else 'warnings'}"
