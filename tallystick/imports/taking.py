"""Taking over: the histories of a plan sent to the tasks and flows that they are about, which decide what to record."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from tallystick.batch import Batch
from tallystick.exports.source import Told, nobody
from tallystick.facts import Addressee
from tallystick.house import House
from tallystick.imports.columns import Contradiction, Quarantined
from tallystick.imports.database import FLOWS, TASKS, read
from tallystick.imports.facts import SOURCE, Move
from tallystick.imports.flow_history import FlowHistory
from tallystick.imports.history import TaskHistory
from tallystick.imports.planning import Plan, plan
from tallystick.ledger import fields
from tallystick.ledger.claims import claims_of, flow_claims_of
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import BatchFailed, Corrupt, InvalidInput, NotFound, Refused, WrongVersion
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.facts.deliveries import OF_DELIVERIES, DeliveryImported
from tallystick.ledger.facts.flows import FlowWaitingSet
from tallystick.ledger.facts.tasks import TaskProgressed, TaskStarted
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.folding import Record, fold_stream
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.limits import KEY_BYTES_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import Deleted

_ID = {TASKS: "task_id", FLOWS: "flow_id"}
_OF_A_ROW = (InvalidInput, NotFound, Refused, WrongVersion, Corrupt)
"""What the ledger says of a row and of no other."""

Facts: TypeAlias = Iterator[tuple[AnyFact, int | None]]
"""Facts, each with when it happened."""


class Taken(Struct, frozen=True, kw_only=True):
    """What an import of OpenClaw's database did, by row: each is new, was known already, or was left out.

    `tasks` and `flows` are new, `known_tasks` and `known_flows` were imported before; those of them of which the
    database says more now have `updated`. `mirrors` are the flows that follow tasks, for which nothing is written, and
    `deliveries` the rows that say where a request came from. `over` counts the tasks whose retention has ended already:
    upkeep prunes them. With `dry_run` nothing was written.
    """

    tasks: int
    known_tasks: int
    flows: int
    known_flows: int
    updated: int
    mirrors: int
    deliveries: int
    over: int
    quarantined: tuple[Quarantined, ...]
    seconds: float
    dry_run: bool = False


def take(house: House, path: Path, *, dry_run: bool = False, told: Told | None = None) -> Taken:
    """Take over what OpenClaw has recorded in a database; durable on return, and told to nobody.

    `told` hears how many rows were looked at and written, of how many: each is both, unless it is a `dry_run`.

    A row that contradicts itself, or the ledger, is left out and listed; so is one of which the log cannot be read. A
    second import of the same rows adds nothing.
    Raises `InvalidInput` for what is no such database, `NotOwner` for a ledger that only reads, `Full`, `Closed`, and
    what else is the fault of no row; what was recorded until then the next import knows.
    """
    began = time.monotonic()
    if not dry_run:
        house.facts()
    planned = plan(read(path), house.outlets.recorded)
    taking = _Taking(house, planned, told or nobody)
    if dry_run:
        taking.look()
    else:
        taking.run()
    return taking.taken(dry_run=dry_run, seconds=round(time.monotonic() - began, 3))


class _Place(Struct):
    """Where a row becomes a task or a flow: its id, and what is known under it; nothing when that was deleted."""

    stream: bytes
    is_known: bool
    record: Record | None = None
    has_deliveries: bool = False


class _Taking:
    """One import under way."""

    def __init__(self, house: House, planned: Plan, told: Told) -> None:
        self._house, self._plan, self._told = house, planned, told
        self._steps, self._done = len(planned.tasks) + len(planned.flows), 0
        self._speaker = _speaker(house)
        self._places: dict[str, _Place] = {}
        self._together = {row for rows in planned.mirrors.values() if len(rows) > 1 for row in rows}
        self._firsts = {row: rows[0] for rows in planned.mirrors.values() for row in rows[1:]}
        self._sent: list[tuple[str, str]] = []  # the table and the row of every command, by its place in the batch
        self._left_out: dict[tuple[str, str], Quarantined] = {}
        self._touched: set[tuple[str, str]] = set()
        self._flow_actors: dict[str, Addressee] = {}

    def look(self) -> None:
        """Find out which rows are known already, and which the ledger would not take."""
        for flow in self._plan.flows:
            self._look_up(FLOWS, flow.row, flow_claims_of(flow.created)[-1])
            self._step()
        for task in self._plan.tasks:
            *run, key = claims_of(task.created)
            place = self._look_up(TASKS, task.row, key)
            holder = self._house.readings.log.claimed(run[0]) if run and not place.is_known else None
            if holder is not None:
                why = Contradiction(
                    "run_id", task.created.run_id, f"this run is task {id_text(holder)} of the ledger already"
                )
                self._leave_out(TASKS, task.row, why)
            self._step()

    def run(self) -> None:
        """Send all that is new: the flows, then the tasks, each as a whole, then what became of the flows.

        Of tasks that one flow follows what became of them makes it end, and is sent when each is in it.
        """
        self._steps *= 2
        self.look()
        with self._batch() as batch:
            for flow in self._plan.flows:
                self._create_flow(batch, flow)
            for task in self._ordered():
                self._record(batch, task)
        with self._batch() as batch:  # a flow that has ended takes no task any more
            for task in self._plan.tasks:
                if task.row in self._together and (TASKS, task.row) not in self._left_out:
                    actor = self._house.facts().actor(self._places[task.row].stream)
                    self._send_all(batch, (TASKS, task.row), actor, self._of_task(task))
            for flow in self._plan.flows:
                self._record_flow(batch, flow)
                self._step()

    @contextmanager
    def _batch(self) -> Iterator[Batch]:
        """Send what the block puts into a batch: behind it all is durable, or its row left out."""
        self._sent = []
        try:
            with Batch(self._house) as batch:
                yield batch
        except BatchFailed as failed:
            self._refused(failed)

    def taken(self, *, dry_run: bool, seconds: float) -> Taken:
        """Return what became of every row."""
        counted: Counter[tuple[str, bool]] = Counter()
        over = 0
        now, rules = self._house.clock(), self._house.readings.rules
        for task in self._plan.tasks:
            if (TASKS, task.row) not in self._left_out:
                is_known = self._places[task.row].is_known
                counted[TASKS, is_known] += 1
                kept = rules.retention_of(task.created.runtime, task.status)
                over += not is_known and None not in (task.ended_at, kept) and (task.ended_at or 0) + (kept or 0) <= now
        for flow in self._plan.flows:
            if (FLOWS, flow.row) not in self._left_out:
                counted[FLOWS, self._places[flow.row].is_known] += 1
        return Taken(
            tasks=counted[TASKS, False],
            known_tasks=counted[TASKS, True],
            flows=counted[FLOWS, False],
            known_flows=counted[FLOWS, True],
            updated=len(self._touched - self._left_out.keys()),
            mirrors=len(self._plan.mirrors),
            deliveries=self._plan.deliveries,
            over=over,
            quarantined=(*self._plan.quarantined, *self._left_out.values()),
            seconds=seconds,
            dry_run=dry_run,
        )

    def _step(self) -> None:
        self._done += 1
        self._told(self._done, self._steps)

    # What is known already.

    def _look_up(self, table: str, row: str, claim: bytes) -> _Place:
        """Find out what is known of a row; one of which the log cannot be read is left out."""
        log = self._house.readings.log
        stream = log.claimed(claim)
        place = _Place(self._house.new_id() if stream is None else stream, is_known=stream is not None)
        self._places[row] = place
        history = [] if stream is None else log.stream(stream)
        gap = next((stored for stored in history if not isinstance(stored, Event)), None)
        if gap is None:
            place.record = fold_stream([stored for stored in history if isinstance(stored, Event)])
            place.has_deliveries = any(
                isinstance(stored, Event) and type(stored.data) in OF_DELIVERIES for stored in history
            )
        elif not isinstance(gap, Deleted):
            why = f"what the log has of it at position {gap.position} cannot be read: {gap.detail}"
            self._leave_out(table, row, Contradiction(_ID[table], row, why))
        return place

    def _leave_out(self, table: str, row: str, why: Contradiction) -> None:
        self._left_out.setdefault((table, row), why.of(table, row))

    def _refused(self, failed: BatchFailed) -> None:
        """What the ledger refused is left out as well: of each row the first refusal says why.

        What is the fault of no row, such as a full disk, is raised.
        """
        for place, error in failed.refusals:
            if not isinstance(error, _OF_A_ROW):
                raise error
            table, row = self._sent[place]
            self._leave_out(table, row, Contradiction(_ID[table], row, str(error)))

    # What is sent.

    def _ordered(self) -> Iterator[TaskHistory]:
        """The tasks that the ledger takes; who refers to one that it does not take is left out, too."""
        for task in self._plan.tasks:
            needed = {"parent_task_id": task.parent, "parent_flow_id": self._firsts.get(task.row)}
            for name, row in needed.items():
                if row is not None and (TASKS, row) in self._left_out:
                    self._leave_out(TASKS, task.row, Contradiction(name, row, "no task that is imported has this id"))
            if (TASKS, task.row) not in self._left_out:
                yield task
            self._step()

    def _create_flow(self, batch: Batch, flow: FlowHistory) -> None:
        place = self._places[flow.row]
        if not place.is_known:
            actor = self._flow_actors[flow.row] = self._house.facts().newborn_flow(place.stream)
            self._create(batch, (FLOWS, flow.row), actor, self._command(flow.created, flow.at))

    def _record_flow(self, batch: Batch, flow: FlowHistory) -> None:
        if (FLOWS, flow.row) not in self._left_out:
            actor = self._flow_actors.get(flow.row) or self._house.facts().flow(self._places[flow.row].stream)
            self._send_all(batch, (FLOWS, flow.row), actor, self._of_flow(flow))

    def _record(self, batch: Batch, task: TaskHistory) -> None:
        place, facts = self._places[task.row], self._house.facts()
        actor = facts.actor(place.stream) if place.is_known else facts.newborn(place.stream)
        if not place.is_known:
            created = replace(task.created, parent=self._id(task.parent), flow=self._flow_id(task))
            self._create(batch, (TASKS, task.row), actor, self._command(created, task.at))
        if task.row not in self._together:
            self._send_all(batch, (TASKS, task.row), actor, self._of_task(task))

    def _id(self, row: str | None) -> str | None:
        return None if row is None else id_text(self._places[row].stream)

    def _flow_id(self, task: TaskHistory) -> str | None:
        first = self._firsts.get(task.row)
        if first is not None:
            return mirror_of(id_text(self._places[first].stream))
        return self._id(task.flow)

    def _of_task(self, task: TaskHistory) -> Facts:
        """What the ledger does not know yet of a task: all of it, or what happened since it was imported."""
        place = self._places[task.row]
        record = place.record
        assert record is None or isinstance(record, TaskRecord), "the key of a task"
        if place.is_known and (record is None or record.pruned_at is not None):
            return
        for move in task.moves:
            if record is None or _is_news(record, move, task):
                yield move.fact, move.at
        is_told = record is not None and not record.is_active and place.has_deliveries
        if task.delivery is not None and not is_told and (record is None or record.status in (task.status, *_OPEN)):
            yield DeliveryImported(status=task.delivery), None

    def _of_flow(self, flow: FlowHistory) -> Facts:
        place = self._places[flow.row]
        record = place.record
        assert record is None or isinstance(record, FlowRecord), "the key of a flow"
        if place.is_known and (record is None or not record.is_active or record.status is flow.status):
            return
        for move in flow.moves:
            fact = move.fact
            if isinstance(fact, FlowWaitingSet) and flow.blocked_task is not None:
                fact = replace(fact, blocked_task=self._id(flow.blocked_task))
            yield fact, move.at

    def _send_all(self, batch: Batch, row: tuple[str, str], actor: Addressee, facts: Facts) -> None:
        for fact, at in facts:
            if self._places[row[1]].is_known:
                self._touched.add(row)
            self._sent.append(row)
            batch.put(actor, self._command(fact, at))

    def _create(self, batch: Batch, row: tuple[str, str], actor: Addressee, command: Command) -> None:
        self._sent.append(row)
        batch.put(actor, command)

    def _command(self, fact: AnyFact, at: int | None) -> Command:
        return Command(fact, self._speaker, at, force=True, imported=True)


_OPEN = (Status.QUEUED, Status.RUNNING, Status.LOST)


def _is_news(record: TaskRecord, move: Move, task: TaskHistory) -> bool:
    """Whether a task that was imported before does not know this yet; what was erased of it is none."""
    fact = move.fact
    if isinstance(fact, TaskStarted):
        return record.status is Status.QUEUED
    if isinstance(fact, TaskProgressed):
        is_later = record.erased is None or move.at > record.erased.at
        return record.is_active and is_later and fact.message != record.progress_summary
    return record.is_active or record.status is not task.status


def _speaker(house: House) -> str:
    """Who says it: whoever imports, in the name of the other ledger."""
    told = fields.report("actor", f"import:{SOURCE}:{house.actor}", bytes_max=KEY_BYTES_MAX, controls=False)
    return told or SOURCE
