"""The caretaker when something goes wrong: a full disk, an inbox that takes no more, a closer that hangs, the end."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.actors.caretaking.orders import Care
from tallystick.actors.caretaking.waits import Waits
from tallystick.actors.courier.pacing import Pacing
from tallystick.actors.envelope import Envelope
from tallystick.actors.future import LightFuture
from tallystick.actors.system import System
from tallystick.ledger import ids
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Closed
from tallystick.ledger.facts.deliveries import DeliveryQueued, DeliveryReleased
from tallystick.ledger.facts.resources import TaskCleanedUp, TaskCleanupBegun, TaskResourceOpened
from tallystick.ledger.facts.tasks import TaskCreated, TaskStarted, TaskSucceeded
from tallystick.ledger.limits import INBOX_DEPTH_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.projections.reader import Reader
from tests.actors.parts import PATIENCE_S, FullLog, HandClock, full, history
from tests.story import created

OWN = "agent:main:cron:nightly"


class Cared:
    """A system with a caretaker, whose closer does as it is told."""

    def __init__(self, *, limit_ms: int = 60_000) -> None:
        self.log, self.clock = FullLog(), HandClock()
        self.system = System(self.log, [], self.clock)
        reader = Reader(self.log, None)
        self.system.deliver(reader, pacing=Pacing(), by_hand=True)
        self.close: Callable[[Any], Any] = self.closed_by
        self.closed: list[str] = []
        self.system.care(
            reader,
            closers={"tab": self.closes},
            first_ms=5_000,
            limit_ms=limit_ms,
            by_hand=True,
        )
        self.system.start()

    def closes(self, resource: Any) -> Any:
        return self.close(resource)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the caretaker stand still until the block is over."""
        entered, gate = threading.Event(), threading.Event()

        def stand() -> None:
            entered.set()
            assert gate.wait(PATIENCE_S)

        self.system.post.call_soon(stand)
        assert entered.wait(PATIENCE_S)
        try:
            yield
        finally:
            gate.set()

    def closed_by(self, resource: Any) -> None:
        self.closed.append(resource.name)

    def tell(self, stream: bytes, *facts: Any) -> TaskRecord:
        for data in facts:
            future = LightFuture()
            actor = self.system.newborn(stream) if isinstance(data, TaskCreated) else self.system.actor(stream)
            self.system.send(actor, Command(data, "agent"), future)
            record = future.get(timeout=PATIENCE_S)
        assert isinstance(record, TaskRecord)
        return record

    def run(self) -> bytes:
        stream = ids.new_id()
        self.tell(stream, created(runtime="cron", child_session=OWN, notify="done_only"), TaskStarted())
        return stream

    def cared(self, *, leftovers: bool = True) -> None:
        assert self.system.ask_caretaker(Care(leftovers=leftovers), PATIENCE_S)

    def facts(self, stream: bytes, kind: type[Any]) -> list[Any]:
        return [event.data for event in history(self.log, stream) if isinstance(event.data, kind)]


@pytest.fixture
def care() -> Iterator[Cared]:
    made = Cared()
    yield made
    made.system.close()


def test_what_could_not_be_released_on_a_full_disk_is_released_when_there_is_space(care: Cared) -> None:
    stream, child = care.run(), ids.new_id()
    care.tell(child, created(owner=OWN), TaskStarted())
    care.tell(stream, TaskSucceeded(summary="on it"))
    care.cared()
    with care.held():
        care.tell(child, TaskSucceeded(summary="42"))
        care.log.failures.append(full())
    care.cared()
    care.cared()

    assert [] == [*care.log.failures]
    assert ["42"] == [release.output for release in care.facts(stream, DeliveryReleased)]
    assert 1 == len(care.facts(stream, DeliveryQueued))


def test_a_cleanup_that_was_not_written_is_written_later_and_nothing_is_closed_twice(
    care: Cared,
) -> None:
    entered, may_end = threading.Event(), threading.Event()

    def close(resource: Any) -> None:
        care.closed.append(resource.name)
        entered.set()
        assert may_end.wait(PATIENCE_S)

    care.close = close
    stream = care.run()
    care.tell(stream, TaskResourceOpened(kind="tab", name="one"), TaskSucceeded(summary="a quiet day"))
    assert entered.wait(PATIENCE_S)
    care.log.failures.append(full())
    may_end.set()
    care.cared()
    care.cared()

    assert ["one"] == care.closed
    assert [("tab one",)] == [outcome.closed for outcome in care.facts(stream, TaskCleanedUp)]


def test_when_a_commit_did_not_fit_its_inbox_it_looks_into_the_index(care: Cared) -> None:
    caretaker = care.system.caretaker
    assert caretaker is not None
    stream, child = care.run(), ids.new_id()
    care.tell(child, created(owner=OWN), TaskStarted())
    care.tell(stream, TaskSucceeded(summary="on it"))
    care.cared()
    with care.held():
        caretaker.inbox.put_behind([Envelope(None)] * INBOX_DEPTH_MAX)
        care.tell(child, TaskSucceeded(summary="42"))
        assert caretaker.is_blind
    care.cared()

    assert ["42"] == [release.output for release in care.facts(stream, DeliveryReleased)]


def test_a_closer_that_hangs_is_given_up_and_recorded() -> None:
    care, gate = Cared(limit_ms=50), threading.Event()
    care.close = lambda _resource: gate.wait(PATIENCE_S)
    try:
        stream = care.run()
        care.tell(stream, TaskResourceOpened(kind="tab", name="one"), TaskSucceeded())
        care.cared()

        [outcome] = care.facts(stream, TaskCleanedUp)
        assert {"tab one": "Unanswered: no answer within 0.05 s"} == outcome.failed
    finally:
        gate.set()
        care.system.close()


def test_at_the_end_what_is_being_closed_is_waited_for_and_nothing_else_is_begun(care: Cared) -> None:
    entered = threading.Event()
    stream = care.run()

    def close(resource: Any) -> None:
        entered.set()
        care.closed_by(resource)

    care.close = close
    care.tell(stream, TaskResourceOpened(kind="tab", name="one"), TaskSucceeded())
    assert entered.wait(PATIENCE_S)
    care.system.close()

    assert 1 == len(care.facts(stream, TaskCleanupBegun)) == len(care.facts(stream, TaskCleanedUp))
    with pytest.raises(Closed):
        care.system.ask_caretaker(Care(), PATIENCE_S)


@given(st.lists(st.tuples(st.sampled_from(["begin", "end", "over"]), st.integers(0, 2), st.sets(st.integers(0, 3)))))
def test_a_run_is_ready_when_the_last_task_that_it_waits_for_is_over(steps: list[tuple[str, int, set[int]]]) -> None:
    waits, model = Waits(), dict[bytes, set[bytes]]()
    for what, number, numbers in steps:
        run, tasks = bytes([number]), {bytes([10 + each]) for each in numbers}
        if what == "begin" and tasks:
            waits.begin(run, tasks)
            model[run] = set(tasks)
        elif what == "end":
            waits.end(run)
            model.pop(run, None)
        else:
            for task in tasks:
                ready = {each for each, awaited in model.items() if awaited == {task}}
                assert ready == set(waits.over(task))
                model = {each: awaited - {task} for each, awaited in model.items() if each not in ready}
        assert {run for run in map(bytes, ([0], [1], [2])) if waits.is_waiting(run)} == set(model)
        for task in (bytes([10 + each]) for each in range(4)):
            assert waits.is_awaited(task) == any(task in awaited for awaited in model.values())
