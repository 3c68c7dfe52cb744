"""OCEL objects: what the history of a task or a flow is about, and how each of its events is related to that. Pure.

An event is related to one task at most, its own: a log that is flattened to tasks has the histories of tasks then.
"""

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct

from tallystick.exports.ocel_types import AGENT, FLOW, MESSAGE, SESSION, STATUS, TASK, Of
from tallystick.exports.unfolding import Step, moment
from tallystick.exports.values import ERASED, as_json
from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import (
    DeliveryAttempted,
    DeliveryDelivered,
    DeliveryDismissed,
    DeliveryFailed,
    DeliveryOutcome,
    DeliveryQueued,
    DeliveryReleased,
    DeliveryRetried,
    DeliveryUnknown,
    DeliveryWithheld,
)
from tallystick.ledger.facts.flows import FlowCreated
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.lifecycle import DeliveryStatus, FlowMode
from tallystick.ledger.outbox import id_of
from tallystick.ledger.record import TaskRecord

ALWAYS = "1970-01-01T00:00:00.000Z"
"""The time of what does not change, as the standard has it."""


class Related(Struct, frozen=True):
    """Says to which object something is related, and as what."""

    objectId: str  # noqa: N815 - as the standard spells it
    qualifier: str


class Attribute(Struct, frozen=True):
    """What an attribute of an object is from a moment on."""

    name: str
    value: str
    time: str = ALWAYS


class Object(Struct, frozen=True):
    """An object: what is known of it, and what it is related to."""

    id: str
    type: Of
    attributes: list[Attribute]
    relationships: list[Related]


Objects: TypeAlias = dict[str, Object]

OfMessages: TypeAlias = DeliveryOutcome | DeliveryReleased
"""The facts about a message that there is already."""

_BECAME: dict[type[OfMessages], DeliveryStatus | None] = {
    DeliveryReleased: None,
    DeliveryAttempted: None,
    DeliveryUnknown: DeliveryStatus.UNKNOWN,
    DeliveryDelivered: DeliveryStatus.DELIVERED,
    DeliveryFailed: DeliveryStatus.FAILED,
    DeliveryRetried: DeliveryStatus.PENDING,
    DeliveryDismissed: DeliveryStatus.DISMISSED,
}
"""What a message is after a fact about it; None where that is what it was, or said by what follows."""


class Cast:
    """Everything that plays a part in one history. `objects` are what is known of them, by id.

    `elsewhere` are tasks and flows of which this history only says the id: they have histories of their own.
    """

    def __init__(self, id: str, *, of: Of) -> None:
        self.id = id
        self.main = Object(id, of, [], [])
        self.objects: Objects = {id: self.main}
        self.elsewhere: dict[str, Of] = {}
        self._noted: dict[tuple[str, str], int] = {}  # where the newest value of an attribute stands

    def see(self, step: Step) -> list[Related]:
        """Take in a step, and return what it is related to."""
        related = [Related(self.id, self.main.type)]
        if step.task is not None:
            self._status(step.task, step.at)
            if step.task.parent_flow_id is not None:
                self.elsewhere[step.task.parent_flow_id] = FLOW
                related.append(Related(step.task.parent_flow_id, FLOW))
        if step.flow is not None:
            self._state(step.flow, step.at)
        if isinstance(step.stored, Event):
            related += self._others(step.stored, step.at)
        return related

    def close(self, task: TaskRecord | None, flow: FlowRecord | None) -> None:
        """Take in what is known in the end."""
        if task is not None:
            self._of_task(task)
        if flow is not None:
            self._say(self.main, mode=flow.sync_mode, goal=flow.goal, controller=flow.controller_id)
            self._relate_to(self.main, SESSION, flow.owner_key, "owned by")

    def mirror(self, record: TaskRecord) -> None:
        """Take in the flow that only mirrors a task: nothing else tells of it, and its status is that of its task."""
        flow = self.objects[mirror_of(record.task_id)] = Object(mirror_of(record.task_id), FLOW, [], [])
        self._say(flow, mode=FlowMode.MIRRORED, goal=record.label or record.task, erased=_json(record.erased))
        self._relate_to(flow, SESSION, record.owner_key, "owned by")

    def _status(self, record: TaskRecord, at: int) -> None:
        self._note(self.main, STATUS, record.shown_status, at)
        self._note(self.main, "deliveryStatus", record.delivery_status, at)
        self._note(self.main, "notifyPolicy", record.notify_policy, at)
        self._note(self.main, ERASED.name, _json(record.erased), at)

    def _state(self, record: FlowRecord, at: int) -> None:
        """What a flow is. One that mirrors tasks has the status of the newest of them, and none of its own."""
        if record.is_managed:
            self._note(self.main, STATUS, record.status, at)
            self._note(self.main, "step", record.current_step, at)
        self._note(self.main, ERASED.name, _json(record.erased), at)

    def _of_task(self, record: TaskRecord) -> None:
        self._say(
            self.main,
            runtime=record.runtime,
            scope=record.scope_kind,
            task=record.task,
            label=record.label,
            kind=record.task_kind,
            sourceId=record.source_id,
            runId=record.run_id,
            parent=record.parent_task_id,
            root=record.root_task_id,
            metadata=_json(record.metadata),
        )
        if record.parent_flow_id is not None:
            self._relate(self.main, record.parent_flow_id, "part of")
        if record.parent_task_id is not None:
            self.elsewhere[record.parent_task_id] = TASK
            self._relate(self.main, record.parent_task_id, "child of")
        requester = record.requester_session_key if record.requester_session_key != record.owner_key else None
        self._relate_to(self.main, SESSION, record.owner_key, "owned by")
        self._relate_to(self.main, SESSION, requester, "asked by")
        self._relate_to(self.main, SESSION, record.child_session_key, "works in")
        self._relate_to(self.main, AGENT, record.agent_id, "done by")
        self._relate_to(self.main, AGENT, record.requester_agent_id, "asked by")

    def _others(self, event: Event, at: int) -> Iterator[Related]:
        """What an event is related to besides its task and the flow of that."""
        data = event.data
        if isinstance(data, TaskCreated):
            yield from self._asked(data)
        elif isinstance(data, FlowCreated):
            yield Related(self._shared(SESSION, data.owner), "owner")
        elif isinstance(data, DeliveryQueued | DeliveryWithheld):
            yield from self._queued(data, at)
        elif isinstance(data, OfMessages):
            message = self.objects.get(id_of(self.id, data.delivery or ""))
            if message is not None:  # else what queued it cannot be read
                self._note(message, STATUS, _BECAME[data.__class__], at)
                yield Related(message.id, MESSAGE)

    def _asked(self, data: TaskCreated) -> Iterator[Related]:
        """Who asked for a task, and who is to do it."""
        requester = data.requester if data.requester != data.owner else None
        named: tuple[tuple[Of, str | None, str], ...] = (
            (SESSION, data.owner, "owner"),
            (SESSION, requester, "requester"),
            (SESSION, data.child_session, "child session"),
            (AGENT, data.agent, "agent"),
            (AGENT, data.requester_agent, "requester agent"),
        )
        for of, name, qualifier in named:
            if name is not None:
                yield Related(self._shared(of, name), qualifier)

    def _queued(self, data: DeliveryQueued | DeliveryWithheld, at: int) -> Iterator[Related]:
        """A message that is to be delivered, or waits until it is."""
        message = self._message(data)
        yield Related(message.id, MESSAGE)
        if isinstance(data, DeliveryWithheld):
            self._note(message, STATUS, DeliveryStatus.WITHHELD, at)
        elif data.session is None:
            self._note(message, STATUS, DeliveryStatus.PENDING, at)
        else:
            self._note(message, STATUS, DeliveryStatus.SESSION_QUEUED, at)
            session = self._shared(SESSION, data.session)
            self._relate(message, session, "waits in")
            yield Related(session, "session")

    def _message(self, data: DeliveryQueued | DeliveryWithheld) -> Object:
        id = id_of(self.id, data.delivery)
        if id not in self.objects:
            message = self.objects[id] = Object(id, MESSAGE, [], [])
            route = data.route if isinstance(data, DeliveryQueued) else None
            channel = None if route is None else route.channel
            self._say(message, name=data.delivery, kind=data.kind, text=data.text, channel=channel)
            self._relate(message, self.id, "tells of")
        return self.objects[id]

    def _shared(self, of: Of, name: str) -> str:
        """Take in a session or an agent, and return its id."""
        id = f"{of}:{name}"
        if id not in self.objects:
            self.objects[id] = Object(id, of, [], [])
            self._say(self.objects[id], name=name)
        return id

    def _relate_to(self, of: Object, kind: Of, name: str | None, qualifier: str) -> None:
        if name:
            self._relate(of, self._shared(kind, name), qualifier)

    def _note(self, of: Object, name: str, value: str | None, at: int) -> None:
        """Say what an attribute is from a moment (ms) on, if it is another value than before.

        At one moment an attribute has one value, says the standard: it is the last one.
        """
        if value is None:
            return
        said, place = Attribute(name, value, moment(at) or ALWAYS), self._noted.get((of.id, name))
        if place is None or of.attributes[place].time != said.time:
            if place is None or of.attributes[place].value != value:
                self._noted[of.id, name] = len(of.attributes)
                of.attributes.append(said)
        else:
            of.attributes[place] = said

    @staticmethod
    def _say(of: Object, **said: str | None) -> None:
        """Say what an object always was; what is blank was erased, and is left out."""
        of.attributes.extend(Attribute(name, value) for name, value in said.items() if value)

    @staticmethod
    def _relate(of: Object, id: str, qualifier: str) -> None:
        related = Related(id, qualifier)
        if related not in of.relationships:
            of.relationships.append(related)


def _json(value: object) -> str | None:
    return None if value is None else as_json(value)
