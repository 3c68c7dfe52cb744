"""The task actor: what is reported of one task is decided in order, from what its events say."""

import gc
import logging
import weakref
from pathlib import Path

import pykka
import pytest
from pykka import ActorRegistry
from pykka.messages import ProxyCall

from tallystick.actors.envelope import Envelope
from tallystick.actors.future import LightFuture
from tallystick.actors.stream import AwaitEnd
from tallystick.actors.task import TaskActor
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Corrupt, NotFound, Pruned, Refused, WrongVersion
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.facts.tasks import (
    TaskCancelRequested,
    TaskLost,
    TaskProgressed,
    TaskPruned,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.keys import EVENTS, event_key
from tallystick.ledger.store.port import Stored
from tests.actors.parts import STREAMS, Desk, FullLog, HandClock, facts, folded, full, history, outcome, refusal
from tests.ledger.store.raw import opened
from tests.story import created

ONE, TWO = STREAMS[:2]
TOKEN = id_text(ONE)
START, DONE = TaskStarted(), TaskSucceeded(summary="done")
FULL = refusal(full())


@pytest.fixture
def log() -> FullLog:
    return FullLog()


@pytest.fixture
def desk(log: FullLog) -> Desk:
    return Desk(log)


def waits(future: LightFuture) -> bool:
    return not future.is_done()


def test_every_answer_is_the_record_that_the_log_tells(desk: Desk, log: FullLog) -> None:
    answers = []
    for data in (created(label="count"), START, TaskProgressed(message="halfway"), DONE):
        answers.append(desk.tell(ONE, data))
        assert folded(log, ONE) == answers[-1]

    assert [1, 2, 3, 4] == [record.version for record in answers]
    assert ("count", "halfway", "done") == (answers[3].label, answers[3].progress_summary, answers[3].terminal_summary)


def test_an_event_says_when_it_happened_when_it_was_written_and_who_said_so(desk: Desk, log: FullLog) -> None:
    desk.tell(ONE, created(), "gateway", occurred_at=1_000)
    desk.clock.advance(5)
    desk.tell(ONE, START, "runner")

    now = desk.clock()
    assert [(1_000, now - 5, "gateway"), (now, now, "runner")] == [
        (event.occurred_at, event.recorded_at, event.actor) for event in history(log, ONE)
    ]


def test_commands_that_wait_together_are_decided_one_after_the_other(desk: Desk) -> None:
    futures = [desk.send(ONE, data) for data in (created(), START, DONE, START)]
    desk.dispatcher.turn()

    assert [Status.QUEUED, Status.RUNNING, Status.SUCCEEDED] == [outcome(future).status for future in futures[:3]]
    assert Refused == outcome(futures[3])[0]


def test_a_report_that_implies_another_writes_both(desk: Desk, log: FullLog) -> None:
    desk.tell(ONE, created())
    done = desk.tell(ONE, DONE)

    assert [created(), TaskStarted(implied=True), DONE] == facts(log, ONE)
    assert (3, 3) == (done.version, done.position)


def test_what_is_not_there_is_not_found(desk: Desk) -> None:
    assert [refusal(NotFound(TOKEN))] * 2 == [desk.tell(ONE, START), desk.tell(ONE, AwaitEnd())]


def test_a_stale_version_is_refused_with_the_record_as_it_is(desk: Desk, log: FullLog) -> None:
    desk.tell(ONE, created())
    desk.tell(ONE, START)
    stale = desk.tell(ONE, DONE, expected_version=1)
    fresh = desk.tell(ONE, DONE, expected_version=2)

    known = Desk(log)
    assert WrongVersion == stale[0]
    assert (1, 2, Status.RUNNING) == (stale[1]["expected"], stale[1]["actual"], stale[1]["current"].status)
    assert folded(log, ONE) == fresh
    assert Refused == known.tell(ONE, START)[0]


def test_a_late_signal_is_kept_once_and_the_refusal_names_its_position(desk: Desk, log: FullLog) -> None:
    desk.tell(ONE, created())
    desk.tell(TWO, created())
    desk.tell(ONE, DONE)
    late = TaskProgressed(message="late")
    futures = [desk.send(ONE, late), desk.send(ONE, late), desk.send(ONE, TaskProgressed(message="later"))]
    desk.dispatcher.run()
    again = desk.tell(ONE, late)

    def refused(position: int) -> object:
        return refusal(Refused(TOKEN, status="succeeded", attempted="progress", position=position))

    assert [refused(5), refused(5), refused(6), refused(5)] == [*map(outcome, futures), again]
    assert [(4, 5), (5, 6)] == [(event.version, event.position) for event in history(log, ONE)][-2:]


def test_a_loss_of_a_task_that_has_ended_leaves_no_trace(desk: Desk, log: FullLog) -> None:
    desk.tell(ONE, created())
    desk.tell(ONE, DONE)
    lost = desk.tell(ONE, TaskLost(rule="gone", evidence={}))

    assert refusal(Refused(TOKEN, status="succeeded", attempted="lose")) == lost
    assert 3 == len(facts(log, ONE))


def test_a_task_that_was_pruned_says_what_it_was(desk: Desk) -> None:
    desk.tell(ONE, created())
    desk.tell(ONE, DONE)
    desk.tell(ONE, TaskPruned())

    assert [Pruned, Pruned] == [desk.tell(ONE, data)[0] for data in (START, created())]


def test_who_awaits_the_end_is_answered_when_it_is_durable(desk: Desk, log: FullLog) -> None:
    desk.tell(ONE, created())
    early = [desk.send(ONE, AwaitEnd()) for _ in range(2)]
    desk.dispatcher.run()
    desk.tell(ONE, START)
    before = [waits(future) for future in early]
    done = desk.send(ONE, DONE)
    same_turn = desk.send(ONE, AwaitEnd())
    desk.dispatcher.run()
    afterwards = desk.tell(ONE, AwaitEnd())

    assert [True, True] == before
    assert [folded(log, ONE)] * 5 == [*map(outcome, (*early, done, same_turn)), afterwards]


@pytest.mark.parametrize("last", [TaskCancelRequested(), TaskLost(rule="gone", evidence={})])
def test_a_cancellation_and_a_loss_are_ends_too(desk: Desk, last: TaskCancelRequested | TaskLost) -> None:
    desk.tell(ONE, created())
    future = desk.send(ONE, AwaitEnd())
    desk.dispatcher.run()

    assert desk.tell(ONE, last) == outcome(future)


def test_who_awaits_an_end_that_could_not_be_written_goes_on_waiting(desk: Desk, log: FullLog) -> None:
    desk.tell(ONE, created())
    future = desk.send(ONE, AwaitEnd())
    desk.dispatcher.run()
    log.failures.append(full())
    failed = desk.tell(ONE, DONE)
    still = waits(future)
    done = desk.tell(ONE, DONE)

    assert [FULL, True] == [failed, still]
    assert done == outcome(future)


def test_who_awaits_the_end_of_a_task_that_could_not_be_created_is_told(desk: Desk, log: FullLog) -> None:
    log.failures.append(full())
    futures = [desk.send(desk.directory.newborn(ONE), created()), desk.send(ONE, AwaitEnd())]
    desk.dispatcher.run()

    assert [FULL, refusal(NotFound(TOKEN))] == [outcome(future) for future in futures]


def test_a_wait_that_its_owner_gave_up_keeps_no_other_waiting(desk: Desk) -> None:
    desk.tell(ONE, created())
    futures = [desk.send(ONE, AwaitEnd()) for _ in range(2)]
    desk.dispatcher.run()
    futures[0].set("no longer")
    done = desk.tell(ONE, DONE)

    assert done == outcome(futures[1])


def test_a_wait_for_the_end_that_nobody_waits_for_is_nothing(desk: Desk) -> None:
    desk.tell(ONE, created())
    desk.directory.actor(ONE).inbox.put(Envelope(AwaitEnd()))
    desk.dispatcher.run()

    assert isinstance(desk.tell(ONE, DONE), TaskRecord)


def test_a_command_that_nobody_waits_for_is_decided(desk: Desk, log: FullLog) -> None:
    for data in (created(), START):
        desk.directory.actor(ONE).inbox.put(Envelope(Command(data, "agent")))
    desk.dispatcher.run()

    assert [created(), START] == facts(log, ONE)


def test_a_history_that_contradicts_itself_hurts_its_own_task_alone(desk: Desk, log: FullLog) -> None:
    events: list[AnyFact] = [created(), START, START]
    log.append([Event(place, ONE, place, 5, 5, "somebody", data) for place, data in enumerate(events, 1)])
    desk.journal.position = log.head()
    futures = [desk.send(stream, data) for stream in (ONE, TWO) for data in (created(), AwaitEnd(), DONE)]
    desk.dispatcher.run()

    assert [Corrupt] * 3 == [outcome(future)[0] for future in futures[:3]]
    assert [1, 3, 3] == [outcome(future).version for future in futures[3:]]
    assert events == facts(log, ONE)


def test_a_record_that_cannot_be_read_hurts_its_own_task_alone(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        desk = Desk(log)
        for stream in (ONE, TWO):
            desk.tell(stream, created())
    with opened(tmp_path) as database:
        database(EVENTS)[event_key(1)] = b"no record"
    with DiskLog.open(tmp_path) as log:
        desk = Desk(log)
        futures = [desk.send(stream, data) for stream in (ONE, TWO) for data in (START, DONE)]
        desk.dispatcher.run()

        assert [(Corrupt, 1)] * 2 == [(outcome(future)[0], outcome(future)[1]["position"]) for future in futures[:2]]
        assert [2, 3] == [outcome(future).version for future in futures[2:]]


def test_an_error_that_was_answered_does_not_stay_in_memory(desk: Desk, log: FullLog) -> None:
    log.append(
        [Event(place, ONE, place, 5, 5, "somebody", data) for place, data in enumerate([created(), created()], 1)]
    )

    def ask() -> "weakref.ref[LightFuture]":
        future = desk.send(ONE, START)
        desk.dispatcher.run()
        assert Corrupt == outcome(future)[0]
        return weakref.ref(future)

    future = ask()
    gc.collect()

    assert future() is None


def test_a_command_that_fails_and_that_nobody_waits_for_is_logged(
    desk: Desk, log: FullLog, caplog: pytest.LogCaptureFixture
) -> None:
    log.append(
        [Event(place, ONE, place, 5, 5, "somebody", data) for place, data in enumerate([created(), created()], 1)]
    )
    desk.directory.actor(ONE).inbox.put(Envelope(Command(START, "agent")))
    desk.dispatcher.run()

    assert [("message_failed", logging.ERROR)] == [(record.message, record.levelno) for record in caplog.records]
    assert Corrupt == desk.tell(ONE, START)[0]


@pytest.mark.parametrize("error", [RuntimeError("no time"), SystemExit()])
def test_whatever_goes_wrong_in_a_decision_its_caller_hears_it_and_the_rest_goes_on(
    log: FullLog, error: BaseException
) -> None:
    class Broken(HandClock):
        failing = False

        def __call__(self) -> int:
            if self.failing:
                self.failing = False
                raise error
            return super().__call__()

    clock = Broken()
    desk = Desk(log, clock=clock)
    clock.failing = True
    futures = [desk.send(ONE, created()), desk.send(TWO, created()), desk.send(ONE, created())]
    desk.dispatcher.run()

    with pytest.raises(type(error)) as caught:
        futures[0].get(timeout=0)
    assert caught.value is error
    assert [1, 1] == [outcome(future).version for future in futures[1:]]


def test_it_is_a_pykka_actor_that_goes_by_the_tasks_id(desk: Desk) -> None:
    ref = desk.directory.actor(ONE).actor_ref
    asked = ref.ask(Command(created(), "agent"), block=False)
    read = ref.proxy().record
    called = ref.ask(ProxyCall(("is_idle",), (), {}), block=False)
    desk.dispatcher.run()

    assert [TOKEN, f"TaskActor ({TOKEN})"] == [ref.actor_urn, str(ref)]
    assert [asked.get(timeout=0)] * 2 == [read.get(timeout=0), desk.directory.actor(ONE).record]
    assert called.get(timeout=0) is True
    assert [] == ActorRegistry.get_all()


def test_to_stop_it_is_to_let_it_go_and_what_comes_behind_is_decided_all_the_same(desk: Desk, log: FullLog) -> None:
    actor = desk.directory.actor(ONE)
    futures = [desk.send(actor, created())]
    stopped = actor.actor_ref.stop(block=False)
    futures.append(desk.send(actor, START))
    desk.dispatcher.run()
    ref = actor.actor_ref
    done = desk.tell(actor, DONE)

    assert [1, 2, 3] == [*[outcome(future).version for future in futures], done.version]
    assert [True, True] == [stopped.get(timeout=0), actor.is_gone]
    assert not ref.is_alive()
    assert [created(), START, DONE] == facts(log, ONE)


def test_a_message_that_fails_does_not_end_the_task(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.tell(ONE, created())
    ref = desk.directory.actor(ONE).actor_ref
    ref.tell(ProxyCall(("no_such_method",), (), {}))
    asked = ref.ask(ProxyCall(("no_such_method",), (), {}), block=False)
    desk.dispatcher.run()

    with pytest.raises(AttributeError):
        asked.get(timeout=0)
    assert ["message_failed"] == [record.message for record in caplog.records]
    assert 2 == desk.tell(ONE, START).version
    assert ref.is_alive()


def test_a_newborn_actor_does_not_ask_the_log(desk: Desk) -> None:
    class Deaf(FullLog):
        def stream(self, stream: bytes, after_version: int = 0) -> list[Stored]:
            raise AssertionError(f"{stream!r} was read after {after_version}")

    desk = Desk(Deaf())
    record = desk.tell(desk.directory.newborn(ONE), created())

    assert 1 == record.version
    with pytest.raises(AssertionError):
        desk.tell(TWO, START)


def test_an_actor_is_small_until_somebody_needs_more_of_it(desk: Desk) -> None:
    actor = desk.directory.newborn(ONE)

    assert [TaskActor, pykka.ActorRef] == [type(actor), type(actor.actor_ref)]
    assert actor.actor_ref is actor.actor_ref
