"""The lineage: below which task a new one stands, and which one is at the root of them all. Pure."""

from collections.abc import Callable
from typing import TypeAlias

from msgspec.structs import replace

from tallystick.ledger.errors import Corrupt, InvalidInput
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.limits import ANCESTORS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.refusal import Refusal

Known: TypeAlias = Callable[[str], TaskRecord | None]
"""Tells what is known of the task with an id: None when there is none. May raise `Corrupt`."""

_A_TASK = "the id of a task of this ledger"
_NOT_BELOW = "a task that is not below this one: no task is its own ancestor"
_NOT_SO_DEEP = f"a task with at most {ANCESTORS_MAX:,} above it"


def placed(created: TaskCreated, record: TaskRecord | None, task_id: str, known: Known) -> TaskCreated | Refusal:
    """Return a creation with the root that its parent is below; `record` is the task, if it exists already.

    Refused with `InvalidInput`: a parent that no task is, one that is this task or below it, and a root that is not
    the parent's. A parent whose history cannot be read counts as a root: its damage is its own.
    """
    if created.parent is None or (record is not None and record.parent_task_id is not None):
        return created  # it stays where it is
    try:
        parent = known(created.parent)
    except Corrupt:
        root = created.parent
    else:
        if parent is None:
            return Refusal(InvalidInput("parent", created.parent, _A_TASK))
        wrong = None if record is None else _is_above(task_id, parent, known)
        if wrong is not None:
            return Refusal(InvalidInput("parent", created.parent, wrong))
        root = root_of(parent, known)
    if created.root not in (None, root):
        return Refusal(InvalidInput("root", created.root, f"{root}, which its parent is below, or nothing"))
    return replace(created, root=root)


def root_of(record: TaskRecord, known: Known) -> str:
    """Return the id of the task at the root of a task's tree.

    A record keeps the root that it was created with. That root may have got a parent since, and so a root of its own.
    """
    root = record.root_task_id or record.task_id
    for _ in range(ANCESTORS_MAX):
        above = None if root == record.task_id else _read(root, known)
        if above is None or above.root_task_id in (None, root):
            break
        root = above.root_task_id or root
    return root


def needed_below(parent: str, root: str | None, known: Known) -> str | None:
    """Return the root of the tree that has ended tasks which are needed when a task at work is placed below `parent`.

    None when that is at work itself, for then they are needed anyhow; nothing else of the tree is read. `root` is the
    parent's. One that cannot be read counts as ended.
    """
    above = _read(parent, known)
    return None if above is not None and above.is_active else root or parent


def _is_above(task_id: str, parent: TaskRecord, known: Known) -> str | None:
    """Return what is allowed instead when the task is the parent or above it; None when it is neither."""
    above: TaskRecord | None = parent
    for _ in range(ANCESTORS_MAX + 1):
        if above is None:
            return None
        if above.task_id == task_id:
            return _NOT_BELOW
        above = None if above.parent_task_id is None else _read(above.parent_task_id, known)
    return _NOT_SO_DEEP


def _read(task_id: str, known: Known) -> TaskRecord | None:
    try:
        return known(task_id)
    except Corrupt:
        return None
