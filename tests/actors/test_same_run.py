"""Creations of one run, or with one key, give one task; an id that found it stands for it from then on."""

import pytest

from tallystick.actors.envelope import Envelope
from tallystick.actors.future import LightFuture
from tallystick.actors.inbox import Inbox
from tallystick.actors.system import System
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import NotFound
from tallystick.ledger.facts.tasks import TaskStarted, TaskSucceeded
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
    live,
    message,
    outcome,
    send,
    steps,
)
from tests.story import created

ONE, TWO, THREE, FOUR = STREAMS[:4]
START, DONE = TaskStarted(), TaskSucceeded(summary="done")


@pytest.fixture
def log() -> FullLog:
    return FullLog()


@pytest.fixture
def desk(log: FullLog) -> Desk:
    return Desk(log, live_max=2)


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


def test_a_run_belongs_to_the_task_that_was_created_with_it_and_to_no_other_that_hears_of_it(desk: Desk) -> None:
    desk.create(ONE, created(idempotency_key="key-1"))
    by_key = desk.tell(desk.directory.newborn(TWO), created(run_id="run-2", idempotency_key="key-1", kind="tally"))
    by_id = desk.tell(ONE, created(run_id="run-3", source_id="cron-1"))
    others = [
        desk.tell(desk.directory.newborn(stream), created(run_id=run))
        for stream, run in ((THREE, "run-2"), (FOUR, "run-3"))
    ]

    assert [(ONE, "tally"), (ONE, "tally")] == [(record.stream, record.task_kind) for record in (by_key, by_id)]
    assert [THREE, FOUR] == [record.stream for record in others]


def test_mail_that_comes_when_it_is_known_which_task_it_is_comes_behind_what_was_passed_on(log: FullLog) -> None:
    """The turn is full before the task itself has its turn; the answer to somebody else makes the caller speak on."""
    desk = Desk(log, events_max=1)
    mine = created(run_id="run-1")
    desk.create(ONE, mine)
    second = desk.directory.newborn(TWO)
    desk.send(second, mine)
    desk.send(second, message(0), force=True)
    elsewhere = desk.send(desk.directory.newborn(THREE), created())

    def speak_on(_future: LightFuture) -> None:
        desk.send(second, message(1), force=True)

    elsewhere.when_done(speak_on)
    desk.dispatcher.run()

    assert [0, 1] == steps(log, ONE)


def test_creations_without_a_run_or_a_key_are_always_tasks_of_their_own(desk: Desk) -> None:
    assert [ONE, TWO] == [desk.tell(desk.directory.newborn(stream), created()).stream for stream in (ONE, TWO)]


@pytest.mark.usefixtures("restless")
def test_creations_of_one_run_from_many_threads_give_one_task(log: FullLog) -> None:
    system = System(log, [], HandClock(), live_max=2)
    system.start()
    mine, threads = created(run_id="run-1"), 32

    def create(number: int) -> list[TaskRecord]:
        actor = system.newborn(new_id())
        futures = [send(actor, data, f"agent-{number}") for data in (mine, message(number))]
        return [future.get(timeout=PATIENCE_S) for future in futures]

    records = at_once(*[lambda number=number: create(number) for number in range(threads)])
    assert system.close(PATIENCE_S)

    [stream] = {record.stream for answers in records for record in answers}
    assert log.head() == len(facts(log, stream))
    assert 1 == facts(log, stream).count(mine)
