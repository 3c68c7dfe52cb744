"""A task below another one of the same turn: it knows its parent before the disk does, and fails with it."""

import pytest

from tallystick.ledger.errors import Full, InvalidInput
from tallystick.ledger.facts.tasks import TaskSucceeded
from tallystick.ledger.ids import id_text
from tallystick.ledger.record import TaskRecord
from tests.actors.parts import STREAMS, Desk, FullLog, outcome, refusal
from tests.story import created

TOP, CHILD, GRANDCHILD = STREAMS[:3]
FULL = Full("the disk", bytes=1)


@pytest.fixture
def log() -> FullLog:
    return FullLog()


@pytest.fixture
def desk(log: FullLog) -> Desk:
    return Desk(log)


def test_a_family_is_created_in_one_turn_and_one_append(desk: Desk, log: FullLog) -> None:
    parents = {TOP: None, CHILD: id_text(TOP), GRANDCHILD: id_text(CHILD)}
    asked = [desk.send(desk.directory.newborn(each), created(parent=above)) for each, above in parents.items()]
    desk.dispatcher.turn()

    assert [id_text(TOP)] * 3 == [outcome(future).root_task_id for future in asked]
    assert [3] == log.appended


def test_a_child_whose_parent_could_not_be_written_is_not_written_either(desk: Desk, log: FullLog) -> None:
    log.failures.append(FULL)
    asked = [
        desk.send(desk.directory.newborn(TOP), created()),
        desk.send(desk.directory.newborn(CHILD), created(parent=id_text(TOP))),
    ]
    desk.dispatcher.run()

    assert [refusal(FULL)] * 2 == [outcome(future) for future in asked]
    kind, data = desk.tell(CHILD, created(parent=id_text(TOP)))
    assert (InvalidInput, "parent") == (kind, data["field"])
    desk.create(TOP, created())
    again = desk.tell(CHILD, created(parent=id_text(TOP)))
    assert isinstance(again, TaskRecord)
    assert id_text(TOP) == again.root_task_id


def test_asking_for_a_parent_keeps_nobody_in_memory_who_has_ended_or_never_was(desk: Desk) -> None:
    desk.create(TOP, created())
    desk.tell(TOP, TaskSucceeded())
    assert 0 == len(desk.directory)

    desk.tell(CHILD, created(parent=id_text(TOP)))
    desk.tell(GRANDCHILD, created(parent=id_text(STREAMS[5])))

    assert 1 == len(desk.directory)
