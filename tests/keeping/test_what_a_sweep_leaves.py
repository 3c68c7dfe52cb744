"""After any history and at any time a sweep leaves exactly what the rules of retention say is kept.

What a task belongs to is found out here by reading everything, not as the keeper does it by indexes.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tallystick import TallystickError
from tallystick.config import Config
from tallystick.ledger.events import Event
from tallystick.ledger.facts.flows import FlowPruned
from tallystick.ledger.facts.tasks import TaskPruned
from tallystick.ledger.flows.record import FlowRecord, needs_tasks
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import FlowStatus
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.upkeep.retention import Family, keeping, keeping_flow
from tallystick.projections.agenda import flow_kept_ms
from tallystick.readings import due_rules
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger

HOUR_MS = 3_600_000
OWNER = "agent:main:main"
CONFIG = Config(retention={"terminal": 7 * HOUR_MS, "lost": HOUR_MS, "cron": 3 * HOUR_MS, "failed": 2 * HOUR_MS})
RULES = due_rules(CONFIG)

picks = st.integers(0, 7)
doings = st.one_of(
    st.tuples(
        st.just("create"),
        st.sampled_from(["cli", "subagent", "cron"]),
        st.sampled_from(["silent", "done_only"]),
        st.one_of(st.none(), st.tuples(st.just("parent"), picks), st.tuples(st.just("flow"), picks)),
    ),
    st.tuples(st.sampled_from(["start", "succeed", "succeed", "block", "fail", "lose", "cancel"]), picks),
    st.tuples(st.sampled_from(["hold", "release", "open", "close", "end_ahead", "take"]), picks),
    st.tuples(st.just("flow")),
    st.tuples(st.sampled_from(["finish", "cancel_flow", "link", "wait", "blocked_by"]), picks, picks),
    st.tuples(st.just("wait_for"), st.sampled_from([1, HOUR_MS - 1, HOUR_MS, 3 * HOUR_MS, 7 * HOUR_MS])),
    st.tuples(st.just("sweep")),
)


def pick(among: list[Any], number: int) -> Any:
    return among[number % len(among)]


class Play:
    """A ledger in which things happen, whatever the ledger says to it."""

    def __init__(self, ledger: Ledger, clock: HandClock) -> None:
        self.ledger, self.clock = ledger, clock
        self.tasks: list[Any] = []
        self.flows: list[Any] = []

    def do(self, what: str, *how: Any) -> None:
        with suppress(TallystickError, IndexError, ZeroDivisionError):  # refused, or there is none: so it is
            getattr(self, what)(*how)

    def create(self, runtime: str, notify: str, of: tuple[str, int] | None) -> None:
        said: dict[str, Any] = {}
        if of is not None:
            said[of[0]] = self.task(of[1]).id if of[0] == "parent" else pick(self.flow_ids(), of[1])
        self.tasks.append(self.ledger.create(runtime=runtime, task="x", owner=OWNER, notify=notify, **said))

    def task(self, number: int) -> Any:
        return pick(self.tasks, number)

    def one(self, number: int) -> Any:
        return pick(self.flows, number)

    def flow_ids(self) -> list[str]:
        mirrors = [task.record.parent_flow_id for task in self.tasks if task.record.parent_flow_id is not None]
        return [*(flow.id for flow in self.flows), *mirrors]

    def start(self, number: int) -> None:
        self.task(number).start()

    def succeed(self, number: int) -> None:
        self.task(number).succeed("done")

    def block(self, number: int) -> None:
        self.task(number).succeed("nearly", outcome="blocked")

    def fail(self, number: int) -> None:
        self.task(number).fail("no")

    def lose(self, number: int) -> None:
        self.task(number).settle("lost", "gone")

    def cancel(self, number: int) -> None:
        self.task(number).cancel("enough", wait_ms=0)

    def hold(self, number: int) -> None:
        self.task(number).hold("evidence")

    def release(self, number: int) -> None:
        self.task(number).release()

    def open(self, number: int) -> None:
        self.task(number).opened("tab", "one")

    def close(self, number: int) -> None:
        self.task(number).closed("tab", "one")

    def end_ahead(self, number: int) -> None:
        self.task(number).succeed("done", occurred_at=self.clock() + HOUR_MS)

    def take(self, _number: int) -> None:
        session = self.ledger.session(OWNER)
        session.ack(session.take()[-1].position)

    def flow(self) -> None:
        self.flows.append(self.ledger.flows.create(owner=OWNER, goal="x", controller="bot"))

    def finish(self, number: int, _other: int) -> None:
        self.one(number).finish("done")

    def cancel_flow(self, number: int, _other: int) -> None:
        self.ledger.flows.get(pick(self.flow_ids(), number)).cancel(wait_ms=0)

    def link(self, number: int, other: int) -> None:
        self.one(number).link(self.task(other))

    def wait(self, number: int, _other: int) -> None:
        self.one(number).set_waiting({"for": "approval"})

    def blocked_by(self, number: int, other: int) -> None:
        self.one(number).set_waiting({"for": "help"}, blocked=self.task(other).id)

    def wait_for(self, ms: int) -> None:
        self.clock.advance(ms)

    def sweep(self) -> None:
        self.ledger.sweep()


class World:
    """Everything that there is in a ledger after a position."""

    def __init__(self, ledger: Ledger, position: int) -> None:
        self._ledger, self._position = ledger, position
        streams: dict[str, bool] = {}
        for event in ledger.events():
            if event.position <= position:
                streams[id_text(event.stream)] = event.is_of_flow
        self.tasks: dict[str, TaskRecord] = {}
        self.flows: dict[str, FlowRecord] = {}
        for token, is_of_flow in streams.items():
            record = ledger.state_at(token, position=position)
            if record.pruned_at is not None:
                continue
            if not is_of_flow and isinstance(record, TaskRecord):
                self.tasks[token] = record
            elif isinstance(record, FlowRecord):
                self.flows[token] = record

    def is_over(self, task: TaskRecord, now: int) -> bool:
        kept_ms = RULES.retention_of(task.runtime, task.status)
        active_below = next((child for child in self._below(task.task_id, ()) if self.tasks[child].is_active), None)
        return keeping(task, now, kept_ms=kept_ms, family=Family(self._needs(task), active_below)).is_over

    def _below(self, task_id: str, above: tuple[str, ...]) -> Iterator[str]:
        for other in self.tasks.values():
            if other.parent_task_id == task_id and other.task_id not in above:
                yield other.task_id
                yield from self._below(other.task_id, (*above, task_id))

    def flow_is_over(self, flow: FlowRecord, now: int) -> bool:
        own = (task for task in self.tasks.values() if task.parent_flow_id == flow.flow_id)
        active = next((task.task_id for task in own if task.is_active), None)
        kept_ms = flow_kept_ms(RULES, flow.status)
        return keeping_flow(flow, now, kept_ms=kept_ms, active_task=active).is_over

    def _needs(self, task: TaskRecord) -> FlowRecord | None:
        """Return a flow that has not ended and needs a task."""
        for flow in self.flows.values():
            is_blocked = flow.is_managed and flow.status is FlowStatus.BLOCKED
            if is_blocked and flow.blocked_task_id == task.task_id:
                return flow
        if task.parent_flow_id is None:
            return None
        with suppress(TallystickError):
            own = self._ledger.state_at(task.parent_flow_id, position=self._position)
            if isinstance(own, FlowRecord) and needs_tasks(own) and own.pruned_at is None:
                return own
        return None


def pruned(events: Iterator[Event]) -> Iterator[Event]:
    return (event for event in events if isinstance(event.data, TaskPruned | FlowPruned))


lives = st.tuples(
    st.lists(doings, max_size=10),
    st.lists(doings, min_size=20, max_size=40),
    st.sampled_from([0, HOUR_MS, 7 * HOUR_MS]),
)


@given(lives)
def test_a_sweep_leaves_exactly_what_the_rules_keep(
    life: tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], int],
) -> None:
    before, after, later_ms = life
    clock = HandClock()
    with memory_ledger(clock=clock, config=CONFIG) as ledger:
        play = Play(ledger, clock)
        for what, *how in (*before, ("create", "cli", "silent", None), *after):
            play.do(what, *how)
        clock.advance(later_ms)
        ledger.sweep()

        for event in pruned(ledger.events()):
            world, token = World(ledger, event.position - 1), id_text(event.stream)
            if isinstance(event.data, TaskPruned):
                assert world.is_over(world.tasks[token], event.occurred_at)
            elif world.flows[token].is_managed:
                flow = world.flows[token]
                assert world.flow_is_over(flow, event.occurred_at)
        now = World(ledger, ledger.status().head)
        assert [] == [task.task_id for task in now.tasks.values() if now.is_over(task, clock())]
        for flow in now.flows.values():
            if flow.is_managed:
                assert not now.flow_is_over(flow, clock())
        head = ledger.status().head
        ledger.sweep()
        assert head == ledger.status().head, "a second sweep finds nothing to do"
