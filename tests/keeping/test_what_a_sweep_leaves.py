"""After any history and at any time a sweep leaves exactly what the rules of retention say is kept.

What a task belongs to is found out here by reading everything, not as the keeper does it by indexes.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from hypothesis import event as happened
from hypothesis import given
from hypothesis import strategies as st

from tallystick import TallystickError
from tallystick.config import Config
from tallystick.ledger.events import Event
from tallystick.ledger.facts.flows import FlowPruned
from tallystick.ledger.facts.tasks import TaskPruned
from tallystick.ledger.flows.mirror import mirror_of
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
    st.tuples(st.just("join"), picks, st.sampled_from(["cli", "subagent", "cron"])),
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

    def join(self, number: int, runtime: str) -> None:
        """Another task joins a flow that mirrors one, which is made when there is none."""
        if not self.mirrors():
            self.tasks.append(self.ledger.create(runtime="subagent", task="x", owner=OWNER, notify="done_only"))
        flow = pick(self.mirrors(), number)
        self.tasks.append(self.ledger.create(runtime=runtime, task="x", owner=OWNER, notify="silent", flow=flow))

    def mirrors(self) -> list[str]:
        flows = [(task.id, task.record.parent_flow_id) for task in self.tasks]
        return [flow for task_id, flow in flows if flow == mirror_of(task_id)]

    def task(self, number: int) -> Any:
        return pick(self.tasks, number)

    def one(self, number: int) -> Any:
        return pick(self.flows, number)

    def flow_ids(self) -> list[str]:
        return [*(flow.id for flow in self.flows), *self.mirrors()]

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
        another = next(iter(self.others_of(mirror_of(task.task_id), task.task_id)), None)
        family = Family(self._needs(task), another=another, active_below=active_below)
        return keeping(task, now, kept_ms=kept_ms, family=family).is_over

    def others_of(self, flow_id: str, task_id: str) -> list[str]:
        """Return the tasks of a flow with events of its own, but for one."""
        if flow_id not in self.flows:
            return []
        own = (each.task_id for each in self.tasks.values() if each.parent_flow_id == flow_id)
        return [each for each in own if each != task_id]

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


spans = st.sampled_from([1, HOUR_MS - 1, HOUR_MS, 3 * HOUR_MS, 7 * HOUR_MS])
mirrored_lives = st.builds(
    lambda joins, steps, holds: [*joins, *steps, ("take", 0), *holds, ("wait_for", 7 * HOUR_MS), ("sweep",)],
    st.lists(
        st.tuples(st.just("join"), st.just(0), st.sampled_from(["cli", "subagent", "cron"])), min_size=1, max_size=3
    ),
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["succeed", "block", "fail", "lose", "hold", "release"]), st.integers(0, 3)),
            st.tuples(st.just("wait_for"), spans),
            st.sampled_from([("sweep",), ("take", 0), ("cancel_flow", 0, 0), ("join", 0, "cli")]),
        ),
        min_size=6,
        max_size=20,
    ),
    st.lists(st.tuples(st.just("release"), st.integers(0, 3)), max_size=4),
)
"""What becomes of a mirror of two tasks or more, which end when they do."""


@given(lives)
def test_a_sweep_leaves_exactly_what_the_rules_keep(
    life: tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], int],
) -> None:
    before, after, later_ms = life
    check([*before, ("create", "cli", "silent", None), *after, ("wait_for", later_ms)])


@given(mirrored_lives)
def test_a_mirror_goes_with_its_first_task_when_no_other_of_it_is_left(life: list[tuple[Any, ...]]) -> None:
    check(life)


def check(life: list[tuple[Any, ...]]) -> None:
    """Let all of it happen, then sweep; hold everything that was ever pruned, and all that is left, to the rules."""
    clock = HandClock()
    with memory_ledger(clock=clock, config=CONFIG) as ledger:
        play = Play(ledger, clock)
        for what, *how in life:
            play.do(what, *how)
        ledger.sweep()

        for event in pruned(ledger.events()):
            was_over(ledger, event)
        now = World(ledger, ledger.status().head)
        assert [] == [task.task_id for task in now.tasks.values() if now.is_over(task, clock())]
        for flow in now.flows.values():
            assert not (flow.is_managed and now.flow_is_over(flow, clock()))
            assert flow.is_managed or mirror_of(flow.flow_id) in now.tasks
        for token in (*now.tasks, *now.flows):
            assert not ledger.explain(token).is_over
        head = ledger.status().head
        ledger.sweep()
        assert head == ledger.status().head, "a second sweep finds nothing to do"


def was_over(ledger: Ledger, event: Event) -> None:
    """Hold what was pruned to the rules as of just before."""
    world, token = World(ledger, event.position - 1), id_text(event.stream)
    if isinstance(event.data, TaskPruned):
        assert world.is_over(world.tasks[token], event.occurred_at)
    elif world.flows[token].is_managed:
        assert world.flow_is_over(world.flows[token], event.occurred_at)
    else:
        was, first = ledger.state_at(token, position=event.position - 1), world.tasks[mirror_of(token)]
        assert isinstance(event.data, FlowPruned)
        assert was.status is event.data.status
        assert world.is_over(first, event.occurred_at)
        assert [] == world.others_of(token, first.task_id)
        happened("a mirror with events of its own was pruned")
