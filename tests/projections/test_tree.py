"""The tree adds up whatever it is made of: random families, circles, parents that nobody knows."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import fsum
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.events import Event
from tallystick.ledger.facts.fact import Usage
from tallystick.ledger.facts.tasks import TaskPruned, TaskSucceeded
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import ACTIVE, BLOCKED, Status
from tallystick.ledger.limits import COUNT_MAX, TREE_LEVELS_MAX, TREE_TASKS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.projections.catch_up import catch_up
from tallystick.projections.reader import Reader
from tallystick.projections.tree import Branch, Tree, all_below, below, tree, tree_of
from tallystick.projections.views import PROJECTIONS, Views
from tests.projections.histories import STREAMS, logged
from tests.story import BEGIN_MS, Story, created
from tests.strategies import usage

IDS = [id_text(bytes([number]) * 16) for number in range(9)]
PLAIN = Story(created()).record

plain_records = st.builds(
    replace,
    st.just(PLAIN),
    status=st.sampled_from(Status),
    terminal_outcome=st.sampled_from([None, BLOCKED]),
    created_at=st.integers(BEGIN_MS, BEGIN_MS + 3),
    usage=st.none() | usage,
    parent_task_id=st.none() | st.sampled_from([*IDS, id_text(b"nobody knows him")]),
)


@st.composite
def families(draw: st.DrawFn) -> list[TaskRecord]:
    """Some tasks whose parents are among them, are not there, or are each other."""
    return [replace(draw(plain_records), task_id=task_id) for task_id in draw(st.permutations(IDS))]


def lineage_of(record: TaskRecord, known: Mapping[str, TaskRecord]) -> Iterator[str]:
    """The ids of those above a task, as far as they are known and none comes again."""
    met = {record.task_id}
    while (above := known.get(record.parent_task_id or "")) is not None and above.task_id not in met:
        record = above
        met.add(record.task_id)
        yield record.task_id


def family_of(task_id: str, family: Sequence[TaskRecord]) -> list[TaskRecord]:
    """The task and all below it, found the slow way: by asking each who is above it."""
    known = {record.task_id: record for record in family}
    return [each for each in family if each.task_id == task_id or task_id in lineage_of(each, known)]


def summed(amounts: Sequence[float]) -> float:
    whole = all(isinstance(amount, int) for amount in amounts)
    return min(sum(amounts) if whole else fsum(amounts), COUNT_MAX)


def usage_of(family: Sequence[TaskRecord]) -> Usage:
    told = [record.usage for record in family if record.usage is not None]
    names = {name for amounts in told for name in amounts}
    return {name: summed([amounts[name] for amounts in told if name in amounts]) for name in names}


def branches(top: Branch) -> Iterator[Branch]:
    yield top
    for child in top.children:
        yield from branches(child)


def a_tree(top: str, family: Sequence[TaskRecord]) -> Tree:
    by_id = {record.task_id: record for record in family}
    return tree_of(by_id[top], family, top)


@given(families())
def test_every_branch_comes_to_what_a_sum_over_its_tasks_says(family: list[TaskRecord]) -> None:
    for branch in branches(a_tree(IDS[0], family)):
        inside = [each.record for each in branches(branch)]
        totals = branch.totals

        assert len(inside) == totals.tasks
        assert sum(record.status in ACTIVE for record in inside) == totals.active
        assert Counter(record.shown_status for record in inside) == totals.by_status
        assert usage_of(inside) == totals.usage
        assert {name: type(amount) for name, amount in usage_of(inside).items()} == {
            name: type(amount) for name, amount in totals.usage.items()
        }


@given(families())
def test_a_tree_has_all_that_are_below_and_each_of_them_once(family: list[TaskRecord]) -> None:
    for top in IDS:
        inside = [branch.record for branch in branches(a_tree(top, family))]

        assert sorted(record.task_id for record in family_of(top, family)) == sorted(
            record.task_id for record in inside
        )
        assert len(inside) == len({record.task_id for record in inside})


@given(families())
def test_children_stand_below_their_parent_and_the_oldest_comes_first(family: list[TaskRecord]) -> None:
    for branch in branches(a_tree(IDS[0], family)):
        children = [child.record for child in branch.children]

        assert {branch.record.task_id} >= {record.parent_task_id for record in children}
        assert children == sorted(children, key=lambda record: (record.created_at, record.task_id))
        assert branch.totals.depth == max((1 + child.totals.depth for child in branch.children), default=0)


@given(families(), st.randoms())
def test_a_tree_is_the_same_in_whatever_order_its_records_come(family: list[TaskRecord], chance: object) -> None:
    shuffled = sorted(family, key=lambda _record: chance.random())  # type: ignore[attr-defined]

    assert a_tree(IDS[0], family) == a_tree(IDS[0], shuffled)


@given(families())
def test_a_walk_down_meets_everybody_once_and_ends_in_circles_too(family: list[TaskRecord]) -> None:
    def children(task_id: str) -> list[TaskRecord]:
        return [record for record in family if record.parent_task_id == task_id]

    walked = [record.task_id for record in below(children, IDS[0])]

    assert {record.task_id for record in family_of(IDS[0], family)} - {IDS[0]} == set(walked)
    assert len(walked) == len(set(walked))


@given(families())
def test_a_tree_says_the_same_after_a_way_through_json(family: list[TaskRecord]) -> None:
    tree = a_tree(IDS[0], family)

    assert tree == msgspec.json.decode(msgspec.json.encode(tree), type=Tree)


def numbered(count: int, *, chain: bool) -> list[TaskRecord]:
    """So many tasks, each the parent of the next, or all of one parent."""
    ids = [id_text(number.to_bytes(16)) for number in range(count)]
    parents = [None, *(ids[:-1] if chain else [ids[0]] * (count - 1))]
    return [
        replace(PLAIN, task_id=each, parent_task_id=parent, usage={"costUsd": 0.1, "tokens": 1})
        for each, parent in zip(ids, parents, strict=True)
    ]


def test_levels_that_are_too_deep_are_folded_and_counted() -> None:
    family = numbered(TREE_LEVELS_MAX + 30, chain=True)

    tree = tree_of(family[0], family[1:], family[0].task_id)
    deepest = list(branches(tree))[-1]

    assert (TREE_LEVELS_MAX + 1, True, 30) == (
        len(list(branches(tree))),
        deepest.folded,
        deepest.totals.tasks,
    )
    assert (len(family), len(family) - 1) == (tree.totals.tasks, tree.totals.depth)
    assert [False] * TREE_LEVELS_MAX == [branch.folded for branch in branches(tree)][:-1]
    just_fits = tree_of(family[0], family[1 : TREE_LEVELS_MAX + 1], family[0].task_id)
    assert not any(branch.folded for branch in branches(just_fits))


@pytest.mark.parametrize("chain", [False, True])
def test_a_tree_with_too_many_tasks_says_that_it_is_not_whole(chain: bool) -> None:  # noqa: FBT001 - a parameter
    family = numbered(TREE_TASKS_MAX + 1, chain=chain)

    cut, whole = (tree_of(family[0], family[1:end], family[0].task_id) for end in (None, TREE_TASKS_MAX))

    assert (True, TREE_TASKS_MAX) == (cut.truncated, cut.totals.tasks)
    assert (False, TREE_TASKS_MAX) == (whole.truncated, whole.totals.tasks)
    assert {"costUsd": fsum([0.1] * TREE_TASKS_MAX), "tokens": TREE_TASKS_MAX} == whole.totals.usage


steps = st.tuples(st.sampled_from(STREAMS), st.none() | st.sampled_from(STREAMS), st.booleans())
"""A task is created, or is created again with a parent; and it is pruned or not."""


@given(st.lists(steps, max_size=8), st.tuples(*[st.integers(0, 12)] * len(PROJECTIONS)))
def test_a_tree_is_exact_wherever_the_views_stand(
    said: list[tuple[bytes, bytes | None, bool]], standing: tuple[int, ...]
) -> None:
    stories = {stream: Story(stream=stream) for stream in STREAMS}
    events: list[Event] = []
    for stream, parent, is_over in said:
        story = stories[stream]
        before, story.position = len(story.events), len(events)
        story.tell(created(run_id="run", parent=None if parent is None else id_text(parent)))
        if is_over and story.record.is_active:
            story.tell(TaskSucceeded(usage={"costUsd": 0.1}))
            story.tell(TaskPruned())
        events.extend(story.events[before:])
    records = (story.record_or_none for story in stories.values())
    known = {record.task_id: record for record in records if record is not None and record.pruned_at is None}
    log = logged(events)
    with tempfile.TemporaryDirectory() as folder, Views.open(Path(folder), log) as views:
        for projection, until in zip(PROJECTIONS, standing, strict=True):
            catch_up(views, log, until=until, names={projection.name})
        for reader in (Reader(log, views), Reader(log, None)):
            for task_id, record in known.items():
                found = tree(reader, task_id)
                assert found == tree_of(record, [*known.values()], found.root_task_id)
                wanted = {each.task_id for each in family_of(task_id, [*known.values()])} - {task_id}
                assert wanted == {each.task_id for each in all_below(reader, task_id)}
