"""What another ledger recorded is taken over as such: what became of telling there is believed once, and only then."""

import pytest
from msgspec.structs import replace

from tallystick.ledger.errors import Corrupt, Refused
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.deliveries import DeliveryDelivered, DeliveryImported
from tallystick.ledger.facts.fact import Evidence
from tallystick.ledger.facts.tasks import TaskStarted, TaskSucceeded
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.ledger.refusal import NOTHING
from tests.announced import Announced, asked
from tests.story import Story, created, differences, refusal

MARK: Evidence = {"from": "openclaw", "row": "old-1"}
TOLD = DeliveryImported(status=DeliveryStatus.SESSION_QUEUED)


def ended() -> Story:
    """An imported task that has ended, of which the policy tells."""
    return Story(replace(created(notify="done_only"), imported=MARK), TaskStarted(), TaskSucceeded(summary="done"))


def test_what_became_of_telling_elsewhere_is_what_the_task_shows_and_nothing_waits() -> None:
    story = ended()
    assert DeliveryStatus.PENDING is story.record.delivery_status

    assert (TOLD,) == story.tell(TOLD)

    assert (DeliveryStatus.SESSION_QUEUED, ()) == (story.record.delivery_status, story.record.outbox)
    assert MARK == story.record.imported


def test_it_changes_nothing_else_and_is_no_other_version_of_the_work() -> None:
    changed = differences(ended(), TOLD)

    assert {"delivery_status": DeliveryStatus.SESSION_QUEUED, "work_version": 3} == changed


@pytest.mark.parametrize("status", [DeliveryStatus.PENDING])
def test_what_the_end_has_made_of_it_already_is_no_news(status: DeliveryStatus) -> None:
    assert NOTHING == ended().ask(DeliveryImported(status=status))


def test_it_is_believed_once() -> None:
    story = ended()
    story.tell(TOLD)

    assert NOTHING == story.ask(TOLD)
    refusal(story.ask(DeliveryImported(status=DeliveryStatus.FAILED)), Refused)


def test_of_a_task_that_this_ledger_recorded_nobody_may_say_so() -> None:
    story = Story(created(notify="done_only"), TaskStarted(), TaskSucceeded(summary="done"))

    refusal(story.ask(TOLD), Refused)


def test_before_the_end_nobody_was_told_of_it() -> None:
    story = Story(replace(created(notify="done_only"), imported=MARK), TaskStarted())

    refusal(story.ask(TOLD), Refused)
    with pytest.raises(Corrupt, match=r"delivery-imported\.1 cannot follow running"):
        evolve(story.record, story.next_event(TOLD))


def test_what_was_told_here_is_not_overruled() -> None:
    story = Announced(replace(asked(), imported=MARK), TaskStarted(), TaskSucceeded(summary="done"))
    refusal(story.ask(TOLD), Refused)
    story.tell(DeliveryDelivered(delivery=story.names[0]))

    refusal(story.ask(TOLD), Refused)


def test_a_message_that_waits_for_others_is_nothing_that_a_task_can_show() -> None:
    refusal(ended().ask(DeliveryImported(status=DeliveryStatus.WITHHELD)), Refused)
