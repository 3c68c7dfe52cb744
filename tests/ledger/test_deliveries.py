"""Deliveries: whatever is reported of messages, in whatever order, and never a word about the work itself."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.errors import Corrupt, Pruned, Refused, WrongVersion
from tallystick.ledger.events import AnyFact
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.deliveries import (
    DeliveryAttempted,
    DeliveryDelivered,
    DeliveryDismissed,
    DeliveryFailed,
    DeliveryQueued,
    DeliveryReleased,
    DeliveryRetried,
    DeliveryUnknown,
    DeliveryWithheld,
)
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import (
    TaskCreated,
    TaskFailed,
    TaskNotifyChanged,
    TaskPruned,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.lifecycle import DeliveryKind, DeliveryStatus, NotifyPolicy
from tallystick.ledger.outbox import Waiting, find, sendable
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.refusal import NOTHING, Refusal
from tests import strategies as some
from tests.announced import CHAT, Announced, asked, known
from tests.story import BEGIN_MS, differences, refusal

OF_DELIVERIES = (
    DeliveryQueued,
    DeliveryWithheld,
    DeliveryReleased,
    DeliveryAttempted,
    DeliveryUnknown,
    DeliveryDelivered,
    DeliveryFailed,
    DeliveryRetried,
    DeliveryDismissed,
)
MAIN = "terminal:succeeded:default"
DUE_MS = BEGIN_MS + 60_000

ATTEMPTED = DeliveryAttempted(delivery=MAIN, attempt=1, error="HTTP 503", due_at=DUE_MS)
UNKNOWN = DeliveryUnknown(delivery=MAIN, attempt=1, error="no answer", due_at=DUE_MS)
UNKNOWN_FOR_GOOD = DeliveryUnknown(delivery=MAIN, attempt=1, error="no answer")
FAILED = DeliveryFailed(delivery=MAIN, attempt=1, error="chat not found")
DELIVERED = DeliveryDelivered(delivery=MAIN, attempt=1, receipt="4711")


def changed(before: TaskRecord, after: TaskRecord) -> set[str]:
    return {name for name in TaskRecord.__struct_fields__ if getattr(before, name) != getattr(after, name)}


def done(*told: AnyFact, **more: object) -> Announced:
    """A task that has succeeded, of which the one who asked is to be told directly."""
    return Announced(asked(**more), TaskStarted(), TaskSucceeded(summary="42"), *told)


# What holds of every story.


@given(some.announced())
def test_what_becomes_of_telling_never_changes_what_became_of_the_work(story: Announced) -> None:
    for event, (before, after) in zip(story.events[1:], pairwise(known(story)), strict=True):
        if isinstance(event.data, OF_DELIVERIES):
            told = {"version", "position", "outbox", "delivery_status", "work_version"}
            assert told >= changed(before, after)


@given(some.announced(pruned=False), st.data())
def test_a_report_about_a_message_is_a_fact_or_nothing_or_a_refusal_and_never_evidence(
    story: Announced, data: st.DataObject
) -> None:
    answer = story.tell(data.draw(some.delivered(story)))

    if isinstance(answer, Refusal):
        assert isinstance(answer.error, Refused)
        assert answer.evidence is None
    else:
        assert all(isinstance(fact, OF_DELIVERIES) for fact in answer)


@given(some.announced())
def test_an_outbox_has_what_was_queued_and_is_not_done_with_in_the_order_in_which_it_was(story: Announced) -> None:
    """An outbox in one page: what was queued waits, until it is delivered, dismissed, or not taken from a session.

    What was withheld waits, too, until it is dismissed, or released and queued behind the others.
    """
    open_: list[DeliveryQueued | DeliveryWithheld] = []
    for event, record in zip(story.events, known(story), strict=True):
        data = event.data
        if isinstance(data, DeliveryQueued | DeliveryWithheld):
            open_.append(data)
        elif isinstance(data, DeliveryDelivered | DeliveryDismissed | DeliveryReleased):
            open_ = [message for message in open_ if message.delivery != data.delivery]
        elif isinstance(data, DeliveryFailed):
            open_ = [message for message in open_ if message.delivery != data.delivery or way_of(message)[0]]

        assert [(each.delivery, *way_of(each)) for each in open_] == [
            (waiting.delivery, waiting.route, waiting.session) for waiting in record.outbox
        ]
        assert len(record.outbox) == len({waiting.delivery for waiting in record.outbox})
        for waiting in record.outbox:
            message = story.withheld(waiting) if waiting.is_withheld else story.message(waiting)
            assert waiting.delivery == message.delivery


def way_of(message: DeliveryQueued | DeliveryWithheld) -> tuple[Origin | None, str | None]:
    """Where a message goes: what is withheld goes nowhere yet."""
    return (None, None) if isinstance(message, DeliveryWithheld) else (message.route, message.session)


@given(some.announced(pruned=False), st.sampled_from([DELIVERED, DeliveryDismissed()]), st.data())
def test_what_is_delivered_or_dismissed_is_gone_for_good(story: Announced, kind: AnyFact, data: st.DataObject) -> None:
    sent = [waiting.delivery for waiting in story.outbox if not waiting.is_withheld]
    names = story.names if isinstance(kind, DeliveryDismissed) else sent
    if not names:
        return
    name = data.draw(st.sampled_from(names))
    story.tell(some.named(kind, name))
    assert name not in story.names

    for _ in range(4):
        story.tell(data.draw(some.deliveries(st.just(name))))
        assert name not in story.names


@given(some.announced())
def test_what_nobody_can_tell_never_becomes_anything_else_before_it_arrives_or_is_given_up(story: Announced) -> None:
    for event, (before, after) in zip(story.events[1:], pairwise(known(story)), strict=True):
        for waiting in before.outbox:
            if waiting.status is DeliveryStatus.UNKNOWN:
                later = find(after.outbox, waiting.delivery)
                if later is None:
                    assert isinstance(event.data, DeliveryDelivered | DeliveryDismissed)
                else:
                    assert later.status is DeliveryStatus.UNKNOWN
        if before.delivery_status is DeliveryStatus.UNKNOWN and before.status is after.status:
            assert after.delivery_status is not DeliveryStatus.FAILED


@given(some.announced())
def test_the_status_of_telling_is_that_of_the_message_about_the_end_while_that_waits(story: Announced) -> None:
    for record in known(story):
        of_end = [waiting for waiting in record.outbox if waiting.tells(record.status)]
        assert len(of_end) <= 1
        for waiting in of_end:
            told = DeliveryStatus.PENDING if waiting.is_withheld else waiting.status
            assert told is record.delivery_status


@given(some.announced())
def test_what_waits_says_what_is_to_happen_to_it(story: Announced) -> None:
    for waiting in (waiting for record in known(story) for waiting in record.outbox):
        expected = {
            DeliveryStatus.PENDING: waiting.is_sent,
            DeliveryStatus.UNKNOWN: waiting.route is not None,
            DeliveryStatus.FAILED: waiting.is_stuck,
            DeliveryStatus.SESSION_QUEUED: waiting.route is None,
            DeliveryStatus.WITHHELD: waiting.due_at is not None and not waiting.is_sent,
        }
        assert expected[waiting.status]


@given(some.announced())
def test_a_message_is_never_sent_before_those_that_stand_before_it_on_its_route(story: Announced) -> None:
    for record in known(story):
        for waiting in sendable(record.outbox):
            earlier = record.outbox[: record.outbox.index(waiting)]
            assert [] == [each for each in earlier if each.route == waiting.route and each.is_sent]


@given(some.announced(pruned=False))
def test_a_task_that_somebody_is_still_to_be_told_of_is_not_pruned(story: Announced) -> None:
    is_on_its_way = any(not waiting.is_stuck for waiting in story.outbox)
    before = story.record

    answer = story.tell(TaskPruned())

    if is_on_its_way or before.resources or before.is_active or before.held_at is not None:
        assert isinstance(answer, Refusal)
        assert before == story.record
    else:
        assert {"version", "position", "pruned_at"} == changed(before, story.record) - {"work_version"}
        assert type(refusal(story.ask(DeliveryRetried()), Pruned)) is Pruned


@given(some.announced(pruned=False), st.sampled_from([DeliveryRetried, DeliveryDismissed]))
def test_without_a_name_an_operator_means_all_that_it_can_be_done_with(
    story: Announced, kind: type[DeliveryRetried | DeliveryDismissed]
) -> None:
    meant = [waiting.delivery for waiting in story.outbox if waiting.is_stuck or kind is DeliveryDismissed]

    answer = story.tell(kind(reason="x"))

    if meant:
        assert tuple(kind(delivery=name, reason="x") for name in meant) == answer
    else:
        assert isinstance(answer, Refusal)


@given(some.told_creations(), st.lists(st.one_of(*[some.deliveries()] * 3, some.reports), max_size=10))
def test_reports_about_messages_that_were_never_there_change_nothing(
    creation: TaskCreated, reports: list[AnyFact]
) -> None:
    story = Announced(creation)
    for report in reports:
        if isinstance(report, OF_DELIVERIES) and getattr(report, "delivery", None) not in [None, *story.names]:
            before = story.record
            answer = story.tell(report)
            assert before == story.record
            assert (
                answer == NOTHING
                if isinstance(report, DeliveryDelivered | DeliveryReleased)
                else isinstance(answer, Refusal)
            )
        else:
            story.tell(report)


@given(some.announced(), st.data())
def test_an_event_about_a_message_that_does_not_wait_is_damage(story: Announced, data: st.DataObject) -> None:
    gone = some.deliveries(st.sampled_from(["terminal:x:y", "gone"]))
    for fact in (data.draw(gone.filter(lambda fact: getattr(fact, "delivery", None) is not None)), DeliveryRetried()):
        with pytest.raises(Corrupt, match="has no delivery"):
            evolve(story.record, story.next_event(fact))
    if story.outbox:
        again = DeliveryQueued(delivery=story.names[0], kind=DeliveryKind.TERMINAL, text="x", route=CHAT)
        with pytest.raises(Corrupt, match="twice"):
            evolve(story.record, story.next_event(again))


# One message, step by step.


def test_a_message_is_due_at_once_and_pending() -> None:
    story = done()

    expected = Waiting(
        MAIN, story.events[-1].position, DeliveryStatus.PENDING, story.now_ms, route=CHAT, due_at=story.now_ms
    )
    assert (expected,) == story.outbox


@pytest.mark.parametrize(
    ("told", "status", "attempts", "due_at"),
    [
        ([ATTEMPTED], DeliveryStatus.PENDING, 1, DUE_MS),
        ([UNKNOWN], DeliveryStatus.UNKNOWN, 1, DUE_MS),
        ([UNKNOWN_FOR_GOOD], DeliveryStatus.UNKNOWN, 1, None),
        ([FAILED], DeliveryStatus.FAILED, 1, None),
        ([ATTEMPTED, UNKNOWN], DeliveryStatus.UNKNOWN, 1, DUE_MS),
        ([UNKNOWN, ATTEMPTED], DeliveryStatus.UNKNOWN, 1, DUE_MS),
        ([UNKNOWN, FAILED], DeliveryStatus.UNKNOWN, 1, None),
        ([UNKNOWN, DeliveryAttempted(delivery=MAIN, attempt=2, error="x", due_at=7)], DeliveryStatus.UNKNOWN, 2, 7),
    ],
)
def test_a_message_that_did_not_arrive_waits_for_its_next_attempt_or_an_operator(
    told: list[AnyFact], status: DeliveryStatus, attempts: int, due_at: int | None
) -> None:
    story = done(*told)

    waiting = story.waiting(MAIN)
    assert (status, attempts, due_at) == (waiting.status, waiting.attempts, waiting.due_at)
    assert status == story.became()
    assert story.record.is_active is False


def test_once_nobody_can_tell_a_failure_is_told_as_not_known() -> None:
    story = done(UNKNOWN)

    expected = DeliveryUnknown(delivery=MAIN, attempt=2, error="chat not found")
    assert (expected,) == story.ask(DeliveryFailed(delivery=MAIN, attempt=2, error="chat not found"))
    expected = DeliveryUnknown(delivery=MAIN, attempt=2, error="HTTP 503", due_at=DUE_MS)
    assert (expected,) == story.ask(DeliveryAttempted(delivery=MAIN, attempt=2, error="HTTP 503", due_at=DUE_MS))


@pytest.mark.parametrize(
    "told", [[], [ATTEMPTED], [UNKNOWN], [UNKNOWN_FOR_GOOD], [FAILED], [FAILED, DeliveryRetried()]]
)
def test_a_message_that_arrives_is_done_with_wherever_it_was(told: list[AnyFact]) -> None:
    story = done(*told)
    story.tell(DELIVERED)

    assert MAIN not in story.names
    assert DeliveryStatus.DELIVERED == story.became()
    assert NOTHING == story.ask(DELIVERED)


def test_what_may_have_arrived_may_have_arrived_however_often_it_is_sent_again() -> None:
    story = done(UNKNOWN_FOR_GOOD, DeliveryRetried(delivery=MAIN))

    assert DeliveryStatus.UNKNOWN == story.became()
    story.tell(DeliveryFailed(delivery=MAIN, attempt=2, error="chat not found"))
    assert DeliveryStatus.UNKNOWN == story.became()


def test_what_becomes_of_telling_is_no_other_version_of_the_work() -> None:
    story = Announced(asked(notify="state_changes"), TaskStarted())
    seen = story.record.version
    story.tell(DeliveryDelivered(delivery="event:2:started"))

    assert story.record.version > seen
    assert isinstance(story.ask(TaskSucceeded(), expected_version=seen), tuple)
    assert isinstance(story.ask(TaskSucceeded(), expected_version=story.record.version), tuple)
    refusal(story.ask(TaskSucceeded(), expected_version=1), WrongVersion)
    story.tell(TaskSucceeded())
    refusal(story.ask(TaskNotifyChanged(policy=NotifyPolicy.SILENT), expected_version=seen), WrongVersion)


@pytest.mark.parametrize("stuck", [FAILED])
def test_an_operator_has_a_message_sent_again_with_all_the_time_that_a_new_one_has(stuck: AnyFact) -> None:
    story = done(stuck)
    attempts = story.waiting(MAIN).attempts
    for said in (ATTEMPTED, UNKNOWN, FAILED):
        assert type(refusal(story.ask(said), Refused)) is Refused

    story.tell(DeliveryRetried(delivery=MAIN, reason="the chat is back"))

    waiting = story.waiting(MAIN)
    assert (DeliveryStatus.PENDING, story.now_ms, story.now_ms) == (waiting.status, waiting.queued_at, waiting.due_at)
    assert attempts == waiting.attempts, "its attempts count on"
    assert DeliveryStatus.PENDING == story.became()
    assert type(refusal(story.ask(DeliveryRetried()), Refused)) is Refused
    assert [DeliveryFailed(delivery=MAIN, attempt=2, error="x")] == list(
        story.tell(DeliveryFailed(delivery=MAIN, attempt=2, error="x"))  # type: ignore[arg-type]
    )
    assert DeliveryStatus.FAILED == story.became()


def test_what_arrives_on_one_way_is_not_waited_for_on_the_other() -> None:
    sent_after_all = done(FAILED, DeliveryRetried(), DELIVERED).record
    taken = done(FAILED, DeliveryDelivered(delivery=f"{MAIN}#session")).record

    for record in (sent_after_all, taken):
        assert (DeliveryStatus.DELIVERED, ()) == (record.delivery_status, record.outbox)


@pytest.mark.parametrize("told", [[], [ATTEMPTED], [UNKNOWN], [UNKNOWN_FOR_GOOD]])
def test_an_operator_dismisses_a_message_wherever_it_is(told: list[AnyFact]) -> None:
    story = done(*told)
    story.tell(DeliveryDismissed(reason="told by phone"))

    assert () == story.outbox
    assert DeliveryStatus.DISMISSED == story.became()
    refused = refusal(story.ask(DeliveryDismissed()), Refused)
    assert ("succeeded", "dismiss") == (refused.status, refused.attempted)


@pytest.mark.parametrize("said", [ATTEMPTED, UNKNOWN, FAILED, DeliveryRetried(delivery=MAIN)])
def test_what_waits_in_a_session_without_an_end_of_waiting_is_taken_or_dismissed(said: AnyFact) -> None:
    story = done(origin=None)
    assert DeliveryStatus.SESSION_QUEUED == story.became()

    assert type(refusal(story.ask(said), Refused)) is Refused
    assert story.waiting(MAIN).due_at is None
    assert (DELIVERED,) == story.tell(DELIVERED)
    assert (DeliveryStatus.DELIVERED, ()) == (story.became(), story.outbox)


def test_what_a_session_is_to_confirm_can_only_fail() -> None:
    story = done(runtime="cli", kind="image_generation")
    name = "wake:succeeded:default"
    for said in (ATTEMPTED, UNKNOWN):
        assert type(refusal(story.ask(some.named(said, name)), Refused)) is Refused

    failed = some.named(FAILED, name)
    assert (failed,) == story.ask(failed)
    assert {"outbox": (), "delivery_status": DeliveryStatus.FAILED} == differences(story, failed)


def test_a_message_that_is_not_about_the_end_says_nothing_of_telling_it() -> None:
    story = Announced(asked(notify="state_changes"), TaskStarted())
    story.tell(TaskFailed(error="boom"))
    story.tell(DeliveryFailed(delivery="event:2:started", attempt=1, error="x"))
    assert DeliveryStatus.PENDING == story.became()

    story.tell(DeliveryDelivered(delivery="terminal:failed:default"))
    story.tell(DeliveryDismissed(delivery="event:2:started"))
    assert (DeliveryStatus.DELIVERED, ()) == (story.became(), story.outbox)


def test_nobody_can_ask_for_a_message() -> None:
    asked = DeliveryQueued(delivery="x", kind=DeliveryKind.TERMINAL, text="x", route=CHAT)

    assert "tell" == refusal(done().ask(asked), Refused).attempted
