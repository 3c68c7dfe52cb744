"""The face for threads: every write waits until its event is durable."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Self, TypeAlias, Unpack

from pykka import Timeout

from tallystick.actors.caretaking.closers import Closer
from tallystick.actors.courier.waker import OnWake
from tallystick.actors.future import LightFuture
from tallystick.actors.redaction import Redact
from tallystick.actors.stream import AwaitEnd
from tallystick.actors.watching.supervision import Canceller, Probe
from tallystick.batch import Batch
from tallystick.cascade import active_descendants, reason_below
from tallystick.creating import created
from tallystick.facts import Addressee
from tallystick.flows import Flows
from tallystick.house import House
from tallystick.ledger import fields, intake
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Refused, TallystickError
from tallystick.ledger.events import Event, TaskFact
from tallystick.ledger.folding import Record
from tallystick.ledger.intake import Creation
from tallystick.ledger.lifecycle import Runtime
from tallystick.ledger.limits import CANCEL_WAIT_MS, DELIVERIES_DEFAULT, LEASE_MS, TIMEOUT_MS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.verify import Verification
from tallystick.ledger.told import DeliveryRecord
from tallystick.outlets import Channel
from tallystick.projections.counts import Counts
from tallystick.projections.query import Page
from tallystick.projections.tree import Tree
from tallystick.readings import LedgerStatus
from tallystick.session import Session
from tallystick.verbs import TaskVerbs
from tallystick.watch import Subscription

MS_PER_S = 1_000

Events: TypeAlias = list[Event]  # a ledger's own `list` hides the built-in one below
Deliveries: TypeAlias = list[DeliveryRecord]
Records: TypeAlias = list[TaskRecord]


class Task(TaskVerbs[TaskRecord]):
    """One task: its newest known record, and what can be reported of it. Every verb waits for the disk."""

    def __init__(
        self, house: House, record: TaskRecord, actor: Addressee | None = None, *, is_new: bool = False
    ) -> None:
        self._house, self._record, self._actor, self._is_new = house, record, actor, is_new

    @property
    def id(self) -> str:
        """The task's id."""
        return self._record.task_id

    @property
    def status(self) -> str:
        """The status as of the newest record that this handle has seen."""
        return self._record.status.value

    @property
    def record(self) -> TaskRecord:
        """The newest record that this handle has seen: the answer to its last verb."""
        return self._record

    @property
    def is_new(self) -> bool:
        """Whether the call that gave this handle created the task; False when it gave back one that was there."""
        return self._is_new

    def __repr__(self) -> str:
        return f"<Task {self.id} {self.status}>"

    def cancel(
        self,
        reason: str | None = None,
        *,
        cascade: bool = False,
        wait_ms: int = CANCEL_WAIT_MS,
        occurred_at: int | None = None,
        expected_version: int | None = None,
    ) -> TaskRecord:
        """Ask for the work to be stopped; answer when the task has ended, or after `wait_ms` with what is known.

        Queued work is cancelled at once. Running work is stopped by the runtime's canceller, or by whoever runs it and
        says so with `cancelled`; when nobody has within 30 s (`[cancel] grace`) the task is cancelled, unconfirmed.
        A task that ends by itself in between keeps its real outcome: the answer says which. With `cascade` every active
        task below is asked to stop, too.
        """
        wait_ms = fields.whole("wait_ms", wait_ms, most=TIMEOUT_MS_MAX)
        cascade = fields.flag("cascade", cascade)
        record = self._request_cancel(reason, occurred_at, expected_version)
        if cascade:
            self._cancel_below(reason)
        if record.is_active and wait_ms:
            ended = LightFuture()
            self._house.facts().send(self._speak(), AwaitEnd(), ended)
            with suppress(Timeout):
                record = self._see(ended.get(timeout=wait_ms / MS_PER_S))
        return record

    def _cancel_below(self, reason: str | None) -> None:
        asked = []
        for child in active_descendants(self._house.readings.reader, self.id):
            fact = intake.cancel_requested(reason_below(reason, self.id))
            future = LightFuture()
            self._house.facts().send(
                self._house.facts().actor(child.stream), Command(fact, self._actor_name(), inferred=True), future
            )
            asked.append(future)
        for future in asked:
            with suppress(Refused):  # it ended in between
                future.get()

    def keep_alive(self, ttl_ms: int = LEASE_MS) -> TaskRecord:
        """Say that the work lives, and that it will say so again within `ttl_ms`.

        The first time this is an event; further signs of life are kept in memory and cost next to nothing. A task that
        breaks its promise is missing, and lost when its grace is over. Raises `Refused` when the task has ended.
        """
        fact = intake.leased(ttl_ms)
        if self._house.keep_alive(self._record.stream, fact.ttl_ms):
            return self._record
        record = self._report(fact, None, None)
        self._house.promised(record)
        return record

    def _actor_name(self) -> str:
        return self._house.actor

    def _speak(self) -> Addressee:
        if self._actor is None:
            self._actor = self._house.facts().actor(self._record.stream)
        return self._actor

    def _send(self, command: Command) -> TaskRecord:
        future = LightFuture()
        self._house.facts().send(self._speak(), command, future)
        return self._see(future.get())

    def _see(self, record: TaskRecord) -> TaskRecord:
        if record.version >= self._record.version:  # several threads may speak through one handle
            self._record = record
        return record


def answers_of(futures: Sequence[LightFuture]) -> Records:
    """Return what was answered; when something was refused, raise that after all have been heard."""
    answers: Records = []
    refusals: list[TallystickError] = []
    for future in futures:
        try:
            answers.append(future.get())
        except TallystickError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]
    return answers


class Ledger:
    """An open ledger, for threads. Close it, or use it as a context manager."""

    def __init__(self, house: House) -> None:
        self._house = house

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more commands, commit and answer what was accepted, and let go of the folder."""
        self._house.close()

    @property
    def path(self) -> str:
        """The ledger's folder."""
        return self._house.path

    def create(self, *, occurred_at: int | None = None, **given: Unpack[Creation]) -> Task:
        """Record that somebody asked for work; the task is queued.

        The same run id with the same runtime, owner, child session, label and text gives back the existing task, and
        so does the same `idempotency_key`, whatever else is said: blanks are filled in, nothing is overwritten.
        A generation (`cli`, of a media kind) that its session has already is given back as it is: while one with the
        same text is active, and for two minutes after one has succeeded that had the same `request_key`, too.
        `task.is_new` says whether it was created now.
        Raises `InvalidInput` when a field is not allowed: nothing is written then.
        """
        command = Command(created(self._house, **given), self._house.actor, intake.moment(occurred_at))
        future, stream = LightFuture(), self._house.new_id()
        actor = self._house.create(stream, command, future)
        record: TaskRecord = future.get()
        known = actor if actor.stream == record.stream else None
        return Task(self._house, record, known, is_new=stream == record.stream)

    def probe(self, runtime: Runtime | str, probe: Probe) -> None:
        """Ask `probe(task)` from now on whether what backs this runtime's tasks is still there.

        It returns a `Verdict`, or is a coroutine function that does; it may block, for at most 10 s. What it raises
        counts as unknown. Registering again replaces it.
        """
        self._house.set_probe(runtime, probe)

    def canceller(self, runtime: Runtime | str, canceller: Canceller) -> None:
        """Let `canceller(task)` stop this runtime's tasks from now on: on a cancel, and when a deadline is over.

        It returns `Stopped`, or is a coroutine function that does; it may block. Registering again replaces it.
        """
        self._house.set_canceller(runtime, canceller)

    def closer(self, kind: str, closer: Closer) -> None:
        """Let `closer(resource)` close what tasks of which the work has ended have left open of a kind (`task.opened`).

        It is called once for each, and raises when it could not; it may be a coroutine function, and may block, for at
        most 10 s more than a process may take to end. Registering again replaces it.
        """
        self._house.system.closers.register(kind, closer)

    def channel(self, name: str, sender: Channel) -> None:
        """Send what goes to the channel `name` through `sender` from now on.

        That is an object with `send(delivery)`, or such a function; it may be a coroutine function, and may block. It
        returns a `Receipt`, or raises `Retryable` (it did not arrive, try again), `Permanent` (it never will) or
        anything else (nobody can tell). Registering again replaces it. After a restart what is for this channel waits
        until it is registered again.
        """
        self._house.outlets.register(name, sender)

    def on_wake(self, callback: OnWake) -> None:
        """Call `callback(session_key)` whenever something waits in a session, at once, and now for what waits already.

        Wakes of one session within 250 ms become one. It may be a coroutine function, and may block. In a process that
        joined the ledger or only reads it, it is called on a thread of its own, and a socket is made for it in the
        ledger's folder `wakes/`.
        """
        self._house.outlets.on_wake(callback)

    def redact(self, hook: Redact) -> None:
        """Strip the secrets that `hook(text)` returns, to the letter, from every message before it is stored.

        What is told while the ledger opens comes before: give that hook to `open`.
        A hook must be quick: the ledger waits for it. When it raises, the message says only that its text is withheld.
        """
        self._house.outlets.redact(hook)

    def session(self, key: str) -> Session:
        """Return the queue of a session: `.take(limit=20)`, then `.ack(position)`."""
        return Session(self._house, key)

    @property
    def flows(self) -> Flows:
        """The flows: work of several steps. `create`, `get`, `find`, `list`, and all that can be done with one."""
        return Flows(self._house)

    def deliveries(self, token: str | None = None, *, limit: int = DELIVERIES_DEFAULT) -> Deliveries:
        """Return every message of the task that a token names, in order; without one, those that have not arrived.

        Of all tasks what is stuck comes first, then what is being sent, then what waits in sessions.
        """
        if token is None:
            return self._house.messages.open(limit)
        return self._house.messages.of_task(self._house.readings.find(token).stream)

    def retry(self, *tokens: str, reason: str | None = None) -> Records:
        """Send again what could not be delivered of one to ten tasks; returns their new records.

        Raises `Refused` for a task of which nothing waits for that, `NotFound`; the others are sent all the same.
        """
        return self._recover(tokens, intake.retried(reason))

    def dismiss(self, *tokens: str, reason: str | None = None) -> Records:
        """Give up what has not arrived of one to ten tasks; returns their new records. Raises as `retry`."""
        return self._recover(tokens, intake.dismissed(reason))

    def _recover(self, tokens: Sequence[str], fact: TaskFact) -> Records:
        facts = self._house.facts()
        asked = []
        for record in self._house.named(tokens):
            future = LightFuture()
            facts.send(facts.actor(record.stream), Command(fact, self._house.actor), future)
            asked.append(future)
        return answers_of(asked)

    def batch(self) -> Batch:
        """Pipeline one caller's commands: they return at once, leaving the block waits until all are durable."""
        return Batch(self._house)

    def get(self, task_id: str) -> Task:
        """Return the task with this id. Raises `NotFound`, or `Pruned` with what it was."""
        return Task(self._house, self._house.readings.get(task_id))

    def find(self, token: str) -> Task:
        """Return the task with this id, run id or session key (the newest). Raises `NotFound` or `Pruned`."""
        return Task(self._house, self._house.readings.find(token))

    def list(self, **filters: Any) -> Page:
        """Return tasks newest first: `.tasks`, and `.next_cursor` for the page that follows, if there is one.

        Filters: status (also "blocked"), runtime, owner, session, run_id, parent, kind, metadata, text, since,
        until (ms), limit, cursor. Raises `InvalidInput` for an unknown filter or value.
        """
        return self._house.readings.list(**filters)

    def tree(self, token: str) -> Tree:
        """Return the task that a token names, as `find` does, and all below it, with what each branch used.

        At most 10,000 tasks: `.truncated` says that there are more. Raises `NotFound` or `Pruned`.
        """
        return self._house.readings.tree(token)

    def counts(self) -> Counts:
        """Return how many tasks there are, by status and by runtime, and how many need a look."""
        return self._house.readings.counts()

    def timeline(self, token: str) -> Events:
        """Return every event of a task, or of a flow by its id, in order. Raises `NotFound`."""
        return self._house.readings.timeline(token)

    def state_at(self, token: str, *, position: int | None = None, at: int | None = None) -> Record:
        """Return the record as it was after the event at `position`, or at the moment `at` (ms, as recorded).

        Of a task, or of a flow by its id. Raises `NotFound` when it did not exist then.
        """
        return self._house.readings.state_at(token, position=position, at=at)

    def events(self, after: int = 0) -> Iterator[Event]:
        """Yield the log in order, from the event behind position `after` to the head as it is now."""
        return self._house.readings.events(after)

    def subscribe(self, after: int = 0) -> Subscription:
        """Return the log from behind `after`, then live: a blocking iterator that misses nothing.

        Close it, or use it as a context manager; it also ends when the ledger is closed.
        """
        return self._house.subscribe(after)

    def verify(self) -> Verification:
        """Recompute the whole log: every record, every hash. Names the first record that is not as it was written."""
        return self._house.readings.verify()

    def settled(self, timeout_s: float = 30.0) -> None:
        """Wait until the read models have seen the log's head and what can be sent was sent. Raises `TimeoutError`.

        What was left open and is being closed is waited for, too. Readings need not wait: they are exact without.
        """
        self._house.settled(timeout_s)

    def sweep(self) -> None:
        """Do at once all that is due now by the ledger's clock, and return when it is durable.

        Progress that was held back, every probe, graces, deadlines, cancels, cleanups, messages. By itself that happens
        every 60 s (`[sweep] interval`), and when a moment comes that a task waits for; with a `HandClock` only here.
        """
        self._house.sweep()

    def status(self) -> LedgerStatus:
        """Return how the ledger itself is: log, read models, owner, and how often each probe was asked and failed."""
        return self._house.status()
