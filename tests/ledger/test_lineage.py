"""Where a new task stands: below a parent that is there, in the tree of that parent's root, and never below itself."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.errors import Corrupt, InvalidInput
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import ANCESTORS_MAX
from tallystick.ledger.lineage import Known, placed, root_of
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.refusal import Refusal
from tests.story import Story, created

IDS = [id_text(bytes([number]) * 16) for number in range(12)]
TOP, CHILD, GRANDCHILD, OTHER = IDS[:4]


def a_task(task_id: str, parent: str | None = None, root: str | None = None) -> TaskRecord:
    return replace(Story(created()).record, task_id=task_id, parent_task_id=parent, root_task_id=root or task_id)


def among(*records: TaskRecord) -> Known:
    by_id: Mapping[str, TaskRecord] = {record.task_id: record for record in records}
    return by_id.get


FAMILY = (a_task(TOP), a_task(CHILD, TOP, TOP), a_task(GRANDCHILD, CHILD, TOP))


def refused(answer: TaskCreated | Refusal) -> tuple[str, str]:
    assert isinstance(answer, Refusal)
    assert isinstance(answer.error, InvalidInput)
    return answer.error.field, answer.error.allowed


@pytest.mark.parametrize("parent", [TOP, CHILD, GRANDCHILD])
@pytest.mark.parametrize("root", [None, TOP])
def test_a_new_task_has_the_root_of_its_parent_whether_that_is_said_or_not(parent: str, root: str | None) -> None:
    said = created(parent=parent, root=root)

    assert replace(said, root=TOP) == placed(said, None, OTHER, among(*FAMILY))


def test_a_task_without_a_parent_stays_as_it_was_said() -> None:
    for said in (created(), created(root=TOP)):
        assert placed(said, None, OTHER, among()) is said


def test_a_parent_must_be_there_and_a_root_must_be_that_of_the_parent() -> None:
    assert ("parent", "the id of a task of this ledger") == refused(placed(created(parent=OTHER), None, TOP, among()))

    field, allowed = refused(placed(created(parent=CHILD, root=CHILD), None, OTHER, among(*FAMILY)))
    assert ("root", True) == (field, TOP in allowed)


def test_no_task_comes_below_itself_when_it_gets_a_parent_late() -> None:
    for parent in (TOP, CHILD, GRANDCHILD):
        field, allowed = refused(placed(created(parent=parent), FAMILY[0], TOP, among(*FAMILY)))
        assert ("parent", True) == (field, "its own ancestor" in allowed)


def test_a_task_that_has_a_parent_keeps_it_whatever_is_said() -> None:
    said = created(parent=OTHER, root=OTHER)

    assert placed(said, FAMILY[1], CHILD, among(*FAMILY)) is said


def test_a_root_that_got_a_parent_since_hands_on_to_the_root_of_that() -> None:
    moved = (a_task(OTHER), a_task(TOP, OTHER, OTHER), *FAMILY[1:])

    assert [OTHER] * 4 == [root_of(record, among(*moved)) for record in moved]
    assert created(parent=GRANDCHILD, root=OTHER) == placed(created(parent=GRANDCHILD), None, IDS[5], among(*moved))


def test_a_damaged_parent_counts_as_a_root_and_keeps_nobody_from_being_created() -> None:
    def damaged(task_id: str) -> TaskRecord | None:
        if task_id == TOP:
            raise Corrupt("its history cannot be read")
        return among(*FAMILY)(task_id)

    assert created(parent=TOP, root=TOP) == placed(created(parent=TOP), None, OTHER, damaged)
    assert created(parent=CHILD, root=TOP) == placed(created(parent=CHILD), None, OTHER, damaged)
    late = a_task(OTHER)
    assert created(parent=CHILD, root=TOP) == placed(created(parent=CHILD), late, OTHER, damaged)


def test_so_many_ancestors_that_they_are_not_looked_through_are_refused() -> None:
    deep = [id_text(number.to_bytes(16)) for number in range(ANCESTORS_MAX + 1)]
    chain = [a_task(each, above, deep[0]) for each, above in zip(deep, [None, *deep], strict=False)]
    late = a_task(OTHER)

    assert not isinstance(placed(created(parent=deep[-2]), late, OTHER, among(*chain)), Refusal)
    assert ("parent", f"a task with at most {ANCESTORS_MAX:,} above it") == refused(
        placed(created(parent=deep[-1]), late, OTHER, among(*chain))
    )


@given(st.dictionaries(st.sampled_from(IDS), st.sampled_from(IDS)), st.sampled_from(IDS))
def test_roots_that_go_round_in_a_circle_end(roots: dict[str, str], start: str) -> None:
    records = [a_task(each, root=roots.get(each)) for each in IDS]

    assert root_of(a_task(start, root=roots.get(start)), among(*records)) in IDS
