"""The tree: a task and all that are below it, with what the whole of it used."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeAlias

from msgspec import Struct

from tallystick.ledger.errors import NotFound
from tallystick.ledger.facts.fact import Usage
from tallystick.ledger.limits import ANCESTORS_MAX, COUNT_MAX, TREE_LEVELS_MAX, TREE_TASKS_MAX
from tallystick.ledger.lineage import Known, root_of
from tallystick.ledger.record import TaskRecord
from tallystick.projections.reader import Reader
from tallystick.projections.seen import Seen

Family: TypeAlias = Callable[[str], Iterable[TaskRecord]]
"""Tells the children of the task with an id."""

Gathered: TypeAlias = tuple[TaskRecord, list[TaskRecord], str]
"""A task, those below it, and the id of the root that it is below."""

# Every float is a whole number of these parts of 1, so that sums of floats are exact in whatever order they are made.
_PARTS = 1 << 1_074


class Totals(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a task and all below it come to.

    `tasks` are all of them, the task itself included; `active` are those that are queued or running. `by_status` has
    the statuses that occur, as people see them: "blocked" apart from "succeeded". `usage` is the sum of what they
    used, name by name, at most COUNT_MAX; where every part is a whole number the sum is one. `depth` says how many
    levels are below: 0 for a task without children.
    """

    tasks: int
    active: int
    by_status: dict[str, int]
    usage: Usage
    depth: int


class Branch(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A task, those that it is the parent of, oldest first, and what all of them come to.

    `folded` says that it has children which are counted in `totals` and not shown: they are more than TREE_LEVELS_MAX
    levels below the top.
    """

    record: TaskRecord
    totals: Totals
    children: "tuple[Branch, ...]" = ()
    folded: bool = False


class Tree(Branch, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A task and all below it. Encoded as JSON its names are in camelCase, and what is not there is absent.

    `root_task_id` is the root of the whole tree that the task belongs to, as it is now: the task itself if it is below
    nothing. `truncated` says that there are more than TREE_TASKS_MAX tasks: the nearest are in it, of one parent's
    the newest, and the totals are of those.
    """

    root_task_id: str
    truncated: bool = False


def tree(reader: Reader, token: str) -> Tree:
    """Return the task that a token names and all below it, as of the log's head. Raises `NotFound` or `Pruned`."""
    return tree_of(*reader.answer(lambda seen: gathered(seen, token)))


def all_below(reader: Reader, task_id: str) -> list[TaskRecord]:
    """Return the tasks below one, level by level, each once, as of the log's head."""
    return reader.answer(lambda seen: list(below(seen.children, task_id)))


def gathered(seen: Seen, token: str) -> Gathered:
    """Return the task that a token names, those below it, and the root, for `tree_of`.

    No more are read than make it known that there are too many. Raises `NotFound` or `Pruned`.
    """
    record = seen.find(token)

    def known(task_id: str) -> TaskRecord | None:
        try:
            return seen.get(task_id)
        except NotFound:  # or pruned
            return None

    others = list(islice(below(seen.children, record.task_id), TREE_TASKS_MAX))
    return record, others, root_of(_top(record, known), known)


def below(family: Family, task_id: str) -> Iterator[TaskRecord]:
    """Yield the tasks below one, level by level, each once: its children, theirs, and so on.

    Tasks that are each other's parents end there.
    """
    met = {task_id}
    level = [task_id]
    while level:
        parents, level = level, []
        for parent in parents:
            for child in family(parent):
                if child.task_id not in met:
                    met.add(child.task_id)
                    level.append(child.task_id)
                    yield child


def tree_of(record: TaskRecord, others: Sequence[TaskRecord], root: str) -> Tree:
    """Make the tree of a task from records among which those below it are; of too many the first are taken. Pure.

    What is not below it is left out. No task has two places, and tasks that are each other's parents end there.
    """
    families: dict[str, list[TaskRecord]] = {}
    for other in sorted(others[: TREE_TASKS_MAX - 1], key=_age):
        if other.parent_task_id is not None and other.task_id != record.task_id:
            families.setdefault(other.parent_task_id, []).append(other)
    order = [(record, 0)]
    for each, level in order:  # which grows meanwhile, level by level
        order.extend((child, level + 1) for child in families.get(each.task_id, ()))
    branches: dict[str, Branch] = {}
    sums: dict[str, _Sum] = {}
    for each, level in reversed(order):  # children before their parents; a loop has no depth that is too much for it
        children = [child.task_id for child in families.get(each.task_id, ())]
        mine = sums[each.task_id] = _sum(each, [sums.pop(child) for child in children])
        is_deepest = level == TREE_LEVELS_MAX
        shown = () if is_deepest else tuple(branches.pop(child) for child in children if child in branches)
        if level <= TREE_LEVELS_MAX:
            branches[each.task_id] = Branch(
                record=each, totals=mine.totals(), children=shown, folded=is_deepest and bool(children)
            )
    top = branches[record.task_id]
    truncated = len(others) >= TREE_TASKS_MAX
    return Tree(record=record, totals=top.totals, children=top.children, root_task_id=root, truncated=truncated)


def _top(record: TaskRecord, known: Known) -> TaskRecord:
    """Return the task at the top of those above one, as far as they are known."""
    for _ in range(ANCESTORS_MAX):
        above = None if record.parent_task_id is None else known(record.parent_task_id)
        if above is None:
            break
        record = above
    return record


def _age(record: TaskRecord) -> tuple[int, str]:
    return record.created_at, record.task_id


class _Sum(Struct):
    """What a task and all below it come to, exactly: amounts in parts, and whether each is of whole numbers alone."""

    tasks: int
    active: int
    by_status: Counter[str]
    amounts: dict[str, tuple[int, bool]]
    depth: int

    def totals(self) -> Totals:
        """Return it as it is told."""
        usage: Usage = {
            name: min(parts // _PARTS if is_whole else parts / _PARTS, COUNT_MAX)
            for name, (parts, is_whole) in sorted(self.amounts.items())
        }
        by_status = dict(sorted(self.by_status.items()))
        return Totals(tasks=self.tasks, active=self.active, by_status=by_status, usage=usage, depth=self.depth)


def _sum(record: TaskRecord, below: Sequence[_Sum]) -> _Sum:
    amounts = {name: _in_parts(amount) for name, amount in (record.usage or {}).items()}
    by_status = Counter({record.shown_status: 1})
    for each in below:
        by_status.update(each.by_status)
        for name, (parts, is_whole) in each.amounts.items():
            known, was_whole = amounts.get(name, (0, True))
            amounts[name] = known + parts, was_whole and is_whole
    return _Sum(
        tasks=1 + sum(each.tasks for each in below),
        active=record.is_active + sum(each.active for each in below),
        by_status=by_status,
        amounts=amounts,
        depth=1 + max((each.depth for each in below), default=-1),
    )


def _in_parts(amount: float) -> tuple[int, bool]:
    numerator, denominator = amount.as_integer_ratio()
    return numerator * (_PARTS // denominator), isinstance(amount, int)
