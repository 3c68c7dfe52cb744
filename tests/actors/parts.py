"""Parts for the tests of actors: logs that are slow or full, turns by hand, and threads that begin together."""

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

from tallystick.actors.dispatcher import Dispatcher
from tallystick.actors.envelope import Envelope
from tallystick.actors.flow import FlowActor
from tallystick.actors.flows import Flows
from tallystick.actors.future import LightFuture
from tallystick.actors.journal import Committed, Journal
from tallystick.actors.stream import AwaitEnd
from tallystick.actors.task import TaskActor
from tallystick.actors.tasks import Tasks
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Full, TallystickError
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.evolve import fold
from tallystick.ledger.facts.tasks import TaskProgressed
from tallystick.ledger.limits import BATCH_EVENTS_MAX
from tallystick.ledger.payloads import Payloads
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import NO_CLAIMS, NO_NOTES, NO_PAYLOADS, EventLog
from tests.story import BEGIN_MS

PATIENCE_S = 20.0
"""How long a test waits for what must come. Only a failing test waits that long."""

STREAMS = tuple(bytes.fromhex("0198c2f07b7e7cc38a531f0a9d8e4b") + bytes([number]) for number in range(1, 17))

Outcome: TypeAlias = Any
"""What became of a command: the record, or the error's class and data."""

Addressed: TypeAlias = TaskActor | FlowActor | bytes
"""An actor, or the id of a task."""

T = TypeVar("T")


class HandClock:
    """A clock that moves when told. The one that ships belongs to the face, of which actors know nothing."""

    def __init__(self, at_ms: int = BEGIN_MS) -> None:
        self._at_ms = at_ms

    def __call__(self) -> int:
        return self._at_ms

    def advance(self, ms: int) -> None:
        """Move on, or back."""
        self._at_ms += ms


class FullLog(MemoryLog):
    """A log whose disk is full now and then: the next appends fail, one for each of `failures`."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: deque[BaseException] = deque()
        self.appended: list[int] = []
        """How many events each append had that did not fail."""

    def append(
        self,
        events: Sequence[Event],
        claims: Mapping[bytes, bytes] = NO_CLAIMS,
        notes: Mapping[bytes, bytes] = NO_NOTES,
        payloads: Mapping[int, Payloads] = NO_PAYLOADS,
    ) -> None:
        if self.failures:
            raise self.failures.popleft()
        super().append(events, claims, notes, payloads)
        self.appended.append(len(events))


class GatedLog(FullLog):
    """A log whose disk is slow: `append` reports how many events arrive and waits until the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.arrived: SimpleQueue[int] = SimpleQueue()

    def append(
        self,
        events: Sequence[Event],
        claims: Mapping[bytes, bytes] = NO_CLAIMS,
        notes: Mapping[bytes, bytes] = NO_NOTES,
        payloads: Mapping[int, Payloads] = NO_PAYLOADS,
    ) -> None:
        self.arrived.put(len(events))
        assert self.gate.wait(PATIENCE_S)
        super().append(events, claims, notes, payloads)


def full() -> Full:
    """Return what a store raises that has no space left."""
    return Full("the disk is full", bytes=4_096)


class HandDispatcher(Dispatcher):
    """A dispatcher whose turns come when the test says so, on the test's thread."""

    def turn(self) -> None:
        """Fire what is due and run one turn."""
        self._fire_timers()
        self._turn()

    def run(self) -> None:
        """Run turns until nobody is ready."""
        self.turn()
        while self.backlog():
            self.turn()


class Desk:
    """The actors of one ledger on the test's own thread: what a system puts together, without the threads."""

    def __init__(
        self,
        event_log: EventLog | None = None,
        *,
        clock: HandClock | None = None,
        live_max: int = 1_000,
        events_max: int = BATCH_EVENTS_MAX,
    ) -> None:
        self.log = FullLog() if event_log is None else event_log
        self.clock = clock or HandClock()
        self.told: list[Committed] = []
        self.journal = Journal(self.log, self.clock, self.told.append, events_max=events_max)
        self.dispatcher = HandDispatcher("hand", self.clock, end_turn=self._end_turn, is_full=self.journal.is_full)
        self.directory = Tasks(self.log, self.journal, self.dispatcher, live_max=live_max)
        self.flows = Flows(self.log, self.journal, self.dispatcher, live_max=live_max)
        self.directory.flows, self.flows.tasks = self.flows, self.directory

    def _end_turn(self) -> None:
        self.journal.end_turn()
        self.directory.end_turn()
        self.flows.end_turn()

    def send(self, to: Addressed, data: AnyFact | AwaitEnd, actor: str = "agent", **more: Any) -> LightFuture:
        """Put a command into a task's inbox; nothing happens before a turn."""
        return send(self.directory.actor(to) if isinstance(to, bytes) else to, data, actor, **more)

    def tell(self, to: Addressed, data: AnyFact | AwaitEnd, actor: str = "agent", **more: Any) -> Outcome:
        """Send a command, run turns until nobody is ready, and return the outcome."""
        future = self.send(to, data, actor, **more)
        self.dispatcher.run()
        return outcome(future)

    def create(self, stream: bytes, data: AnyFact) -> TaskActor:
        """Create a task, and return the actor that has its id."""
        actor = self.directory.newborn(stream)
        assert isinstance(self.tell(actor, data), TaskRecord)
        return actor


def send(actor: TaskActor | FlowActor, data: AnyFact | AwaitEnd, speaker: str = "agent", **more: Any) -> LightFuture:
    """Put a command into an actor's inbox."""
    future = LightFuture()
    message = data if isinstance(data, AwaitEnd) else Command(data, speaker, **more)
    actor.inbox.put(Envelope(message, future))
    return future


def outcome(future: LightFuture) -> Outcome:
    """Return the record that was answered, or the class and the data of the error."""
    try:
        return future.get(timeout=PATIENCE_S)
    except TallystickError as error:
        return type(error), error.data


def refusal(error: TallystickError) -> Outcome:
    """Return the outcome that this error is."""
    return type(error), error.data


def history(log: EventLog, stream: bytes) -> list[Event]:
    """Return the events of a task; none is damaged."""
    stored = log.stream(stream)
    events = [event for event in stored if isinstance(event, Event)]
    assert stored == events
    return events


def facts(log: EventLog, stream: bytes) -> list[AnyFact]:
    """Return what a task's events say."""
    return [event.data for event in history(log, stream)]


def folded(log: EventLog, stream: bytes) -> TaskRecord | None:
    """Return the record that the log tells of a task."""
    return fold(history(log, stream))


@contextmanager
def restlessly() -> Iterator[None]:
    """Have threads switched as often as can be, so that races come up."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def live(desk: Desk) -> list[bytes]:
    """Which tasks have an actor in memory."""
    return [stream for stream in STREAMS if stream in desk.directory._actors]  # noqa: SLF001 - a look makes one


def message(step: int) -> TaskProgressed:
    """Return a progress that is known by its step."""
    return TaskProgressed(message=str(step), step=step)


def steps(log: FullLog, stream: bytes, speaker: str | None = None) -> list[int]:
    """The steps that a task's progress has, in the log's order; of one speaker, or of all."""
    return [
        event.data.step
        for event in history(log, stream)
        if isinstance(event.data, TaskProgressed) and event.data.step is not None and speaker in (None, event.actor)
    ]


def at_once(*works: Callable[[], T]) -> list[T]:
    """Run each on a thread of its own, all from one start, and return what they return. Raises what one raises."""
    start = threading.Barrier(len(works))
    done: list[tuple[int, T]] = []
    failures: list[BaseException] = []

    def run(place: int, work: Callable[[], T]) -> None:
        try:
            start.wait(PATIENCE_S)
            done.append((place, work()))
        except BaseException as error:  # noqa: BLE001 - raised again below, on the test's thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads), "a thread waits for ever"
    if failures:
        raise failures[0]
    return [result for _place, result in sorted(done, key=lambda pair: pair[0])]


class Job:
    """An actor with one thing to do; notes when it is abandoned instead."""

    def __init__(self, work: Callable[[], object] = lambda: None) -> None:
        self._work = work
        self.abandoned = 0

    def drain(self) -> None:
        self._work()

    def abandon(self) -> None:
        self.abandoned += 1


def fail(error: BaseException) -> None:
    raise error


def reached(event: threading.Event) -> bool:
    return event.wait(PATIENCE_S)
