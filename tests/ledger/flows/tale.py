"""The tale of one flow: commands go in, events and the record come out, and no thread, clock or disk is near."""

from typing import Any, TypeAlias, TypeVar

from tallystick.ledger.commands import Command
from tallystick.ledger.errors import FlowRefused, TallystickError
from tallystick.ledger.events import Event, FlowFact
from tallystick.ledger.facts.flows import (
    FlowCancelled,
    FlowCancelRequested,
    FlowCreated,
    FlowErased,
    FlowFailed,
    FlowFinished,
    FlowNoted,
    FlowPruned,
    FlowResumed,
    FlowSettled,
    FlowStepClaimed,
    FlowTaskLinked,
    FlowWaitingSet,
)
from tallystick.ledger.flows import intake
from tallystick.ledger.flows.decide import decide_flow
from tallystick.ledger.flows.evolve import evolve_flow
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import FlowMode, FlowStatus
from tests.story import BEGIN_MS, OTHER_ID, STEP_MS

STREAM = bytes.fromhex("0198c2f07b7e7cc38a531f0a9d8e4f00")
FLOW_ID = id_text(STREAM)
OWNER = "agent:main:main"
GOAL = "Release 1.2"

Answer: TypeAlias = tuple[FlowFact, ...] | TallystickError
Expected = TypeVar("Expected", bound=TallystickError)


def begun(**more: Any) -> FlowCreated:
    """Return the beginning of an ordinary flow, with more said about it."""
    return intake.created(**{"owner": OWNER, "goal": GOAL, "controller": "bot", **more})


MIRROR = FlowCreated(mode=FlowMode.MIRRORED, owner=OWNER, goal=GOAL)
"""The beginning of a flow that mirrors a task."""

VERBS: dict[str, FlowFact] = {
    "create": begun(),
    "claim": FlowStepClaimed(step="build"),
    "set_waiting": FlowWaitingSet(wait={"kind": "approval"}),
    "resume": FlowResumed(),
    "link": FlowTaskLinked(task=OTHER_ID),
    "finish": FlowFinished(),
    "fail": FlowFailed(error="boom"),
    "cancel": FlowCancelRequested(),
    "cancelled": FlowCancelled(),
    "settle": FlowSettled(status=FlowStatus.LOST, reason="its controller does not come back"),
    "note": FlowNoted(codes=("stale_waiting",)),
    "prune": FlowPruned(),
    "erase": FlowErased(reason="somebody asked for it", fields=("goal",), count=1),
}
"""One of each thing that can be asked of a flow."""

LIVES: dict[FlowStatus, tuple[FlowFact, ...]] = {
    FlowStatus.QUEUED: (),
    FlowStatus.RUNNING: (FlowResumed(),),
    FlowStatus.WAITING: (VERBS["set_waiting"],),
    FlowStatus.BLOCKED: (FlowWaitingSet(wait="a key", blocked_summary="a key is missing"),),
    FlowStatus.SUCCEEDED: (VERBS["finish"],),
    FlowStatus.FAILED: (VERBS["fail"],),
    FlowStatus.CANCELLED: (VERBS["cancel"], VERBS["cancelled"]),
    FlowStatus.LOST: (VERBS["settle"],),
}
"""How a managed flow comes to have a status, after its beginning."""


class Tale:
    """One flow, told command by command as a flow's actor would do it, a second apart."""

    def __init__(
        self,
        *told: FlowFact,
        beginning: FlowCreated | None = None,
        stream: bytes = STREAM,
        position: int = 0,
        begin_ms: int = BEGIN_MS,
    ) -> None:
        self.stream = stream
        self.events: list[Event] = []
        self.now_ms = begin_ms
        self.position = position
        self._record: FlowRecord | None = None
        for data in (begun() if beginning is None else beginning, *told):
            answer = self.tell(data)
            assert isinstance(answer, tuple), answer
            assert answer, f"{data} was nothing new"

    @property
    def record(self) -> FlowRecord:
        """What is known of the flow; it must have been created."""
        assert self._record is not None
        return self._record

    @property
    def facts(self) -> list[object]:
        return [event.data for event in self.events]

    def ask(self, data: FlowFact, *, actor: str = "agent", expected: int | None = None) -> Answer:
        """Return what would be answered; nothing happens."""
        return decide_flow(self._record, Command(data, actor, expected_version=expected), token=id_text(self.stream))

    def tell(
        self, data: FlowFact, *, actor: str = "agent", expected: int | None = None, after_ms: int = STEP_MS
    ) -> Answer:
        """Return what is answered, and let it happen."""
        self.now_ms += after_ms
        answer = self.ask(data, actor=actor, expected=expected)
        for fact in answer if isinstance(answer, tuple) else ():
            self.happen(fact, actor=actor)
        return answer

    def happen(self, data: Any, *, actor: str = "agent", **wrong: int) -> Event:
        """Write a fact, allowed or not; `wrong` may say another version."""
        version = wrong.get("version", len(self.events) + 1)
        event = Event(self.position + 1, self.stream, version, self.now_ms, self.now_ms, actor, data)
        self._record = evolve_flow(self._record, event)
        self.events.append(event)
        self.position = event.position
        return event


def in_status(status: FlowStatus, *more: FlowFact) -> Tale:
    """Return the tale of a managed flow that has a status, and of what was asked of it then."""
    tale = Tale(*LIVES[status])
    assert status is tale.record.status
    for data in more:
        assert tale.tell(data), data
    return tale


def to_the_end(tale: Tale) -> None:
    """Cancel a flow that has not ended."""
    if tale.record.is_active:
        tale.tell(VERBS["cancel"])
        tale.tell(VERBS["cancelled"])


def error(answer: Answer, kind: type[Expected]) -> Expected:
    """Return an answer that must be this very error."""
    assert type(answer) is kind, answer
    return answer


def code(answer: Answer) -> str:
    """Return in one word what was answered: why it is refused, or what becomes of it."""
    if isinstance(answer, tuple):
        return "admitted" if answer else "nothing new"
    return error(answer, FlowRefused).code
