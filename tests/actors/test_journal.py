"""The journal: one append a turn, answers only when it has returned, and a failed one as if the turn had not been."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pykka
import pytest

from tallystick.actors.envelope import Envelope
from tallystick.actors.future import LightFuture
from tallystick.actors.journal import Committed
from tallystick.actors.system import System
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Closed, Corrupt, Full, NotFound, Refused, WrongVersion
from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import TaskNotifyChanged, TaskProgressed, TaskStarted, TaskSucceeded
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import NotifyPolicy, Status
from tallystick.ledger.payloads import Payloads
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.environment import Environment
from tallystick.ledger.store.port import NO_CLAIMS, NO_NOTES, NO_PAYLOADS
from tallystick.projections.change import Change, Changes
from tests.actors.parts import (
    PATIENCE_S,
    STREAMS,
    Desk,
    FullLog,
    GatedLog,
    HandClock,
    facts,
    folded,
    full,
    history,
    outcome,
    refusal,
    send,
)
from tests.story import created

START, DONE, FULL = TaskStarted(), TaskSucceeded(summary="done"), refusal(full())


@pytest.fixture
def log() -> FullLog:
    return FullLog()


@pytest.fixture
def desk(log: FullLog) -> Desk:
    return Desk(log)


@pytest.fixture
def gated() -> Iterator[tuple[GatedLog, System]]:
    """A system whose log writes nothing before its gate is open."""
    log = GatedLog()
    system = System(log, [], HandClock())
    system.start()
    yield log, system
    log.gate.set()
    assert system.close(PATIENCE_S)


def no_answer(future: LightFuture) -> bool:
    try:
        future.get(timeout=0)
    except pykka.Timeout:
        return not future.is_done()
    return False


def positions(log: FullLog) -> list[int]:
    return [stored.position for stored in log.read()]


def test_nobody_is_answered_before_the_append_has_returned(gated: tuple[GatedLog, System]) -> None:
    log, system = gated
    accepted = send(system.newborn(STREAMS[0]), created())
    refused = send(system.newborn(STREAMS[1]), START)
    assert 1 == log.arrived.get(timeout=PATIENCE_S)
    waits = [no_answer(accepted), log.head()]
    log.gate.set()

    assert [True, 0] == waits
    assert 1 == accepted.get(timeout=PATIENCE_S).version
    assert NotFound == outcome(refused)[0]


def test_what_comes_while_an_append_blocks_is_the_next_append(gated: tuple[GatedLog, System]) -> None:
    log, system = gated
    answers = [send(system.newborn(STREAMS[0]), created())]
    assert 1 == log.arrived.get(timeout=PATIENCE_S)
    answers += [send(system.newborn(stream), created()) for stream in STREAMS[1:11]]
    log.gate.set()

    assert list(range(1, 12)) == sorted(future.get(timeout=PATIENCE_S).position for future in answers)
    assert [1, 10] == log.appended


def test_many_actors_share_one_append(desk: Desk, log: FullLog) -> None:
    futures = [desk.send(desk.directory.newborn(stream), created()) for stream in STREAMS[:5]]
    futures += [desk.send(stream, START) for stream in STREAMS[:5]]
    desk.dispatcher.turn()

    assert [10] == log.appended
    assert [1, 3, 5, 7, 9, 2, 4, 6, 8, 10] == [outcome(future).position for future in futures]
    assert (1, 10) == (desk.journal.commits, desk.journal.position)


def test_answers_come_in_the_order_of_the_decisions(desk: Desk) -> None:
    answered: list[LightFuture] = []
    order = [
        desk.send(STREAMS[0], created()),
        desk.send(STREAMS[0], START),
        desk.send(STREAMS[0], START),
        desk.send(STREAMS[1], START),
        desk.send(STREAMS[2], created()),
    ]
    for future in order:
        future.when_done(answered.append)
    desk.dispatcher.turn()

    assert order == answered


def test_a_turn_without_facts_answers_and_appends_nothing(desk: Desk, log: FullLog) -> None:
    desk.create(STREAMS[0], created())
    desk.tell(STREAMS[0], START)
    again = desk.tell(STREAMS[0], START)

    assert folded(log, STREAMS[0]) == again
    assert [1, 1] == log.appended


def test_a_turn_ends_at_its_bound_of_events_or_of_answers(log: FullLog) -> None:
    desk = Desk(log, events_max=3)
    creations = [desk.send(desk.directory.newborn(stream), created()) for stream in STREAMS[:7]]
    desk.dispatcher.run()
    repeated = [desk.send(stream, created()) for stream in STREAMS[:7]]
    answered: list[int] = []
    while not all(future.is_done() for future in repeated):
        desk.dispatcher.turn()
        answered.append(sum(future.is_done() for future in repeated))

    for stream in STREAMS[7:14]:  # nobody waits for these
        desk.directory.newborn(stream).inbox.put(Envelope(Command(created(), "agent")))
    desk.dispatcher.run()

    assert [3, 3, 1] * 2 == log.appended
    assert [3, 6, 7] == answered
    assert list(range(1, 8)) == [outcome(future).position for future in creations]


def test_the_clock_is_read_once_a_turn(log: FullLog) -> None:
    class Hurrying(HandClock):
        def __call__(self) -> int:
            self.advance(1)
            return super().__call__()

    desk = Desk(log, clock=Hurrying(0))
    for stream in STREAMS[:3]:
        desk.send(desk.directory.newborn(stream), created())
    desk.dispatcher.turn()
    desk.tell(STREAMS[0], START)

    assert [1, 1, 1, 2] == [event.recorded_at for event in log.read() if isinstance(event, Event)]


def test_those_who_follow_are_told_what_a_commit_changed(desk: Desk, log: FullLog) -> None:
    desk.create(STREAMS[0], created())
    before = folded(log, STREAMS[0])
    desk.told.clear()
    desk.send(STREAMS[0], START)
    desk.send(STREAMS[1], created())
    desk.send(STREAMS[0], DONE)
    desk.send(STREAMS[2], START)
    desk.dispatcher.turn()

    first, second = folded(log, STREAMS[0]), folded(log, STREAMS[1])
    assert first is not None
    assert second is not None
    changes = Changes({STREAMS[0]: Change(before, first), STREAMS[1]: Change(None, second)})
    assert [Committed(2, 4, changes)] == desk.told


def test_when_a_commit_fails_every_caller_of_the_turn_hears_it(desk: Desk, log: FullLog) -> None:
    desk.create(STREAMS[0], created())
    desk.tell(STREAMS[0], START)
    desk.told.clear()
    log.failures.append(full())
    futures = [
        desk.send(STREAMS[0], DONE),
        desk.send(STREAMS[0], START),
        desk.send(STREAMS[1], created()),
        desk.send(STREAMS[2], START),
    ]
    desk.dispatcher.run()
    answers = [outcome(future) for future in futures]

    assert [FULL] * 4 == answers
    assert [2, []] == [log.head(), desk.told]


def test_each_caller_of_a_failed_turn_gets_an_exception_of_its_own(desk: Desk, log: FullLog) -> None:
    log.failures.append(full())
    futures = [desk.send(stream, created()) for stream in STREAMS[:3]]
    desk.dispatcher.run()
    errors = []
    for future in futures:
        with pytest.raises(Full) as caught:
            future.get(timeout=0)
        errors.append(caught.value)

    assert 3 == len(set(map(id, errors)))


@pytest.mark.parametrize("error", [OSError("no disk"), SystemExit()])
def test_whatever_the_store_raises_the_callers_hear_it(desk: Desk, log: FullLog, error: BaseException) -> None:
    log.failures.append(error)
    future = desk.send(STREAMS[0], created())
    desk.dispatcher.run()

    with pytest.raises(type(error)) as caught:
        future.get(timeout=0)
    assert caught.value is error
    assert isinstance(desk.tell(STREAMS[0], created()), TaskRecord)


def test_after_a_failed_commit_every_author_is_right_again(desk: Desk, log: FullLog) -> None:
    for stream in STREAMS[:2]:
        desk.create(stream, created())
    log.failures.append(full())
    for stream in STREAMS[:2]:
        desk.send(stream, START)
        desk.send(stream, DONE)
    desk.dispatcher.run()
    policy = TaskNotifyChanged(policy=NotifyPolicy.FAILURES_ONLY)
    records = [desk.tell(stream, data) for stream in STREAMS[:2] for data in (policy, DONE)]

    assert [
        (Status.QUEUED, 2, 3),
        (Status.SUCCEEDED, 4, 5),
        (Status.QUEUED, 2, 6),
        (Status.SUCCEEDED, 4, 8),
    ] == [(record.status, record.version, record.position) for record in records]
    assert [folded(log, stream) for stream in STREAMS[:2]] == [records[1], records[3]]
    assert list(range(1, 9)) == positions(log)


def test_a_creation_of_a_failed_turn_does_not_exist_and_claims_nothing(desk: Desk, log: FullLog) -> None:
    mine = created(run_id="run-1", idempotency_key="key-1")
    log.failures.append(full())
    creation = desk.send(desk.directory.newborn(STREAMS[0]), mine)
    started = desk.send(STREAMS[0], START)
    desk.dispatcher.run()
    lost = desk.tell(STREAMS[0], START)
    other = desk.tell(desk.directory.newborn(STREAMS[1]), mine)

    assert [FULL, FULL] == [outcome(creation), outcome(started)]
    assert refusal(NotFound(id_text(STREAMS[0]))) == lost
    assert (STREAMS[1], 1, 1) == (other.stream, other.version, other.position)
    assert ([], [mine]) == (facts(log, STREAMS[0]), facts(log, STREAMS[1]))


def test_a_creation_can_be_sent_again_to_the_same_id_after_it_failed(desk: Desk, log: FullLog) -> None:
    log.failures.append(full())
    creation = desk.send(desk.directory.newborn(STREAMS[0]), created(run_id="run-1"))
    desk.dispatcher.run()
    record = desk.tell(STREAMS[0], created(run_id="run-1"))

    assert FULL == outcome(creation)
    assert (STREAMS[0], 1, 1) == (record.stream, record.version, record.position)


def test_what_was_written_although_the_append_failed_is_not_written_over(desk: Desk) -> None:
    class Ambiguous(FullLog):
        def append(
            self,
            events: Sequence[Event],
            claims: Mapping[bytes, bytes] = NO_CLAIMS,
            notes: Mapping[bytes, bytes] = NO_NOTES,
            payloads: Mapping[int, Payloads] = NO_PAYLOADS,
        ) -> None:
            failure = self.failures.popleft() if self.failures else None
            super().append(events, claims, notes, payloads)
            if failure is not None:
                raise failure

    desk = Desk(log := Ambiguous())
    desk.create(STREAMS[0], created())
    log.failures.append(OSError("the disk says no after it has written"))
    future = desk.send(STREAMS[0], START)
    desk.dispatcher.run()
    with pytest.raises(OSError, match="after it has written"):
        future.get(timeout=0)
    record = desk.tell(STREAMS[0], DONE)

    assert (3, 3) == (record.version, record.position)
    assert [created(), START, DONE] == facts(log, STREAMS[0])
    assert [1, 2, 3] == positions(log)


def test_when_the_log_has_grown_behind_its_back_the_turn_fails_and_the_next_is_right(desk: Desk, log: FullLog) -> None:
    desk.create(STREAMS[0], created())
    log.append([Event(2, STREAMS[0], 2, 5, 5, "somebody else", START)])
    first = desk.tell(STREAMS[0], START)
    second = desk.tell(STREAMS[0], DONE)
    log.append([Event(4, STREAMS[1], 1, 5, 5, "somebody else", created())])
    desk.directory.newborn(STREAMS[1])
    third = desk.tell(STREAMS[1], created())
    fourth = desk.tell(STREAMS[1], START)

    assert Corrupt == first[0]
    assert (3, 3) == (second.version, second.position)
    assert Corrupt == third[0]
    assert (2, 5) == (fourth.version, fourth.position)


def test_a_wrong_version_is_told_and_then_the_log_is_read_again(desk: Desk) -> None:
    desk.create(STREAMS[0], created())
    desk.directory.newborn(STREAMS[0])  # believes that there is no such task
    first = desk.tell(STREAMS[0], created(label="second"))
    second = desk.tell(STREAMS[0], START)

    assert refusal(WrongVersion(id_text(STREAMS[0]), expected=0, actual=1)) == first
    assert (2, 2) == (second.version, second.position)


@pytest.mark.usefixtures("trouble")
def test_when_the_log_was_closed_everybody_is_told_so_turn_after_turn(desk: Desk, log: FullLog) -> None:
    desk.create(STREAMS[0], created())
    log.close()
    futures = [desk.send(stream, data) for stream in STREAMS[:2] for data in (created(), DONE)]
    desk.dispatcher.run()
    later = desk.send(STREAMS[1], created())
    desk.dispatcher.run()

    assert [Closed] * 5 == [outcome(future)[0] for future in (*futures, later)]


@pytest.mark.usefixtures("trouble")
@pytest.mark.parametrize("failures", [[], [full()]])
def test_a_caller_that_answered_itself_or_whose_callback_fails_keeps_nobody_waiting(
    desk: Desk, log: FullLog, failures: list[BaseException]
) -> None:
    def fail(_future: LightFuture) -> None:
        raise RuntimeError("the loop is closed")

    log.failures.extend(failures)
    accepted = [desk.send(stream, created()) for stream in STREAMS[:4]]
    refused = [desk.send(stream, START) for stream in STREAMS[4:8]]
    for futures in (accepted, refused):
        futures[0].set("mine")
        futures[1].when_done(fail)
    desk.dispatcher.run()

    assert ["mine", "mine"] == [outcome(accepted[0]), outcome(refused[0])]
    assert [True] * 8 == [future.is_done() for future in (*accepted, *refused)]
    expected = FULL if failures else folded(log, STREAMS[3])
    assert expected == outcome(accepted[3])


def test_a_late_signal_of_a_failed_turn_was_not_kept(desk: Desk, log: FullLog) -> None:
    desk.create(STREAMS[0], created())
    desk.tell(STREAMS[0], DONE)
    late = TaskProgressed(message="late")
    log.failures.append(full())
    failed = desk.tell(STREAMS[0], late)
    kept = desk.tell(STREAMS[0], late)

    token = id_text(STREAMS[0])
    assert FULL == failed
    assert refusal(Refused(token, status="succeeded", attempted="progress", position=4)) == kept
    assert [1, 2, 3, 4] == [event.position for event in history(log, STREAMS[0])]


def test_when_the_disk_has_no_room_for_a_turn_it_is_as_if_the_turn_had_not_been(tmp_path: Path) -> None:
    with (
        Environment.open(tmp_path, map_bytes=1 << 18, map_bytes_max=1 << 18),  # the first handle bounds the map
        DiskLog.open(tmp_path) as log,
    ):
        desk = Desk(log)
        desk.create(STREAMS[0], created(task="small"))
        large = [
            desk.send(desk.directory.newborn(stream), created(task="x" * 16_000, run_id=str(number)))
            for number, stream in enumerate(STREAMS)
            if number
        ]
        started = desk.send(STREAMS[0], START)
        desk.dispatcher.turn()
        after = [desk.tell(STREAMS[0], START), desk.tell(STREAMS[1], created(run_id="1", task="x" * 16_000))]

        assert {Full} == {outcome(future)[0] for future in (*large, started)}
        assert [(2, 2), (1, 3)] == [(record.version, record.position) for record in after]
        assert [id_text(STREAMS[0]), id_text(STREAMS[0]), id_text(STREAMS[1])] == [
            event.task_id for event in log.read() if isinstance(event, Event)
        ]
        assert [1, 2, 3] == [batch.last for batch in desk.told]
