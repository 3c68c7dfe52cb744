"""The porter: what other processes send is decided as if it were sent here, once, and answered, whoever dies when."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.actors.future import LightFuture
from tallystick.actors.porter import NOTE, Porter
from tallystick.actors.system import System
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Corrupt, Full, NotFound, Refused, StoreError, TallystickError
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.facts.tasks import TaskProgressed, TaskStarted, TaskSucceeded
from tallystick.ledger.ids import id_text
from tallystick.ledger.payloads import Payloads
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.answers import Answer
from tallystick.ledger.store.inbox import CommandInbox
from tallystick.ledger.store.port import NO_CLAIMS, NO_NOTES, NO_PAYLOADS, Stored
from tests.actors.parts import PATIENCE_S, STREAMS, FullLog, HandClock, facts, full
from tests.story import created

ONE, TWO = STREAMS[0], STREAMS[1]
ME = b"m" * 16
START, DONE = TaskStarted(), TaskSucceeded(summary="done")


class Died(BaseException):
    """Stands for the end of the process."""


class Mortal(CommandInbox):
    """The inbox of an owner that dies when it is about to answer."""

    dies = False
    has_room = True

    def answer(self, given: Mapping[int, tuple[bytes, Answer]]) -> None:
        if self.dies:
            raise Died
        if not self.has_room:
            raise full()
        super().answer(given)


class Office:
    """A log, an inbox, and one owner after the other."""

    def __init__(self, folder: Path, log: FullLog | None = None) -> None:
        self.log = log or FullLog()
        self.inbox = Mortal.open_as_owner(folder)
        self._heard: list[int] = []
        self.begin()

    def begin(self) -> None:
        self.system = System(self.log, [], HandClock())
        self.system.start()
        self.porter = Porter(self.system, self.inbox)
        self.inbox.dies = False

    def die(self) -> None:
        """Decide what waits and die before it is answered."""
        self.inbox.dies = True
        with pytest.raises(Died):
            self.porter.carry()
        assert self.system.close(PATIENCE_S)

    def send(self, *commands: tuple[bytes, AnyFact]) -> list[int]:
        return self.inbox.send(ME, [(stream, Command(fact, "me", 5)) for stream, fact in commands], heard=())

    def hear(self, places: list[int]) -> list[object]:
        """The answers, records as version and status, errors as class and message."""
        answers = self.inbox.answered(places)
        return [shown(answers.get(place)) for place in places]

    def tell(self, *commands: tuple[bytes, AnyFact]) -> list[object]:
        places = self.send(*commands)
        while self.porter.carry():
            pass
        return self.hear(places)

    def close(self) -> None:
        self.system.close(PATIENCE_S)
        self.inbox.close()


def shown(answer: Answer | None) -> object:
    if isinstance(answer, TaskRecord):
        return answer.task_id, answer.version, answer.status.value
    return None if answer is None else (type(answer), str(answer))


def record(stream: bytes, version: int, status: str) -> object:
    return id_text(stream), version, status


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    opened = Office(tmp_path)
    yield opened
    opened.close()


def test_commands_are_decided_in_their_order_and_answered_as_in_process(office: Office) -> None:
    assert [record(ONE, 1, "queued"), record(ONE, 2, "running"), record(ONE, 3, "succeeded")] == office.tell(
        (ONE, created()), (ONE, START), (ONE, DONE)
    )
    late = Refused(id_text(ONE), status="succeeded", attempted="start", position=4)
    missing = NotFound(id_text(TWO))

    assert [(Refused, str(late)), (NotFound, str(missing))] == office.tell((ONE, START), (TWO, START))
    assert (0, 5) == office.inbox.counts()


def test_a_slice_is_one_turn_and_what_it_wrote_is_noted_with_it(office: Office) -> None:
    office.tell((ONE, created()), (ONE, START), (TWO, START))
    [appended] = office.log.appended

    assert 2 == appended
    assert office.log.note(NOTE) is not None


def test_what_writes_nothing_is_answered_without_a_note(office: Office) -> None:
    office.tell((TWO, START))

    assert office.log.note(NOTE) is None


def test_a_command_that_was_decided_before_its_owner_died_is_answered_by_the_next(office: Office) -> None:
    places = office.send((ONE, created()), (ONE, START), (ONE, DONE), (ONE, START), (TWO, START))
    office.die()
    assert (5, 0) == office.inbox.counts()

    office.begin()
    while office.porter.carry():
        pass

    late = Refused(id_text(ONE), status="succeeded", attempted="start", position=4)
    assert [
        record(ONE, 1, "queued"),
        record(ONE, 2, "running"),
        record(ONE, 3, "succeeded"),
        (Refused, str(late)),
        (NotFound, str(NotFound(id_text(TWO)))),
    ] == office.hear(places)
    assert 4 == office.log.head()
    assert (0, 5) == office.inbox.counts()


def test_an_owner_that_dies_before_it_decides_leaves_everything_to_the_next(office: Office) -> None:
    places = office.send((ONE, created()), (ONE, START))
    assert office.system.close(PATIENCE_S)
    assert set() == office.porter.carry()  # nobody decides any more
    assert (2, 0) == office.inbox.counts()

    office.begin()
    office.porter.carry()

    assert [record(ONE, 1, "queued"), record(ONE, 2, "running")] == office.hear(places)


def test_a_creation_that_comes_again_gives_the_task_that_there_is(office: Office) -> None:
    again = created(run_id="run-1")

    assert [record(ONE, 1, "queued")] == office.tell((ONE, again))
    assert [record(ONE, 1, "queued"), record(ONE, 2, "running"), record(ONE, 3, "succeeded")] == office.tell(
        (TWO, again), (TWO, START), (TWO, DONE)
    )
    assert [] == facts(office.log, TWO)


def test_the_answer_of_a_creation_that_came_again_survives_its_owner(office: Office) -> None:
    places = office.send((ONE, created(run_id="run-1")), (TWO, created(run_id="run-1", kind="late")))
    office.die()
    office.begin()
    office.porter.carry()

    assert [record(ONE, 1, "queued"), record(ONE, 2, "queued")] == office.hear(places)


def test_when_the_disk_is_full_all_of_a_slice_hear_it_and_may_send_again(office: Office) -> None:
    office.log.failures.append(full())

    assert [(Full, str(full()))] * 2 == office.tell((ONE, created()), (ONE, START))
    assert [record(ONE, 1, "queued")] == office.tell((ONE, created()))


def test_what_could_not_be_answered_is_not_decided_again(office: Office) -> None:
    places = office.send((ONE, created()), (ONE, START), (TWO, START))
    office.inbox.has_room = False
    with pytest.raises(Full):
        office.porter.carry()
    assert (3, 0) == office.inbox.counts()

    office.inbox.has_room = True
    while office.porter.carry():
        pass

    missing = (NotFound, str(NotFound(id_text(TWO))))
    assert [record(ONE, 1, "queued"), record(ONE, 2, "running"), missing] == office.hear(places)
    assert 2 == office.log.head()


def test_an_append_that_failed_after_it_had_written_is_answered_as_what_was_written(tmp_path: Path) -> None:
    class Ambiguous(FullLog):
        def append(
            self,
            events: Sequence[Event],
            claims: Mapping[bytes, bytes] = NO_CLAIMS,
            notes: Mapping[bytes, bytes] = NO_NOTES,
            payloads: Mapping[int, Payloads] = NO_PAYLOADS,
        ) -> None:
            super().append(events, claims, notes, payloads)
            if self.head() == 1:
                raise StoreError("the disk says no after it has written")

    office = Office(tmp_path, Ambiguous())

    assert [record(ONE, 1, "queued")] == office.tell((ONE, created()))
    assert [record(ONE, 2, "running")] == office.tell((ONE, START))
    office.close()


def test_a_task_whose_history_is_damaged_harms_no_other(tmp_path: Path) -> None:
    class Torn(FullLog):
        def stream(self, stream: bytes, after_version: int = 0) -> list[Stored]:
            if stream == ONE:
                raise Corrupt("torn", position=7)
            return super().stream(stream, after_version)

    office = Office(tmp_path, Torn())

    assert [(Corrupt, str(Corrupt("torn", position=7))), record(TWO, 1, "queued")] == office.tell(
        (ONE, START), (TWO, created())
    )
    office.close()


def test_callers_here_and_elsewhere_do_not_hinder_each_other(office: Office) -> None:
    futures = []
    for number in range(200):
        future = LightFuture()
        office.system.send(office.system.actor(ONE), Command(created() if not number else START, "here"), future)
        futures.append(future)
        office.send((TWO, created() if not number else TaskProgressed(step=number)))
    while office.porter.carry():
        pass

    assert 2 == futures[-1].get(timeout=PATIENCE_S).version
    assert [START] == facts(office.log, ONE)[1:]
    assert (0, 200) == office.inbox.counts()


def test_a_command_that_this_version_cannot_read_is_answered_as_such(office: Office) -> None:
    places = office.send((ONE, created()), (b"short", START), (ONE, START))
    office.porter.carry()

    told = "The ledger's owner cannot read this command: it is of another version."
    assert [record(ONE, 1, "queued"), (StoreError, told), record(ONE, 2, "running")] == office.hear(places)


def test_a_note_of_another_inbox_or_of_another_version_means_nothing(office: Office) -> None:
    places = office.send((ONE, created()))
    office.log.append([], {}, {NOTE: b"nonsense"})
    office.porter.carry()
    assert [record(ONE, 1, "queued")] == office.hear(places)

    places = office.send((TWO, created()))
    office.die()
    office.inbox.id = b"another"
    office.begin()
    office.porter.carry()
    assert [record(TWO, 1, "queued")] == office.hear(places)


kinds = st.sampled_from(["create", "same run", "start", "progress", "succeed", "wrong version"])
steps = st.lists(
    st.one_of(st.tuples(kinds, st.integers(0, 3)), st.sampled_from(["carry", "die", "full"])), min_size=1, max_size=40
)


def command(kind: str, number: int) -> Command:
    fact: dict[str, AnyFact] = {
        "create": created(),
        "same run": created(run_id="run-1"),
        "start": START,
        "progress": TaskProgressed(message=str(number)),
        "succeed": DONE,
        "wrong version": DONE,
    }
    return Command(fact[kind], "me", 5, 77 if kind == "wrong version" else None, force=True)


@settings(max_examples=60, deadline=None)
@given(steps=steps)
def test_whatever_owners_do_whatever_is_answered_is_in_the_log_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[object]
) -> None:
    """Each answered record is the log's at its version, and every event that somebody asked for was answered."""
    office = Office(tmp_path_factory.mktemp("office"))
    sent: list[int] = []
    for step in steps:
        if isinstance(step, tuple):
            sent += office.inbox.send(ME, [(STREAMS[step[1]], command(*step))], heard=())
        elif step == "carry":
            office.porter.carry()
        elif step == "full":
            office.log.failures.append(full())
        elif office.inbox.counts()[0]:
            office.die()
            office.begin()
    office.log.failures.clear()
    while office.porter.carry():
        pass
    answers = office.inbox.answered(sent)
    records = [answer for answer in answers.values() if isinstance(answer, TaskRecord)]
    refused = [answer for answer in answers.values() if isinstance(answer, Refused)]
    events = [event for event in office.log.read() if isinstance(event, Event)]
    history = {(event.stream, event.version): event.position for event in events}
    said = [event for event in events if event.type in {"task-progressed.1", "task-succeeded.1"}]

    assert sent == sorted(answers)
    assert all(isinstance(answer, TaskRecord | TallystickError) for answer in answers.values())
    assert all(history[answer.stream, answer.version] == answer.position for answer in records)
    assert len(said) <= len(records)
    assert {event.position for event in said} <= {answer.position for answer in records}
    assert {event.position for event in events if event.type == "task-late-signal.1"} == {
        answer.position for answer in refused if answer.position is not None
    }
    office.close()
