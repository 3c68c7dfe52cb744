"""Parts for the tests of flows' actors: a desk with tasks that flows may have."""

from typing import Any

from tallystick.actors.flow import FlowActor
from tallystick.ledger.events import Event, FlowFact
from tallystick.ledger.facts.flows import FlowTaskLinked
from tallystick.ledger.flows.evolve import fold_flow
from tallystick.ledger.flows.mirror import mirror_stream
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import id_text
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import EventLog
from tests.actors.parts import STREAMS, Desk, Outcome, history
from tests.ledger.flows.tale import begun
from tests.story import created

FLOW, OTHER = STREAMS[8], STREAMS[9]
FLOW_ID, OTHER_ID = id_text(FLOW), id_text(OTHER)
TASK, SECOND = STREAMS[0], STREAMS[1]
TASK_ID, SECOND_ID = id_text(TASK), id_text(SECOND)
MIRROR = mirror_stream(TASK)
"""The flow that mirrors the first task, when it is a detached one of which somebody hears."""


class FlowDesk(Desk):
    """A desk where flows are asked, too."""

    def ask(self, flow: bytes | FlowActor, data: FlowFact, **more: Any) -> Outcome:
        """Send a command to a flow, run turns until nobody is ready, and return the outcome."""
        return self.tell(self.flows.actor(flow) if isinstance(flow, bytes) else flow, data, **more)

    def begin(self, flow: bytes = FLOW, **said: Any) -> FlowRecord:
        """Begin a flow under this id."""
        answer = self.ask(self.flows.newborn(flow), begun(**said))
        assert isinstance(answer, FlowRecord), answer
        return answer

    def work(self, task: bytes = TASK, **said: Any) -> TaskRecord:
        """Create a task under this id."""
        answer = self.tell(self.directory.newborn(task), created(**said))
        assert isinstance(answer, TaskRecord), answer
        return answer

    def link(self, flow: bytes = FLOW, task: bytes = TASK, **more: Any) -> Outcome:
        return self.ask(flow, FlowTaskLinked(task=id_text(task)), **more)


def flow_folded(log: EventLog, stream: bytes) -> FlowRecord | None:
    """Return the record that the log tells of a flow."""
    return fold_flow(history(log, stream))


def events_of(log: EventLog) -> list[Event]:
    """Return the log; none of it is damaged."""
    return [stored for stored in log.read() if isinstance(stored, Event)]
