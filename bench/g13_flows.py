"""What do flows cost: 10,000 of them with 10 tasks each, made, found, cancelled, and taken up again after a restart?

Hypothesis: a flow is a stream like a task's, so that a write of it costs what one of a task costs; whoever joins asks
the flow's actor in the same turn, which costs no write; and a cancel costs what its tasks do.
Unit: flows or tasks a second, from many callers at once, each answer awaited; milliseconds for a question about one
flow, or a page of them, among all of them; seconds from the cancel of the last flow until all have ended.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import tallystick
from tallystick.bench import child, workload
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import TIMES, Findings, at_most, figure
from tallystick.bench.sample import percentile
from tallystick.ledger.limits import PAGE_ROWS_MAX

SIZE, QUICK_SIZE = 10_000, 500
TASKS_EACH = 10
CALLERS = 200
QUESTIONS = 200
PATIENCE_S = 3_600.0
MS_PER_S = 1_000
CONTROLLER = "bench"

Measured = dict[str, float]


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(argv, name="g13_flows", about=__doc__, measure=measure, size=SIZE, quick_size=QUICK_SIZE, rounds=1)


def measure(setting: Setting) -> Findings:
    """Make flows, and cancel half of them; the others end in the next process that opens the ledger."""
    found: list[Measured] = []
    for number in range(setting.rounds):
        path = str(setting.folder / f"flows-{number}")
        made = child.ask("g13_flows", "made", path=path, size=setting.size)
        found.append({**made, **child.ask("g13_flows", "taken_up", path=path)})
    shown = (
        ("flows made", "a second", "flows"),
        ("tasks made as one of a flow", "a second", "joined"),
        ("tasks made as one of none", "a second", "alone"),
        ("tasks linked", "a second", "linked"),
        ("steps claimed", "a second", "claimed"),
        ("a flow by its id, p50", "ms", "get_p50"),
        ("the tasks of a flow, p50", "ms", "tasks_p50"),
        ("a page of 50 waiting flows, p50", "ms", "page_p50"),
        ("flows cancelled, with their tasks", "a second", "cancelled"),
        ("from the last cancel until all have ended", "s", "ended_s"),
        ("opening with half of the flows being cancelled", "s", "opened_s"),
        ("flows ended after a restart, as their last tasks end", "a second", "taken_up"),
    )
    return Findings(
        size=f"{setting.size:,} flows with {TASKS_EACH} tasks each",
        goals=(
            at_most(
                "G13",
                2,
                f"{TIMES} a task of no flow, a task of one (made)",
                [each["alone"] / each["joined"] for each in found],
            ),
        ),
        figures=tuple(figure(name, unit, [each[key] for each in found]) for name, unit, key in shown),
    )


def made(path: str, size: int) -> Measured:
    """Make flows and their tasks, ask about them, cancel half and see them end; of the others one task goes on."""
    return asyncio.run(_made(Path(path), size))


async def _made(path: Path, size: int) -> Measured:
    told: Measured = {}
    async with tallystick.open_async(path) as ledger:
        flows: list[tallystick.AsyncFlow] = []

        async def make(number: int) -> None:
            flows.append(await ledger.flows.create(owner=_owner(number), goal="Release", controller=CONTROLLER))

        async def join(number: int) -> None:
            flow = flows[number // (TASKS_EACH - 1)]
            await ledger.create(**_task(number), owner=flow.record.owner_key, flow=flow.id)

        loose: list[tallystick.AsyncTask] = []

        async def alone(number: int) -> None:
            loose.append(await ledger.create(**_task(number), owner=flows[number].record.owner_key))

        told["flows"] = await _rate(make, size)
        told["alone"] = await _rate(alone, size)
        told["joined"] = await _rate(join, size * (TASKS_EACH - 1))
        told["claimed"] = await _rate(lambda number: flows[number].claim("build"), size)
        by_owner = {task.record.owner_key: task for task in loose}
        told["linked"] = await _rate(lambda number: _link(flows[number], by_owner), size)
        await _rate(lambda number: flows[number].set_waiting({"for": "approval"}), size)
        told |= await _questions(ledger, flows)
        half = size // 2
        began = time.monotonic()
        await _rate(lambda number: flows[number].cancel(wait_ms=0), half)
        asked = time.monotonic()
        while (await ledger.flows.counts()).cancelling:
            await ledger.settled(PATIENCE_S)
        ended = time.monotonic()
        told["cancelled"], told["ended_s"] = half / (ended - began), ended - asked
        await _rate(lambda number: _leave(ledger, flows[half + number]), size - half)
    return told


async def _link(flow: "tallystick.AsyncFlow", by_owner: dict[str | None, "tallystick.AsyncTask"]) -> None:
    task = by_owner.pop(flow.record.owner_key, None)
    if task is not None:
        await flow.link(task)


async def _leave(ledger: "tallystick.AsyncLedger", flow: "tallystick.AsyncFlow") -> None:
    """Want a flow cancelled of which one task runs, and nobody says that it has stopped."""
    [first, *_] = await flow.tasks()
    task = await ledger.get(first.task_id)
    await task.start()
    await flow.cancel(wait_ms=0)


async def _rate(call: Callable[[int], Awaitable[Any]], count: int) -> float:
    """Return how many of these calls are answered in a second, with so many callers at once."""
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    began = time.monotonic()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return count / (time.monotonic() - began)


async def _questions(ledger: "tallystick.AsyncLedger", flows: "list[tallystick.AsyncFlow]") -> Measured:
    await ledger.settled(PATIENCE_S)
    asked: dict[str, list[float]] = {"get": [], "tasks": [], "page": []}
    for number in range(QUESTIONS):
        flow = flows[number * 7_919 % len(flows)]
        for name, question in (
            ("get", lambda flow=flow: ledger.flows.get(flow.id)),
            ("tasks", flow.tasks),
            ("page", lambda: ledger.flows.list(status="waiting")),
        ):
            began = time.perf_counter()
            await question()
            asked[name].append(time.perf_counter() - began)
    return {f"{name}_p50": percentile(seconds, 50) * MS_PER_S for name, seconds in asked.items()}


def taken_up(path: str) -> Measured:
    """Open a ledger in which flows are being cancelled, report the end of their last tasks, and see the flows end."""
    began = time.monotonic()
    with tallystick.open(Path(path)) as ledger:
        opened = time.monotonic()
        left = ledger.flows.counts().cancelling
        running = _running(ledger)
        with ledger.batch() as batch:
            for task_id in running:
                batch.task(task_id).cancelled("as its flow")
        while ledger.flows.counts().cancelling:
            ledger.settled(PATIENCE_S)
        seconds = time.monotonic() - opened
    return {"opened_s": opened - began, "taken_up": left / seconds}


def _running(ledger: "tallystick.Ledger") -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = ledger.list(status="running", limit=PAGE_ROWS_MAX, cursor=cursor)
        found.extend(task.task_id for task in page.tasks)
        cursor = page.next_cursor
        if cursor is None:
            return found


def _owner(number: int) -> str:
    return f"agent:main:session-{number}"


def _task(number: int) -> dict[str, Any]:
    return {"runtime": "cli", "task": f"Step {number % TASKS_EACH}", "label": workload.MESSAGE}
