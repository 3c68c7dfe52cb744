"""The session: what waits in one until it is taken, for threads; its twin for asyncio is in `async_session`."""

from collections.abc import Mapping

from tallystick.actors.future import LightFuture
from tallystick.house import House
from tallystick.ledger import fields
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import NotFound, Refused, TallystickError
from tallystick.ledger.events import TaskFact
from tallystick.ledger.facts.deliveries import DeliveryDelivered
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.limits import ACKNOWLEDGED_AT_ONCE, SESSION_TAKE_DEFAULT
from tallystick.ledger.record import TaskRecord
from tallystick.leftovers import active_in, resource_closed, resource_opened
from tallystick.messages import SessionEvent

Acknowledgement = tuple[bytes, Command]
"""A task, and the command that says that its message was taken."""


class Session:
    """The queue of one session, and the way on which the session is reached.

    Events stay until they are acknowledged, whatever is restarted in between, and come in the order of the log.
    """

    def __init__(self, house: House, key: str) -> None:
        self.key = fields.required_key("session", key)
        self._house = house

    def __repr__(self) -> str:
        return f"<Session {self.key}>"

    def take(self, limit: int = SESSION_TAKE_DEFAULT) -> list[SessionEvent]:
        """Return what waits, the oldest first, at most `limit`. It waits on until `ack`: taking it again is safe."""
        return self._house.messages.take(self.key, limit)

    def ack(self, position: int) -> int:
        """Say that everything up to a position was dealt with; returns how much that was, when it is durable.

        Doing so again changes nothing. When something cannot be recorded, all else is, and then the first error
        is raised.
        """
        facts = self._house.facts()
        acknowledged, failed = 0, Failures()
        for page in acknowledgements(self._house, self.key, position):
            asked = []
            for stream, command in page:
                with failed:
                    future = LightFuture()
                    facts.send(facts.actor(stream), command, future)
                    asked.append(future)
            for future in asked:
                with failed:
                    future.get()
            acknowledged += len(asked)
        failed.raise_first()
        return acknowledged

    def reach(self, route: Origin | Mapping[str, object]) -> None:
        """Take note of the way on which this session is reached now: blanks of its tasks' origins are filled from it.

        Durable when it returns. Raises `InvalidInput` unless it says channel and target, `NotOwner`.
        """
        future = LightFuture()
        self._house.outlets.reach(self.key, route, future)
        future.get()

    def opened(
        self, kind: str, name: str, *, pid: int | None = None, evidence: Mapping[str, object] | None = None
    ) -> TaskRecord:
        """The work in this session opened something that is to be closed when it ends: as `Task.opened`.

        It belongs to the newest active task that has this as its child session. Raises `NotFound` without one.
        """
        return self._report(resource_opened(kind, name, pid=pid, evidence=evidence))

    def closed(self, kind: str, name: str) -> TaskRecord:
        """The work in this session closed itself what it had opened. Raises as `opened`."""
        return self._report(resource_closed(kind, name))

    def _report(self, fact: TaskFact) -> TaskRecord:
        facts = self._house.facts()
        future = LightFuture()
        task = active_in(self._house.readings.reader, self.key)
        facts.send(facts.actor(task.stream), Command(fact, self._house.actor), future)
        record: TaskRecord = future.get()
        return record


class Failures:
    """What could not be acknowledged, each met in a block of its own, so that one does not hold up the others."""

    def __init__(self) -> None:
        self._first: TallystickError | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        if isinstance(error, TallystickError) and not isinstance(error, Refused | NotFound):
            self._first = self._first or error
        return isinstance(error, TallystickError)  # what was refused, somebody else has dealt with

    def raise_first(self) -> None:
        """Raise what came first, if anything did."""
        if self._first is not None:
            raise self._first


def acknowledgements(house: House, key: str, position: int) -> list[list[Acknowledgement]]:
    """Return what says that everything in a session up to a position was dealt with, as many as are sent together."""
    fields.whole("position", position)
    wanted = [
        (record.stream, Command(DeliveryDelivered(delivery=waiting.delivery), house.actor))
        for record, waiting in house.messages.waiting_in(key, position)
    ]
    return [wanted[start : start + ACKNOWLEDGED_AT_ONCE] for start in range(0, len(wanted), ACKNOWLEDGED_AT_ONCE)]
