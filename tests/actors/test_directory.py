"""The directory: one actor a task, few of them in memory, and no message lost or overtaken when one is let go."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from tallystick.actors.envelope import Envelope
from tallystick.actors.future import LightFuture
from tallystick.actors.inbox import Inbox
from tallystick.actors.system import System
from tallystick.actors.task import AwaitEnd, TaskActor
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import NotFound, Refused
from tallystick.ledger.events import TaskFact, TaskHeld, TaskProgressed, TaskReleased, TaskStarted, TaskSucceeded
from tallystick.ledger.ids import id_text, new_id
from tallystick.ledger.record import TaskRecord
from tests.actors.parts import (
    PATIENCE_S,
    STREAMS,
    Desk,
    FullLog,
    HandClock,
    at_once,
    facts,
    folded,
    history,
    outcome,
    refusal,
    send,
)
from tests.story import created

ONE, TWO, THREE, FOUR = STREAMS[:4]
START, DONE = TaskStarted(), TaskSucceeded(summary="done")
LIVE_MAX = 2


@pytest.fixture
def log() -> FullLog:
    return FullLog()


@pytest.fixture
def desk(log: FullLog) -> Desk:
    return Desk(log, live_max=LIVE_MAX)


@pytest.fixture
def crowded(log: FullLog) -> Iterator[System]:
    """A system that keeps two actors in memory."""
    system = System(log, [], HandClock(), live_max=LIVE_MAX)
    system.start()
    yield system
    assert system.close(PATIENCE_S)


def live(desk: Desk) -> list[bytes]:
    """Which tasks have an actor in memory."""
    return [stream for stream in STREAMS if stream in desk.directory._actors]  # noqa: SLF001 - a look makes one


def let_go(desk: Desk, stream: bytes) -> TaskActor:
    """Create a task, let its actor go, and return the actor."""
    actor = desk.create(stream, created())
    desk.directory.let_go_later(actor)
    desk.dispatcher.turn()
    assert [True, False] == [actor.is_gone, stream in live(desk)]
    return actor


def message(step: int) -> TaskProgressed:
    return TaskProgressed(message=str(step), step=step)


def steps(log: FullLog, stream: bytes, speaker: str | None = None) -> list[int]:
    """The steps that a task's progress has, in the log's order; of one speaker, or of all."""
    return [
        event.data.step
        for event in history(log, stream)
        if isinstance(event.data, TaskProgressed) and event.data.step is not None and speaker in (None, event.actor)
    ]


def test_a_task_has_one_actor_whoever_asks(desk: Desk) -> None:
    actor = desk.directory.actor(ONE)

    assert actor is desk.directory.actor(ONE)
    assert actor is not desk.directory.actor(TWO)
    assert 2 == len(desk.directory)


@pytest.mark.usefixtures("restless")
def test_threads_that_ask_at_once_get_one_actor(desk: Desk) -> None:
    streams = [new_id() for _ in range(50)]

    def ask() -> list[TaskActor]:
        return [desk.directory.actor(stream) for stream in streams]

    first, *others = at_once(*[ask] * 8)

    assert [first] * 7 == others
    assert 50 == len(desk.directory) == len(set(first))


def test_beyond_the_bound_the_idlest_are_let_go(desk: Desk) -> None:
    for stream in (ONE, TWO, THREE, FOUR):
        desk.create(stream, created())
    desk.dispatcher.turn()

    assert [THREE, FOUR] == live(desk)


def test_who_was_used_since_the_last_look_gets_a_second_chance(desk: Desk) -> None:
    for stream in (ONE, TWO, THREE):
        desk.create(stream, created())
    all_were_used = live(desk)
    desk.tell(ONE, START)

    assert [ONE, TWO, THREE] == all_were_used
    assert [ONE, THREE] == live(desk)


def test_who_has_something_unfinished_is_not_let_go(desk: Desk) -> None:
    for stream in (ONE, TWO, THREE, FOUR):
        desk.create(stream, created())
    for _ in range(2):
        desk.send(ONE, message(1))
    desk.send(TWO, AwaitEnd())
    desk.dispatcher.run()
    desk.directory.actor(THREE)
    waiting = desk.send(FOUR, START)  # its turn has not come yet
    for _ in range(3):
        desk.directory.end_turn()
    unfinished = live(desk)
    desk.dispatcher.run()

    assert [ONE, TWO, FOUR] == unfinished
    assert 2 == outcome(waiting).version


def test_a_task_that_has_ended_is_let_go_at_the_end_of_the_turn(desk: Desk) -> None:
    actor = desk.create(ONE, created())
    desk.tell(actor, DONE)

    assert [True, []] == [actor.is_gone, live(desk)]


@pytest.mark.parametrize("last", [DONE, TaskSucceeded(summary="otherwise"), START, AwaitEnd(), created()])
def test_a_task_that_had_ended_before_is_not_remembered_whatever_it_is_told(
    desk: Desk, last: TaskFact | AwaitEnd
) -> None:
    desk.create(ONE, created())
    desk.tell(ONE, DONE)
    for _ in range(2):
        desk.tell(ONE, last)

        assert [] == live(desk)


def test_a_task_that_ended_stays_while_something_waits_and_goes_after_it(log: FullLog) -> None:
    desk = Desk(log, events_max=1)
    actor = desk.create(ONE, created())
    desk.send(actor, DONE)
    desk.dispatcher.turn()
    desk.send(TWO, created())
    futures = [desk.send(ONE, DONE), desk.send(ONE, TaskHeld())]
    desk.dispatcher.run()

    assert [3, 4] == [outcome(future).version for future in futures]
    assert [TWO] == live(desk)


@pytest.mark.parametrize("asked", [START, AwaitEnd(), DONE])
def test_an_id_that_names_no_task_is_not_remembered(desk: Desk, asked: TaskFact | AwaitEnd) -> None:
    answer = desk.tell(ONE, asked)

    assert refusal(NotFound(id_text(ONE))) == answer
    assert [] == live(desk)


def test_what_comes_back_from_the_log_is_what_was_let_go(desk: Desk, log: FullLog) -> None:
    actor = let_go(desk, ONE)
    known = actor.record
    again = desk.directory.actor(ONE)
    started = desk.tell(again, START)

    assert actor is not again
    assert folded(log, ONE) == started
    assert known is not None
    assert known.version + 1 == started.version


def test_actors_that_were_let_go_are_not_kept_in_the_line(desk: Desk) -> None:
    gone = []
    for _ in range(20):
        actor = desk.create(new_id(), created())
        desk.tell(actor, DONE)
        gone.append(weakref.ref(actor))
    del actor
    gc.collect()

    assert 2 * LIVE_MAX + 1 >= sum(ref() is not None for ref in gone)


def test_mail_for_an_actor_that_was_let_go_reaches_the_task(desk: Desk, log: FullLog) -> None:
    actor = let_go(desk, ONE)
    started = desk.tell(actor, START)
    desk.directory.let_go_later(desk.directory.actor(ONE))
    desk.dispatcher.turn()
    done = desk.tell(actor, DONE)

    assert [2, 3] == [started.version, done.version]
    assert [created(), START, DONE] == facts(log, ONE)


def test_mail_for_an_actor_that_was_let_go_does_not_overtake_mail_for_its_successor(desk: Desk, log: FullLog) -> None:
    actor = let_go(desk, ONE)
    speakers = [actor, desk.directory.actor(ONE), actor, actor, desk.directory.actor(ONE)]
    for step, speaker in enumerate(speakers):
        desk.send(speaker, message(step), force=True)
    desk.dispatcher.run()

    assert [0, 1, 2, 3, 4] == steps(log, ONE)


def test_mail_that_was_on_its_way_when_the_actor_was_let_go_comes_first(desk: Desk, log: FullLog) -> None:
    """A sender that was inside `put` when the inbox changed puts as it would have before; somebody else is in line."""
    actor = let_go(desk, ONE)
    first = desk.send(desk.directory.actor(ONE), message(0), force=True)
    late = LightFuture()
    Inbox.put(actor.inbox, Envelope(Command(message(1), "agent", force=True), late))
    behind = desk.send(actor, message(2), force=True)
    desk.dispatcher.run()

    assert [3, 4, 5] == [outcome(future).version for future in (first, late, behind)]
    assert [0, 1, 2] == steps(log, ONE)


def test_mail_that_comes_while_an_actor_is_let_go_comes_before_what_its_successor_has(log: FullLog) -> None:
    class Meanwhile(TaskActor):
        """Gets mail between the look whether it is idle and the moment from which on it hands on."""

        def let_go(self) -> None:
            futures.append(send(self, message(0), force=True))
            futures.append(send(desk.directory.actor(ONE), message(1), force=True))
            super().let_go()

    desk = Desk(log)
    futures: list[LightFuture] = []
    actor = desk.create(ONE, created())
    actor.__class__ = Meanwhile
    desk.directory.let_go_later(actor)
    desk.dispatcher.run()

    assert [3, 4] == [outcome(future).version for future in futures]
    assert [0, 1] == steps(log, ONE)


def test_a_turn_without_mail_makes_no_successor(desk: Desk) -> None:
    actor = let_go(desk, ONE)
    actor.inbox.wake()
    desk.dispatcher.run()

    assert [] == live(desk)


def test_the_same_run_gives_the_same_task_and_what_follows_goes_there_in_order(desk: Desk, log: FullLog) -> None:
    mine = created(run_id="run-1")
    first = desk.create(ONE, mine)
    second = desk.directory.newborn(TWO)
    futures = [desk.send(second, data) for data in (mine, START, message(1), DONE)]
    desk.dispatcher.run()

    assert [(ONE, 1), (ONE, 2), (ONE, 3), (ONE, 4)] == [
        (record.stream, record.version) for record in map(outcome, futures)
    ]
    assert ([mine, START, message(1), DONE], []) == (facts(log, ONE), facts(log, TWO))
    assert TWO not in [event.stream for event in history(log, ONE)]
    assert first.record == folded(log, ONE)


def test_two_creations_of_one_run_in_one_turn_give_one_task(desk: Desk, log: FullLog) -> None:
    mine = created(run_id="run-1")
    actors = [desk.directory.newborn(stream) for stream in (ONE, TWO)]
    futures = [desk.send(actor, data) for actor in actors for data in (mine, START)]
    desk.dispatcher.run()

    assert [ONE] * 4 == [outcome(future).stream for future in futures]
    assert ([mine, START], []) == (facts(log, ONE), facts(log, TWO))


def test_an_id_that_stands_for_a_task_is_let_go_and_goes_on_to_stand_for_it(desk: Desk, log: FullLog) -> None:
    mine = created(run_id="run-1")
    desk.create(ONE, mine)
    second = desk.directory.newborn(TWO)
    desk.tell(second, mine)
    late = LightFuture()
    Inbox.put(second.inbox, Envelope(Command(START, "agent"), late))  # as of a sender that is inside `put` just now
    done = desk.send(second, DONE)
    desk.dispatcher.run()

    assert second.is_gone
    assert TWO not in live(desk)
    assert [(ONE, 2), (ONE, 3)] == [(record.stream, record.version) for record in map(outcome, (late, done))]
    assert [mine, START, DONE] == facts(log, ONE)


def test_who_learned_which_task_it_is_may_speak_to_that_without_overtaking_itself(desk: Desk, log: FullLog) -> None:
    mine = created(run_id="run-1")
    first, second = desk.create(ONE, mine), desk.directory.newborn(TWO)
    creation = desk.send(second, mine)
    desk.dispatcher.run()
    speakers = {id_text(ONE): first, id_text(TWO): second}
    for step, speaker in enumerate([second, speakers[outcome(creation).task_id], second, first]):
        desk.send(speaker, message(step), force=True)
    desk.dispatcher.run()

    assert [0, 1, 2, 3] == steps(log, ONE)


def test_an_id_stands_for_a_task_that_was_created_long_ago(desk: Desk, log: FullLog) -> None:
    mine = created(idempotency_key="key-1")
    desk.create(ONE, mine)
    desk.tell(ONE, DONE)
    again = desk.tell(desk.directory.newborn(TWO), mine)
    late = desk.tell(desk.directory.newborn(THREE), mine)

    assert [ONE, ONE] == [again.stream, late.stream]
    assert folded(log, ONE) == again


def test_when_a_creation_fails_the_id_that_stood_for_it_names_nothing_either(desk: Desk, log: FullLog) -> None:
    mine = created(run_id="run-1")
    log.failures.append(OSError("no disk"))
    desk.send(desk.directory.newborn(ONE), mine)
    second = desk.directory.newborn(TWO)
    desk.send(second, START)
    desk.send(second, mine)
    desk.dispatcher.turn()
    desk.dispatcher.run()
    started = desk.tell(second, START)

    assert isinstance(started, TaskRecord) or NotFound == started[0]
    third = desk.tell(desk.directory.newborn(THREE), mine)
    assert [mine] == [fact for stream in STREAMS for fact in facts(log, stream) if fact == mine]
    assert third == folded(log, third.stream)


def test_a_key_outranks_a_run_and_gives_the_same_task_from_then_on(desk: Desk) -> None:
    desk.create(ONE, created(run_id="run-1"))
    desk.create(TWO, created(idempotency_key="key-2"))
    both = desk.tell(desk.directory.newborn(THREE), created(run_id="run-1", idempotency_key="key-2"))
    added = desk.tell(desk.directory.newborn(THREE), created(run_id="run-1", idempotency_key="key-1"))
    by_key = desk.tell(desk.directory.newborn(FOUR), created(task="Something else", idempotency_key="key-1"))

    assert [TWO, ONE, ONE] == [record.stream for record in (both, added, by_key)]
    assert ("key-1", None) == (added.idempotency_key, both.run_id)


def test_a_creation_that_is_refused_claims_nothing(desk: Desk) -> None:
    desk.create(ONE, created(run_id="run-1"))
    stale = desk.tell(desk.directory.newborn(TWO), created(run_id="run-1", idempotency_key="key"), expected_version=7)
    desk.tell(ONE, START)
    fresh = desk.tell(desk.directory.newborn(THREE), created(run_id="run-2", idempotency_key="key"))

    assert not isinstance(stale, TaskRecord)
    assert THREE == fresh.stream


def test_creations_without_a_run_or_a_key_are_always_tasks_of_their_own(desk: Desk) -> None:
    assert [ONE, TWO] == [desk.tell(desk.directory.newborn(stream), created()).stream for stream in (ONE, TWO)]


@pytest.mark.usefixtures("restless")
def test_creations_of_one_run_from_many_threads_give_one_task(crowded: System, log: FullLog) -> None:
    mine, threads = created(run_id="run-1"), 32

    def create(number: int) -> list[TaskRecord]:
        actor = crowded.newborn(new_id())
        futures = [send(actor, data, f"agent-{number}") for data in (mine, message(number))]
        return [future.get(timeout=PATIENCE_S) for future in futures]

    records = at_once(*[lambda number=number: create(number) for number in range(threads)])

    [stream] = {record.stream for answers in records for record in answers}
    assert {stream} == {stored.stream for stored in log.read() if not hasattr(stored, "detail")}
    assert 1 == facts(log, stream).count(mine)
    assert {record.task_id for answers in records for record in answers} == {id_text(stream)}


@pytest.mark.usefixtures("restless")
def test_nothing_is_lost_or_overtaken_while_actors_come_and_go(crowded: System, log: FullLog) -> None:
    """Three callers speak to six tasks, through fresh actors and through ones that they have kept."""
    each = 40
    kept = [crowded.newborn(stream) for stream in STREAMS[:6]]
    for actor in kept:
        send(actor, created()).get(timeout=PATIENCE_S)

    def speak(speaker: str, stride: int) -> int:
        futures = []
        for step in range(each):
            for place, actor in enumerate(kept):
                to = actor if (step + place) % stride else crowded.actor(actor.stream)
                futures.append(send(to, message(step), speaker, force=True))
            if not step % 10:
                crowded.sweep()
        return len([future.get(timeout=PATIENCE_S) for future in futures])

    assert [each * 6] * 3 == at_once(lambda: speak("one", 2), lambda: speak("two", 3), lambda: speak("three", 5))
    for stream in STREAMS[:6]:
        assert [list(range(each))] * 3 == [steps(log, stream, speaker) for speaker in ("one", "two", "three")]
        assert list(range(1, 3 * each + 3)) == [event.version for event in history(log, stream)]


def test_a_late_signal_brings_an_ended_task_back_and_lets_it_go_again(desk: Desk, log: FullLog) -> None:
    desk.create(ONE, created())
    desk.tell(ONE, DONE)
    late = desk.tell(ONE, TaskProgressed(message="late"))
    desk.tell(ONE, TaskReleased())

    assert Refused == late[0]
    assert 4 == late[1]["position"] == len(facts(log, ONE))
    assert [] == live(desk)
