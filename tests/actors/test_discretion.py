"""Discretion: what a hook names is out of a report before anybody decides it, whatever follows from that."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.actors.discretion import Discretion
from tallystick.actors.redaction import Hooks
from tallystick.ledger.errors import Refused
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.facts.deliveries import DeliveryFailed, DeliveryQueued
from tallystick.ledger.facts.flows import FlowCancelRequested, FlowCreated, FlowResumed, FlowTaskLinked
from tallystick.ledger.facts.resources import TaskCleanedUp, TaskCleanupBegun, TaskResourceOpened
from tallystick.ledger.facts.tasks import (
    TaskAmended,
    TaskCancelled,
    TaskCancelRequested,
    TaskCreated,
    TaskFailed,
    TaskLateSignal,
    TaskLost,
    TaskProgressed,
    TaskRecovered,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.flows.mirror import mirror_stream
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.payloads import Policy, kept
from tallystick.ledger.redaction import REDACTED, TEXTS
from tallystick.ledger.store.verify import verify
from tests.actors.parts import STREAMS, Desk, FullLog, facts, folded
from tests.actors.telling import messages, telling_desk
from tests.announced import CHAT, asked
from tests.ledger.flows import some
from tests.ledger.flows.tale import begun
from tests.redacting.parts import FAILURES, SECRET, Noting, hide, named
from tests.story import created
from tests.strategies import creations, reports

ONE, TWO = STREAMS[:2]
FLOW = STREAMS[-1]


def discreet(desk: Desk, *hooks: Callable[[str], Any], policy: Policy | None = None) -> Desk:
    """Give a desk hooks for all that is recorded from now on."""
    discretion = Discretion(policy, Hooks(hooks or (named,)))
    desk.journal.discretion = discretion
    if desk.directory.telling is not None:
        desk.directory.telling.redaction.stored = discretion.hooks
    return desk


def stored(desk: Desk) -> list[bytes]:
    """The bytes of every record."""
    assert isinstance(desk.log, FullLog)
    return [body for _, body in desk.log.bodies(0, None)]


def is_clean(desk: Desk) -> bool:
    return not any(SECRET.encode() in body for body in stored(desk))


# Whatever is reported.


@given(st.data(), st.lists(st.sampled_from([ONE, TWO]), max_size=8))
def test_no_record_has_the_secret_whatever_is_reported_and_the_log_tells_what_was_answered(
    data: st.DataObject, streams: list[bytes]
) -> None:
    desk = discreet(telling_desk())
    for stream in (ONE, TWO):
        desk.tell(desk.directory.newborn(stream), hide(data.draw(creations()), data))
    for stream in streams:
        fact = hide(data.draw(reports), data)
        first = desk.tell(stream, fact, force=data.draw(st.booleans()))
        assert SECRET not in repr(first)
        desk.clock.advance(data.draw(st.sampled_from([0, 2_000])))

    assert is_clean(desk)
    assert verify(desk.log).ok, "claims are those of what is recorded"
    for stream in (ONE, TWO):
        assert folded(desk.log, stream) == desk.directory.actor(stream).current()
        for event in desk.log.stream(stream):
            assert isinstance(event, Event)
            if not isinstance(event.data, DeliveryQueued):  # which tells what the record says
                said = {name for name in TEXTS[event.data.__class__] if REDACTED in repr(getattr(event.data, name))}
                assert said - set(event.data.redacted) <= {"error"}, "the reason of a cancel may come again"


@given(st.data(), st.integers(0, 8))
def test_no_record_of_a_flow_has_it_either(data: st.DataObject, steps: int) -> None:
    desk = discreet(Desk())
    flow = desk.flows.newborn(FLOW)
    desk.tell(flow, hide(data.draw(some.beginnings), data))
    for _ in range(steps):
        record = desk.flows.actor(FLOW).current()
        assert record is not None
        desk.tell(flow, hide(data.draw(some.moves), data), expected_version=record.version)

    assert is_clean(desk)
    for event in desk.log.stream(FLOW):
        assert isinstance(event, Event)
        said = {name for name in TEXTS[event.data.__class__] if REDACTED in repr(getattr(event.data, name))}
        assert said == set(event.data.redacted)


@pytest.mark.parametrize("hook", FAILURES.values(), ids=list(FAILURES))
def test_a_hook_that_fails_loses_no_event_and_lets_no_text_through(
    hook: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    desk = discreet(telling_desk(), hook)
    with caplog.at_level(logging.DEBUG):
        desk.create(ONE, asked(label=SECRET, metadata={"a": SECRET}))
        record = desk.tell(ONE, TaskFailed(error=SECRET, summary=SECRET, artifacts=(SECRET,)))

    assert is_clean(desk)
    assert (Status.FAILED, REDACTED, REDACTED, {}, ()) == (
        record.status,
        record.label,
        record.error,
        record.metadata,
        record.artifacts,
    )
    creation, failure, message = facts(desk.log, ONE)
    assert ("task", "label", "metadata") == creation.redacted
    assert ("error", "summary", "artifacts") == failure.redacted
    assert ("text",) == message.redacted
    told = [(each.getMessage(), vars(each)["task"], each.exc_info) for each in caplog.records]
    assert {("redaction_failed", id_text(ONE), None)} == set(told)
    assert SECRET not in repr([vars(each) for each in caplog.records]), "an error may repeat what it was given"


def test_one_hook_that_fails_withholds_what_another_has_no_objection_to() -> None:
    desk = discreet(Desk(), named, FAILURES["raises"])
    desk.create(ONE, created(task="nothing of it"))

    assert REDACTED == facts(desk.log, ONE)[0].task  # type: ignore[union-attr]  # a creation


def test_a_fact_without_texts_is_shown_to_no_hook() -> None:
    hook = Noting()
    desk = discreet(Desk(), hook)
    desk.create(ONE, created(task="Count"))
    desk.tell(ONE, TaskStarted(backing={"command": "wc"}))
    desk.tell(ONE, TaskSucceeded(usage={"tokens": 1}))

    assert ["Count"] == hook.shown


def test_each_text_is_shown_alone_and_once_and_what_is_named_in_one_goes_from_all() -> None:
    shown: list[str] = []

    def hook(text: str) -> list[str]:
        shown.append(text)
        return [text.removeprefix("key=")] if text.startswith("key=") else []

    desk = discreet(Desk(), hook)
    desk.create(ONE, created(task="key=hunter2", label="with hunter2", metadata={"a": "with hunter2"}))

    assert ["key=hunter2", "with hunter2", "a"] == shown
    fact = facts(desk.log, ONE)[0]
    assert isinstance(fact, TaskCreated)
    assert (f"key={REDACTED}", f"with {REDACTED}") == (fact.task, fact.label)
    assert is_clean(desk)


# What comes again.


def test_the_same_end_again_is_no_news() -> None:
    desk = discreet(Desk())
    desk.create(ONE, created())
    first = desk.tell(ONE, TaskSucceeded(summary=f"with {SECRET}", artifacts=(SECRET,)))

    assert first == desk.tell(ONE, TaskSucceeded(summary=f"with {SECRET}", artifacts=(SECRET,)))
    assert first.version == len(facts(desk.log, ONE))


def test_the_same_run_again_is_the_same_task_and_nothing_is_added_to_it() -> None:
    desk = discreet(Desk())
    creation = created(run_id="run-1", task=f"use {SECRET}", label=SECRET, metadata={SECRET: SECRET, "a": "b"})
    desk.create(ONE, creation)

    for stream in STREAMS[1:4]:
        record = desk.tell(desk.directory.newborn(stream), creation)
        assert (id_text(ONE), 1) == (record.task_id, record.version)
    assert verify(desk.log).ok


def test_what_a_repeated_creation_adds_has_marks() -> None:
    desk = discreet(Desk())
    desk.create(ONE, created(run_id="run-1"))
    desk.tell(desk.directory.newborn(TWO), created(run_id="run-1", metadata={"a": SECRET}))

    assert TaskAmended(metadata={"a": REDACTED}, redacted=("metadata",)) == facts(desk.log, ONE)[-1]


def test_a_late_signal_keeps_what_came_without_the_secret_and_once() -> None:
    desk = discreet(Desk())
    desk.create(ONE, created())
    desk.tell(ONE, TaskSucceeded())
    answers = [desk.tell(ONE, TaskFailed(error=f"with {SECRET}")) for _ in range(2)]

    assert answers[0] == answers[1]
    assert Refused is answers[0][0]
    late = facts(desk.log, ONE)[-1]
    assert isinstance(late, TaskLateSignal)
    assert ({"error": f"with {REDACTED}"}, ("content",)) == (late.content, late.redacted)
    assert 1 == sum(isinstance(fact, TaskLateSignal) for fact in facts(desk.log, ONE))


def test_what_corrects_a_loss_has_the_marks_of_what_was_observed() -> None:
    desk = discreet(Desk())
    desk.create(ONE, created())
    desk.tell(ONE, TaskLost(rule="proved dead", evidence={}), inferred=True)
    desk.tell(ONE, TaskCancelled(reason="bored", stopped=f"all of {SECRET}"))

    fact = facts(desk.log, ONE)[-1]
    assert isinstance(fact, TaskRecovered)
    assert (f"all of {REDACTED}", "bored", ("summary",)) == (fact.summary, fact.error, fact.redacted)


def test_a_cancel_of_what_never_began_says_why_twice_and_has_marks_on_both() -> None:
    desk = discreet(Desk())
    desk.create(ONE, created())
    desk.tell(ONE, TaskCancelRequested(reason=SECRET))

    wanted, cancelled = facts(desk.log, ONE)[-2:]
    assert (REDACTED, ("reason",)) == (wanted.reason, wanted.redacted)  # type: ignore[union-attr]
    assert (REDACTED, ("reason",)) == (cancelled.reason, cancelled.redacted)  # type: ignore[union-attr]
    assert "it had not started" == cancelled.stopped  # type: ignore[union-attr]


def test_progress_that_was_held_back_keeps_its_marks() -> None:
    desk = discreet(Desk())
    actor = desk.create(ONE, created())
    for message in ("on", f"at {SECRET}", ""):
        desk.tell(ONE, TaskProgressed(message=message or None, phase=None if message else f"in {SECRET}"))
    desk.clock.advance(1_000)
    desk.dispatcher.run()

    fact = facts(desk.log, ONE)[-1]
    assert actor.is_idle()
    assert (
        TaskProgressed(message=f"at {REDACTED}", phase=f"in {REDACTED}", count=2, redacted=("message", "phase")) == fact
    )


def test_progress_that_says_something_else_by_now_has_no_mark_of_what_it_said() -> None:
    desk = discreet(Desk())
    desk.create(ONE, created())
    for message in ("on", f"at {SECRET}", "further"):
        desk.tell(ONE, TaskProgressed(message=message))
    desk.clock.advance(1_000)
    desk.dispatcher.run()

    assert TaskProgressed(message="further", count=2) == facts(desk.log, ONE)[-1]


# What was there before the hook.


def test_what_follows_from_older_records_has_no_secret_either() -> None:
    desk = telling_desk()
    desk.create(ONE, asked(label=f"use {SECRET}", runtime="subagent"))
    desk.tell(ONE, TaskStarted())
    desk.tell(ONE, TaskCancelRequested(reason=SECRET))
    desk.tell(ONE, TaskLost(rule="proved dead", evidence={}), inferred=True)
    known = len(stored(desk))

    discreet(desk)
    desk.tell(ONE, TaskCancelled())
    desk.tell(desk.flows.actor(mirror_stream(ONE)), FlowCancelRequested())

    later = stored(desk)[known:]
    assert later
    assert not any(SECRET.encode() in body for body in later)
    fact = next(fact for fact in facts(desk.log, ONE) if isinstance(fact, TaskRecovered))
    assert (REDACTED, ("error",)) == (fact.error, fact.redacted)
    [message] = [message for message in messages(desk) if ":cancelled:" in message.delivery]
    assert ("text",) == message.redacted
    assert f"use {REDACTED}" in message.text


def test_what_is_sent_on_another_way_keeps_its_marks() -> None:
    desk = discreet(telling_desk())
    desk.create(ONE, asked(runtime="cli", kind="image_generation"))
    desk.tell(ONE, TaskSucceeded(summary=SECRET, artifacts=(f"https://x/?key={SECRET}",)))
    [wake] = messages(desk)
    desk.tell(ONE, DeliveryFailed(delivery=wake.delivery, attempt=0, error=f"no {SECRET}"))

    assert is_clean(desk)
    instead = messages(desk)[-1]
    assert (("text", "artifacts"), CHAT) == (instead.redacted, instead.route)
    assert ("error",) == next(fact for fact in facts(desk.log, ONE) if isinstance(fact, DeliveryFailed)).redacted


def test_a_message_is_marked_when_what_it_tells_is() -> None:
    desk = discreet(telling_desk())
    for stream, fact in ((ONE, TaskSucceeded(summary=SECRET)), (TWO, TaskSucceeded(artifacts=(SECRET,)))):
        desk.create(stream, asked())
        desk.tell(stream, fact)

    assert [("text",), ("artifacts",)] == [message.redacted for at in (ONE, TWO) for message in messages(desk, at)]


# The guard.


@pytest.mark.parametrize("hook", [named, FAILURES["raises"]], ids=["names", "fails"])
def test_a_generation_is_given_back_for_the_same_prompt_and_for_no_other_that_looks_like_it(hook: Any) -> None:
    desk = discreet(Desk(), hook)

    def generate(stream: bytes, prompt: str) -> str:
        creation = created(runtime="cli", kind="image_generation", task=prompt)
        return str(desk.tell(desk.directory.newborn(stream), creation).task_id)

    desk.journal.discretion.add(lambda text: text.split()[-1:])  # type: ignore[union-attr]  # it is there
    first = generate(STREAMS[0], "draw a card for ann")

    assert first == generate(STREAMS[1], " draw a card for ann ")
    assert first != generate(STREAMS[2], "draw a card for bob")
    assert is_clean(desk)


def test_who_has_forgotten_which_prompts_were_the_same_lets_a_session_have_another_generation() -> None:
    desk = discreet(Desk())
    creation = created(runtime="cli", kind="image_generation", task=SECRET)
    desk.create(ONE, creation)
    discreet(desk)  # as after a restart

    assert id_text(TWO) == desk.tell(desk.directory.newborn(TWO), creation).task_id


# Besides.


def test_what_is_kept_beside_the_log_has_no_secret_either() -> None:
    desk = discreet(Desk(), policy=Policy(everything=True))
    desk.create(ONE, created(task=f"use {SECRET}"))

    [event] = desk.log.stream(ONE)
    assert isinstance(event, Event)
    assert ("task",) == kept(event.data) == event.data.redacted
    assert f"use {REDACTED}" == event.data.task  # type: ignore[union-attr]  # a creation
    assert is_clean(desk)


@pytest.mark.parametrize("policy", [Policy(), Policy(everything=True)])
def test_marks_that_a_report_brings_stay_and_what_it_says_to_be_aside_is_not_believed(policy: Policy) -> None:
    desk = discreet(Desk(), policy=policy)
    desk.create(ONE, created())
    desk.tell(ONE, TaskSucceeded(summary="s", redacted=("artifacts", "summary"), aside={"summary": bytes(32)}))

    fact = facts(desk.log, ONE)[-1]
    assert ("artifacts", "summary") == fact.redacted
    assert (policy.everything, False) == (fact.aside is not None, fact.aside == {"summary": bytes(32)})


def test_marks_that_a_report_brings_are_taken_over_where_nobody_has_hooks() -> None:
    desk = Desk()
    desk.create(ONE, created())
    desk.tell(ONE, TaskLost(rule="proved dead", evidence={}), inferred=True)
    desk.tell(ONE, TaskSucceeded(summary=REDACTED, redacted=("summary",)))

    assert ("summary",) == facts(desk.log, ONE)[-1].redacted


def test_why_something_could_not_be_closed_is_shown_to_hooks_too() -> None:
    desk = discreet(Desk())
    desk.create(ONE, created())
    opened: list[AnyFact] = [TaskResourceOpened(kind="tab", name="1"), TaskSucceeded(), TaskCleanupBegun()]
    for fact in opened:
        desk.tell(ONE, fact)
    desk.tell(ONE, TaskCleanedUp(failed={"tab:1": SECRET}))

    assert TaskCleanedUp(failed={"tab:1": REDACTED}, redacted=("failed",)) == facts(desk.log, ONE)[-1]


def test_a_flow_that_gets_a_task_says_nothing_of_its_secrets() -> None:
    desk = discreet(Desk())
    flow = desk.flows.newborn(FLOW)
    desk.tell(flow, begun(owner="agent:main:main", state={"a": SECRET}))
    desk.tell(flow, FlowResumed(state=[SECRET]), expected_version=1)
    desk.create(ONE, created(task=SECRET, flow=id_text(FLOW)))
    told = [event.data for event in desk.log.stream(FLOW) if isinstance(event, Event)]

    assert [{"a": REDACTED}, [REDACTED]] == [fact.state for fact in told]  # type: ignore[union-attr]
    assert not any(isinstance(fact, FlowTaskLinked) for fact in told)
    assert isinstance(told[0], FlowCreated)
    assert is_clean(desk)
