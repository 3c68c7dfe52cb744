"""However commands interleave, every answer and every event is what one decision after another would have given."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from hypothesis import event, given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from tallystick.actors.future import LightFuture
from tallystick.actors.system import System
from tallystick.actors.task import OUTBOX_ACTOR, TaskActor
from tallystick.actors.telling import Telling
from tallystick.ledger.commands import Command
from tallystick.ledger.decide import decide
from tallystick.ledger.errors import TallystickError
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.ids import id_text
from tallystick.ledger.payloads import Payloads
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.refusal import Refusal
from tallystick.ledger.store.port import NO_CLAIMS, NO_NOTES, NO_PAYLOADS
from tests.actors.parts import (
    PATIENCE_S,
    STREAMS,
    FullLog,
    HandClock,
    Outcome,
    at_once,
    full,
    history,
    outcome,
    refusal,
    restlessly,
)
from tests.story import BEGIN_MS, created
from tests.strategies import maybe, outcomes, progress, reports, starts

CALLERS = 3
SHARED, OWN = STREAMS[:2], STREAMS[2:5]
RUN = created(run_id="run-1")


class Step(Struct, frozen=True):
    """One command of a caller: to which of his tasks, and whether through an actor that he has kept."""

    task: int
    data: AnyFact
    expected_version: int | None = None
    occurred_at: int | None = None
    kept: bool = False


class Said(Struct, frozen=True):
    """A command and its answer. No two commands have the same speaker, so that events tell whose they are."""

    stream: bytes
    command: Command
    answer: Outcome


def by_itself(data: AnyFact) -> AnyFact:
    """Return the fact as it is, but for what of a creation depends on others: identities, the lineage, the flow."""
    alone = {"run_id": None, "idempotency_key": None, "parent": None, "root": None, "flow": None}
    return replace(data, **alone) if isinstance(data, TaskCreated) else data


steps = st.builds(
    Step,
    task=st.integers(0, 2),
    data=st.one_of(st.just(created()), starts, progress, outcomes, reports).map(by_itself),
    expected_version=maybe(st.integers(1, 4)),
    occurred_at=maybe(st.integers(BEGIN_MS - 5, BEGIN_MS + 5)),
    kept=st.booleans(),
)
scripts = st.lists(st.lists(steps, min_size=1, max_size=12), min_size=CALLERS, max_size=CALLERS)
"""What each caller does, in his order."""

sizes = st.integers(1, 5)
troubles = st.sets(st.integers(0, 10), max_size=4)
"""Which appends find the disk full."""


class TroubledLog(FullLog):
    """A log whose disk is full at some of the appends."""

    def __init__(self, troubles: Collection[int] = ()) -> None:
        super().__init__()
        self._troubles, self._appends = troubles, 0

    def append(
        self,
        events: Sequence[Event],
        claims: Mapping[bytes, bytes] = NO_CLAIMS,
        notes: Mapping[bytes, bytes] = NO_NOTES,
        payloads: Mapping[int, Payloads] = NO_PAYLOADS,
    ) -> None:
        if self._appends in self._troubles:
            self.failures.append(full())
        self._appends += 1
        super().append(events, claims, notes, payloads)


@contextmanager
def running(log: FullLog, live_max: int, batch_events_max: int) -> Iterator[System]:
    """A system with little room, on an interpreter that switches often."""
    system = System(log, [], HandClock(), live_max=live_max, batch_events_max=batch_events_max)
    system.start()
    with restlessly():
        yield system
        assert system.close(PATIENCE_S)


def speak(system: System, name: str, actors: Sequence[TaskActor], script: Sequence[Step]) -> list[Said]:
    """Send all of it before looking at the first answer; progress is forced, so that nothing is held back."""
    sent: list[tuple[bytes, Command, LightFuture]] = []
    for number, step in enumerate(script):
        kept = actors[step.task % len(actors)]
        command = Command(step.data, f"{name}-{number}", step.occurred_at, step.expected_version, force=True)
        future = LightFuture()
        system.send(kept if step.kept else system.actor(kept.stream), command, future)
        sent.append((kept.stream, command, future))
    return [Said(stream, command, outcome(future)) for stream, command, future in sent]


class Book:
    """What the log tells of one task: its record after each event, and which events each speaker's command has.

    The messages that follow an event belong to whoever reported it: nothing is decided in between.
    """

    def __init__(self, log: FullLog, stream: bytes) -> None:
        self._events = history(log, stream)
        self._token = id_text(stream)
        self._records: list[TaskRecord | None] = [None]
        self._followed: set[int] = set()
        self.places: dict[str, list[int]] = {}
        telling, speaker = Telling(log), ""
        expected: list[AnyFact] = []
        for place, written in enumerate(self._events):
            assert place + 1 == written.version
            before = self._records[-1]
            record = evolve(before, written)
            self._records.append(record)
            if written.actor == OUTBOX_ACTOR:
                assert expected.pop(0) == written.data
                self._followed.add(place)
            else:
                assert [] == expected, "a message is missing"
                speaker = written.actor
                expected = list(telling.notices(written, before, record))
            self.places.setdefault(speaker, []).append(place)
        assert [] == expected, "a message is missing"

    def decided(self, version: int, command: Command) -> tuple[tuple[AnyFact, ...], TallystickError | None]:
        """Return what the rules make of a command that finds the task at this version: facts, and the refusal."""
        decision = decide(self._records[version], command, token=self._token)
        if not isinstance(decision, Refusal):
            return decision, None
        return () if decision.evidence is None else (decision.evidence,), decision.error

    def check(self, said: Sequence[Said]) -> None:
        """Find for each command of one caller, in his order, the moment at which the rules give what he was told."""
        version = 0
        for each in said:
            if each.answer == refusal(full()):
                assert each.command.actor not in self.places, "it failed and was written"
                continue
            places = self.places.pop(each.command.actor, None)
            if places is None:
                version = self._silent(version, each)
            else:
                assert version <= places[0], "it was overtaken"
                assert list(range(places[0], places[-1] + 1)) == places
                version = self._written(places, each)
        assert all(not speaker.startswith(f"{said[0].command.actor[:2]}-") for speaker in self.places)

    def _written(self, places: list[int], each: Said) -> int:
        facts, error = self.decided(places[0], each.command)
        after = places[-1] + 1
        assert facts == tuple(self._events[place].data for place in places if place not in self._followed)
        if error is None:
            assert self._records[after] == each.answer
        else:
            assert (type(error), {**error.data, "position": self._events[places[0]].position}) == each.answer
        return after

    def _silent(self, version: int, each: Said) -> int:
        for moment in sorted(set(range(version, len(self._records))) - self._followed):
            facts, error = self.decided(moment, each.command)
            told = self._records[moment] if error is None else refusal(error)
            if told == each.answer and not facts:
                return moment
        raise AssertionError(f"at no moment since version {version} is this the answer to {each}")


def check(log: FullLog, stream: bytes, callers: Sequence[Sequence[Said]]) -> None:
    """Hold what the callers were told of a task, and when, to what the log tells of it."""
    book = Book(log, stream)
    for said in callers:
        mine = [each for each in said if each.stream == stream]
        if mine:
            book.check(mine)
    assert {} == book.places, "events that nobody asked for"


def check_positions(log: FullLog) -> None:
    """Positions have no gap."""
    assert list(range(1, log.head() + 1)) == [stored.position for stored in log.read()]
    assert log.head() == sum(log.appended)


@given(scripts, sizes, sizes, troubles)
def test_commands_of_many_callers_are_decided_one_after_the_other_and_each_callers_in_his_order(
    scripts: list[list[Step]], live_max: int, batch_events_max: int, troubles: set[int]
) -> None:
    """Each caller has a task of his own and shares two; actors come and go, and now and then the disk is full."""
    log = TroubledLog(troubles)
    with running(log, live_max, batch_events_max) as system:

        def caller(number: int) -> list[Said]:
            actors = [system.actor(stream) for stream in (*SHARED, OWN[number])]
            return speak(system, f"c{number}", actors, scripts[number])

        callers = at_once(lambda: caller(0), lambda: caller(1), lambda: caller(2))

    for stream in (*SHARED, *OWN):
        check(log, stream, callers)
    check_positions(log)
    event(f"a turn failed: {any(each.answer == refusal(full()) for said in callers for each in said)}")


@given(scripts, sizes, sizes)
def test_creations_of_one_run_and_all_that_follows_them_find_one_task(
    scripts: list[list[Step]], live_max: int, batch_events_max: int
) -> None:
    """Each caller creates the task under an id of his own, and speaks on to that id at once."""
    log = TroubledLog()
    with running(log, live_max, batch_events_max) as system:

        def caller(number: int) -> list[Said]:
            script = [Step(0, RUN, kept=True), *(replace(step, kept=True) for step in scripts[number])]
            return speak(system, f"c{number}", [system.newborn(OWN[number])], script)

        callers = at_once(lambda: caller(0), lambda: caller(1), lambda: caller(2))

    [stream] = [stream for stream in OWN if log.stream(stream)]
    assert [stream] * CALLERS == [said[0].answer.stream for said in callers]
    check(log, stream, [[replace(each, stream=stream) for each in said] for said in callers])
    check_positions(log)
