"""Whatever happens in which order, a session never has two active generations of one prompt."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Struct

from tallystick.ledger.events import Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.tasks import (
    TaskCancelled,
    TaskCreated,
    TaskFailed,
    TaskLost,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.ids import new_id
from tallystick.ledger.lifecycle import BLOCKED, Status
from tallystick.ledger.limits import MEDIA_GUARD_MS
from tallystick.ledger.record import TaskRecord
from tests.actors.parts import Desk, FullLog, HandClock, full, outcome
from tests.story import created

SESSIONS = ("agent:main:a", "agent:main:b")
PROMPTS = ("A red fox", "A blue fox")
KINDS = ("image_generation", "video_generation")
KEYS = ("call-7", "call-8")
ENDS = (
    TaskSucceeded(summary="1 picture"),
    TaskSucceeded(outcome=BLOCKED),
    TaskFailed(error="no credits"),
    TaskTimedOut(),
    TaskCancelled(),
    TaskLost(rule="proved dead", evidence={}),
)
WAYS = (st.just(1), st.just(MEDIA_GUARD_MS - 1), st.just(MEDIA_GUARD_MS), st.integers(1, 2 * MEDIA_GUARD_MS))


class Generation(Struct):
    """What a test knows of a generation."""

    stream: bytes
    asked: TaskCreated
    is_active: bool = True
    succeeded_at: int | None = None

    def is_same(self, asked: TaskCreated) -> bool:
        mine = self.asked
        return (mine.owner, mine.kind, mine.task) == (asked.owner, asked.kind, asked.task.strip())


calls = st.builds(
    created,
    runtime=st.just("cli"),
    owner=st.sampled_from(SESSIONS),
    kind=st.sampled_from(KINDS),
    task=st.sampled_from(PROMPTS),
    request_key=st.none() | st.sampled_from(KEYS),
)


class Guarded(RuleBasedStateMachine):
    """Sessions that start generations, and a model that keeps a list of all of them."""

    @initialize(live_max=st.sampled_from([1, 1_000]), events_max=st.sampled_from([1, 2_048]))
    def open(self, live_max: int, events_max: int) -> None:
        self.log, self.clock = FullLog(), HandClock()
        self.options: dict[str, Any] = {"live_max": live_max, "events_max": events_max}
        self.generations: list[Generation] = []
        self.reopen()

    @rule()
    def reopen(self) -> None:
        """As after a restart, or a kill: what is left is the log."""
        self.desk = Desk(self.log, clock=self.clock, **self.options)

    def given_back(self, asked: TaskCreated) -> list[bytes]:
        """What the specification gives back to a call; nothing if a new one starts."""
        same = [generation for generation in self.generations if generation.is_same(asked)]
        active = [generation.stream for generation in same if generation.is_active]
        return active or [
            each.stream
            for each in same
            if asked.request_key is not None
            and asked.request_key == each.asked.request_key
            and each.succeeded_at is not None
            and self.clock() - each.succeeded_at <= MEDIA_GUARD_MS
        ]

    def hear(self, stream: bytes, asked: TaskCreated, record: TaskRecord) -> None:
        expected = self.given_back(asked) or [stream]
        assert record.stream in expected
        if record.stream == stream:
            self.generations.append(Generation(stream, asked))

    @rule(several=st.lists(calls, min_size=1, max_size=4))
    def call(self, several: list[TaskCreated]) -> None:
        """Some calls at the same time."""
        streams = [new_id() for _ in several]
        futures = [
            self.desk.send(self.desk.directory.newborn(stream), asked)
            for stream, asked in zip(streams, several, strict=True)
        ]
        self.desk.dispatcher.run()
        for stream, asked, future in zip(streams, several, futures, strict=True):
            self.hear(stream, asked, outcome(future))

    @rule(asked=calls)
    def call_in_vain(self, asked: TaskCreated) -> None:
        """The disk is full: nothing starts; what is given back needs no disk."""
        stream, expected = new_id(), self.given_back(asked)
        self.log.failures.append(full())
        told = self.desk.tell(self.desk.directory.newborn(stream), asked)
        self.log.failures.clear()
        assert (told.stream in expected) if isinstance(told, TaskRecord) else not expected

    @precondition(lambda self: any(each.is_active for each in self.generations))
    @rule(data=st.data(), reports=st.lists(st.just(TaskStarted()), max_size=1), end=st.sampled_from(ENDS))
    def end(self, data: st.DataObject, reports: list[Any], end: Any) -> None:
        active = [each for each in self.generations if each.is_active]
        ending = data.draw(st.sampled_from(range(len(active))))
        for report in reports:
            self.desk.send(active[ending].stream, report)
        record = self.desk.tell(active[ending].stream, end)
        assert isinstance(record, TaskRecord)
        active[ending].is_active = False
        if record.shown_status == Status.SUCCEEDED:
            active[ending].succeeded_at = self.clock()

    @rule(ms=st.one_of(WAYS))
    def let_time_pass(self, ms: int) -> None:
        self.clock.advance(ms)

    @invariant()
    def no_two_active_generations_are_the_same(self) -> None:
        records: dict[bytes, TaskRecord] = {}
        for event in self.log.read():
            assert isinstance(event, Event)
            records[event.stream] = evolve(records.get(event.stream), event)
        active = [(each.owner_key, each.task_kind, each.task) for each in records.values() if each.is_active]
        assert len(set(active)) == len(active)
        assert records.keys() == {each.stream for each in self.generations}


TestGuarded = Guarded.TestCase
