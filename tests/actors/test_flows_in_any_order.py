"""However commands to flows and their tasks interleave, fail and are cut off by restarts, both streams agree."""

from collections.abc import Sequence
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from tallystick.actors.future import LightFuture
from tallystick.ledger.errors import FlowRefused, WrongVersion
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.facts.flows import FlowCreated, FlowStepClaimed, FlowTaskLinked
from tallystick.ledger.facts.tasks import TaskCleanupStamped, TaskNoted, TaskPruned, TaskStarted, TaskSucceeded
from tallystick.ledger.flows.evolve import evolve_flow
from tallystick.ledger.flows.mirror import mirror_of, mirror_stream
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import BLOCKED
from tests.actors.flow_parts import FlowDesk, events_of
from tests.actors.parts import STREAMS, outcome, send
from tests.actors.test_interleavings import TroubledLog, check_positions
from tests.flow_law import check_joins
from tests.ledger.flows import some
from tests.ledger.flows.tale import begun
from tests.story import created

FLOWS, TASKS = STREAMS[8:10], STREAMS[:4]
MIRRORS = tuple(mirror_stream(stream) for stream in TASKS[:2])


class Ask(Struct, frozen=True):
    """One command, what it is sent to, and what happens after it: a turn, a restart, or nothing yet."""

    to: bytes
    data: AnyFact
    expected: int | None = None
    then: str = "turn"


_flow_ids = st.sampled_from([None, *map(id_text, FLOWS), mirror_of(id_text(TASKS[0]))])
_creations = st.builds(
    lambda flow, notify, run_id, owner: created(flow=flow, notify=notify, run_id=run_id, owner=owner),
    _flow_ids,
    st.sampled_from(["silent", "done_only", "done_only"]),
    st.sampled_from([None, "run-1"]),
    st.sampled_from(["agent:main:main"] * 4 + ["a"]),
)
_links = st.builds(FlowTaskLinked, task=st.sampled_from([id_text(stream) for stream in TASKS]))
_of_flows = st.one_of(
    _links,
    _links,
    some.claims,
    some.waits,
    some.resumptions,
    some.ends,
    some.cancel_requests,
    some.cancels,
    some.settlements,
    some.notes,
    some.prunings,
)
_of_tasks = st.one_of(
    _creations,
    _creations,
    st.sampled_from([TaskStarted(), TaskSucceeded(), TaskSucceeded(outcome=BLOCKED), TaskPruned(), TaskPruned()]),
    st.sampled_from([TaskNoted(codes=("lost",)), TaskCleanupStamped(cleanup_after=7)]),
)
_then = st.sampled_from(["turn", "turn", "more", "more", "restart"])
asks = st.one_of(
    st.builds(Ask, st.sampled_from(TASKS), _of_tasks, st.none(), _then),
    st.builds(Ask, st.sampled_from(FLOWS), _of_flows, st.none() | st.integers(1, 6), _then),
    st.builds(Ask, st.sampled_from(FLOWS), _of_flows, st.none(), _then),
    st.builds(Ask, st.sampled_from(MIRRORS), _of_flows, st.none(), _then),
)


class Play:
    """The actors of one log through restarts, and what each command was answered."""

    def __init__(self, log: TroubledLog, live_max: int) -> None:
        self.log, self.live_max = log, live_max
        self.desk = FlowDesk(log, live_max=live_max)
        self.said: list[tuple[Ask, LightFuture]] = []

    def ask(self, ask: Ask) -> None:
        desk = self.desk
        of_flow = ask.to in FLOWS or ask.to in MIRRORS
        actor: Any = desk.flows.actor(ask.to) if of_flow else desk.directory.actor(ask.to)
        self.said.append((ask, send(actor, ask.data, expected_version=ask.expected)))
        if ask.then != "more":
            desk.dispatcher.run()
        if ask.then == "restart":
            self.desk = FlowDesk(self.log, live_max=self.live_max)

    def end(self) -> list[tuple[Ask, Any]]:
        self.desk.dispatcher.run()
        return [(ask, outcome(future)) for ask, future in self.said]


def known_of(events: Sequence[Event]) -> dict[bytes, list[FlowRecord]]:
    """Return what was known of each flow after each of its own events, which have no gap."""
    known: dict[bytes, list[FlowRecord]] = {}
    for each in events:
        if each.is_of_flow:
            records = known.setdefault(each.stream, [])
            records.append(evolve_flow(records[-1] if records else None, each))
            assert len(records) == each.version
    return known


@settings(max_examples=150)
@given(st.lists(asks, max_size=25), st.integers(1, 4), st.sets(st.integers(0, 12), max_size=3))
def test_flows_and_tasks_agree_whatever_comes_in_between(moves: list[Ask], live_max: int, troubles: set[int]) -> None:
    log = TroubledLog(troubles)
    play = Play(log, live_max)
    for stream in FLOWS:
        play.ask(Ask(stream, begun(), then="more"))
    for move in moves:
        play.ask(move)
    said = play.end()

    events = events_of(log)
    check_positions(log)
    check_joins(events)
    known = known_of(events)
    check_answers(said, known)
    check_claims(said, events)
    event(f"joined: {sum(type(each.data).__name__ == 'TaskLinked' for each in events)}")


def check_answers(said: Sequence[tuple[Ask, Any]], known: dict[bytes, list[FlowRecord]]) -> None:
    """What a managed flow answered is what it was then; who was stale saw what it was."""
    for ask, answer in said:
        if ask.to not in FLOWS:
            continue
        record = answer
        if isinstance(answer, tuple):
            kind, data = answer
            if kind not in (FlowRefused, WrongVersion):
                continue
            record = data["current"]
            if kind is WrongVersion:
                assert ask.expected != data["actual"] == record.revision
        if record.is_managed:
            assert known[ask.to][record.revision - 1] == record


def check_claims(said: Sequence[tuple[Ask, Any]], events: Sequence[Event]) -> None:
    """Whoever was told that it does a step is the one who does, and nobody else was told so."""
    written = [(each.stream, each.data.step) for each in events if isinstance(each.data, FlowStepClaimed)]
    assert len(set(written)) == len(written)
    told: dict[tuple[bytes, str], set[str | None]] = {}
    for ask, answer in said:
        if isinstance(ask.data, FlowStepClaimed) and isinstance(answer, FlowRecord):
            told.setdefault((ask.to, ask.data.step), set()).add(ask.data.claimant)
            claim = answer.claim_of(ask.data.step)
            assert claim is not None
            assert ask.data.claimant == claim.claimant
    assert all(len(names) == 1 for names in told.values())
    assert set(told) <= set(written)
    assert not [each for each in events if isinstance(each.data, FlowCreated) and each.version != 1]
