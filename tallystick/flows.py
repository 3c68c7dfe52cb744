"""Flows for threads: every write waits until its event is durable."""

from contextlib import suppress
from typing import Any, TypeAlias

from pykka import Timeout

from tallystick.actors.future import LightFuture
from tallystick.actors.stream import AwaitEnd
from tallystick.erasing import let_go
from tallystick.facts import Addressee
from tallystick.flow_readings import FlowReadings
from tallystick.flow_verbs import FlowHandle
from tallystick.house import House
from tallystick.ledger import fields
from tallystick.ledger import intake as moments
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.flows import intake
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.lifecycle import FlowStatus, Status
from tallystick.ledger.limits import CANCEL_WAIT_MS, TIMEOUT_MS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.projections.flow_list import FlowCounts
from tallystick.projections.flow_query import FlowPage

MS_PER_S = 1_000

Tasks: TypeAlias = list[TaskRecord]


class Flow(FlowHandle[FlowRecord]):
    """One flow: its newest known record, and what can be done with it. Every verb waits for the disk."""

    def __init__(self, house: House, record: FlowRecord) -> None:
        self._house, self._record = house, record
        self._actor: Addressee | None = None

    def tasks(self) -> Tasks:
        """Return the tasks of the flow, the newest first."""
        return FlowReadings(self._house.readings.reader).tasks(self.id)

    def refresh(self) -> FlowRecord:
        """Read the flow again."""
        return self._see(FlowReadings(self._house.readings.reader).get(self.id))

    def cancel(
        self,
        reason: str | None = None,
        *,
        wait_ms: int = CANCEL_WAIT_MS,
        expected_revision: int | None = None,
        occurred_at: int | None = None,
    ) -> FlowRecord:
        """Have all of it stopped: no task joins any more, and those at work are cancelled, with all below them.

        That is sticky, also across a restart: the flow ends as cancelled when the last of its tasks has ended.
        Answers when it has, or after `wait_ms` with what is known.
        """
        wait_ms = fields.whole("wait_ms", wait_ms, most=TIMEOUT_MS_MAX)
        record = self._request_cancel(reason, expected_revision, occurred_at)
        if record.is_active and wait_ms:
            ended = LightFuture()
            self._house.facts().send(self._speak(), AwaitEnd(), ended)
            with suppress(Timeout):
                ended.get(timeout=wait_ms / MS_PER_S)
            record = self.refresh()
        return record

    def erase(self, reason: str) -> FlowRecord:
        """Erase all content of a managed flow that is kept beside the log up to now; its tasks keep theirs.

        As `Task.erase`. It needs no revision. Raises `FlowRefused` for a flow that mirrors a task, too.
        """
        record = super().erase(reason)
        let_go(self._house, [record.stream])
        return record

    def _actor_name(self) -> str:
        return self._house.actor

    def _speak(self) -> Addressee:
        if self._actor is None:
            self._actor = self._house.facts().flow(self._record.stream)
        return self._actor

    def _send(self, command: Command) -> FlowRecord:
        future = LightFuture()
        self._house.facts().send(self._speak(), command, future)
        return self._see(future.get())


class Flows:
    """The flows of a ledger.

    What can be done with one can be done here by its id, too; then `expected_revision` says which one was seen.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._readings = FlowReadings(house.readings.reader)

    def create(
        self,
        *,
        owner: str,
        goal: str,
        controller: str,
        step: str | None = None,
        state: Any = None,
        idempotency_key: str | None = None,
        occurred_at: int | None = None,
    ) -> Flow:
        """Begin a flow for a session: `controller` names who drives it.

        The same `idempotency_key` always gives back the same flow: a controller that was killed finds its own.
        """
        fact = intake.created(
            owner=owner, goal=goal, controller=controller, step=step, state=state, idempotency_key=idempotency_key
        )
        facts, future = self._house.facts(), LightFuture()
        actor = facts.newborn_flow(self._house.new_id())
        facts.send(actor, Command(fact, self._house.actor, moments.moment(occurred_at)), future)
        return Flow(self._house, future.get())

    def get(self, flow_id: str) -> Flow:
        """Return the flow with this id. Raises `NotFound`."""
        return Flow(self._house, self._readings.get(flow_id))

    def find(self, token: str) -> Flow:
        """Return the flow with this id, else the only flow of this owner that has not ended.

        Raises `NotFound`, and `Ambiguous` with the candidates when there are several.
        """
        return Flow(self._house, self._readings.find(token))

    def list(self, **filters: Any) -> FlowPage:
        """Return flows newest first: `.flows`, and `.next_cursor` for the page that follows, if there is one.

        Filters: status, owner, controller, mode ("managed" or "mirrored"), limit, cursor. Raises `InvalidInput`.
        """
        return self._readings.list(**filters)

    def tasks(self, flow: Flow | str) -> Tasks:
        """Return the tasks of a flow, the newest first. Raises `NotFound`."""
        return self._readings.tasks(id_of(flow))

    def counts(self) -> FlowCounts:
        """Return how many managed flows there are, by status."""
        return self._readings.counts()

    def claim(self, flow: Flow | str, step: str, **said: Any) -> FlowRecord:
        """As `Flow.claim`."""
        return self._written(flow, said).claim(step, **said)

    def set_waiting(self, flow: Flow | str, wait: Any, **said: Any) -> FlowRecord:
        """As `Flow.set_waiting`."""
        return self._written(flow, said).set_waiting(wait, **said)

    def resume(self, flow: Flow | str, **said: Any) -> FlowRecord:
        """As `Flow.resume`."""
        return self._written(flow, said).resume(**said)

    def finish(self, flow: Flow | str, summary: str | None = None, **said: Any) -> FlowRecord:
        """As `Flow.finish`."""
        return self._written(flow, said).finish(summary, **said)

    def fail(self, flow: Flow | str, error: str, **said: Any) -> FlowRecord:
        """As `Flow.fail`."""
        return self._written(flow, said).fail(error, **said)

    def link(self, flow: Flow | str, task: Any, **said: Any) -> FlowRecord:
        """As `Flow.link`."""
        return self._written(flow, said).link(task, **said)

    def cancel(self, flow: Flow | str, reason: str | None = None, **said: Any) -> FlowRecord:
        """As `Flow.cancel`; it needs no revision."""
        return self._meant(flow).cancel(reason, **said)

    def settle(self, flow: Flow | str, status: FlowStatus | Status | str, reason: str, **said: Any) -> FlowRecord:
        """As `Flow.settle`; it needs no revision."""
        return self._meant(flow).settle(status, reason, **said)

    def erase(self, flow: Flow | str, reason: str) -> FlowRecord:
        """As `Flow.erase`; it needs no revision."""
        return self._meant(flow).erase(reason)

    def _written(self, flow: Flow | str, said: dict[str, Any]) -> Flow:
        """Return the handle of a flow to write to: who names it by its id says which revision of it was seen."""
        if not isinstance(flow, Flow) and said.get("expected_revision") is None:
            raise intake.unseen()
        return self._meant(flow)

    def _meant(self, flow: Flow | str) -> Flow:
        return flow if isinstance(flow, Flow) else self.get(id_of(flow))


def id_of(flow: Any) -> str:
    """Return the id of a flow that was given as its handle, its record or its id. Raises `InvalidInput`."""
    for name in ("id", "flow_id"):
        named = getattr(flow, name, None)
        if isinstance(named, str):
            flow = named
    found = fields.flow_id("flow", flow) if isinstance(flow, str) else None
    if found is None:
        raise InvalidInput("flow", flow, "a flow, or its id")
    return found
