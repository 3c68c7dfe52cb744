"""The readings: all that can be asked of a ledger, in the process that owns it or beside it. Never writes a fact.

Light to import: the commands that only read load this and not the actors.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from tallystick.config import Config
from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput, NotFound
from tallystick.ledger.events import Event
from tallystick.ledger.evolve import fold
from tallystick.ledger.ids import id_bytes_or_none
from tallystick.ledger.lifecycle import TERMINAL, Runtime, Status
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.folder import make_folder, not_opened
from tallystick.ledger.store.port import Deleted, EventLog, Stats
from tallystick.ledger.upkeep.times import cleanup_time
from tallystick.projections.counts import Counts
from tallystick.projections.due import DueRules
from tallystick.projections.outbox import OutboxCounts
from tallystick.projections.query import Page, Query
from tallystick.projections.reader import Reader
from tallystick.projections.views import Views

if TYPE_CHECKING:  # loaded when somebody asks for it: a list needs none of them
    from tallystick.ledger.folding import Record
    from tallystick.ledger.store.verify import Progress, Verification
    from tallystick.owner import OwnerInfo
    from tallystick.projections.flow_list import FlowCounts
    from tallystick.projections.follower import Follower
    from tallystick.projections.pauses import Standing
    from tallystick.projections.tree import Tree

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
    which nothing is sent for a while, as the owner last told.
    """

    tasks: Counts
    flows: "FlowCounts"
    owner: "OwnerInfo | None"
    head: int
    stats: Stats | None
    projections: tuple[ProjectionStanding, ...]
    outbox: OutboxCounts
    paused: "tuple[Standing, ...]" = ()
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

        Of a flow that mirrors tasks, their events are among them. Raises `NotFound`.
        """
        from tallystick.projections import flow_history

        stream, is_flow = self._named(token)
        if is_flow:
            return flow_history.timeline(self.log, stream)
        history = self.log.stream(stream)
        events = [stored for stored in history if isinstance(stored, Event)]
        if not events:
            gone = next((stored for stored in history if isinstance(stored, Deleted)), None)
            raise NotFound(token) if gone is None else NotFound(token, hint=f"Its events were {gone.detail}")
        return events

    def state_at(self, token: str, *, position: int | None = None, at: int | None = None) -> "Record":
        """Return the record as of a position, or as of a moment (UTC, ms, as recorded); of now without either.

        Of a task, or of a flow by its id. Raises `NotFound` when there was no such task or flow then, `Corrupt` when
        its history cannot be read up to there.
        """
        from tallystick.projections import flow_history

        if position is not None and at is not None:
            raise InvalidInput("at", at, "a position or a moment, not both")
        if position is not None:
            fields.whole("position", position, least=0)
        if at is not None:
            fields.moment("at", at)
        stream, is_flow = self._named(token)
        until = flow_history.up_to(self.log, position=position, at=at)
        if is_flow:
            return flow_history.flow_at(stream, until)
        record = fold(until(stream))
        if record is None:
            raise NotFound(token, hint="It had not been created then.")
        return record

    def events(self, after: int = 0) -> Iterator[Event]:
        """Yield the log in order, from behind a position to the head. Damaged records are left out."""
        fields.whole("after", after, least=0)
        return (stored for stored in self.log.read(after=after) if isinstance(stored, Event))

    def owners(self) -> "tuple[tuple[int, OwnerInfo], ...]":
        """Return who has written the log, each with the first position that is theirs."""
        from tallystick.owner import owners

        return owners(self.log)

    def verify(self, progress: "Progress | None" = None) -> "Verification":
        """Recompute the log: every record, every hash, every index."""
        from tallystick.ledger.store.verify import verify

        return verify(self.log, progress=progress)

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
        )

    def close(self) -> None:
        """Let go of the files."""
        try:
            if self.views is not None:
                self.views.close()
        finally:
            self.log.close()

    def _named(self, token: str) -> tuple[bytes, bool]:
        """Return what a token names, and whether that is a flow.

        An id is taken at its word, so that a pruned task still has a timeline.
        """
        from tallystick.projections.flow_history import is_flow

        raw = id_bytes_or_none(fields.required_key("lookup", token))
        if raw is not None and is_flow(self.log, raw):
            return raw, True
        if raw is not None and self.log.stream(raw):
            return raw, False
        return self.find(token).stream, False
