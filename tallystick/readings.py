"""The readings: all that can be asked of a ledger, in the process that owns it or beside it. Never writes a fact.

Light to import: the commands that only read load this and not the actors.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from tallystick.config import Config
from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput, NotFound, Pruned
from tallystick.ledger.events import Event
from tallystick.ledger.ids import id_bytes_or_none
from tallystick.ledger.lifecycle import TERMINAL, Runtime, Status
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.folder import make_folder, not_opened
from tallystick.ledger.store.keys import CHECKPOINT_NOTE
from tallystick.ledger.store.port import EventLog, Stats, TreeHead
from tallystick.ledger.upkeep.times import cleanup_time
from tallystick.projections.counts import Counts
from tallystick.projections.due import DueRules
from tallystick.projections.outbox import OutboxCounts
from tallystick.projections.query import Page, Query
from tallystick.projections.reader import Reader
from tallystick.projections.views import Views

if TYPE_CHECKING:  # loaded when somebody asks for it: a list needs none of them
    from tallystick.ledger.folding import Record
    from tallystick.ledger.proofs.checkpoint import Checkpoint
    from tallystick.ledger.store.verify import Progress, Verification
    from tallystick.owner import OwnerInfo
    from tallystick.past import Past
    from tallystick.projections.flow_list import FlowCounts
    from tallystick.projections.follower import Follower
    from tallystick.projections.pauses import Standing
    from tallystick.projections.tree import Tree
    from tallystick.why import Why

LOG_FOLDER = "log"
VIEWS_FOLDER = "views"
RUNTIMES = frozenset(Runtime)

Events: TypeAlias = list[Event]  # `list` is a method below
Records: TypeAlias = list[TaskRecord]


class ProjectionStanding(Struct, frozen=True):
    """How far a read model has followed the log."""

    name: str
    position: int
    lag: int


class ProbeStanding(Struct, frozen=True):
    """How often a probe or a canceller was asked since the ledger was opened, how often it failed, how many hang."""

    name: str
    asked: int
    failed: int
    hanging: int


class LedgerStatus(Struct, frozen=True, kw_only=True):
    """How a ledger is: its tasks, its owner, its log, its read models and its outbox; and, in the owner, its probes.

    `flows` counts the managed ones: of those that mirror a task, the task is counted. `paused` are the endpoints to
    which nothing is sent for a while, as the owner last told. `checkpoint` is the newest that the log keeps, of which
    neither the signatures nor the root were looked at.
    """

    tasks: Counts
    flows: "FlowCounts"
    owner: "OwnerInfo | None"
    head: int
    stats: Stats | None
    projections: tuple[ProjectionStanding, ...]
    outbox: OutboxCounts
    paused: "tuple[Standing, ...]" = ()
    checkpoint: "Checkpoint | None" = None
    probes: tuple[ProbeStanding, ...] = ()


def due_rules(settings: Config) -> DueRules:
    """Return the rules of the due index that a configuration sets."""
    grace, retention = settings.grace, settings.retention
    kept: dict[tuple[Runtime | None, Status], int | None] = {}
    for name, span in retention.items():
        if name in RUNTIMES:
            kept.update({(Runtime(name), status): span for status in TERMINAL})
        elif name in TERMINAL:
            kept[None, Status(name)] = span
    return DueRules(
        grace={Runtime(name): kept for name, kept in grace.items() if name in RUNTIMES},
        grace_default=grace["default"],
        cancel_grace=settings.cancel["grace"],
        retention=kept,
        retention_default=retention["terminal"],
        retention_lost=retention["lost"],
    )


class Readings:
    """One opened ledger, to be asked. Every answer is exact to the log's head at the moment of asking."""

    def __init__(self, log: EventLog, views: Views | None, *, rules: DueRules, folder: Path | None = None) -> None:
        self.log, self.views, self.folder = log, views, folder
        self.rules = rules
        self.reader = Reader(log, views, rules=rules)

    @classmethod
    def open(cls, folder: Path, *, rules: DueRules, writable: bool = False) -> Self:
        """Open the ledger in a folder, for its owner (`writable`) or beside whoever owns it.

        Raises `InvalidInput` when there is none, `NewerFormat`, `Corrupt`.
        """
        log_folder, views_folder = folder / LOG_FOLDER, folder / VIEWS_FOLDER
        if not writable and not log_folder.is_dir():
            allowed = 'the folder of a ledger; "tally run -- COMMAND" makes one, "tally demo" shows one'
            raise InvalidInput("ledger", str(folder), allowed)
        log = DiskLog.open(log_folder, readonly=not writable, create=writable)
        try:
            views = Views.open(views_folder, log) if writable else Views.open_readonly(views_folder, log)
        except BaseException:
            log.close()
            raise
        return cls(log, views, rules=rules, folder=folder)

    @staticmethod
    def prepare(folder: Path) -> None:
        """Make the folder of a ledger, for this user only, when it is not there. Raises `InvalidInput`, `Full`."""
        try:
            make_folder(folder)
        except OSError as error:
            raise not_opened(folder, error.errno or 0, str(error)) from error

    def followers(self) -> "list[Follower]":
        """Return the read models, each for an actor that keeps it up."""
        from tallystick.projections.follower import Follower

        if self.views is None:
            return []
        return [Follower(self.views, projection.name) for projection in self.views.projections]

    @property
    def path(self) -> str:
        """The ledger's folder."""
        return self.log.path if self.folder is None else str(self.folder)

    def get(self, task_id: str) -> TaskRecord:
        """Return the record of the task with this id. Raises `NotFound` or `Pruned`."""
        return self.reader.get(fields.required_key("task_id", task_id))

    def find(self, token: str) -> TaskRecord:
        """Return the record that a task id, run id or session key names. Raises `NotFound` or `Pruned`."""
        return self.reader.find(token)

    def list(self, **filters: Any) -> Page:
        """Return a page of records, newest first. Raises `InvalidInput` for a filter that is not allowed."""
        return self.reader.list(Query.of(filters))

    def dated(self, record: TaskRecord, now: int) -> TaskRecord:
        """Return a record that says when its retention ends, by the configuration if it was not stamped."""
        kept_ms = self.rules.retention_of(record.runtime, record.status)
        until = cleanup_time(record, now, kept_ms)
        return record if until is None else replace(record, cleanup_after=until)

    def tree(self, token: str) -> "Tree":
        """Return the task that a token names and all that are below it. Raises `NotFound` or `Pruned`."""
        from tallystick.projections.tree import tree

        return tree(self.reader, token)

    def board(self, session: str, limit: int) -> Records:
        """Return the active, then the most recent tasks of a session."""
        return self.reader.board(fields.required_key("session", session), limit)

    def counts(self) -> Counts:
        """Return how many tasks there are, by status and runtime."""
        return self.reader.counts()

    def timeline(self, token: str) -> Events:
        """Return every event of a task, or of a flow by its id, that can be read, in order; pruned tasks too.

        Of a flow that mirrors tasks, their events are among them. Raises `NotFound`, and `Pruned` when all of them were
        deleted with their archive.
        """
        from tallystick.projections import flow_history

        stream, is_flow = self.named(token)
        if is_flow:
            return flow_history.timeline(self.log, stream)
        events = [stored for stored in self.log.stream(stream) if isinstance(stored, Event)]
        if not events:
            raise self.reader.gone(token, stream) or NotFound(token)
        return events

    def state_at(
        self, token: str, *, position: int | None = None, at: int | None = None, by: str = "recorded"
    ) -> "Record":
        """Return the record as of a position, or as of a moment (UTC, ms) by recorded or reported time; else of now.

        Of a task, or of a flow by its id. Raises `NotFound` when there was no such task or flow then, `Pruned` when its
        history was deleted with its archive, `Corrupt` when that cannot be read up to there, `InvalidInput`.
        """
        from tallystick.moments import Told, When

        when = When.of(position, at, by)
        stream, is_flow = self.named(token)
        with self.naming(token, stream):
            return Told(self.log, when).record(stream, is_flow=is_flow, token=token)

    def replay(
        self,
        *,
        position: int | None = None,
        at: int | None = None,
        by: str = "recorded",
        processes: int = 1,
        progress: "Progress | None" = None,
    ) -> "Past":
        """Return the whole ledger as it was then, folded from its events; `processes` fold a large one together.

        Raises `InvalidInput`.
        """
        from tallystick.moments import When
        from tallystick.past import past

        folder = self.folder and self.folder / LOG_FOLDER
        when = When.of(position, at, by)
        return past(self.log, when, folder=folder, processes=processes, progress=progress)

    def why(self, token: str, *, position: int | None = None, at: int | None = None) -> "Why":
        """Return why what a token names is what it is, or was. Raises `NotFound`, `Corrupt`, `InvalidInput`."""
        from tallystick.why import why

        return why(self, token, position=position, at=at)

    @contextmanager
    def naming(self, token: str, stream: bytes) -> Iterator[None]:
        """Say of what was asked for, and all that is known of it, that a part of its history was deleted."""
        try:
            yield
        except Pruned as error:
            raise self.reader.gone(token, stream) or error from None

    def events(self, after: int = 0) -> Iterator[Event]:
        """Yield the log in order, from behind a position to the head. Damaged records are left out."""
        fields.whole("after", after, least=0)
        return (stored for stored in self.log.read(after=after) if isinstance(stored, Event))

    def owners(self) -> "tuple[tuple[int, OwnerInfo], ...]":
        """Return who has written the log, each with the first position that is theirs."""
        from tallystick.owner import owners

        return owners(self.log)

    def verify(self, progress: "Progress | None" = None, *, checkpoint: "TreeHead | None" = None) -> "Verification":
        """Recompute the log: every record, every hash, every index.

        And hold it to the checkpoint, to the newest that it keeps, and to those that were set aside for other origins,
        whoever signed these; the `verdicts` are in this order. What it keeps and is no checkpoint is a problem, too.
        """
        from tallystick.ledger.store.verify import Kind, verify

        checkpoints = [] if checkpoint is None else [checkpoint]
        details = []
        if self.log.notes(CHECKPOINT_NOTE):  # read before the log, which has grown when the next one is kept
            from tallystick.projections.checkpoint import set_aside

            kept = [("the newest", self._checkpoint())] if self.log.note(CHECKPOINT_NOTE) is not None else []
            kept += [("the newest of another origin", each) for each in set_aside(self.log)]
            checkpoints += [TreeHead(each.size, each.root_hash) for _, each in kept if each is not None]
            details = [which for which, each in kept if each is None]
        found = verify(self.log, checkpoint=checkpoints, progress=progress)
        for which in details:
            detail = f"what the log keeps as {which} checkpoint is none: somebody else wrote it"
            found = found.with_problem(Kind.CHECKPOINT, detail)
        return found

    def status(self) -> LedgerStatus:
        """Return how the ledger is."""
        from tallystick.flow_readings import FlowReadings
        from tallystick.owner import live_owner
        from tallystick.projections.pauses import paused

        positions = {} if self.views is None else self.views.positions()
        head = self.log.head()
        return LedgerStatus(
            tasks=self.counts(),
            flows=FlowReadings(self.reader).counts(),
            owner=None if self.folder is None else live_owner(self.folder),
            head=head,
            stats=self.log.stats() if isinstance(self.log, DiskLog) else None,
            projections=tuple(
                ProjectionStanding(name, position, max(head - position, 0)) for name, position in positions.items()
            ),
            outbox=self.reader.outbox_counts(),
            paused=tuple(paused(self.log)),
            checkpoint=self._checkpoint(),
        )

    def _checkpoint(self) -> "Checkpoint | None":
        """Return what the newest kept checkpoint says."""
        if self.log.note(CHECKPOINT_NOTE) is None:
            return None
        from tallystick.projections.checkpoint import newest

        return newest(self.log)

    def close(self) -> None:
        """Let go of the files."""
        try:
            if self.views is not None:
                self.views.close()
        finally:
            self.log.close()

    def named(self, token: str) -> tuple[bytes, bool]:
        """Return the sixteen bytes of the id that a token names, and whether it is that of a flow. Raises `NotFound`.

        An id is taken at its word, so that a pruned task still has a timeline.
        """
        from tallystick.projections.flow_history import is_flow

        raw = id_bytes_or_none(fields.required_key("lookup", token))
        if raw is not None and is_flow(self.log, raw):
            return raw, True
        if raw is not None and self.log.stream(raw):
            return raw, False
        try:
            return self.find(token).stream, False
        except NotFound:
            told = None if raw is None else self.reader.gone(token, raw)
            if told is None:
                raise
            raise told from None
