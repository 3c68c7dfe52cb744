"""The branches: a tree of tasks as a table, and what all of it comes to in one line."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from tallystick.cli.screen import Screen
from tallystick.cli.summary import ID_TAIL, WHOLE_IDS_FROM, WORK_MOST, lasted, name_of
from tallystick.cli.table import Column, table
from tallystick.cli.times import took
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.limits import TREE_TASKS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.plain import plain
from tallystick.projections.tree import Branch, Totals, Tree

LEVELS_DRAWN = 8
USAGE_FROM = 100
USAGE_MOST = 40
ACTIVE_WORDS = frozenset({Status.QUEUED.value, Status.RUNNING.value})

_LAST, _NOT_LAST = "└─ ", "├─ "


class _Row(Struct, frozen=True):
    """A line of the table: a task behind the lines that lead to it, or how many are not shown."""

    work: str
    record: TaskRecord | None = None


def tree_lines(screen: Screen, tree: Tree, now: int) -> Iterator[str]:
    """Yield a tree: what it comes to, where it is, then a line for each task."""
    yield from screen.named("tree", totals_words(tree.totals))
    if tree.truncated:
        yield from screen.named("", f"truncated: it has more than {TREE_TASKS_MAX:,} tasks", colour="red")
    if tree.root_task_id != tree.record.root_task_id:  # which got a parent later, and so a root
        yield from screen.named("root now", tree.root_task_id)
    yield from _table(screen, list(_rows(tree)), now)


def totals_words(totals: Totals) -> str:
    """Return what a tree comes to: 7 tasks · 2 active · 1 failed · costUsd 0.42 · inputTokens 12,345."""
    tasks = f"{totals.tasks:,} task{'' if totals.tasks == 1 else 's'}"
    ended = [f"{count:,} {status}" for status, count in totals.by_status.items() if status not in ACTIVE_WORDS]
    return " · ".join([tasks, f"{totals.active:,} active", *ended, *_amounts(totals.usage)])


def _amounts(usage: Mapping[str, float]) -> Iterator[str]:
    for name, amount in sorted(usage.items()):
        yield f"{plain(name)} {amount:,}"


def _rows(top: Branch) -> Iterator[_Row]:
    """Yield the rows of a branch and of those below it, each behind the lines that lead to it."""
    waiting = [(top, 0, "", "")]
    while waiting:
        branch, level, lines, knot = waiting.pop()
        before = _before(level, lines, knot)
        yield _Row(f"{before}{name_of(branch.record)}", branch.record)
        if knot:
            lines += "   " if knot == _LAST else "│  "
        if branch.folded:
            before = _before(level + 1, lines, _LAST)
            yield _Row(f"{before}… {branch.totals.tasks - 1:,} below that are not shown")
        for child in reversed(branch.children):  # the last first: the first is taken next
            knot = _LAST if child is branch.children[-1] else _NOT_LAST
            waiting.append((child, level + 1, lines, knot))


def _before(level: int, lines: str, knot: str) -> str:
    """Return what stands before a name: the lines that lead to it, or, where they took all the room, its level."""
    return f"{lines}{knot}" if level <= LEVELS_DRAWN else f"{level} levels below {knot}"


def _table(screen: Screen, rows: list[_Row], now: int) -> Iterator[str]:
    whole = screen.columns >= WHOLE_IDS_FROM
    records = [row.record for row in rows]
    used = [", ".join(_amounts(record.usage or {})) if record is not None else "" for record in records]
    works = [row.work for row in rows]
    if screen.columns < USAGE_FROM:  # there it stands behind the work
        works = [f"{work} ({amounts})" if amounts else work for work, amounts in zip(works, used, strict=True)]
        used = []
    columns = [
        Column("Task", [_id(record, whole=whole) for record in records], 36),
        Column("Runtime", ["" if record is None else record.runtime.value for record in records], 8),
        Column("Status", ["" if record is None else record.shown_status for record in records], 9, paint=screen.status),
        Column("Took", [_took(record, now) for record in records], 6, right=True),
        Column("Usage", used, USAGE_MOST),
        Column("Work", works, WORK_MOST),
    ]
    if not any(used):
        columns = [column for column in columns if column.title != "Usage"]
    return table(screen, columns)


def _id(record: TaskRecord | None, *, whole: bool) -> str:
    if record is None:
        return ""
    return record.task_id if whole else record.task_id[-ID_TAIL:]


def _took(record: TaskRecord | None, now: int) -> str:
    if record is None:
        return ""
    span = lasted(record, now)
    return "-" if span is None else took(span)
