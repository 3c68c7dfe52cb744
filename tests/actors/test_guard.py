"""The media guard where it is decided: of two calls for the same picture one comes second, and gets the first's."""

from typing import Any

import pytest

from tallystick.actors.system import System
from tallystick.ledger.errors import Full, NotFound
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.facts.deliveries import DeliveryQueued
from tallystick.ledger.facts.tasks import TaskAmended, TaskCreated, TaskFailed, TaskStarted, TaskSucceeded
from tallystick.ledger.ids import id_text, new_id
from tallystick.ledger.limits import MEDIA_GUARD_MS
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import Damaged, Stored
from tests.actors.parts import (
    PATIENCE_S,
    STREAMS,
    Desk,
    FullLog,
    HandClock,
    at_once,
    facts,
    folded,
    full,
    live,
    message,
    outcome,
    send,
    steps,
)
from tests.story import created

ONE, TWO, THREE, FOUR = STREAMS[:4]
START, DONE, FAILED = TaskStarted(), TaskSucceeded(summary="1 picture"), TaskFailed(error="no credits")
LATER_MS = 1_000


def asked(**more: Any) -> TaskCreated:
    """Return the creation of a picture."""
    return created(**{"runtime": "cli", "kind": "image_generation", "task": "A red fox", **more})


@pytest.fixture
def log() -> FullLog:
    return FullLog()


@pytest.fixture
def desk(log: FullLog) -> Desk:
    return Desk(log, live_max=2)


def said(log: FullLog, stream: bytes) -> list[AnyFact]:
    """Return what was reported of a task; how it ended is told besides."""
    return [fact for fact in facts(log, stream) if not isinstance(fact, DeliveryQueued)]


def call(desk: Desk, stream: bytes, creation: TaskCreated, **more: Any) -> TaskRecord:
    """Create under a fresh id, and return the record that is given."""
    record = desk.tell(desk.directory.newborn(stream), creation, **more)
    assert isinstance(record, TaskRecord), record
    return record


def test_a_second_call_gets_the_active_task_and_leaves_no_trace(desk: Desk, log: FullLog) -> None:
    first = call(desk, ONE, asked())
    second = call(
        desk, TWO, asked(label="fox", run_id="run-2", agent="other", backing={"pid": 4711}, metadata={"size": "large"})
    )

    assert first == second
    assert ([asked()], []) == (facts(log, ONE), facts(log, TWO))


def test_two_calls_in_one_turn_give_one_task_and_what_follows_goes_there_in_order(desk: Desk, log: FullLog) -> None:
    actors = [desk.directory.newborn(stream) for stream in (ONE, TWO)]
    futures = [desk.send(actor, data) for actor in actors for data in (asked(), START)]
    futures += [desk.send(actors[1], data) for data in (message(1), DONE)]
    desk.dispatcher.run()

    assert [ONE] * 6 == [outcome(future).stream for future in futures]
    assert ([asked(), START, message(1), DONE], []) == (said(log, ONE), facts(log, TWO))


def test_an_id_that_was_given_another_task_is_let_go_and_speaks_for_that(desk: Desk, log: FullLog) -> None:
    call(desk, ONE, asked())
    second = desk.directory.newborn(TWO)
    desk.tell(second, asked())
    desk.tell(second, message(1))

    assert (True, False) == (second.is_gone, TWO in live(desk))
    assert [1] == steps(log, ONE)


@pytest.mark.parametrize(
    "other", [{"task": "A blue fox"}, {"kind": "music_generation"}, {"owner": "agent:main:b"}, {"runtime": "subagent"}]
)
def test_another_generation_starts_whatever_its_request_key(desk: Desk, other: dict[str, Any]) -> None:
    call(desk, ONE, asked(request_key="call-7"))

    assert TWO == call(desk, TWO, asked(request_key="call-7", **other)).stream


@pytest.mark.parametrize("end", [FAILED, DONE])
def test_when_the_first_has_ended_another_one_starts(desk: Desk, end: Any) -> None:
    call(desk, ONE, asked())
    desk.tell(ONE, end)

    assert TWO == call(desk, TWO, asked()).stream
    assert TWO == call(desk, THREE, asked()).stream


def test_an_end_and_a_call_in_one_turn_come_in_the_order_in_which_they_were_sent(desk: Desk) -> None:
    call(desk, ONE, asked())
    ended, after = desk.send(ONE, FAILED), desk.send(desk.directory.newborn(TWO), asked())
    desk.dispatcher.run()
    before, ended_later = desk.send(desk.directory.newborn(THREE), asked()), desk.send(TWO, FAILED)
    desk.dispatcher.run()

    assert [ONE, TWO, TWO, TWO] == [outcome(future).stream for future in (ended, after, before, ended_later)]


def test_a_success_is_given_back_to_the_same_request_for_two_minutes(desk: Desk) -> None:
    call(desk, ONE, asked(request_key="call-7"))
    done = desk.tell(ONE, DONE)
    desk.clock.advance(MEDIA_GUARD_MS)

    assert done == call(desk, TWO, asked(request_key="call-7"))
    desk.clock.advance(1)
    assert THREE == call(desk, THREE, asked(request_key="call-7")).stream


def test_a_success_is_not_given_back_to_another_request_or_to_one_without_a_key(desk: Desk) -> None:
    call(desk, ONE, asked(request_key="call-7"))
    desk.tell(ONE, DONE)

    assert TWO == call(desk, TWO, asked(request_key="call-8")).stream
    desk.tell(TWO, FAILED)
    assert THREE == call(desk, THREE, asked()).stream


def test_the_success_of_a_request_is_found_behind_later_ones_of_the_same_prompt(desk: Desk) -> None:
    call(desk, ONE, asked(request_key="call-7"))
    desk.tell(ONE, DONE)
    call(desk, TWO, asked(request_key="call-8"))
    desk.tell(TWO, FAILED)

    assert ONE == call(desk, THREE, asked(request_key="call-7")).stream


def test_what_was_sent_while_nobody_owned_the_ledger_counts_from_when_it_was_sent(desk: Desk) -> None:
    call(desk, ONE, asked(request_key="call-7"))
    desk.tell(ONE, DONE)
    sent_at = desk.clock() + LATER_MS
    desk.clock.advance(10 * MEDIA_GUARD_MS)

    assert ONE == call(desk, TWO, asked(request_key="call-7"), sent_at=sent_at).stream


def test_a_run_and_a_key_outrank_the_guard(desk: Desk) -> None:
    call(desk, ONE, asked(run_id="run-1", idempotency_key="key-1"))
    desk.tell(ONE, FAILED)
    call(desk, TWO, asked())

    assert ONE == call(desk, THREE, asked(run_id="run-1")).stream
    assert ONE == call(desk, THREE, asked(idempotency_key="key-1")).stream
    assert TWO == call(desk, THREE, asked(run_id="run-3")).stream


def test_the_key_of_a_second_call_gives_the_task_that_it_got_for_ever(desk: Desk, log: FullLog) -> None:
    call(desk, ONE, asked())
    second = call(desk, TWO, asked(idempotency_key="key-2", label="fox", metadata={"size": "large"}))
    desk.tell(ONE, FAILED)
    third = call(desk, THREE, asked())

    assert [asked(), TaskAmended(idempotency_key="key-2"), FAILED] == said(log, ONE)
    assert ("key-2", None) == (second.idempotency_key, second.metadata)
    assert ONE == call(desk, FOUR, asked(idempotency_key="key-2")).stream
    assert THREE == third.stream


def test_a_task_that_becomes_a_generation_is_guarded_from_then_on(desk: Desk, log: FullLog) -> None:
    plain = asked(kind=None, idempotency_key="key-1")
    call(desk, ONE, plain)
    became = call(desk, TWO, asked(idempotency_key="key-1"))

    assert ("image_generation", [plain, TaskAmended(kind="image_generation")]) == (became.task_kind, facts(log, ONE))
    assert ONE == call(desk, THREE, asked()).stream


def test_a_task_that_becomes_a_generation_takes_nothing_from_the_one_that_is_active(desk: Desk) -> None:
    call(desk, ONE, asked(kind=None, idempotency_key="key-1"))
    call(desk, TWO, asked())
    call(desk, THREE, asked(idempotency_key="key-1"))

    assert TWO == call(desk, THREE, asked()).stream


@pytest.mark.usefixtures("trouble")
def test_after_a_failed_commit_neither_the_first_nor_the_second_call_was_ever_made(desk: Desk, log: FullLog) -> None:
    log.failures.append(full())
    actors = [desk.directory.newborn(stream) for stream in (ONE, TWO)]
    futures = [desk.send(actor, data) for actor in actors for data in (asked(), START)]
    desk.dispatcher.run()

    assert [Full] * 4 == [outcome(future)[0] for future in futures]
    assert 0 == log.head()
    assert THREE == call(desk, THREE, asked()).stream
    assert [NotFound, NotFound] == [desk.tell(stream, START)[0] for stream in (ONE, TWO)]


@pytest.mark.usefixtures("trouble")
def test_a_key_whose_commit_failed_was_not_taken_over(desk: Desk, log: FullLog) -> None:
    call(desk, ONE, asked())
    log.failures.append(full())
    refused = desk.tell(desk.directory.newborn(TWO), asked(idempotency_key="key-2"))
    desk.tell(ONE, FAILED)

    assert Full is refused[0]
    assert [asked(), FAILED] == said(log, ONE)
    assert THREE == call(desk, THREE, asked(idempotency_key="key-2")).stream


def test_a_log_that_is_opened_again_guards_as_before(log: FullLog) -> None:
    clock = HandClock()
    before = Desk(log, clock=clock)
    call(before, ONE, asked(request_key="call-7"))
    call(before, TWO, asked(task="A blue fox", request_key="call-8"))
    before.tell(TWO, DONE)
    clock.advance(LATER_MS)
    desk = Desk(log, clock=clock)

    assert ONE == call(desk, THREE, asked()).stream
    assert TWO == call(desk, THREE, asked(task="A blue fox", request_key="call-8")).stream


class TornLog(FullLog):
    """A log in which one task's history cannot be read."""

    torn: bytes = b""

    def stream(self, stream: bytes, after_version: int = 0) -> list[Stored]:
        stored = super().stream(stream, after_version)
        return [Damaged(stored[0].position, "torn")] if stream == self.torn else stored


def test_a_task_that_cannot_be_read_keeps_nobody_from_starting_another() -> None:
    log = TornLog()
    call(Desk(log), ONE, asked())
    log.torn = ONE
    desk = Desk(log)

    assert TWO == call(desk, TWO, asked()).stream
    assert TWO == call(desk, THREE, asked()).stream


def test_asking_keeps_nobody_in_memory_who_has_ended(log: FullLog) -> None:
    desk = Desk(log, live_max=1_000)
    for stream in STREAMS[:8]:
        assert stream == call(desk, stream, asked(request_key="call-7")).stream
        desk.tell(stream, FAILED)

    assert [] == live(desk)


def test_the_record_that_is_given_is_that_of_the_moment(desk: Desk, log: FullLog) -> None:
    call(desk, ONE, asked())
    desk.tell(ONE, START)

    assert folded(log, ONE) == call(desk, TWO, asked())


@pytest.mark.usefixtures("restless")
def test_calls_from_many_threads_give_one_task_for_each_session(log: FullLog) -> None:
    system = System(log, [], HandClock(), live_max=2)
    system.start()
    threads, sessions = 32, 4

    def start(number: int) -> list[TaskRecord]:
        actor = system.newborn(new_id())
        mine = asked(owner=f"agent:main:{number % sessions}")
        futures = [send(actor, data, f"agent-{number}") for data in (mine, message(number))]
        return [future.get(timeout=PATIENCE_S) for future in futures]

    records = at_once(*[lambda number=number: start(number) for number in range(threads)])
    assert system.close(PATIENCE_S)

    owners = {record.owner_key: record.task_id for answers in records for record in answers}
    assert sessions == len(owners) == len({record.task_id for answers in records for record in answers})
    creations = [stored for stored in log.read() if isinstance(stored, Event) and stored.version == 1]
    assert set(owners.values()) == {id_text(stored.stream) for stored in creations}
    assert sessions == len(creations)
