"""Parents and roots, whichever way a task is created; and the tree that they make, with what all of it used."""

import asyncio
import pickle
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallystick
from tallystick import Ledger, NotFound, Pruned, Refused, Task, TaskRecord, Verdict
from tallystick.ledger.errors import BatchFailed, InvalidInput
from tallystick.ledger.events import Event
from tallystick.ledger.facts.fact import Usage
from tallystick.ledger.facts.tasks import TaskPruned
from tallystick.ledger.store.disk import DiskLog
from tallystick.projections.tree import Branch, Tree
from tallystick.readings import LOG_FOLDER
from tallystick.testing import HandClock, memory_ledger
from tests.cli.damage import change_record
from tests.face.parts import ORDINARY, said
from tests.strategies import usage

NOBODY = "0198c2f0-7b7e-7cc3-8a53-1f0a9d8e4b21"


def below(parent: Task | str, **more: Any) -> dict[str, Any]:
    return {**ORDINARY, "parent": parent if isinstance(parent, str) else parent.id, **more}


def outline(branch: Branch) -> Any:
    """The labels of a tree: of a task, or of a task and those below it."""
    name = branch.record.label
    return (name, *map(outline, branch.children)) if branch.children else name


# Where a task stands.


def test_a_child_of_a_child_has_the_root_of_the_whole_tree(any_ledger: Ledger) -> None:
    top = any_ledger.create(**ORDINARY)
    child = any_ledger.create(**below(top))
    grandchild = any_ledger.create(**below(child))

    assert [top.id] * 3 == [task.record.root_task_id for task in (top, child, grandchild)]
    assert [None, top.id, child.id] == [task.record.parent_task_id for task in (top, child, grandchild)]
    assert grandchild.record == any_ledger.get(grandchild.id).record


def test_a_batch_makes_a_whole_tree_before_any_of_it_is_durable(any_ledger: Ledger) -> None:
    ids: list[str] = []
    with any_ledger.batch() as batch:
        for place in range(20):
            parent = ids[place // 2] if ids else None
            ids.append(batch.create(**ORDINARY, parent=parent).id)

    assert {ids[0]} == {any_ledger.get(task_id).record.root_task_id for task_id in ids}
    assert (20, 20) == (any_ledger.tree(ids[0]).totals.tasks, any_ledger.tree(ids[0]).totals.active)


def test_a_joined_process_sees_the_parents_of_the_owner_and_the_other_way_round(
    ledger: Ledger, folder: Path, clock: HandClock
) -> None:
    top = ledger.create(**ORDINARY)
    with tallystick.join(folder, clock=clock) as joined:
        child = joined.create(**below(top))
        grandchild = ledger.create(**below(child))
        last = joined.create(**below(grandchild))

    assert [top.id] * 3 == [task.record.root_task_id for task in (child, grandchild, last)]


def test_a_process_of_its_own_puts_its_tasks_below_those_of_others(ledger: Ledger, folder: Path) -> None:
    child = ledger.create(**below(ledger.create(**ORDINARY)))
    script = """
        import sys, tallystick
        with tallystick.join(sys.argv[1]) as joined:
            with joined.batch() as batch:
                task = batch.create(runtime="cli", task="count", owner="operator:ada", parent=sys.argv[2])
                print(batch.create(runtime="cli", task="count", owner="operator:ada", parent=task.id).id)
    """

    [task_id] = said(script, folder, child.id)

    assert child.record.root_task_id == ledger.get(task_id).record.root_task_id
    assert 3 == ledger.tree(child.id).totals.tasks


def test_a_parent_that_is_not_there_is_refused_and_nothing_is_written(any_ledger: Ledger) -> None:
    head = any_ledger.status().head

    with pytest.raises(InvalidInput) as caught:
        any_ledger.create(**below(NOBODY))

    assert ("parent", repr(NOBODY), "the id of a task of this ledger") == (
        caught.value.field,
        caught.value.value,
        caught.value.allowed,
    )
    assert str(caught.value) == str(pickle.loads(pickle.dumps(caught.value)))
    assert head == any_ledger.status().head


def test_a_root_that_is_not_the_parents_is_refused(any_ledger: Ledger) -> None:
    top, other = any_ledger.create(**ORDINARY), any_ledger.create(**ORDINARY)

    with pytest.raises(InvalidInput, match="root") as caught:
        any_ledger.create(**below(top, root=other.id))

    assert top.id in caught.value.allowed
    assert top.id == any_ledger.create(**below(top, root=top.id)).record.root_task_id


def test_a_batch_goes_on_when_one_of_its_tasks_has_no_parent(any_ledger: Ledger) -> None:
    with pytest.raises(BatchFailed) as caught, any_ledger.batch() as batch:  # noqa: PT012 - leaving it raises
        orphan = batch.create(**below(NOBODY))
        batch.create(**below(orphan.id))
        batch.create(**ORDINARY)

    assert [(0, InvalidInput), (1, InvalidInput)] == [(place, type(error)) for place, error in caught.value.refusals]
    assert 1 == any_ledger.counts().total


def test_a_task_gets_a_parent_late_and_never_one_that_is_below_it(any_ledger: Ledger) -> None:
    top = any_ledger.create(**ORDINARY, run_id="run-1")
    child = any_ledger.create(**below(top))
    for under in (top, child):
        with pytest.raises(InvalidInput, match="its own ancestor"):
            any_ledger.create(**below(under, run_id="run-1"))

    other = any_ledger.create(**ORDINARY)
    moved = any_ledger.create(**below(other, run_id="run-1"))

    assert (top.id, other.id, other.id) == (moved.id, moved.record.parent_task_id, moved.record.root_task_id)
    assert other.id == any_ledger.create(**below(child)).record.root_task_id
    assert [other.id] * 3 == [any_ledger.tree(task.id).root_task_id for task in (top, child, other)]
    assert top.id == any_ledger.get(child.id).record.root_task_id  # what it was created with


def test_a_creation_that_comes_again_keeps_its_parent_whatever_it_says(any_ledger: Ledger) -> None:
    top, other = any_ledger.create(**ORDINARY), any_ledger.create(**ORDINARY)
    child = any_ledger.create(**below(top, run_id="run-1"))

    for parent in (other.id, NOBODY):
        assert child.record == any_ledger.create(**below(parent, run_id="run-1")).record


def test_children_come_below_what_has_ended_and_what_was_forgotten(folder: Path, clock: HandClock) -> None:
    with tallystick.open(folder, clock=clock) as ledger:
        top = ledger.create(**ORDINARY)
        ended = ledger.create(**below(top))
        ended.succeed()

    with tallystick.open(folder, clock=clock) as ledger:
        assert top.id == ledger.create(**below(ended)).record.root_task_id


def test_a_pruned_parent_is_known_and_says_so_when_its_tree_is_asked_for(folder: Path, clock: HandClock) -> None:
    with tallystick.open(folder, clock=clock) as ledger:
        top = ledger.create(**ORDINARY)
        middle = ledger.create(**below(top))
        middle.succeed()
    with DiskLog.open(folder / LOG_FOLDER) as log:  # nothing prunes yet; the log knows how it will look
        record = middle.record
        pruned = Event(log.head() + 1, record.stream, record.version + 1, clock(), clock(), "sweep", TaskPruned())
        log.append([pruned])

    with tallystick.open(folder, clock=clock) as ledger:
        child = ledger.create(**below(middle))

        assert (top.id, middle.id) == (child.record.root_task_id, child.record.parent_task_id)
        assert top.id == ledger.tree(child.id).root_task_id
        assert 1 == ledger.tree(top.id).totals.tasks
        with pytest.raises(Pruned):
            ledger.tree(middle.id)


# The tree.


def test_a_tree_has_children_by_age_and_everybodys_usage(any_ledger: Ledger, clock: HandClock) -> None:
    def create(label: str, parent: Task | None = None) -> Task:
        clock.advance(1_000)
        return any_ledger.create(**ORDINARY, label=label, parent=None if parent is None else parent.id)

    top = create("top")
    left, right = create("left", top), create("right", top)
    below_left = create("below left", left)
    create("beside")
    top.start()
    top.progress("planning", usage={"inputTokens": 1_000})
    left.succeed(usage={"inputTokens": 300, "costUsd": 0.1})
    right.fail("no", usage={"costUsd": 0.2})
    below_left.succeed(usage={"inputTokens": 45, "costUsd": 0.1})

    tree = any_ledger.tree(top.id)

    assert ("top", ("left", "below left"), "right") == outline(tree)
    assert (4, 1, {"running": 1, "succeeded": 2, "failed": 1}, 2) == (
        tree.totals.tasks,
        tree.totals.active,
        tree.totals.by_status,
        tree.totals.depth,
    )
    assert {"inputTokens": 1_345, "costUsd": 0.4} == tree.totals.usage
    assert {"inputTokens": 345, "costUsd": 0.2} == tree.children[0].totals.usage
    assert (top.id, False, False) == (tree.root_task_id, tree.truncated, tree.folded)
    assert any_ledger.get(right.id).record == tree.children[1].record


def test_a_tree_is_found_as_a_task_is_and_begins_at_that_task(any_ledger: Ledger) -> None:
    top = any_ledger.create(**ORDINARY, run_id="run-1")
    child = any_ledger.create(**below(top, child_session="agent:main:subagent:7c"))

    for token in (top.id, " run-1 ", "run-1"):
        assert (top.id, 2) == (any_ledger.tree(token).record.task_id, any_ledger.tree(token).totals.tasks)
    tree = any_ledger.tree("agent:main:subagent:7c")
    assert (child.id, top.id, 1) == (tree.record.task_id, tree.root_task_id, tree.totals.tasks)


@pytest.mark.parametrize("nonsense", [None, 7, b"run", "", "  ", "a\nb"])
def test_a_tree_of_nonsense_is_refused_like_any_lookup(any_ledger: Ledger, nonsense: Any) -> None:
    with pytest.raises(InvalidInput, match="lookup"):
        any_ledger.tree(nonsense)


def test_a_tree_of_nobody_is_not_found(any_ledger: Ledger) -> None:
    with pytest.raises(NotFound) as caught:
        any_ledger.tree(NOBODY)
    assert NOBODY == caught.value.token


def test_a_tree_is_frozen_and_its_json_can_be_read_back(any_ledger: Ledger) -> None:
    top = any_ledger.create(**ORDINARY)
    any_ledger.create(**below(top))
    tree = any_ledger.tree(top.id)

    with pytest.raises(AttributeError):
        tree.children = ()  # type: ignore[misc]  # frozen
    data = msgspec.to_builtins(tree)
    assert {"record", "totals", "children", "rootTaskId"} == data.keys()
    assert {"tasks", "active", "byStatus", "usage", "depth"} == data["totals"].keys()
    assert tree == msgspec.convert(data, Tree)


def test_what_a_task_used_that_was_lost_and_came_back_is_counted_as_its_record_says(
    any_owner: Ledger, clock: HandClock
) -> None:
    any_owner.probe("subagent", lambda _task: Verdict.dead("its session is gone"))
    top = any_owner.create(**{**ORDINARY, "runtime": "cli"})
    child = any_owner.create(**below(top))
    child.start()
    child.progress("reading", usage={"inputTokens": 5}, force=True)
    any_owner.sweep()
    assert "lost" == any_owner.tree(top.id).children[0].record.status
    clock.advance(1_000)

    child.succeed("it was there all the time", usage={"inputTokens": 7, "costUsd": 0.5})
    with pytest.raises(Refused):
        child.fail("too late", usage={"inputTokens": 1_000})

    tree = any_owner.tree(top.id)
    assert {"inputTokens": 12, "costUsd": 0.5} == tree.totals.usage == any_owner.get(child.id).record.usage
    assert {"queued": 1, "succeeded": 1} == tree.totals.by_status


def test_who_only_reads_sees_the_tree_of_a_live_owner_to_its_head(ledger: Ledger, folder: Path) -> None:
    top = ledger.create(**ORDINARY)
    with tallystick.open(folder, read_only=True) as reader:
        for count in range(1, 4):
            child = ledger.create(**below(top))
            child.succeed(usage={"costUsd": 0.1})

            tree = reader.tree(top.id)

            assert (ledger.tree(top.id), 1 + count) == (tree, tree.totals.tasks)


def test_a_tree_is_awaited_beside_other_questions(folder: Path, clock: HandClock) -> None:
    async def main() -> list[int]:
        async with tallystick.open_async(folder, clock=clock) as ledger:
            top = await ledger.create(**ORDINARY)
            children = await asyncio.gather(*(ledger.create(**below(top.id)) for _ in range(10)))
            await asyncio.gather(*(ledger.create(**below(child.id)) for child in children))
            trees = await asyncio.gather(*(ledger.tree(task.id) for task in (top, *children)))
            return [tree.totals.tasks for tree in trees]

    assert [21, *[2] * 10] == asyncio.run(main())


moves = st.lists(
    st.tuples(st.integers(0, 9), st.none() | st.integers(0, 9), st.none() | usage), min_size=1, max_size=16
)
"""A run is reported, again or for the first time: perhaps with a parent, perhaps with what it used."""


def line_of(record: TaskRecord, ledger: Ledger) -> list[str]:
    """The ids of a task and of those above it."""
    line = [record.task_id]
    while record.parent_task_id is not None:
        record = ledger.get(record.parent_task_id).record
        assert record.task_id not in line, "somebody is his own ancestor"
        line.append(record.task_id)
    return line


@given(moves)
def test_trees_have_one_root_and_add_up_whatever_is_said(told: list[tuple[int, int | None, Usage | None]]) -> None:
    tasks: dict[int, Task] = {}
    with memory_ledger() as ledger:
        for run, parent, amounts in told:
            known, above = tasks.get(run), None if parent is None else tasks.get(parent)
            given = {**ORDINARY, "run_id": f"run {run}", "parent": None if above is None else above.id}
            is_free = known is not None and ledger.get(known.id).record.parent_task_id is None
            if above is not None and known is not None and is_free and known.id in line_of(above.record, ledger):
                with pytest.raises(InvalidInput, match="its own ancestor"):
                    ledger.create(**given)
                continue
            task = tasks[run] = ledger.create(**given)
            if amounts is not None:
                task.progress("on", usage=amounts, force=True)
        records = [ledger.get(task.id).record for task in tasks.values()]

        assert [line_of(record, ledger)[-1] for record in records] == [
            ledger.tree(record.task_id).root_task_id for record in records
        ]
        for record in records:
            inside = [other for other in records if record.task_id in line_of(other, ledger)]
            totals = ledger.tree(record.task_id).totals
            assert (len(inside), sum(other.is_active for other in inside)) == (totals.tasks, totals.active)
            assert {name for other in inside for name in other.usage or {}} == totals.usage.keys()


def test_a_parent_that_is_damaged_keeps_nobody_from_being_created(folder: Path, clock: HandClock) -> None:
    with tallystick.open(folder, clock=clock) as ledger:
        parent = ledger.create(**ORDINARY)
    change_record(folder, parent.record.position, lambda _stored: b"nothing that can be read")

    with tallystick.open(folder, clock=clock) as ledger:
        child = ledger.create(**below(parent))

        assert (parent.id, parent.id) == (child.record.parent_task_id, child.record.root_task_id)
        assert 1 == ledger.tree(child.id).totals.tasks
