"""The flow actor: decides what is asked of one flow, and consumes its own events."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from tallystick.actors.envelope import Envelope, Reply
from tallystick.actors.neighbourhood import NEEDED, FlowNeighbourhood
from tallystick.actors.stream import StreamActor
from tallystick.ledger.claims import flow_claims_of
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import NotFound, Pruned, TallystickError
from tallystick.ledger.events import Event, FlowFact
from tallystick.ledger.facts.flows import (
    FlowCancelled,
    FlowCreated,
    FlowErased,
    FlowNoted,
    FlowPruned,
    FlowTaskLinked,
    FlowWaitingSet,
)
from tallystick.ledger.facts.tasks import TaskErased
from tallystick.ledger.flows.decide import (
    FlowFacts,
    decide_flow,
    erased,
    is_linked,
    not_joined,
    not_linked,
    refused,
    untold,
)
from tallystick.ledger.flows.evolve import evolve_flow
from tallystick.ledger.flows.mirror import has_mirror, is_mirror, mirror_of, mirror_stream, mirrored, pruned_newest
from tallystick.ledger.flows.record import FlowRecord, no_flow, pruned_flow
from tallystick.ledger.ids import id_bytes
from tallystick.ledger.lifecycle import FlowMode, FlowStatus, Scope
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.redaction import repeated
from tallystick.ledger.remains import bare, remains_of_flow

NO_CLAIMS: Mapping[bytes, bytes] = {}


class FlowActor(StreamActor[FlowRecord]):
    """One flow. What it has to know of tasks it asks their actors, in its own turn: they share a thread and a batch.

    A flow that mirrors a task has no events before somebody cancels it or another task joins it.
    """

    _home: FlowNeighbourhood

    def _begins(self, event: Event) -> bool:
        return event.data.__class__ is FlowCreated

    def _evolved(self, record: FlowRecord | None, event: Event) -> FlowRecord:
        return evolve_flow(record, event)

    def _left(self, event: Event) -> FlowRecord | None:
        return remains_of_flow(event)

    def _bare(self, at: int) -> FlowRecord:
        return bare(FlowRecord, self.stream, at)

    def _pruned(self, record: FlowRecord) -> Pruned:
        return pruned_flow(record)

    def _missing(self) -> NotFound:
        return no_flow(self.actor_urn)

    def seen(self) -> FlowRecord | None:
        """Return the flow as it is in this turn; None when there is none. Raises `Corrupt`."""
        own = self.current()
        if own is not None and (own.is_managed or own.pruned_at is not None):
            return own
        origin = self._home.tasks.known(mirror_stream(self.stream))
        if origin is None or not has_mirror(origin) or origin.pruned_at is not None:
            return None
        return self._mirrored(origin, own)

    def _mirrored(self, origin: TaskRecord, own: FlowRecord | None) -> FlowRecord:
        newest = None if own is None or own.followed_task_id is None else self._task(own.followed_task_id)
        if newest is not None and newest.pruned_at is not None:
            newest = pruned_newest(
                origin,
                newest.task_id,
                status=newest.status,
                outcome=newest.terminal_outcome,
                ended_at=newest.ended_at,
            )
        return mirrored(origin, newest or origin, own)

    def _left_over(self) -> FlowRecord | None:
        """Return a flow whose first task was pruned before it: nobody sees it, and it can be pruned as well."""
        own, origin = self.current(), self._home.tasks.known(mirror_stream(self.stream))
        if own is None or origin is None:
            return None
        left = self._mirrored(origin, own)
        if left.status is FlowStatus.BLOCKED:  # nobody can do anything about it any more
            left = replace(left, ended_at=origin.ended_at)
        return left

    def _task(self, task_id: str) -> TaskRecord | None:
        return self._home.tasks.known(id_bytes(task_id))

    def _decide(self, command: Command, envelope: Envelope) -> None:
        data, future = command.data, envelope.reply_to
        claims = NO_CLAIMS
        if isinstance(data, FlowCreated):
            claims = self._claims(data)
            if self.stands_for is not None:
                self._home.pass_on(envelope, self.stands_for)
                return
        if isinstance(data, FlowTaskLinked):
            self._link(data, command, future)
            return
        if isinstance(data, FlowErased):
            data = self._erasing(data, self._events())
            command = replace(command, data=data)
            if self._is_remains and not data.count:
                self._answer(future, self.gone())
                return
        of_its_own = isinstance(data, FlowCancelled | FlowCreated | FlowErased)
        seen = self.current() if of_its_own else self.seen()
        if seen is None and isinstance(data, FlowPruned):
            seen = self._left_over()
        if seen is None and isinstance(data, FlowErased):
            seen = self.seen()
        outcome: FlowFacts | TallystickError
        if seen is not None and self.current() is None and isinstance(data, FlowErased | FlowNoted | FlowPruned):
            outcome = untold(seen, data)
        else:
            outcome = decide_flow(seen, command, token=self.actor_urn)
        is_allowed = not isinstance(outcome, TallystickError)
        if command.as_of is not None and seen is not None and is_allowed and self._goes_before_its_task(command.as_of):
            outcome = refused(seen, "prune", "needed", NEEDED)
        if isinstance(outcome, TallystickError):
            self._answer(future, outcome)
            return
        if outcome:
            self._write(outcome, command)
            self._home.journal.claim(claims)
            if isinstance(data, FlowWaitingSet) and data.blocked_task is not None:
                self._home.tasks.need(id_bytes(data.blocked_task))
        self._answer(future, self.seen())

    def _goes_before_its_task(self, position: int) -> bool:
        """Whether a mirror was looked at as of a position behind which its first task has gone on, or is needed."""
        if not is_mirror(self.stream):
            return False
        first = mirror_stream(self.stream)
        origin = self._home.tasks.known(first)
        return (origin is not None and origin.position > position) or self._home.tasks.is_needed_since(first, position)

    def _write(self, facts: Sequence[FlowFact], command: Command) -> None:
        """Stage them; of a flow that mirrors a task and has no events yet, its beginning first."""
        if self.record is None and not isinstance(facts[0], FlowCreated):
            seen = self.seen()
            assert seen is not None, "what is decided of a flow is decided of one that is there"
            began = FlowCreated(mode=FlowMode.MIRRORED, owner=seen.owner_key, goal=seen.goal, began_at=seen.created_at)
            of_task = self._events_of(mirror_stream(self.stream))  # its goal is what the task says
            facts = (repeated(began, (event.data for event in of_task)), *facts)
        self._stage(facts, command)

    def _answer(self, future: Reply | None, answer: FlowRecord | TallystickError | None) -> None:
        self._rest()
        self._home.journal.answer(future, answer)

    def _claims(self, created: FlowCreated) -> Mapping[bytes, bytes]:
        """Return what a creation claims; when another flow has its key, that stands for this id from now on."""
        claims = flow_claims_of(created)
        for claim in claims:
            holder = self._home.journal.claimed(claim)
            if holder is not None and holder != self.stream:
                self.stands_for = holder
                return NO_CLAIMS
        return dict.fromkeys(claims, self.stream)

    # Tasks.

    def _link(self, data: FlowTaskLinked, command: Command, future: Reply | None) -> None:
        """Make a task one of this flow: both say so, in the same transaction, or neither."""
        seen, task = self.seen(), self._task(data.task)
        if seen is not None and task is not None and seen.is_active and is_linked(seen, task):
            self._answer(future, seen)
            return
        outcome = decide_flow(seen, command, token=self.actor_urn)
        if isinstance(outcome, TallystickError):
            self._answer(future, outcome)
            return
        assert seen is not None, "nobody decides of what is not there"
        error: TallystickError | None
        if task is None:
            error = NotFound(data.task)
        elif task.pruned_at is not None:
            error = self._home.tasks.actor(task.stream).gone()
        else:
            error = self._not_linked(seen, task)
        if error is not None:
            self._answer(future, error)
            return
        self._stage(outcome, command)
        self._home.tasks.actor(id_bytes(data.task)).link(self.actor_urn, command)
        self._answer(future, self.record)

    def _not_linked(self, seen: FlowRecord, task: TaskRecord) -> TallystickError | None:
        """Return why a task cannot be linked. It may leave its mirror, but no others there, and no cancel."""
        is_alone = self._home.known(mirror_stream(task.stream)) is None
        return not_linked(seen, task, mirror_of(task.task_id) if is_alone else None)

    def refusal_of(self, owner: str | None, scope: Scope, task: TaskRecord | None) -> TallystickError | None:
        """Return why a task of this owner cannot join; None when it can. In the turn of the task's actor."""
        seen = self.seen()
        error: TallystickError | None
        if self._is_remains:
            error = self.gone()
        elif seen is None or task is None:
            error = not_joined(seen, self.actor_urn, owner, scope)
        else:
            error = self._not_linked(seen, task)
        if error is not None:
            self._rest()
        return error

    def joined(self, task_id: str, command: Command) -> None:
        """A task has joined, in this turn: one that mirrors tasks follows this one from now on."""
        seen = self.seen()
        if seen is not None and not seen.is_managed:
            self._write((FlowTaskLinked(task=task_id),), command)
            self._home.tasks.need(mirror_stream(self.stream))  # the first task stays as long as another one is there
        self._rest()

    def erasable(self, of_task: TaskErased) -> FlowErased | None:
        """Return with what goes what it says of the task that it mirrors, if anything is kept. Raises `Corrupt`."""
        own = self.current()
        self._rest()
        if own is None:
            return None
        likewise = FlowErased(reason=of_task.reason, redacted=of_task.redacted)
        erasing: FlowErased = self._erasing(likewise, self._events())
        return erased(own, erasing) if erasing.count else None

    def erase(self, erasure: FlowErased, command: Command) -> None:
        """Erase it with the content of its task, in this turn."""
        self._stage((erasure,), command)
        self._rest()
