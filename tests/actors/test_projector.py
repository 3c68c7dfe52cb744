"""The projector keeps a read model up with the log, in few writes, and parks it when it fails."""

import threading
from pathlib import Path

import pytest

from tallystick.actors.envelope import Envelope
from tallystick.actors.future import LightFuture
from tallystick.actors.journal import Committed
from tallystick.actors.projector import ProjectorActor, Standing, reach
from tallystick.actors.system import System
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.tasks import TaskProgressed, TaskStarted, TaskSucceeded
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import EventLog
from tallystick.projections.change import Change, Changes, changes_of
from tallystick.projections.follower import Follower
from tallystick.projections.views import Views
from tests.actors.parts import PATIENCE_S, STREAMS, Desk, FullLog, HandClock, HandDispatcher, folded, outcome, send
from tests.story import created

ONE, TWO, THREE = STREAMS[:3]
START, DONE = TaskStarted(), TaskSucceeded(summary="done")


class Shelf:
    """A read model: the records as they are, in memory. Remembers how it got them, and fails when it is told to."""

    def __init__(self, name: str = "shelf") -> None:
        self.name = name
        self.records: dict[bytes, TaskRecord] = {}
        self.way: list[tuple[str, int, int]] = []
        self.failure: BaseException | None = None
        self._position = 0

    def position(self) -> int:
        return self._position

    def apply(self, changes: Changes, *, first: int, last: int) -> None:
        self._check()
        assert first == self._position + 1, f"a gap before {first}"
        for stream, change in changes.tasks.items():
            assert self.records.get(stream) == change.before
            self.records[stream] = change.after
        self._position = last
        self.way.append(("applied", first, last))

    def catch_up(self, event_log: EventLog, until: int) -> None:
        self._check()
        changes = changes_of(event_log.read(self._position, until), self.records.get).changes
        self.records.update({stream: change.after for stream, change in changes.tasks.items()})
        self.way.append(("caught up", self._position + 1, until))
        self._position = until

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure


class Reading:
    """A projector on the test's own thread, and a desk whose commits it may hear of."""

    def __init__(self, *, told: bool = True) -> None:
        self.desk = Desk()
        self.shelf = Shelf()
        if told:
            self.begin()

    def begin(self) -> None:
        """Begin to follow."""
        self.dispatcher = HandDispatcher("views", HandClock())
        self.projector = ProjectorActor(self.dispatcher, self.shelf, self.desk.log)

    def write(self, stream: bytes, *data: AnyFact) -> None:
        """Commit facts, each in a turn of its own."""
        for fact in data:
            assert isinstance(self.desk.tell(stream, fact), TaskRecord)

    def hear(self) -> None:
        """Tell the projector of all that was committed; it has no turn yet."""
        for batch in self.desk.told:
            self.projector.inbox.put(Envelope(batch))
        self.desk.told.clear()

    def miss(self) -> None:
        """Let what was committed pass unheard."""
        self.desk.told.clear()

    def turn(self) -> list[tuple[str, int, int]]:
        """Give the projector its turns, and return how the model moved."""
        self.dispatcher.run()
        moved = list(self.shelf.way)
        self.shelf.way.clear()
        return moved

    def reach(self, position: int) -> int:
        """Ask for a position, and return the one that was reached."""
        future = reach(self.projector, position)
        self.dispatcher.run()
        reached: int = future.get(timeout=0)
        return reached

    def is_exact(self) -> bool:
        """Whether the model has what the log tells."""
        return self.shelf.records == {stream: folded(self.desk.log, stream) for stream in self.shelf.records} and (
            self.shelf.position() == self.desk.log.head()
        )


@pytest.fixture
def reading() -> Reading:
    return Reading()


def test_each_batch_that_comes_is_written(reading: Reading) -> None:
    ways = []
    for stream in (ONE, TWO):
        reading.write(stream, created())
        reading.hear()
        ways.append(reading.turn())

    assert [[("applied", 1, 1)], [("applied", 2, 2)]] == ways
    assert reading.is_exact()


def test_batches_that_come_meanwhile_are_written_as_one(reading: Reading) -> None:
    reading.write(ONE, created(), START)
    reading.write(TWO, created())
    reading.write(ONE, DONE)
    reading.hear()

    assert [("applied", 1, 4)] == reading.turn()
    assert reading.is_exact()


def test_what_follows_knows_where_it_is(reading: Reading) -> None:
    reading.write(ONE, created(), START)
    behind = reading.projector.standing(reading.desk.log.head())
    reading.hear()
    reading.turn()
    level = reading.projector.standing(reading.desk.log.head())

    assert [Standing("shelf", 0, 2), Standing("shelf", 2, 0)] == [behind, level]
    assert "urn:tallystick:projector:shelf" == reading.projector.actor_urn


def test_what_begins_behind_reads_the_log_when_it_hears_of_the_next_batch() -> None:
    reading = Reading(told=False)
    reading.write(ONE, created(), START)
    reading.miss()
    reading.begin()
    reading.write(TWO, created())
    reading.hear()

    assert [("caught up", 1, 3)] == reading.turn()
    assert reading.is_exact()


def test_after_a_gap_it_reads_the_log_and_then_follows_again(reading: Reading) -> None:
    reading.write(ONE, created())
    reading.hear()
    reading.turn()
    reading.write(ONE, START)
    reading.miss()
    reading.write(TWO, created())
    reading.hear()
    after_the_gap = reading.turn()
    reading.write(TWO, START)
    reading.hear()

    assert [[("caught up", 2, 3)], [("applied", 4, 4)]] == [after_the_gap, reading.turn()]
    assert reading.is_exact()


def test_a_gap_behind_batches_that_wait_drops_them_for_the_log_has_them(reading: Reading) -> None:
    reading.write(ONE, created())
    reading.hear()
    reading.write(ONE, START)
    reading.miss()
    reading.write(TWO, created())
    reading.hear()
    reading.write(TWO, START)
    reading.hear()

    assert [("caught up", 1, 4)] == reading.turn()
    assert reading.is_exact()


def test_batches_that_were_read_from_the_log_already_are_not_read_again(reading: Reading) -> None:
    reading.write(ONE, created(), START)
    reading.write(TWO, created())
    caught_up = reading.reach(3)
    reading.hear()
    reading.write(TWO, START)
    reading.hear()
    way = reading.turn()

    assert 3 == caught_up
    assert [("caught up", 1, 3), ("applied", 4, 4)] == way
    assert reading.is_exact()


def test_when_too_much_waits_it_is_dropped_and_read_from_the_log(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystick.actors.projector.PENDING_TASKS_MAX", 2)
    ways = []
    for streams in (STREAMS[:3], STREAMS[3:8], STREAMS[8:10]):
        for stream in streams:
            reading.write(stream, created())
        reading.hear()
        ways += reading.turn()

    assert [("applied", 1, 3), ("caught up", 4, 8), ("applied", 9, 10)] == ways
    assert reading.is_exact()


def test_reaching_a_position_writes_what_waits_and_says_how_far_it_came(reading: Reading) -> None:
    reading.write(ONE, created(), START)
    reading.hear()
    first = reading.reach(1)
    way = reading.turn()

    assert [2, 2, 2] == [first, reading.reach(0), reading.reach(99)]
    assert [("applied", 1, 2)] == way


def test_reaching_what_nobody_told_of_reads_the_log(reading: Reading) -> None:
    reading.write(ONE, created(), START)
    reading.miss()

    assert 2 == reading.reach(2)
    assert [("caught up", 1, 2)] == reading.turn()
    assert reading.is_exact()


@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit("boom")])
def test_a_model_that_fails_to_write_is_parked_and_left_alone(reading: Reading, error: BaseException) -> None:
    reading.write(ONE, created())
    reading.hear()
    reading.turn()
    reading.shelf.failure = error
    reading.write(ONE, START)
    reading.hear()
    reading.turn()
    reading.shelf.failure = None
    reading.write(TWO, created())
    reading.hear()
    way = reading.turn()

    why = f"{type(error).__name__}: boom"
    assert [] == way
    assert Standing("shelf", 1, 2, why) == reading.projector.standing(3)
    assert 1 == reading.reach(3)
    assert [] == reading.turn()


@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit("boom")])
def test_a_model_that_fails_to_catch_up_is_parked_too(reading: Reading, error: BaseException) -> None:
    reading.shelf.failure = error
    reading.write(ONE, created())
    reading.miss()
    reached = [reading.reach(1)]
    reading.shelf.failure = None
    reached.append(reading.reach(1))

    assert [0, 0] == reached
    assert Standing("shelf", 0, 1, f"{type(error).__name__}: boom") == reading.projector.standing(1)


def test_a_model_that_was_parked_at_a_gap_stays_parked(reading: Reading) -> None:
    reading.write(ONE, created())
    reading.miss()
    reading.write(ONE, START)
    reading.hear()
    reading.shelf.failure = RuntimeError("boom")
    reading.turn()
    reading.shelf.failure = None
    reading.projector.inbox.wake()

    assert [] == reading.turn()
    assert Standing("shelf", 0, 2, "RuntimeError: boom") == reading.projector.standing(2)


def test_a_parked_model_keeps_nothing_in_memory_of_what_it_missed(reading: Reading) -> None:
    reading.shelf.failure = RuntimeError("boom")
    for stream in STREAMS[:5]:
        reading.write(stream, created())
        reading.hear()
        reading.turn()

    assert Changes() == reading.projector._pending  # noqa: SLF001 - what else could tell


def test_other_messages_are_pykkas(reading: Reading, caplog: pytest.LogCaptureFixture) -> None:
    asked = reading.projector.actor_ref.ask("how are you?", block=False)
    name = reading.projector.actor_ref.proxy().parked
    reading.dispatcher.run()

    assert [None, None] == [asked.get(timeout=0), name.get(timeout=0)]
    assert ["WARNING"] == [record.levelname for record in caplog.records]


def test_a_system_lets_its_models_catch_up_when_it_starts() -> None:
    reading = Reading(told=False)
    reading.write(ONE, created(), START)
    system = System(reading.desk.log, [reading.shelf], HandClock())
    system.start()
    assert system.close(PATIENCE_S)

    assert [("caught up", 1, 2)] == reading.shelf.way


def test_who_waits_for_the_models_does_not_wait_for_their_lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.actors.system.VIEWS_LINGER_S", 1_000.0)
    shelf = Shelf()
    system = System(MemoryLog(), [shelf], HandClock())
    system.start()
    for position, stream in enumerate(STREAMS[:5], 1):
        send(system.newborn(stream), created()).get(timeout=PATIENCE_S)
        system.reach(position, PATIENCE_S)
    reached = shelf.position()
    assert system.close(PATIENCE_S)

    assert 5 == reached


def test_facts_and_other_models_go_on_when_one_is_parked() -> None:
    log, shelves = MemoryLog(), [Shelf("broken"), Shelf("whole")]
    system = System(log, shelves, HandClock())
    shelves[0].failure = RuntimeError("boom")
    system.start()
    for stream in STREAMS[:5]:
        send(system.newborn(stream), created()).get(timeout=PATIENCE_S)
    system.reach(5, PATIENCE_S)
    standings = system.standings()
    assert system.close(PATIENCE_S)

    assert [Standing("broken", 0, 5, "RuntimeError: boom"), Standing("whole", 5, 0)] == standings
    assert {stream: folded(log, stream) for stream in STREAMS[:5]} == shelves[1].records


def test_a_model_that_is_slower_than_the_facts_is_level_when_the_system_is_closed() -> None:
    class Slow(Shelf):
        gate = threading.Event()

        def apply(self, changes: Changes, *, first: int, last: int) -> None:
            assert self.gate.wait(PATIENCE_S)
            super().apply(changes, first=first, last=last)

    log, shelf = FullLog(), Slow()
    system = System(log, [shelf], HandClock())
    system.start()
    futures: list[LightFuture] = []
    for stream in STREAMS:
        actor = system.newborn(stream)
        futures += [send(actor, data) for data in (created(), TaskProgressed(message="on"), DONE)]
    assert {True} == {isinstance(outcome(future), TaskRecord) for future in futures}
    shelf.gate.set()
    assert system.close(PATIENCE_S)

    assert {stream: folded(log, stream) for stream in STREAMS} == shelf.records
    assert log.head() == shelf.position()
    assert len(log.appended) >= len(shelf.way)


def test_the_read_models_on_disk_follow(tmp_path: Path) -> None:
    log = MemoryLog()
    with Views.open(tmp_path, log) as views:
        system = System(log, [Follower(views)], HandClock())
        system.start()
        for stream in STREAMS[:3]:
            send(system.newborn(stream), created()).get(timeout=PATIENCE_S)
        system.reach(3, PATIENCE_S)
        before = set(views.positions().values())
        send(system.actor(ONE), DONE).get(timeout=PATIENCE_S)
        assert system.close(PATIENCE_S)

        assert [{3}, {5}, {}] == [before, set(views.positions().values()), views.parked]


def test_a_batch_says_what_became_of_each_task() -> None:
    reading = Reading()
    reading.desk.send(ONE, created())
    reading.desk.send(ONE, START)
    reading.desk.dispatcher.turn()
    [batch] = reading.desk.told

    record = folded(reading.desk.log, ONE)
    assert record is not None
    assert Committed(1, 2, Changes({ONE: Change(None, record)})) == batch
