"""Whatever ends in whatever order: each isolated run is told once, late enough, and what it left open closed once."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

import tallystick
from tallystick import Delivery, OpenResource, Receipt, Refused, TaskRecord
from tallystick.ledger.events import Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.deliveries import (
    DeliveryDismissed,
    DeliveryQueued,
    DeliveryReleased,
    DeliveryWithheld,
)
from tallystick.ledger.facts.resources import TaskCleanedUp, TaskCleanupBegun
from tallystick.ledger.limits import CRON_STALE_MS
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.delivering.isolated import run, spawned
from tests.delivering.parts import HOUR, MINUTE

numbers = st.integers(0, 10**6)
ends = st.sampled_from(["succeed", "succeed", "fail", "lost"])


class Aftermath(RuleBasedStateMachine):
    """A gateway on disk whose clock moves by hand, in which isolated runs spawn subagents and open tabs."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = HandClock()
        self.runs: list[tuple[str, str]] = []
        self.below: list[tuple[str, str]] = []
        self.closed: Counter[tuple[str, str]] = Counter()
        self.sent: Counter[str] = Counter()
        self.ledger: Ledger | None = None

    @initialize()
    def begin(self) -> None:
        self.ledger = tallystick.open(self.folder / "ledger", clock=self.clock)
        self.ledger.channel("chat", self.receive)
        self.ledger.closer("tab", self.close)

    @property
    def house(self) -> Ledger:
        assert self.ledger is not None
        return self.ledger

    def receive(self, delivery: Delivery) -> Receipt:
        self.sent[delivery.id] += 1
        return Receipt()

    def close(self, resource: OpenResource) -> None:
        self.closed[resource.task_id, resource.name] += 1
        if resource.name == "stuck":
            raise OSError("it hangs")

    # What happens.

    @rule(policy=st.sampled_from(["done_only", "done_only", "state_changes"]))
    def a_run_begins(self, policy: str) -> None:
        session = f"agent:main:cron:{len(self.runs)}"
        self.runs.append((run(self.house, child_session=session, notify=policy).id, session))

    @precondition(lambda self: bool(self.runs))
    @rule(number=numbers, where=st.sampled_from(["run", "anywhere"]))
    def something_begins_below(self, number: int, where: str) -> None:
        above = [*self.runs, *self.below] if where == "anywhere" else self.runs
        task_id, session = above[number % len(above)]
        by_parent = number % 2
        own = f"agent:main:subagent:{len(self.below)}"
        task = spawned(
            self.house,
            owner="agent:elsewhere" if by_parent else session,
            parent=task_id if by_parent else None,
            child_session=own,
        )
        self.below.append((task.id, own))

    @precondition(lambda self: bool(self.runs))
    @rule(number=numbers, name=st.sampled_from(["one", "two", "stuck"]))
    def something_is_opened(self, number: int, name: str) -> None:
        tasks = [*self.runs, *self.below]
        with suppress(Refused):
            self.house.get(tasks[number % len(tasks)][0]).opened("tab", name)

    @precondition(lambda self: bool(self.runs))
    @rule(number=numbers)
    def a_run_gets_further(self, number: int) -> None:
        with suppress(Refused):
            self.house.get(self.runs[number % len(self.runs)][0]).progress(f"step {number}", force=True)

    @precondition(lambda self: bool(self.runs))
    @rule(number=numbers, end=ends)
    def a_run_ends(self, number: int, end: str) -> None:
        self.ends(self.runs[number % len(self.runs)][0], end)

    @precondition(lambda self: bool(self.below))
    @rule(number=numbers, end=ends)
    def something_below_ends_or_is_recovered(self, number: int, end: str) -> None:
        self.ends(self.below[number % len(self.below)][0], end)

    def ends(self, task_id: str, end: str) -> None:
        task = self.house.get(task_id)
        with suppress(Refused):
            task.settle("lost", "by hand") if end == "lost" else getattr(task, end)("said at the end")

    @precondition(lambda self: bool(self.runs))
    @rule(number=numbers)
    def an_operator_gives_up(self, number: int) -> None:
        with suppress(Refused):
            self.house.dismiss(self.runs[number % len(self.runs)][0])

    @rule(ms=st.sampled_from([1, MINUTE, HOUR, 2 * HOUR, CRON_STALE_MS]))
    def time_passes(self, ms: int) -> None:
        self.clock.advance(ms)
        self.house.sweep()

    @rule()
    def the_gateway_is_restarted(self) -> None:
        self.house.close()
        self.begin()

    # What is true.

    def teardown(self) -> None:
        try:
            if self.ledger is not None:
                self.comes_to_an_end()
        finally:
            if self.ledger is not None:
                self.ledger.close()
            shutil.rmtree(self.folder)

    def comes_to_an_end(self) -> None:
        for task_id, _ in (*self.runs, *self.below):
            self.ends(task_id, "succeed")
        self.house.sweep()
        self.house.settled()
        events = list(self.house.events())
        self.nothing_is_released_while_something_below_is_at_work(events)
        for task_id, _ in (*self.runs, *self.below):
            told = [event.data for event in events if event.task_id == task_id]
            self.each_end_is_told_or_given_up_once(task_id, told)
            self.what_was_left_open_is_closed_once(task_id, told)
        assert 1 >= max(self.closed.values(), default=0)
        assert 0 == self.house.status().outbox.withheld

    def nothing_is_released_while_something_below_is_at_work(self, events: list[Event]) -> None:
        """As of the position that the release names; what began after that came too late to be waited for."""
        sessions = {session: task_id for task_id, session in (*self.runs, *self.below)}
        records: dict[str, TaskRecord] = {}
        history: list[dict[str, TaskRecord]] = []
        for event in events:
            assert event.task_id is not None
            records[event.task_id] = evolve(records.get(event.task_id), event)
            history.append(dict(records))
            if isinstance(event.data, DeliveryReleased):
                then = history[event.data.as_of - 1]
                above = {event.task_id}
                for _ in then:
                    above |= {
                        task_id
                        for task_id, record in then.items()
                        if record.parent_task_id in above or sessions.get(record.owner_key or "") in above
                    }
                at_work = [task_id for task_id in above - {event.task_id} if then[task_id].is_active]
                assert [] == at_work
                assert set(event.data.sources) <= above

    def each_end_is_told_or_given_up_once(self, task_id: str, told: Sequence[object]) -> None:
        withheld = [data.delivery for data in told if isinstance(data, DeliveryWithheld)]
        released = [data.delivery for data in told if isinstance(data, DeliveryReleased)]
        queued = [data.delivery for data in told if isinstance(data, DeliveryQueued)]
        dismissed = [data.delivery for data in told if isinstance(data, DeliveryDismissed)]
        assert len(set(withheld)) == len(withheld)
        assert len(set(queued)) == len(queued)
        assert set(released) <= set(queued)
        for name in withheld:
            assert (name in queued) or (name in dismissed), f"{name} of {task_id} was forgotten"
        for name in queued:
            if name not in dismissed:
                assert 1 == self.sent[f"task-{name.replace(':', f':{task_id}:', 1)}"]

    def what_was_left_open_is_closed_once(self, task_id: str, told: Sequence[object]) -> None:
        begun = sum(isinstance(data, TaskCleanupBegun) for data in told)
        outcomes = [data for data in told if isinstance(data, TaskCleanedUp)]
        assert begun == len(outcomes) <= 1
        names = {name for task, name in self.closed if task == task_id}
        said = {label.removeprefix("tab ") for each in outcomes for label in (*each.closed, *(each.failed or ()))}
        assert names == said
        assert () == self.house.get(task_id).record.resources


TestAftermath = pytest.mark.slow(Aftermath.TestCase)
TestAftermath.settings = settings(max_examples=-(-settings().max_examples // 2), stateful_step_count=25, deadline=None)
