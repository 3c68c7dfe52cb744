"""The task actor: decides the commands that reach one task, and consumes its own events."""

from typing import TYPE_CHECKING, Any

import msgspec

from tallystick.actors.actor import DispatchedActor
from tallystick.actors.future import LightFuture
from tallystick.ledger.claims import claims_of
from tallystick.ledger.commands import Command
from tallystick.ledger.decide import Refusal, decide
from tallystick.ledger.errors import Corrupt, NotFound, Refused
from tallystick.ledger.events import Event, TaskCreated, TaskFact, TaskProgressed
from tallystick.ledger.evolve import evolve
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import PROGRESS_MS_MIN
from tallystick.ledger.progress import is_too_soon, merged
from tallystick.ledger.record import TaskRecord

if TYPE_CHECKING:
    from pykka._envelope import Envelope

    from tallystick.actors.directory import Directory


class AwaitEnd(msgspec.Struct, frozen=True):
    """Asks for the task's record once the task has ended."""


class TaskActor(DispatchedActor):
    """One task. Its state is what its events say, durable ones and those of the turn that is under way.

    Everything happens on the dispatcher's thread, one message at a time; nothing here waits for anything.
    """

    _set_up = True  # no on_start: there may be a million of these

    def __init__(self, stream: bytes, directory: "Directory", *, newborn: bool = False) -> None:
        super().__init__(directory.schedule)
        self.stream = stream
        self.record: TaskRecord | None = None
        self.used = True
        self.stands_for: bytes | None = None
        self._directory = directory
        self._known = newborn
        self._held: Command | None = None
        self._let_go = False
        self._awaiting: list[LightFuture] | None = None

    @property
    def actor_urn(self) -> str:  # type: ignore[override]  # made on demand: a million texts are not free
        """The task's id."""
        return id_text(self.stream)

    def drain(self) -> None:
        """Handle what waits; pass it on when another actor speaks for the task now."""
        if self._let_go:
            self._directory.succeed(self.stream, self.inbox.take())
        elif self.stands_for is not None:
            self._directory.pass_on(self.stands_for, self.inbox.take())
        else:
            super().drain()

    def handle(self, envelope: "Envelope[Any]") -> None:
        """Decide a command and stage its events; whatever else comes is Pykka's."""
        message = envelope.message
        if message.__class__ is not Command and message.__class__ is not AwaitEnd:
            super().handle(envelope)
            return
        try:
            if self.stands_for is not None:
                self._directory.pass_on(self.stands_for, [envelope])
                return
            if not self._known:
                self._load()
            if message.__class__ is Command:
                self._decide(message, envelope)
            else:
                self._await_end(envelope.reply_to)  # type: ignore[arg-type]  # Pykka's type is wider
        except Exception as error:  # noqa: BLE001 - the caller hears it, and this task alone is affected
            if envelope.reply_to is not None:
                envelope.reply_to.set_exception((type(error), error, error.__traceback__))

    def _decide(self, command: Command, envelope: "Envelope[Any]") -> None:
        journal = self._directory.journal
        if command.data.__class__ is TaskCreated:
            self._claim(command.data)
            if self.stands_for is not None:
                self._directory.pass_on(self.stands_for, [envelope])
                return
        future: LightFuture | None = envelope.reply_to  # type: ignore[assignment]  # Pykka's type is wider
        outcome = decide(self.record, command, token=self.actor_urn if self.record is None else "")
        if isinstance(outcome, Refusal):
            self._refuse(outcome, command, future)
            return
        if outcome and not self._hold(outcome, command):
            if self._held is not None:
                self.release_held()
            for data in outcome:
                self._stage(data, command)
        assert self.record is not None, "an accepted command leaves a record"
        journal.answer(future, self.record)

    def _await_end(self, future: LightFuture | None) -> None:
        if self.record is None or not self.record.is_active:
            answer = NotFound(self.actor_urn) if self.record is None else self.record
            self._directory.journal.answer(future, answer)
        elif future is not None:
            self._awaiting = [*(self._awaiting or ()), future]

    def _stage(self, data: TaskFact, command: Command) -> int:
        """Make the next event, believe it, and hand it to the journal."""
        journal, before = self._directory.journal, self.record
        now = journal.now()
        occurred = command.occurred_at
        event = Event(
            journal.position + 1,
            self.stream,
            1 if before is None else before.version + 1,
            now if occurred is None else occurred,
            now,
            command.actor,
            data,
        )
        self.record = evolve(before, event)
        journal.stage(self, before, event)
        return event.position

    def _refuse(self, refusal: Refusal, command: Command, future: LightFuture | None) -> None:
        error = refusal.error
        if refusal.evidence is not None:
            position = self._stage(refusal.evidence, command)
            assert isinstance(error, Refused), "only a refused signal is kept"
            error = Refused(error.token, status=error.status, attempted=error.attempted, position=position)
        if self.record is None:
            self._directory.let_go_later(self)  # nobody has such a task; do not remember that somebody asked
        self._directory.journal.answer(future, error)

    def _load(self) -> None:
        """Read the task's history from the log. Raises `Corrupt` when a part of it cannot be read."""
        record = None
        for stored in self._directory.history(self.stream):
            if not isinstance(stored, Event):
                raise Corrupt(f"task {self.actor_urn}: {stored.detail}", position=stored.position)
            record = evolve(record, stored)
        self.record = record
        self._known = True

    def _claim(self, created: TaskCreated) -> None:
        """Claim the identities of a creation; when another task has one, it stands for this id from now on."""
        journal = self._directory.journal
        holders = {claim: journal.claimed(claim) for claim in claims_of(created)}
        if not holders:
            return
        if self.record is None:
            # The key comes last of the claims and outranks the run: the same key always gives the same task.
            holder = next((stream for stream in reversed(holders.values()) if stream is not None), None)
            if holder is not None and holder != self.stream:
                self.stands_for = holder
                return
        elif created.idempotency_key is None:
            return  # found by its run: there is nothing to add
        else:
            holders = dict([next(reversed(holders.items()))])  # the amendment that follows has the key alone
        journal.claim(dict.fromkeys((claim for claim, stream in holders.items() if stream is None), self.stream))

    def _hold(self, facts: tuple[TaskFact, ...], command: Command) -> bool:
        """Keep a progress that comes too soon after the last; it is written with the next event or in a second."""
        data, record = facts[-1], self.record
        if data.__class__ is not TaskProgressed or command.force or record is None:
            return False
        directory = self._directory
        if not is_too_soon(record.progress_at, directory.journal.now()):
            return False
        held = self._held
        if held is None:
            assert record.progress_at is not None, "what comes too soon comes after another"
            directory.hold(self, record.progress_at + PROGRESS_MS_MIN)
        else:
            data = merged(held.data, data)  # type: ignore[arg-type]  # both are progress
        self._held = Command(data, command.actor, command.occurred_at)
        return True

    def release_held(self) -> None:
        """Stage the progress that was held back, if there is one and the task still runs."""
        held, self._held = self._held, None
        if held is not None and self.record is not None and self.record.is_active:
            self._stage(held.data, held)

    def committed(self) -> None:
        """The journal wrote this actor's events: an ended task's actor may go."""
        if self.record is not None and not self.record.is_active:
            self._directory.let_go_later(self)
            awaiting, self._awaiting = self._awaiting, None
            for future in awaiting or ():
                future.set(self.record)

    def forget(self) -> None:
        """The journal could not write this actor's events: read the log again before the next decision."""
        self.record, self._held, self._known = None, None, False

    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is held back."""
        return self._held is None and self._awaiting is None and self.inbox.empty()

    @property
    def is_gone(self) -> bool:
        """Whether the directory has let it go."""
        return self._let_go

    def let_go(self) -> None:
        """Stop; what still arrives is passed on to the actor that speaks for the task then."""
        self._let_go = True
        self.actor_stopped.set()
