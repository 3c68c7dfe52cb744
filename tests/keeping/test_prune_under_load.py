"""While writers, readers and a subscriber work, what has ended is pruned at once, and nobody notices but who asks."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import Pruned
from tallystick.config import Config
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.flows import FlowPruned
from tallystick.ledger.facts.tasks import TaskPruned
from tallystick.ledger.record import TaskRecord
from tallystick.sync import Ledger

pytestmark = pytest.mark.timeout(120)

WRITERS, LIVES = 4, 120
PATIENCE_S = 60.0
WORK: dict[str, Any] = {"runtime": "cli", "task": "Count the tallies", "owner": "agent:main:main", "notify": "silent"}
AT_ONCE = Config(sweep={"first": 10, "interval": 10}, retention={"terminal": 0})


class Load:
    """Threads that work with one ledger, and what went wrong in them."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.failures: list[str] = []
        self.kept: list[str] = []
        self.done = threading.Event()
        self.pruned: set[str] = set()

    def run(self, *works: Callable[[], None]) -> None:
        threads = [threading.Thread(target=self._guarded, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the verdict names it
            self.failures.append(f"{work.__name__}: {error!r}")
            self.done.set()

    def write(self) -> None:
        """Lives of a parent, a child and a task of a flow; each is written to until it ends, and never gone before."""
        for number in range(LIVES):
            parent = self.ledger.create(**WORK)
            parent.start()
            flow = self.ledger.flows.create(owner=WORK["owner"], goal="x", controller="bot")
            of_it = self.ledger.create(**WORK, flow=flow.id)
            of_it.succeed("done")
            child = self.ledger.create(**WORK, parent=parent.id)
            parent.succeed("delegated")
            child.progress("half")
            self.ledger.get(parent.id)  # it is kept for its child
            self.ledger.get(of_it.id)  # and it for its flow
            child.succeed("done")
            flow.finish("released")
            if number % 10 == 0:
                held = self.ledger.create(**WORK)
                held.start()
                held.hold("evidence")
                held.succeed("done")
                self.kept.append(held.id)

    def read(self) -> None:
        """Every page there is, again and again: none breaks, and none shows a task twice."""
        while not self.done.is_set():
            seen: set[str] = set()
            cursor = None
            while True:
                page = self.ledger.list(limit=20, cursor=cursor)
                tokens = {task.task_id for task in page.tasks}
                assert not tokens & seen
                assert all(task.pruned_at is None for task in page.tasks)
                seen |= tokens
                cursor = page.next_cursor
                if cursor is None:
                    break
            counts = self.ledger.counts()
            assert counts.total == counts.active + counts.terminal
            assert all(flow.ended_at is None for flow in self.ledger.flows.list(status="running", limit=20).flows)
            for token in list(seen)[:5]:
                with suppress(Pruned):
                    assert token == self.ledger.get(token).id

    def follow(self) -> None:
        """Every event in order, until all that ends was pruned."""
        records: dict[str, TaskRecord] = {}
        flows_pruned = 0
        wanted = WRITERS * LIVES
        for position, event in enumerate(self.ledger.subscribe(), 1):
            assert position == event.position
            if isinstance(event.data, FlowPruned):
                flows_pruned += 1
            if not event.is_of_flow:
                before = records.get(event.task_id)
                records[event.task_id] = evolve(before, event)
                if isinstance(event.data, TaskPruned):
                    assert before is not None
                    assert before.ended_at is not None
                    assert before.held_at is None
                    self.pruned.add(event.task_id)
            if len(self.pruned) == 3 * wanted and flows_pruned == wanted:
                break
        self.done.set()


def test_nothing_that_is_needed_is_ever_pruned_and_no_list_breaks(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger", config=AT_ONCE) as ledger:
        load = Load(ledger)
        load.run(*[load.write] * WRITERS, load.read, load.follow)

        assert [] == load.failures
        ledger.settled()
        assert sorted(load.kept) == sorted(task.task_id for task in ledger.list(limit=500).tasks)
        assert ledger.verify().ok
