"""The flows: the actors of flows that are in memory."""

from typing import TYPE_CHECKING

from tallystick.actors.directory import Directory
from tallystick.actors.flow import FlowActor
from tallystick.ledger.flows.record import FlowRecord

if TYPE_CHECKING:
    from tallystick.actors.tasks import Tasks


class Flows(Directory[FlowActor]):
    """The directory of flow actors. `tasks` is that of the tasks that they link or mirror."""

    tasks: "Tasks"

    def _made(self, stream: bytes, *, newborn: bool = False) -> FlowActor:
        return FlowActor(stream, self, newborn=newborn)

    def known(self, stream: bytes) -> FlowRecord | None:
        """Return what a flow's own events tell in this turn; None when it has none. Raises `Corrupt`."""
        actor = self.actor(stream)
        record = actor.current()
        if record is None or not record.is_active:
            self.let_go_later(actor)
        return record
