"""Planning: what an import of OpenClaw's tables records, in which order, and which rows are left out. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from tallystick.imports.columns import Contradiction, Quarantined, shown
from tallystick.imports.database import DELIVERIES, FLOWS, TASKS, Row, Tables
from tallystick.imports.flow_history import FlowHistory, FlowMirror, flow_history
from tallystick.imports.history import TaskHistory, origin_of, task_history
from tallystick.ledger.claims import claims_of
from tallystick.ledger.facts.fact import Evidence, Origin
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.flows.mirror import is_detached, mirror_status
from tallystick.ledger.lifecycle import Scope

Recorded: TypeAlias = Callable[[TaskCreated], TaskCreated]
"""Returns a creation as it will be recorded."""


def as_it_is(created: TaskCreated) -> TaskCreated:
    """Return a creation as it was read: where nobody takes anything out of it."""
    return created


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be recorded: tasks with those before them that they need, flows, and the rows that are left out.

    `mirrors` has for each flow that follows tasks their rows, the first of them first; `deliveries` counts the rows
    that say where a request came from.
    """

    tasks: tuple[TaskHistory, ...]
    flows: tuple[FlowHistory, ...]
    mirrors: Mapping[str, tuple[str, ...]]
    deliveries: int
    quarantined: tuple[Quarantined, ...]


def plan(tables: Tables, recorded: Recorded = as_it_is) -> Plan:
    """Return what an import of these tables records. `recorded` says what a creation is when it has been recorded.

    Two rows are the same run when the same is recorded of them: of their secrets nothing may be.
    """
    return _Planning(tables, recorded).plan()


class _Planning:
    """One plan under way. A row that is left out may take others with it: those that refer to it."""

    def __init__(self, tables: Tables, recorded: Recorded) -> None:
        self._tables, self._recorded = tables, recorded
        self._left_out: list[Quarantined] = []
        self._tasks: dict[str, TaskHistory] = {}
        self._flows: dict[str, FlowHistory] = {}
        self._mirrored: dict[str, FlowMirror] = {}

    def plan(self) -> Plan:
        origins = self._read_deliveries()
        self._read_flows()
        self._read_tasks(origins)
        self._check_runs()
        while self._leave_out_what_refers_to_nothing():
            pass
        mirrors = self._mirrors()
        deliveries = sum(row in self._tasks for row in origins)
        for row in origins:
            if row not in self._tasks:
                self._leave_out(DELIVERIES, row, Contradiction("task_id", row, "its task is not imported"))
        return Plan(
            tasks=tuple(self._in_order(mirrors)),
            flows=tuple(self._flows.values()),
            mirrors=mirrors,
            deliveries=deliveries,
            quarantined=tuple(self._left_out),
        )

    def _leave_out(self, table: str, row: str, why: Contradiction) -> None:
        self._left_out.append(why.of(table, row))

    # Rows, each for itself.

    def _read_deliveries(self) -> dict[str, tuple[Origin | None, Evidence]]:
        found: dict[str, tuple[Origin | None, Evidence]] = {}
        for row in self._tables.deliveries:
            key = _key(row, "task_id")
            try:
                if key in found:
                    raise Contradiction("task_id", key, "another row has the same")
                found[key] = origin_of(row)
            except Contradiction as error:
                self._leave_out(DELIVERIES, key, error)
        return found

    def _read_flows(self) -> None:
        for row in self._tables.flows:
            key = _key(row, "flow_id")
            try:
                if key in self._flows or key in self._mirrored:
                    raise Contradiction("flow_id", key, "another row has the same")
                history = flow_history(row)
            except Contradiction as error:
                self._leave_out(FLOWS, key, error)
                continue
            if isinstance(history, FlowMirror):
                self._mirrored[key] = history
            else:
                self._flows[key] = history

    def _read_tasks(self, origins: Mapping[str, tuple[Origin | None, Evidence]]) -> None:
        for row in self._tables.tasks:
            key = _key(row, "task_id")
            origin, more = origins.get(key, (None, {}))
            try:
                if key in self._tasks:
                    raise Contradiction("task_id", key, "another row has the same")
                history = task_history(row, origin, more)
                self._tasks[key] = replace(history, created=self._recorded(history.created))
            except Contradiction as error:
                self._leave_out(TASKS, key, error)

    # Rows against each other.

    def _check_runs(self) -> None:
        """Leave out a row that is the same run as another: the ledger has one task for a run."""
        runs: dict[bytes, str] = {}
        for key, task in list(self._tasks.items()):
            if task.created.run_id is None:
                continue
            run = claims_of(task.created)[0]
            if runs.setdefault(run, key) != key:
                why = f"it is the same run as {runs[run]}: the same id, runtime, owner, child session, label and text"
                self._leave_out(TASKS, key, Contradiction("run_id", task.created.run_id, why))
                del self._tasks[key]

    def _leave_out_what_refers_to_nothing(self) -> bool:
        """Leave out what refers to a row that is not there any more; whether a flow was among it."""
        for key, error in self._astray().items():
            self._leave_out(TASKS, key, error)
            del self._tasks[key]
        gone = [
            flow
            for flow in self._flows.values()
            if flow.blocked_task is not None and flow.blocked_task not in self._tasks
        ]
        for flow in gone:
            why = Contradiction("blocked_task_id", flow.blocked_task, "no task that is imported has this id")
            self._leave_out(FLOWS, flow.row, why)
            del self._flows[flow.row]
        return bool(gone)

    def _astray(self) -> dict[str, Contradiction]:
        """What refers to nothing: each chain of parents is gone along once, whatever refers to what."""
        astray: dict[str, Contradiction | None] = {}
        for key in self._tasks:
            chain: dict[str, None] = {}
            above: str | None = key
            while above is not None and above in self._tasks and above not in astray and above not in chain:
                chain[above] = None
                above = self._tasks[above].parent
            why = None
            if above in chain:
                why = "it is above itself"
            elif above is not None and astray.get(above, self) is not None:
                why = "no task that is imported has this id"
            for row in reversed(chain):
                task = self._tasks[row]
                astray[row] = self._not_in_flow(task)
                if why is not None:
                    astray[row] = Contradiction("parent_task_id", task.parent, why)
                elif astray[row] is not None:
                    why = "no task that is imported has this id"
        return {key: error for key, error in astray.items() if error is not None}

    def _not_in_flow(self, task: TaskHistory) -> Contradiction | None:
        if task.flow is None or task.flow in self._mirrored:
            return None
        flow = self._flows.get(task.flow)
        if flow is None:
            return Contradiction("parent_flow_id", task.flow, "no flow that is imported has this id")
        if task.created.scope is Scope.SYSTEM:
            return Contradiction("parent_flow_id", task.flow, "a task of the system belongs to no flow")
        if task.created.owner != flow.created.owner:
            why = f"the flow belongs to {shown(flow.created.owner)}, the task to {shown(task.created.owner)}"
            return Contradiction("parent_flow_id", task.flow, why)
        return None

    # Flows that follow tasks.

    def _mirrors(self) -> dict[str, tuple[str, ...]]:
        """Hold each to the tasks that it follows; what follows no task, or says something else, is left out."""
        following: defaultdict[str, list[TaskHistory]] = defaultdict(list)
        for task in self._tasks.values():
            if task.flow in self._mirrored:
                following[str(task.flow)].append(task)
        mirrors: dict[str, tuple[str, ...]] = {}
        for key, flow in self._mirrored.items():
            tasks = sorted(following[key], key=lambda task: (task.at, task.row))
            error = _not_mirrored(flow, tasks)
            if error is None:
                mirrors[key] = tuple(task.row for task in tasks)
            else:
                self._leave_out(FLOWS, key, error)
        return mirrors

    # The order.

    def _in_order(self, mirrors: Mapping[str, tuple[str, ...]]) -> Iterator[TaskHistory]:
        """Yield the tasks by their creation, but each behind its parent, and behind the first of its flow."""
        firsts = {row: rows[0] for rows in mirrors.values() for row in rows[1:]}
        placed: set[str] = set()
        for key in sorted(self._tasks, key=lambda key: (self._tasks[key].at, key)):
            waiting = [key]
            while waiting:
                task = self._tasks[waiting[-1]]
                needs = [row for row in (task.parent, firsts.get(task.row)) if row is not None and row not in placed]
                if needs and needs[0] not in waiting:
                    waiting.append(needs[0])
                    continue
                waiting.pop()
                if task.row not in placed:
                    placed.add(task.row)
                    kept = task.flow if task.flow in self._flows or task.row in firsts else None
                    yield replace(task, flow=kept)


def _not_mirrored(flow: FlowMirror, tasks: list[TaskHistory]) -> Contradiction | None:
    """Return why a flow is not what its tasks make of it; None when it is."""
    if not tasks:
        return Contradiction("flow_id", flow.row, "it follows tasks, and none that is imported is one of it")
    first, newest = tasks[0], tasks[-1]
    created = first.created
    if not is_detached(created.runtime, created.scope, created.delivery):
        return Contradiction("flow_id", flow.row, f"its first task {first.row} is not one that a flow mirrors")
    if any(task.created.owner != flow.owner for task in tasks):
        return Contradiction("owner_key", flow.owner, "a task of it belongs to another session")
    says = mirror_status(newest.status, newest.outcome)
    if says is not flow.status:
        return Contradiction("status", flow.status.value, f"its newest task {newest.row} makes it {says.value}")
    return None


def _key(row: Row, name: str) -> str:
    """Return the key of a row, as it is told."""
    return shown(row.get(name)) if not isinstance(row.get(name), str) else str(row[name])
