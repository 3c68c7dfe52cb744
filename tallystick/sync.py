"""The face for threads: every write waits until its event is durable."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeAlias, Unpack

from tallystick.actors.caretaking.closers import Closer
from tallystick.actors.courier.waker import OnWake
from tallystick.actors.future import LightFuture
from tallystick.actors.redaction import Redact
from tallystick.actors.watching.supervision import Canceller, Probe
from tallystick.batch import Batch
from tallystick.creating import created
from tallystick.erasing import Erasing
from tallystick.flows import Flows
from tallystick.house import House
from tallystick.ledger import intake
from tallystick.ledger.commands import Command
from tallystick.ledger.events import Event, TaskFact
from tallystick.ledger.folding import Record
from tallystick.ledger.intake import Creation
from tallystick.ledger.lifecycle import Runtime
from tallystick.ledger.limits import DELIVERIES_DEFAULT
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.verify import Verification
from tallystick.ledger.told import DeliveryRecord
from tallystick.outlets import Channel
from tallystick.projections.counts import Counts
from tallystick.projections.query import Page
from tallystick.projections.tree import Tree
from tallystick.readings import LedgerStatus
from tallystick.session import Session
from tallystick.signing import Signing
from tallystick.task import Records, Task, answers_of
from tallystick.watch import Subscription

if TYPE_CHECKING:  # loaded by the process that makes one
    from tallystick.archives import Archived
    from tallystick.auditing import Audit
    from tallystick.backup import Backup
    from tallystick.explaining import Explanation
    from tallystick.exports.exporting import Exported
    from tallystick.imports.taking import Taken
    from tallystick.ledger.upkeep.finding import Code, Severity
    from tallystick.maintenance import Maintenance
    from tallystick.past import Past
    from tallystick.why import Why

Events: TypeAlias = list[Event]  # a ledger's own `list` hides the built-in one below
Deliveries: TypeAlias = list[DeliveryRecord]


class Ledger(Signing, Erasing):
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

    def redact(self, hook: Redact, *, stored: bool = False) -> None:
        """Strip the secrets that `hook(text)` returns, to the letter, from every message before it is stored.

        With `stored` from the content of all that this process records from now on, too: each text is shown to it
        alone, and `redacted` of an event names the fields that had one. Never changed: ids, keys, sessions, backing,
        routes, who spoke. Anybody but a reader may say that; without `stored` only a process that opened the ledger.
        What is told or recorded while the ledger opens comes before: give that hook to `open`.
        A hook must be quick: the ledger waits for it, on its threads. When it raises, the text is withheld, whole.
        """
        self._house.outlets.redact(hook, stored=stored)

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

    def state_at(
        self, token: str, *, position: int | None = None, at: int | None = None, by: str = "recorded"
    ) -> Record:
        """Return the record as it was after the event at `position`, or at the moment `at` (ms).

        `by="reported"` asks what had happened by then, as far as is known now (with a position: was known then).
        Of a task, or of a flow by its id. Raises `NotFound` when it did not exist then.
        """
        return self._house.readings.state_at(token, position=position, at=at, by=by)

    def replay(self, *, position: int | None = None, at: int | None = None, by: str = "recorded") -> "Past":
        """Return the whole ledger as it was then, as `state_at` means it: `.counts`, `.list(…)`, `.get(…)` and more.

        Folds every event up to there: some seconds for a million, and all records in memory. Raises `InvalidInput`.
        """
        return self._house.readings.replay(position=position, at=at, by=by)

    def why(self, token: str, *, position: int | None = None, at: int | None = None) -> "Why":
        """Return why a task, or a flow by its id, is what it is: `.reasons`, in order, each with its event and rule.

        Or what it was as of a position or moment, as recorded. Raises `NotFound`, `Corrupt`.
        """
        return self._house.readings.why(token, position=position, at=at)

    def events(self, after: int = 0) -> Iterator[Event]:
        """Yield the log in order, from the event behind position `after` to the head as it is now."""
        return self._house.readings.events(after)

    def subscribe(self, after: int = 0) -> Subscription:
        """Return the log from behind `after`, then live: a blocking iterator that misses nothing.

        Close it, or use it as a context manager; it also ends when the ledger is closed.
        """
        return self._house.subscribe(after)

    def verify(self) -> Verification:
        """Recompute the whole log: every record, every hash. Names the first record that is not as it was written.

        The log is held to the checkpoints that it keeps, too: the newest, and those that were set aside when it got
        another origin, whoever signed them.
        """
        return self._house.readings.verify()

    def audit(
        self, severity: "Severity | str | None" = None, code: "Code | str | None" = None, limit: int | None = None
    ) -> "Audit":
        """Return what is amiss: `.findings`, errors first, then the oldest, and a `.summary` that counts all of them.

        Of `severity` ("warn", "error") and `code` only, at most `limit`. Every process that has the ledger open gets
        the same answer, and its cost follows what is due. Raises `InvalidInput`.
        """
        return self._house.audit(severity, code, limit)

    def maintenance(self, apply: bool = False) -> "Maintenance":  # noqa: FBT001, FBT002 - the interface has it so
        """Return what upkeep would do now; with `apply`, do that and say what became of each step.

        What has gone on since it was looked at is left alone. What only the owner can do is done by it, or said to be
        left to it. Raises `NotOwner` to apply on a ledger that only reads, `Full`; what was done by then stays done.
        """
        return self._house.maintain(apply=apply)

    def explain(self, token: str) -> "Explanation":
        """Return why a task, or a flow, is kept: `.rule`, `.reason`, `.until` (ms), and the policy that counts.

        Raises `NotFound`, `Pruned`, `Ambiguous`.
        """
        return self._house.explain(token)

    def settled(self, timeout_s: float = 30.0) -> None:
        """Wait until the read models have seen the log's head and what can be sent was sent. Raises `TimeoutError`.

        What was left open and is being closed is waited for, too. Readings need not wait: they are exact without.
        """
        self._house.settled(timeout_s)

    def sweep(self) -> None:
        """Do at once all that is due now by the ledger's clock, and return when it is durable.

        Progress that was held back, every probe, graces, deadlines, cancels, cleanups, messages. By itself that happens
        every 60 s (`[sweep] interval`), and when a moment comes that a task waits for; with a `HandClock` only here.
        Raises `Full`, or why else something could not be written, after all the rest was tried; `Closed`.
        """
        self._house.sweep()

    def archives(self) -> "tuple[Archived, ...]":
        """Return the segments of the archive, the oldest first: each with `.first` and `.last` position, and `.state`.

        Deleted ones are among them, and say when, by whom and why. Raises `StoreError`.
        """
        from tallystick.archives import archives

        return archives(self._house.readings.log)

    def delete_archives(
        self, *, before: int | None = None, recorded_before: int | None = None, reason: str
    ) -> "tuple[Archived, ...]":
        """Delete the segments that lie wholly before a position, or before a moment (ms, as recorded); return them.

        For good, one after the other, each durable before the next: the hashes of their records stay, so that the log
        still verifies to the same root. Raises `InvalidInput`; `Refused` when one of them has an event of a task or
        flow that is not pruned, and then none is deleted; `NotOwner` on a ledger that only reads, `Corrupt`, `Full`.
        """
        return self._house.delete_archives(before=before, recorded_before=recorded_before, reason=reason)

    def export(
        self,
        format: str,
        out: "BinaryIO | str | os.PathLike[str]",
        *,
        rows: str | None = None,
        lookup: str | None = None,
        since: int | None = None,
        until: int | None = None,
        after: int | None = None,
        until_position: int | None = None,
    ) -> "Exported":
        """Write what the ledger has to a stream of bytes, or to a file, which is there when it is whole.

        Formats and their rows are in `tallystick.exports.formats.FORMATS`. `lookup` is one task or flow; `since` and
        `until` (ms) are moments at which events were recorded or tasks created, `after` and `until_position` positions.
        What cannot be read is in the export as such, and counted. Raises `InvalidInput`, `NotFound`, `Full`,
        `StoreError`; then no file is left.
        """
        selected = {"lookup": lookup, "since": since, "until": until}
        return self._house.export(format, out, rows=rows, after=after, until_position=until_position, **selected)

    def import_openclaw(
        self, path: str | os.PathLike[str], *, dry_run: bool = False, told: Callable[[int, int], None] | None = None
    ) -> "Taken":
        """Take over what OpenClaw has recorded in its state database; durable on return, and told to nobody.

        The database is read beside whoever writes it. A row that contradicts itself or the ledger is left out and
        listed, and the rest is imported; what was imported before adds nothing. With `dry_run` nothing is written.
        `told` hears on the way how much is done, of how much.
        Raises `InvalidInput` for what is no such database, `NotOwner` for a ledger that only reads, `Full`.
        """
        return self._house.import_openclaw(path, dry_run=dry_run, told=told)

    def backup(self, path: str | os.PathLike[str]) -> "Backup":
        """Copy the whole ledger, as of one moment, to a folder that is not there yet or empty; others go on meanwhile.

        A process of its own makes it beside its place, verifies every record, builds a read model, and puts it there:
        durable on return. What is not whole is never there. Raises `InvalidInput` when the place is taken or inside of
        the ledger, `Full`, `Corrupt` when the copy is not as the ledger is; then nothing is left.
        """
        return self._house.backup(path)

    def status(self) -> LedgerStatus:
        """Return how the ledger itself is: log, read models, owner, and how often each probe was asked and failed."""
        return self._house.status()
