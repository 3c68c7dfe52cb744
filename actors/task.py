"""The task actor: decides the commands that reach one task, and consumes its own events."""

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from msgspec.structs import replace

from tallystick.actors.envelope import Envelope, Reply
from tallystick.actors.neighbourhood import NEEDED, Linking, TaskNeighbourhood
from tallystick.actors.stream import StreamActor, happened
from tallystick.ledger import lineage
from tallystick.ledger.claims import claims_of
from tallystick.ledger.commands import Command
from tallystick.ledger.decide import decide
from tallystick.ledger.errors import Corrupt, NotFound, Pruned, Refused
from tallystick.ledger.events import AnyFact, Event, TaskFact
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.tasks import (
    TaskAmended,
    TaskCancelled,
    TaskCreated,
    TaskErased,
    TaskLateSignal,
    TaskLinked,
    TaskProgressed,
    TaskRecovered,
)
from tallystick.ledger.flows.mirror import mirror_of, mirror_stream
from tallystick.ledger.guard import claims_by_texts, guards_of, stands, taken_over
from tallystick.ledger.ids import id_bytes
from tallystick.ledger.lifecycle import MEDIA_KINDS
from tallystick.ledger.limits import PROGRESS_MS_MIN, USAGE_KEYS_MAX
from tallystick.ledger.notices import TOLD
from tallystick.ledger.progress import is_too_soon, merged
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.redaction import repeated, says
from tallystick.ledger.refusal import Refusal, pruned, refused
from tallystick.ledger.remains import bare, remains_of_task
from tallystick.ledger.store.port import NOBODY
from tallystick.projections.pauses import forgotten

NO_CLAIMS: Mapping[bytes, bytes] = {}
OUTBOX_ACTOR = "outbox"
"""Who says that a message waits."""


class _Held(msgspec.Struct, frozen=True, gc=False):
    """Progress that was answered and is not written yet, and when it is to be."""

    command: Command
    until_ms: int


class TaskActor(StreamActor[TaskRecord]):
    """One task: its commands are decided by the table, and its messages follow its events."""

    _home: TaskNeighbourhood
    _followed = TOLD
    _follower = OUTBOX_ACTOR
    _repeating = frozenset({TaskCancelled, TaskLateSignal, TaskRecovered})  # why it was to be cancelled

    def __init__(self, stream: bytes, home: TaskNeighbourhood, *, newborn: bool = False) -> None:
        super().__init__(stream, home, newborn=newborn)
        self._held: _Held | None = None

    def _begins(self, event: Event) -> bool:
        return event.data.__class__ is TaskCreated

    def _evolved(self, record: TaskRecord | None, event: Event) -> TaskRecord:
        return evolve(record, event)

    def _left(self, event: Event) -> TaskRecord | None:
        return remains_of_task(event)

    def _bare(self, at: int) -> TaskRecord:
        return bare(TaskRecord, self.stream, at)

    def _pruned(self, record: TaskRecord) -> Pruned:
        return pruned(record)

    def _missing(self) -> NotFound:
        return NotFound(self.actor_urn)

    def _following(self, event: Event, before: TaskRecord | None, after: TaskRecord) -> Sequence[AnyFact]:
        return self._home.telling.notices(event, before, after)

    def _as_said_before(self, fact: TaskFact, record: TaskRecord | None) -> TaskFact:
        if record is None or not record.cancel_reason or not says(fact, record.cancel_reason):
            return fact
        return repeated(fact, (event.data for event in self._events()))

    def _decide(self, command: Command, envelope: Envelope) -> None:
        data, future = command.data, envelope.reply_to
        if isinstance(data, TaskCreated):
            self._create(data, command, envelope)
            return
        if isinstance(data, TaskErased) and self.record is not None:
            self._erase(data, command, future)
            return
        outcome = decide(self.record, command, token=self.actor_urn if self.record is None else "")
        if command.as_of is not None and not isinstance(outcome, Refusal):
            assert self.record is not None, "what is not there is refused"
            if self._home.is_needed_since(self.stream, command.as_of):
                outcome = refused(self.record, data, NEEDED)  # type: ignore[arg-type]  # of a task, as it was decided
        if isinstance(outcome, Refusal):
            self._refuse(outcome, command, future)
            return
        if not outcome:
            self._rest()
        elif not self._hold(outcome, command):
            if self._held is not None:
                self.release_held()
            self._stage(outcome, command)
        self._home.journal.answer(future, self.record)

    def _erase(self, reported: TaskErased, command: Command, future: Reply | None) -> None:
        """Erase what is kept of it, and what the flow that mirrors it said of it: both, or neither."""
        mirror = self._home.flows.actor(mirror_stream(self.stream))
        of_mirror = mirror.erasable(reported)  # first, for what cannot be read is refused before anything is staged
        events = self._events()
        erasure: TaskErased = self._erasing(reported, events)
        outcome = decide(self.record, replace(command, data=erasure), token="")
        if not erasure.count and of_mirror is not None:
            outcome = ()
        elif self._is_remains and not erasure.count:
            self._home.journal.answer(future, self.gone())
            self._rest()
            return
        if isinstance(outcome, Refusal):
            self._refuse(outcome, command, future)
            return
        if outcome and self._held is not None:  # it is told first, and goes with the rest
            self.release_held()
            events = self._events()
            command = replace(command, data=self._erasing(reported, events), expected_version=None)
            outcome = decide(self.record, command, token="")
            assert not isinstance(outcome, Refusal), "what was allowed"
        if outcome:
            self._stage(outcome, command)
            self._let_go_of(events)
        if of_mirror is not None:
            mirror.erase(of_mirror, command)
        self._home.journal.answer(future, self.record)

    def _let_go_of(self, events: Sequence[Event]) -> None:
        """Let go of what else knows the texts: claims, for a digest without a salt tells who tries, and pauses."""
        for name, value in forgotten(event.data for event in events).items():
            self._home.journal.note(name, value)
        created = events[0].data if events else None
        assert self.record is not None, "what is erased is there"
        if isinstance(created, TaskCreated):
            told = claims_by_texts(created, self.record.task_kind)
            held = [claim for claim in told if self._home.journal.claimed(claim) == self.stream]
            self._home.journal.claim(dict.fromkeys(held, NOBODY))

    def _create(self, created: TaskCreated, command: Command, envelope: Envelope) -> None:
        """Become a task, or fill its blanks; or leave it to the task that this id stands for."""
        future = envelope.reply_to
        claims = self._claims(created)
        if self.stands_for is not None:
            self._home.pass_on(envelope, self.stands_for)
            return
        if created.kind in MEDIA_KINDS and created.imported is None:  # what another ledger has stands for nothing here
            claims = {**claims, **self._guards(created, command)}
            if self.address != self.stream:
                self._home.repeat(command, self.address, future)
                return
        placed = lineage.placed(created, self.record, self.actor_urn, self._known_of)
        if isinstance(placed, Refusal):
            self._refuse(placed, command, future)
            return
        if placed is not created:
            command = replace(command, data=placed)
        outcome = self._of_another_flow(created) or decide(self.record, command, token=self.actor_urn)
        if not isinstance(outcome, Refusal) and outcome:
            flow = self._flow_of(outcome[0])
            error = None if flow is None else flow.refusal_of(created.owner, created.scope, self.record)
            if error is None:
                self.release_held()
                self._stage(outcome, command)
                self._home.journal.claim(claims)
                if flow is not None:
                    flow.joined(self.actor_urn, command)
                placed_below = outcome[0].parent  # type: ignore[union-attr]  # a creation, or what it adds
                if placed_below is not None:
                    self._need_above(placed_below, placed.root)
            else:
                outcome = Refusal(error)
        if isinstance(outcome, Refusal):
            self._refuse(outcome, command, future)
            return
        if not outcome:
            self._rest()
        self._home.journal.answer(future, self.record)

    def _need_above(self, parent: str, root: str | None) -> None:
        """Take note that what has ended above is needed since this turn, for the task is below it."""
        needed = lineage.needed_below(parent, root, self._known_of)
        if needed is not None:
            self._home.need(id_bytes(needed))

    def _of_another_flow(self, created: TaskCreated) -> Refusal | None:
        """Refuse to be found by a creation that is to be one of another flow's: that one would not reach this task."""
        record, flow_id = self.record, created.flow
        if record is None or flow_id is None or record.parent_flow_id in (None, flow_id, mirror_of(record.task_id)):
            return None
        error = self._home.flows.actor(id_bytes(flow_id)).refusal_of(created.owner, created.scope, record)
        return None if error is None else Refusal(error)

    def _flow_of(self, fact: TaskFact) -> Linking | None:
        """Return the actor of the flow that a creation makes the task one of, if it names one."""
        assert isinstance(fact, TaskCreated | TaskAmended), "what follows from a creation"
        return None if fact.flow is None else self._home.flows.actor(id_bytes(fact.flow))

    def link(self, flow_id: str, command: Command) -> None:
        """Say that the task is one of this flow from now on: in the turn of the flow's actor, which may ask for it."""
        self.release_held()
        if not self._known:
            self._load()
        self._stage((TaskLinked(flow=flow_id),), command)

    def _known_of(self, task_id: str) -> TaskRecord | None:
        return self._home.known(id_bytes(task_id))

    def _refuse(self, refusal: Refusal, command: Command, future: Reply | None) -> None:
        error = refusal.error
        if refusal.evidence is not None:
            position = self._stage((refusal.evidence,), command)
            assert isinstance(error, Refused), "only a refused signal is kept"
            error = Refused(error.token, status=error.status, attempted=error.attempted, position=position)
        self._rest()
        self._home.journal.answer(future, error)

    def _claims(self, created: TaskCreated) -> Mapping[bytes, bytes]:
        """Return what a creation claims; when another task has one of it, that stands for this id from now on."""
        journal = self._home.journal
        holders = {claim: journal.claimed(claim) for claim in claims_of(created)}
        if not holders:
            return NO_CLAIMS
        if self.record is None:
            # The key comes last of the claims and outranks the run: the same key always gives the same task.
            holder = next((stream for stream in reversed(holders.values()) if stream is not None), None)
            if holder is not None and holder != self.stream:
                self.stands_for = holder
                return NO_CLAIMS
        elif created.idempotency_key is None:
            return NO_CLAIMS  # found by its run: there is nothing to add
        else:
            holders = dict([next(reversed(holders.items()))])  # the amendment that follows has the key alone
        return dict.fromkeys((claim for claim, stream in holders.items() if stream is None), self.stream)

    def _guards(self, created: TaskCreated, command: Command) -> Mapping[bytes, bytes]:
        """Return what a generation claims besides; when another one is given back instead, that stands for this id.

        All actors of facts have their turns on one thread, so of two calls at the same time one comes second.
        """
        journal = self._home.journal
        guards, at = guards_of(created, self.record, command.veil), happened(command, journal.now())
        for place, guard in enumerate(guards):
            holder = journal.claimed(guard)
            if holder is not None and holder != self.stream and self._stands(holder, at, same_request=place > 0):
                if self.record is None:
                    self.stands_for = holder
                return NO_CLAIMS
        return dict.fromkeys(guards, self.stream)

    def _stands(self, holder: bytes, at: int, *, same_request: bool) -> bool:
        try:
            record = self._home.known(holder)
        except Corrupt:  # its damage is its own: nobody is kept from starting another one
            return False
        return record is not None and stands(record, at, same_request=same_request)

    def repeat(self, creation: Command, future: Reply | None) -> None:
        """Answer a creation that this task stands for, in the turn of the actor that it reached.

        Its idempotency key gives this task from now on; nothing else of it is taken over.
        """
        assert isinstance(creation.data, TaskCreated), "what is repeated"
        refusal = self._of_another_flow(creation.data)
        if refusal is not None:
            self._home.journal.answer(future, refusal.error)
            return
        self._decide(replace(creation, data=taken_over(creation.data)), Envelope(creation, future))

    def _hold(self, facts: tuple[TaskFact, ...], command: Command) -> bool:
        """Keep a progress that comes too soon after the last; it is written with the next event or in a second."""
        data, record = facts[-1], self.record
        if data.__class__ is not TaskProgressed or command.force or record is None:
            return False
        directory = self._home
        if not directory.holds or not is_too_soon(record.progress_at, directory.journal.now()):
            return False
        held = self._held
        if held is None:
            assert record.progress_at is not None, "what comes too soon comes after another"
            until_ms = record.progress_at + PROGRESS_MS_MIN
            directory.hold(self, until_ms)
        else:
            until_ms = held.until_ms
            data = merged(held.command.data, data)  # type: ignore[arg-type]  # both are progress
            if len(data.usage or ()) > USAGE_KEYS_MAX:
                return False  # one event cannot say it
        directory.journal.undo(partial(self._hold_again, held))
        self._held = _Held(Command(data, command.actor, command.occurred_at), until_ms)
        return True

    def _hold_again(self, held: _Held | None) -> None:
        """A turn that held something back, or released it, was not committed: it is as it was before the turn."""
        self._held = held
        if held is not None:
            until_ms = self._home.journal.now() + PROGRESS_MS_MIN
            self._held = _Held(held.command, until_ms)
            self._home.hold(self, until_ms)

    def release_due(self, at_ms: int) -> bool:
        """Stage what was held back until `at_ms`; False when what is held now is to be written later."""
        if self._held is not None and self._held.until_ms > at_ms:
            return False
        self.release_held()
        return True

    def release_held(self) -> None:
        """Stage the progress that was held back, if there is one and the task still runs."""
        held = self._held
        if held is None:
            return
        if not self._known:
            self._load()
        self._home.journal.undo(partial(self._hold_again, held))
        self._held = None
        if self.record is not None and self.record.is_active:
            command = self._said(held.command)  # a hook may have come since
            self._stage((command.data,), command)

    def _may_go(self) -> bool:
        """Whether no message of it is on its way: else it is spoken to again, soon."""
        return self.record is None or not any(waiting.is_sent for waiting in self.record.outbox)

    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is held back."""
        return self._held is None and super().is_idle()
