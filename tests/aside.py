"""Histories of which something is kept beside the log and some of that is erased, for whoever reads logs."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from tallystick.ledger.content import without
from tallystick.ledger.events import ERASURES, Event
from tallystick.ledger.facts.flows import FlowErased, FlowPruned
from tallystick.ledger.facts.tasks import TaskErased, TaskPruned
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.limits import SALT_BYTES
from tallystick.ledger.payloads import Payloads, Policy, kept_of, put, put_aside
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.memory import MemoryLog
from tests.announced import WATCHED, Announced
from tests.ledger.flows import some
from tests.ledger.flows.tale import Tale, begun
from tests.projections.histories import STREAMS
from tests.story import BEGIN_MS, STEP_MS
from tests.strategies import creations, delivered, outcomes, progress, prunings, reports, told_creations

EVERYTHING = Policy(everything=True)
FLOW = bytes.fromhex("0198c2f07b7e7cc38a531f0a9d8e4b90")
REASON = "the customer asked for it"

policies = st.sampled_from([EVERYTHING, EVERYTHING, Policy(larger_than=0), Policy(larger_than=9)])
_TOLD = st.one_of(reports, progress, outcomes, outcomes, prunings)
_OF_FLOWS = st.one_of(some.moves, some.moves, st.builds(FlowPruned))


class Kept(Struct, frozen=True):
    """A log's events as they were when they were written, what is kept of them by position, and the records folded."""

    events: list[Event]
    payloads: dict[int, Payloads]
    tasks: dict[bytes, TaskRecord]
    flows: dict[bytes, FlowRecord]

    def log(self, log: Any = None) -> Any:
        """Return a log that has all of it."""
        log = MemoryLog() if log is None else log
        log.append(self.events, {}, {}, self.payloads)
        return log


def salt(number: int) -> bytes:
    """Return a salt that no other number gives."""
    return number.to_bytes(SALT_BYTES)


def marked(events: Sequence[Event], policy: Policy = EVERYTHING) -> tuple[list[Event], dict[int, Payloads]]:
    """Return events that name what of them is kept beside the log, and that."""
    numbers = count(1)
    found: list[Event] = []
    payloads: dict[int, Payloads] = {}
    for event in events:
        fact, kept = put_aside(event.data, policy, lambda: salt(next(numbers)))
        found.append(replace(event, data=fact))
        if kept:
            payloads[event.position] = kept
    return found, payloads


def kept_log(events: Sequence[Event], policy: Policy = EVERYTHING) -> MemoryLog:
    """Return a log that has these events, with what is kept of them beside it."""
    log = MemoryLog()
    told, payloads = marked(events, policy)
    log.append(told, {}, {}, payloads)
    return log


class _Told:
    """Tasks and a flow that are told in turn, and what their actors would put aside."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.stories = [Announced(stream=stream, routing=WATCHED) for stream in STREAMS[:3]]
        self.tale: Tale | None = None
        self.events: list[Event] = []
        self.payloads: dict[int, Payloads] = {}
        self._numbers = count(1)

    def tell(self, teller: Announced | Tale, data: Any, **more: Any) -> None:
        """Let something happen to one of them."""
        known = len(teller.events)
        teller.position = len(self.events)
        teller.tell(data, **more)
        self.take(teller, known)

    def take(self, teller: Announced | Tale, known: int) -> None:
        """Put aside what is new of it."""
        for place, event in enumerate(teller.events[known:], known):
            fact, payloads = put_aside(event.data, self.policy, lambda: salt(next(self._numbers)))
            teller.events[place] = replace(event, data=fact)
            self.events.append(teller.events[place])
            if payloads:
                self.payloads[event.position] = payloads
        if any(event.data.__class__ in ERASURES for event in teller.events[known:]):
            teller.events[:] = [
                replace(event, data=without(event.data, put(event.data))) if put(event.data) else event
                for event in teller.events
            ]

    def erase(self, teller: Announced | Tale, reason: str) -> None:
        """Erase what is kept of one of them, as its actor would."""
        kept = kept_of(event.data for event in teller.events)
        kind = TaskErased if isinstance(teller, Announced) else FlowErased
        self.tell(teller, kind(reason=reason, fields=kept.fields, count=kept.count), after_ms=1)


@st.composite
def kept_histories(draw: st.DrawFn, most: int = 20) -> Kept:
    """What was written of a few tasks, their messages and a flow, of which some was erased, in the order of the log."""
    told = _Told(draw(policies))
    for _ in range(draw(st.integers(0, most))):
        who = draw(st.integers(0, len(told.stories)))
        if who == len(told.stories):
            _of_the_flow(draw, told)
            continue
        story = told.stories[who]
        if story.record_or_none is not None and draw(st.integers(0, 6)) == 0:
            told.erase(story, draw(st.sampled_from([REASON, "another"])))
            continue
        data: Any = delivered(story) if bool(story.names) and draw(st.booleans()) else _TOLD
        if story.record_or_none is None:
            data = st.one_of(told_creations(), creations())
        told.tell(
            story,
            draw(data),
            after_ms=draw(st.integers(0, 2)),
            occurred_at=draw(st.none() | st.integers(BEGIN_MS - 3, BEGIN_MS + 3)),
        )
    for story in told.stories:
        if story.record_or_none is not None and not story.record.is_active and draw(st.booleans()):
            told.tell(story, TaskPruned())
            if draw(st.booleans()):
                told.erase(story, REASON)
    tasks = {story.stream: story.record for story in told.stories if story.record_or_none is not None}
    flows = {} if told.tale is None else {FLOW: told.tale.record}
    return Kept(told.events, told.payloads, tasks, flows)


def _of_the_flow(draw: st.DrawFn, told: _Told) -> None:
    if told.tale is None:
        told.tale = Tale(
            beginning=begun(goal=draw(st.sampled_from(["Release 1.2", "Отпуск"]))),
            stream=FLOW,
            position=len(told.events),
            begin_ms=BEGIN_MS - STEP_MS,
        )
        told.take(told.tale, 0)
    elif draw(st.integers(0, 3)) == 0:
        told.erase(told.tale, REASON)
    else:
        told.tell(told.tale, draw(_OF_FLOWS), after_ms=1)
