"""A play of controllers, children and restarts: moves go in, and what every one of them was told is remembered."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import tallystick
from tallystick import Event, Flow, FlowRecord, Ledger, Task, TaskRecord
from tallystick.building import assemble
from tallystick.config import Config
from tallystick.ledger.claims import claims_in
from tallystick.ledger.errors import FlowRefused, Refused, WrongVersion
from tallystick.ledger.store.memory import MemoryLog
from tallystick.readings import Readings, due_rules
from tallystick.testing import HandClock
from tests.face.parts import OWNER

FLOWS_MAX, TASKS_MAX = 3, 8
STEPS = ("build", "test")
NAMES = (None, "bot-1", "bot-2")


class World(Protocol):
    """Where a ledger lives through the ends of its owners."""

    ledger: Ledger

    def restart(self) -> None:
        """Close, and open again."""
        ...

    def kill(self) -> None:
        """Go on with what is durable at this very moment, as after a kill."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class KeptLog(MemoryLog):
    """A log that is still there after its ledger was closed, as one on disk is."""

    def close(self) -> None:
        """It will be read again."""


class MemoryWorld:
    """A ledger in memory; who is killed goes on writing to a log that nobody reads any more."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self._log = KeptLog()
        self._killed: list[Ledger] = []
        self.ledger = self._opened()

    def _opened(self) -> Ledger:
        settings = Config()
        readings = Readings(self._log, None, rules=due_rules(settings))
        return Ledger(assemble(readings, [], settings, clock=self._clock, actor="tester"))

    def restart(self) -> None:
        self.ledger.close()
        self._go_on()

    def kill(self) -> None:
        self._killed.append(self.ledger)
        self._go_on()

    def _go_on(self) -> None:
        events = [stored for stored in self._log.read() if isinstance(stored, Event)]
        self._log = KeptLog()
        if events:
            self._log.append(events, {claim: event.stream for event in events for claim in claims_in(event.data)})
        self.ledger = self._opened()

    def close(self) -> None:
        for ledger in (*self._killed, self.ledger):
            ledger.close()


class DiskWorld:
    """A ledger in a folder."""

    def __init__(self, folder: Path, clock: HandClock) -> None:
        self._folder, self._clock = folder, clock
        self.ledger = self._opened()

    def _opened(self) -> Ledger:
        return tallystick.open(self._folder, clock=self._clock, actor="tester")

    def restart(self) -> None:
        self.ledger.close()
        self.ledger = self._opened()

    kill = restart

    def close(self) -> None:
        self.ledger.close()


class Play:
    """What controllers, children and operators do, each with what it knew when it looked last."""

    def __init__(self, world: World, clock: HandClock) -> None:
        self.world, self.clock = world, clock
        self.flows: list[str] = []
        self.tasks: list[str] = []
        self.seen: dict[str, int] = {}
        """The revision that some controller has seen last of a flow."""
        self.ran: dict[tuple[str, str], list[str | None]] = {}
        """Who was told to do a step, each time."""
        self.told: list[FlowRecord] = []
        """Every record of a managed flow that was answered."""

    @property
    def ledger(self) -> Ledger:
        return self.world.ledger

    def move(self, name: str, first: int, second: int) -> None:
        """Make a move; what it needs and is not there makes it none."""
        MOVES[name](self, first, second)

    def _flow(self, number: int) -> Flow | None:
        return self.ledger.flows.get(self.flows[number % len(self.flows)]) if self.flows else None

    def _task(self, number: int) -> Task | None:
        return self.ledger.get(self.tasks[number % len(self.tasks)]) if self.tasks else None

    def _ask(self, verb: Callable[..., FlowRecord], *said: Any, **more: Any) -> FlowRecord | None:
        try:
            record = verb(*said, **more)
        except WrongVersion as error:
            record = error.current
            self.seen[record.flow_id] = record.revision
            self.told.append(record)
            return None
        except FlowRefused as error:
            self.told.append(error.current)
            return None
        self.seen[record.flow_id] = record.revision
        self.told.append(record)
        return record

    def begin(self, number: int, _: int) -> None:
        if len(self.flows) < FLOWS_MAX:
            key = f"key-{len(self.flows)}" if number % 2 else None
            flow = self.ledger.flows.create(owner=OWNER, goal="g", controller="c", idempotency_key=key)
            self.flows.append(flow.id)
            self.seen[flow.id] = 1

    def claim(self, number: int, other: int) -> None:
        flow = self._flow(number)
        if flow is not None:
            step, name = STEPS[other % 2], NAMES[other % 3]
            record = self._ask(flow.claim, step, claimant=name, expected_revision=self.seen[flow.id])
            if record is not None:
                self.ran.setdefault((flow.id, step), []).append(name)

    def drive(self, number: int, other: int) -> None:
        flow = self._flow(number)
        if flow is not None:
            verbs: list[Callable[..., FlowRecord]] = [flow.resume, lambda **more: flow.set_waiting("x", **more)]
            self._ask(verbs[other % 2], expected_revision=self.seen[flow.id] if other % 3 else None)

    def end(self, number: int, other: int) -> None:
        flow = self._flow(number)
        if flow is not None:
            self._ask(flow.finish if other % 2 else lambda: flow.fail("boom"))

    def work(self, number: int, other: int) -> None:
        if len(self.tasks) >= TASKS_MAX:
            return
        flow = None if other % 3 == 0 else self._flow(number)
        runtime, notify = (("cli", "silent"), ("subagent", "done_only"))[other % 2]
        try:
            task = self.ledger.create(
                runtime=runtime, task="x", owner=OWNER, notify=notify, flow=None if flow is None else flow.id
            )
        except FlowRefused as error:
            assert error.code in ("terminal", "cancel_requested")  # noqa: PT017 - no test, and each is one
        else:
            self.tasks.append(task.id)

    def link(self, number: int, other: int) -> None:
        flow, task = self._flow(number), self._task(other)
        if flow is not None and task is not None:
            self._ask(flow.link, task)

    def report(self, number: int, other: int) -> None:
        task = self._task(number)
        if task is not None:
            verbs: list[Callable[[], TaskRecord]] = [
                task.start,
                task.succeed,
                lambda: task.fail("boom"),
                task.cancelled,
                lambda: task.settle("lost", "nobody knows"),
            ]
            try:
                verbs[other % len(verbs)]()
            except Refused as error:
                assert not isinstance(error, FlowRefused)  # noqa: PT017 - as above

    def cancel(self, number: int, _: int) -> None:
        flow = self._flow(number)
        if flow is not None:
            self._ask(flow.cancel, "enough", wait_ms=0)

    def cancel_mirror(self, number: int, _: int) -> None:
        task = self._task(number)
        if task is not None and task.record.parent_flow_id is not None:
            flow = self.ledger.flows.get(task.record.parent_flow_id)
            if not flow.record.is_managed:
                self._ask(flow.cancel, "enough", wait_ms=0)

    def sweep(self, number: int, _: int) -> None:
        self.clock.advance(number * 10_000)
        self.ledger.sweep()

    def restart(self, number: int, _: int) -> None:
        if number % 2:
            self.world.restart()
        else:
            self.world.kill()


MOVES: dict[str, Callable[[Play, int, int], None]] = {
    "begin": Play.begin,
    "claim": Play.claim,
    "drive": Play.drive,
    "end": Play.end,
    "work": Play.work,
    "link": Play.link,
    "report": Play.report,
    "cancel": Play.cancel,
    "cancel_mirror": Play.cancel_mirror,
    "sweep": Play.sweep,
    "restart": Play.restart,
}
