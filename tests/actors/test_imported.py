"""Commands that tell what another ledger recorded make the same events, and nobody hears of them."""

from typing import Any

from msgspec.structs import replace

from tallystick.ledger.facts.fact import Evidence
from tallystick.ledger.facts.tasks import TaskCreated, TaskStarted, TaskSucceeded
from tallystick.ledger.record import TaskRecord
from tests.actors.parts import STREAMS, Desk, facts
from tests.actors.telling import messages, telling_desk
from tests.announced import MONITORS, asked
from tests.story import BEGIN_MS, created

FIRST, SECOND = STREAMS[:2]
MARK: Evidence = {"from": "openclaw", "row": "old-1"}


def imported(**more: Any) -> TaskCreated:
    return replace(asked(notify="state_changes", **more), imported=MARK)


def told(desk: Desk, *what: object, is_imported: bool) -> TaskRecord:
    """Tell a task something, as what another ledger recorded or not; return what is known then."""
    for data in what:
        record = desk.tell(FIRST, data, imported=is_imported, occurred_at=BEGIN_MS)  # type: ignore[arg-type]  # a fact
    assert isinstance(record, TaskRecord)
    return record


def test_a_whole_history_is_recorded_and_no_message_follows_any_of_it_not_even_to_monitors() -> None:
    desk = telling_desk(monitors=MONITORS)

    record = told(desk, imported(), TaskStarted(), TaskSucceeded(summary="42"), is_imported=True)

    assert [imported(), TaskStarted(), TaskSucceeded(summary="42")] == facts(desk.log, FIRST)
    assert ("succeeded", BEGIN_MS, MARK) == (record.status, record.ended_at, record.imported)


def test_what_happens_to_the_same_task_later_is_told_as_always() -> None:
    desk = telling_desk()
    told(desk, imported(), TaskStarted(), is_imported=True)

    told(desk, TaskSucceeded(summary="42"), is_imported=False)

    assert ["terminal:succeeded:default"] == [message.delivery for message in messages(desk)]


def test_a_generation_of_another_ledger_stands_for_none_here_nor_one_here_for_it() -> None:
    desk = Desk()
    picture = created(runtime="cli", kind="image_generation", task="A fox")
    desk.create(FIRST, replace(picture, imported=MARK))

    desk.create(SECOND, picture)
    third = desk.tell(desk.directory.newborn(STREAMS[2]), replace(picture, imported=MARK))

    assert isinstance(third, TaskRecord)
    assert STREAMS[2] == third.stream
    assert 1 == len(facts(desk.log, SECOND))
