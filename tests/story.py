"""The story of one task: commands go in, events and the record come out, and no thread, clock or disk is near."""

from collections.abc import Sequence
from typing import Any, TypeVar

from msgspec.structs import asdict

from tallystick.ledger import intake
from tallystick.ledger.commands import Command
from tallystick.ledger.decide import decide
from tallystick.ledger.errors import TallystickError
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.tasks import TaskCreated, TaskLateSignal
from tallystick.ledger.ids import id_text
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.refusal import Facts, Refusal

STREAM = bytes.fromhex("0198c2f07b7e7cc38a531f0a9d8e4b21")
TASK_ID = id_text(STREAM)
BEGIN_MS = 1_790_000_000_000
STEP_MS = 1_000
OTHER_ID = "0198c2f0-7b7f-7000-8000-000000000001"

Expected = TypeVar("Expected", bound=TallystickError)


def created(**more: Any) -> TaskCreated:
    """Return an ordinary creation of which nobody is told, with more said about it."""
    ordinary: dict[str, Any] = {
        "runtime": "subagent",
        "task": "Count the tallies",
        "owner": "agent:main:main",
        "notify": "silent",
    }
    return intake.created(**{**ordinary, **more})


def refusal(answer: Facts | Refusal, kind: type[Expected]) -> Expected:
    """Return the error of a refusal, which must be of this very kind."""
    assert isinstance(answer, Refusal)
    assert type(answer.error) is kind
    return answer.error


def evidence(answer: Facts | Refusal) -> TaskLateSignal | None:
    """Return the late signal that a refusal leaves behind."""
    assert isinstance(answer, Refusal)
    return answer.evidence


class Story:
    """One task, told command by command as a task actor would do it, a second apart unless told otherwise."""

    def __init__(self, *told: AnyFact, stream: bytes = STREAM, position: int = 0, begin_ms: int = BEGIN_MS) -> None:
        self.stream = stream
        self.events: list[Event] = []
        self.now_ms = begin_ms
        self.position = position
        self._record: TaskRecord | None = None
        for data in told:
            answer = self.tell(data)
            assert not isinstance(answer, Refusal), answer
            assert answer, f"{data} was nothing new"

    @classmethod
    def of(cls, events: Sequence[Event], *, record: TaskRecord | None, now_ms: int) -> "Story":
        """Return the story that these events tell, as somebody knows it who has this record of them."""
        story = cls(stream=events[0].stream, position=events[-1].position, begin_ms=now_ms)
        story.events = list(events)
        story._record = record
        return story

    @property
    def record(self) -> TaskRecord:
        """What is known of the task; it must have been created."""
        assert self._record is not None
        return self._record

    @property
    def record_or_none(self) -> TaskRecord | None:
        return self._record

    @property
    def facts(self) -> list[AnyFact]:
        return [event.data for event in self.events]

    def ask(
        self,
        data: AnyFact,
        *,
        actor: str = "agent",
        occurred_at: int | None = None,
        expected_version: int | None = None,
    ) -> Facts | Refusal:
        """Return what would be answered; nothing happens."""
        command = Command(data, actor, occurred_at=occurred_at, expected_version=expected_version)
        return decide(self._record, command, token=id_text(self.stream))

    def tell(
        self,
        data: AnyFact,
        *,
        actor: str = "agent",
        occurred_at: int | None = None,
        expected_version: int | None = None,
        after_ms: int = STEP_MS,
        others: int = 0,
    ) -> Facts | Refusal:
        """Return what is answered, and let it happen; `others` is how many events other tasks wrote in between."""
        self.now_ms += after_ms
        self.position += others
        answer = self.ask(data, actor=actor, occurred_at=occurred_at, expected_version=expected_version)
        if isinstance(answer, Refusal):
            self.happen(() if answer.evidence is None else (answer.evidence,), actor=actor, occurred_at=occurred_at)
        else:
            self.happen(answer, actor=actor, occurred_at=occurred_at)
        return answer

    def happen(self, facts: Sequence[AnyFact], *, actor: str = "agent", occurred_at: int | None = None) -> None:
        """Write the facts, allowed or not."""
        for data in facts:
            event = self.next_event(data, actor=actor, occurred_at=occurred_at)
            self._record = evolve(self._record, event)
            self.events.append(event)
            self.position = event.position

    def next_event(self, data: AnyFact, *, actor: str = "agent", occurred_at: int | None = None) -> Event:
        """Return the event that a fact would be if it were written now."""
        return Event(
            position=self.position + 1,
            stream=self.stream,
            version=len(self.events) + 1,
            occurred_at=self.now_ms if occurred_at is None else occurred_at,
            recorded_at=self.now_ms,
            actor=actor,
            data=data,
        )


def differences(story: Story, data: AnyFact, *, occurred_at: int | None = None) -> dict[str, object]:
    """Return what one more fact changes in a record, besides its version and its position, which count on."""
    before = story.record
    event = story.next_event(data, occurred_at=occurred_at)
    after = evolve(before, event)
    assert (before.version + 1, event.position) == (after.version, after.position)
    known = asdict(before)
    return {
        name: value
        for name, value in asdict(after).items()
        if value != known[name] and name not in {"version", "position"}
    }
