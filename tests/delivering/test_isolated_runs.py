"""What an isolated cron run has to tell waits for the work below it, and is told by what that says in the end."""

from pathlib import Path

import pytest

import tallystick
from tallystick.ledger.delivery import Permanent, Retryable
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.ledger.limits import CRON_STALE_MS, DELIVERY_WINDOW_MS
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.delivering.isolated import OWN, released, run, spawned
from tests.delivering.parts import HOUR, MINUTE, SECOND, SESSION, Channel, how, told, types, waiting_texts

DONE = "Background task done: nightly. "


def test_a_run_with_nothing_at_work_below_it_is_told_at_once_in_its_own_words(ledger: Ledger, chat: Channel) -> None:
    task = run(ledger)
    task.succeed("nothing happened")

    ledger.settled()

    assert [f"{DONE}nothing happened"] == chat.texts
    assert DeliveryStatus.DELIVERED is how(ledger, task)
    assert ["delivery-withheld.1", "delivery-released.1", "delivery-queued.1", "delivery-delivered.1"] == types(
        ledger, task
    )


def test_a_run_waits_for_the_last_subagent_that_it_spawned_whose_output_is_told_instead(
    ledger: Ledger, chat: Channel
) -> None:
    task = run(ledger)
    child = spawned(ledger)
    task.succeed("on it, 1 subagent spawned")
    ledger.settled()
    before = chat.texts
    child.succeed("3 mails, none urgent")
    ledger.settled()

    assert [] == before
    assert [f"{DONE}3 mails, none urgent"] == chat.texts
    [release] = released(ledger, task)
    assert ("3 mails, none urgent", (child.id,), None) == (release.output, release.sources, release.reason)


@pytest.mark.usefixtures("chat")
def test_while_it_waits_everybody_can_see_that_it_does_and_why(ledger: Ledger, clock: HandClock) -> None:
    task = run(ledger)
    spawned(ledger, owner=SESSION, parent=task.id)
    task.succeed("on it")
    ledger.settled()

    [waiting] = ledger.deliveries()
    assert (DeliveryStatus.WITHHELD, f"{DONE}on it", clock() + CRON_STALE_MS) == (
        waiting.status,
        waiting.text,
        waiting.due_at,
    )
    assert (1, 0) == (ledger.status().outbox.withheld, ledger.status().outbox.pending)
    assert DeliveryStatus.PENDING is how(ledger, task)
    with pytest.raises(tallystick.Refused, match="waits for the work below it"):
        ledger.retry(task.id)


@pytest.mark.parametrize("way", ["parent", "session", "session of a child", "parent of a child"])
def test_whatever_is_below_it_counts_however_it_came_there(ledger: Ledger, chat: Channel, way: str) -> None:
    task = run(ledger)
    child = spawned(ledger, owner=OWN if way == "session" else SESSION, parent=None if way == "session" else task.id)
    grandchild = None
    if way == "session of a child":
        child = spawned(ledger, child_session="agent:main:subagent:7")
        grandchild = spawned(ledger, owner="agent:main:subagent:7")
    elif way == "parent of a child":
        grandchild = spawned(ledger, owner="agent:elsewhere", parent=child.id)
    task.succeed("on it")
    if grandchild is not None:
        child.succeed("spawned another one")
        ledger.settled()
        assert [] == chat.texts
        child = grandchild
    for other in ledger.list(status="running").tasks:
        if other.task_id != child.id:
            ledger.get(other.task_id).succeed()
    ledger.settled()
    assert [] == chat.texts
    child.succeed("42")
    ledger.settled()

    assert [f"{DONE}42"] == chat.texts


def test_what_begins_below_it_while_it_waits_is_waited_for_too(ledger: Ledger, chat: Channel) -> None:
    task = run(ledger)
    first = spawned(ledger)
    task.succeed("on it")
    ledger.settled()
    second = spawned(ledger)
    first.succeed("half of it")
    ledger.settled()
    assert [] == chat.texts
    second.succeed("the other half")
    ledger.settled()

    assert [f"{DONE}half of it\n\nthe other half"] == chat.texts


def test_of_many_outputs_the_last_four_are_told_in_the_order_in_which_they_came(ledger: Ledger, chat: Channel) -> None:
    task = run(ledger)
    children = [spawned(ledger) for _ in range(6)]
    task.succeed("on it")
    for number, child in enumerate(children):
        child.succeed(f"part {number}")
    ledger.settled()

    assert ["part 2\n\npart 3\n\npart 4\n\npart 5"] == [text.removeprefix(DONE) for text in chat.texts]
    assert tuple(child.id for child in children[2:]) == released(ledger, task)[0].sources


def test_when_everything_below_ends_without_an_output_its_own_words_are_told_and_the_reason_is_recorded(
    ledger: Ledger, chat: Channel
) -> None:
    task = run(ledger)
    lost, failed, silent = spawned(ledger), spawned(ledger), spawned(ledger)
    task.succeed("on it")
    lost.settle("lost", "by hand")
    failed.fail("boom", summary="nothing of use")
    silent.succeed()
    ledger.settled()

    assert [f"{DONE}on it"] == chat.texts
    [release] = released(ledger, task)
    assert "what worked below it ended without a final output: 1 failed, 1 lost, 1 succeeded" == release.reason


def test_what_had_ended_before_the_run_did_is_neither_waited_for_nor_told_instead(
    ledger: Ledger, chat: Channel
) -> None:
    task = run(ledger)
    spawned(ledger).succeed("the run has read this")
    task.succeed("all in all, a quiet day")
    ledger.settled()

    assert [f"{DONE}all in all, a quiet day"] == chat.texts
    assert released(ledger, task)[0].reason is None


@pytest.mark.parametrize("end", ["fail", "time_out", "settle"])
def test_that_a_run_failed_is_news_at_once_whoever_is_still_at_work(ledger: Ledger, chat: Channel, end: str) -> None:
    task = run(ledger)
    spawned(ledger)
    task.settle("lost", "by hand") if end == "settle" else getattr(task, end)("boom")
    ledger.settled()

    assert 1 == len(chat.texts)


def test_a_run_in_the_main_session_or_without_a_session_of_its_own_waits_for_nobody(
    ledger: Ledger, chat: Channel
) -> None:
    for session in (None, SESSION):
        task = run(ledger, child_session=session)
        spawned(ledger, owner=SESSION, parent=task.id)
        task.succeed("on it")
    ledger.settled()

    assert [f"{DONE}on it"] * 2 == chat.texts


def test_progress_is_interim_while_others_are_at_work_below_and_told_when_nobody_is(
    ledger: Ledger, chat: Channel
) -> None:
    task = run(ledger, notify="state_changes")
    task.progress("looking around", force=True)
    ledger.settled()
    child = spawned(ledger)
    task.progress("on it", force=True)
    ledger.settled()
    child.succeed("42")
    task.progress("nearly there", force=True)
    task.succeed("it is 42")
    ledger.settled()

    said = [text.removeprefix("Background task ") for text in chat.texts]
    assert ["started: nightly.", "update: nightly. looking around", "update: nightly. nearly there"] == said[:3]
    assert ["done: nightly. it is 42"] == said[3:]
    skipped = [each for each in ledger.deliveries(task.id) if each.status is DeliveryStatus.DISMISSED]
    assert ["interim: 1 task is below it at work"] == [each.error for each in skipped]


def test_after_three_hours_it_is_stale_and_skipped_visibly(ledger: Ledger, chat: Channel, clock: HandClock) -> None:
    task = run(ledger)
    child = spawned(ledger)
    task.succeed("on it")
    ledger.settled()
    clock.advance(CRON_STALE_MS - 1)
    ledger.sweep()
    assert DeliveryStatus.PENDING is how(ledger, task)
    clock.advance(1)
    ledger.sweep()
    assert DeliveryStatus.DISMISSED is how(ledger, task)
    child.succeed("too late")
    ledger.settled()

    assert [] == chat.texts
    assert (DeliveryStatus.DISMISSED, "stale: it was not told within 3 h") == (
        told(ledger, task).status,
        told(ledger, task).error,
    )
    assert DeliveryStatus.DISMISSED is how(ledger, task)


def test_what_was_released_and_could_not_be_delivered_is_stale_after_three_hours_and_not_after_a_day(
    ledger: Ledger, chat: Channel, clock: HandClock
) -> None:
    chat.answer = Retryable("down")
    task = run(ledger)
    task.succeed("a quiet day")
    ledger.settled()
    for _ in range(2 * DELIVERY_WINDOW_MS // HOUR):
        clock.advance(15 * MINUTE)
        ledger.sweep()
        if told(ledger, task).settled_at is not None:
            break

    record = told(ledger, task)
    assert (DeliveryStatus.DISMISSED, "stale: it was not told within 3 h") == (record.status, record.error)
    assert record.settled_at is not None
    assert CRON_STALE_MS <= record.settled_at - record.queued_at <= CRON_STALE_MS + 15 * MINUTE
    assert all(delivery.queued_at + CRON_STALE_MS > clock() - DELIVERY_WINDOW_MS for delivery in chat.given)
    assert [] == waiting_texts(ledger)


def test_an_operator_may_send_what_was_refused_whenever_he_likes(
    ledger: Ledger, chat: Channel, clock: HandClock
) -> None:
    chat.answer = Permanent("no such chat")
    task = run(ledger)
    task.succeed("a quiet day")
    ledger.settled()
    clock.advance(2 * CRON_STALE_MS)
    ledger.sweep()
    chat.answer = tallystick.Receipt()
    ledger.retry(task.id)
    ledger.settled()

    assert DeliveryStatus.DELIVERED is how(ledger, task)


def test_an_operator_gives_up_what_is_withheld_and_nothing_is_told_later(ledger: Ledger, chat: Channel) -> None:
    task = run(ledger)
    child = spawned(ledger)
    task.succeed("on it")
    ledger.settled()
    ledger.dismiss(task.id, reason="I know")
    child.succeed("42")
    ledger.settled()

    assert [] == chat.texts
    assert DeliveryStatus.DISMISSED is how(ledger, task)


def test_without_a_way_to_a_channel_the_output_waits_in_the_session_that_asked(ledger: Ledger) -> None:
    task = run(ledger, origin=None)
    child = spawned(ledger)
    task.succeed("on it")
    ledger.settled()
    before = waiting_texts(ledger)
    child.succeed("42")
    ledger.settled()

    assert [] == before
    assert [f"{DONE}42"] == waiting_texts(ledger)


def test_secrets_in_the_output_of_others_are_stripped_before_it_is_stored(ledger: Ledger, chat: Channel) -> None:
    ledger.redact(lambda text: ["hunter2"] if "hunter2" in text else [])
    task = run(ledger)
    child = spawned(ledger)
    task.succeed("on it")
    child.succeed("the password is hunter2" + "." * 16_000)
    ledger.settled()

    [text] = chat.texts
    assert "the password is [redacted]" in text
    assert "hunter2" not in (released(ledger, task)[0].output or "")
    assert [("output",), ("text",)] == [
        event.data.redacted for event in ledger.timeline(task.id) if event.data.redacted
    ]


def test_a_session_that_was_used_before_and_is_used_again_has_the_work_of_each_run_apart(
    ledger: Ledger, chat: Channel, clock: HandClock
) -> None:
    spawned(ledger, label="of the day before")
    clock.advance(SECOND)
    first = run(ledger)
    clock.advance(SECOND)
    second = run(ledger)
    clock.advance(SECOND)
    spawned(ledger)
    first.succeed("first")
    second.succeed("second")
    ledger.settled()

    assert [f"{DONE}first"] == chat.texts


def test_a_new_owner_finds_what_was_withheld_and_goes_on(folder: Path, clock: HandClock) -> None:
    with tallystick.open(folder, clock=clock) as ledger:
        task = run(ledger)
        child = spawned(ledger)
        stale = run(ledger, child_session="agent:main:cron:other")
        spawned(ledger, owner="agent:main:cron:other")
        task.succeed("on it")
        clock.advance(HOUR)
        stale.succeed("on it")
        ledger.settled()
    with tallystick.open(folder, clock=clock) as ledger:
        channel = Channel()
        ledger.channel("chat", channel)
        ledger.settled()
        assert [] == channel.texts
        ledger.get(child.id).succeed("42")
        ledger.settled()

        assert [f"{DONE}42"] == channel.texts
        assert DeliveryStatus.PENDING is how(ledger, stale)


def test_what_ended_while_nobody_was_there_is_found_by_the_next_owner(folder: Path, clock: HandClock) -> None:
    with tallystick.open(folder, clock=clock) as ledger:
        ledger.channel("chat", Channel())
        task = run(ledger)
        child = spawned(ledger)
        task.succeed("on it")
        ledger.settled()
    with tallystick.join(folder, clock=clock) as joined:
        joined.get(child.id).succeed("42")
        assert DeliveryStatus.WITHHELD is joined.deliveries(task.id)[0].status
    with tallystick.open(folder, clock=clock) as ledger:
        channel = Channel()
        ledger.channel("chat", channel)
        ledger.settled()

        assert [f"{DONE}42"] == channel.texts
