"""The directory: one actor a task, few of them in memory, and no message lost or overtaken when one is let go."""

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

from tallystick.actors.envelope import Envelope
from tallystick.actors.future import LightFuture
from tallystick.actors.inbox import Inbox
from tallystick.actors.stream import AwaitEnd
from tallystick.actors.system import System
from tallystick.actors.task import TaskActor
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import NotFound, Refused
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.tasks import TaskHeld, TaskProgressed, TaskReleased, TaskStarted, TaskSucceeded
from tallystick.ledger.ids import id_text, new_id
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
    live,
    message,
    outcome,
    refusal,
    send,
    steps,
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


def let_go(desk: Desk, stream: bytes) -> TaskActor:
    """Create a task, let its actor go, and return the actor."""
    actor = desk.create(stream, created())
    desk.directory.let_go_later(actor)
    desk.dispatcher.turn()
    assert [True, False] == [actor.is_gone, stream in live(desk)]
    return actor


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
    four = desk.directory.actor(FOUR)
    waiting = desk.send(FOUR, START)  # its turn has not come yet
    for _ in range(3):
        desk.directory.end_turn()
    unfinished = live(desk)
    assert four is desk.directory.actor(FOUR)
    desk.dispatcher.run()

    assert [ONE, TWO, FOUR] == unfinished
    assert 2 == outcome(waiting).version


def test_when_very_many_are_busy_not_every_turn_looks_at_all_of_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[TaskActor] = []
    is_idle = TaskActor.is_idle

    def look(actor: TaskActor) -> bool:
        looks.append(actor)
        return is_idle(actor)

    streams = [new_id() for _ in range(1_000)]
    for stream in streams:
        desk.send(stream, created())
        desk.send(stream, AwaitEnd())
    desk.dispatcher.run()
    monkeypatch.setattr(TaskActor, "is_idle", look)
    for stream in streams[:100]:
        desk.tell(stream, START)

    assert 1_000 == len(desk.directory)
    assert len(looks) <= 2 * 1_000


def test_when_very_many_that_were_busy_become_idle_they_are_let_go(desk: Desk) -> None:
    streams = [new_id() for _ in range(1_000)]
    for stream in streams:
        desk.send(stream, created())
        desk.send(stream, AwaitEnd())
    desk.dispatcher.run()
    for stream in streams:
        desk.send(stream, DONE)
    desk.dispatcher.run()

    assert len(desk.directory) <= LIVE_MAX


def test_a_task_that_has_ended_is_let_go_at_the_end_of_the_turn(desk: Desk) -> None:
    actor = desk.create(ONE, created())
    desk.tell(actor, DONE)

    assert [True, []] == [actor.is_gone, live(desk)]


def test_of_tasks_that_ended_in_one_turn_all_are_let_go_whatever_else_they_were_told(desk: Desk) -> None:
    for stream in (ONE, TWO):
        for data in (created(), DONE, START, message(1), DONE):
            desk.send(stream, data)
    desk.dispatcher.turn()

    assert [] == live(desk)


@pytest.mark.parametrize("last", [DONE, TaskSucceeded(summary="otherwise"), START, AwaitEnd(), created()])
def test_a_task_that_had_ended_before_is_not_remembered_whatever_it_is_told(
    desk: Desk, last: AnyFact | AwaitEnd
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
def test_an_id_that_names_no_task_is_not_remembered(desk: Desk, asked: AnyFact | AwaitEnd) -> None:
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
        """Gets mail after the look whether it is idle, and its successor some before that was handed on."""

        def is_idle(self) -> bool:
            idle = super().is_idle()
            futures.append(send(self, message(0), force=True))
            return idle

        @property
        def address(self) -> bytes:
            if not self.inbox.empty() and self.is_gone:
                futures.append(send(desk.directory.actor(ONE), message(1), force=True))
            return super().address

    desk = Desk(log)
    futures: list[LightFuture] = []
    actor = desk.create(ONE, created())
    actor.__class__ = Meanwhile
    desk.directory.let_go_later(actor)
    desk.dispatcher.run()

    assert [3, 4] == [outcome(future).version for future in futures]
    assert [0, 1] == steps(log, ONE)


def test_who_finds_the_successor_already_cannot_overtake_himself_through_the_old_actor(log: FullLog) -> None:
    class Meanwhile(TaskActor):
        """Is spoken to from another thread while it is let go."""

        def let_go(self) -> None:
            sender.start()
            sender.join(0.05)
            super().let_go()

    def speak() -> None:
        futures.append(send(desk.directory.actor(ONE), message(0), force=True))
        futures.append(send(actor, message(1), force=True))

    desk = Desk(log)
    futures: list[LightFuture] = []
    sender = threading.Thread(target=speak)
    actor = desk.create(ONE, created())
    actor.__class__ = Meanwhile
    desk.directory.let_go_later(actor)
    desk.dispatcher.run()
    sender.join(PATIENCE_S)
    desk.dispatcher.run()

    assert [3, 4] == [outcome(future).version for future in futures]
    assert [0, 1] == steps(log, ONE)


def test_a_turn_without_mail_makes_no_successor(desk: Desk) -> None:
    actor = let_go(desk, ONE)
    actor.inbox.wake()
    desk.dispatcher.run()

    assert [] == live(desk)


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
