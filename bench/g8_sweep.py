"""What does a sweep cost when nothing is due, and does one with much to do stall the embedder's loop?

Hypothesis: what is due is found through an index and a wheel, so that a sweep costs what is due and not what is stored;
what blocks runs elsewhere, so that the loop waits no longer during a sweep than without one.
Unit: milliseconds of `sweep()` with a million tasks that run, a tenth of them with a deadline tomorrow. Then, on
asyncio, by how much a coroutine that sleeps for a millisecond wakes up late: at rest, and while sweep follows sweep,
each asking a probe about every one of a hundredth of the tasks.
"""

import asyncio
from pathlib import Path
from time import perf_counter
from typing import Any

import tallystick
from tallystick import Verdict
from tallystick.bench import child, workload
from tallystick.bench.callers import Latencies, tick
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import Findings, at_most, figure
from tallystick.bench.sample import percentile
from tallystick.ledger.record import TaskRecord

SIZE, QUICK_SIZE = 1_000_000, 20_000
SWEEPS = 100
PROBED_SHARE = 100
PROBED_SWEEPS = 5
DEADLINE_EVERY = 10
DAY_MS = 86_400_000
SETTLE_S_MAX = 3_600.0
MS_PER_S = 1_000
REST_S = 1.0


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(argv, name="g8_sweep", about=__doc__, measure=measure, size=SIZE, quick_size=QUICK_SIZE, rounds=1)


def measure(setting: Setting) -> Findings:
    """Fill a ledger in a fresh process and sweep it there; then sweep another one on a loop."""
    idle: list[dict[str, float]] = []
    busy: list[dict[str, float]] = []
    for number in range(setting.rounds):
        idle.append(
            child.ask("g8_sweep", "nothing_due", path=str(setting.folder / f"idle-{number}"), size=setting.size)
        )
        few = max(setting.size // PROBED_SHARE, 1)
        busy.append(child.ask("g8_sweep", "on_a_loop", path=str(setting.folder / f"busy-{number}"), size=few))
    return Findings(
        size=f"{setting.size:,} running tasks; on the loop {max(setting.size // PROBED_SHARE, 1):,} that have a probe",
        goals=(
            at_most("G8", 5, "ms, a sweep in which nothing is due (p50)", [each["p50"] for each in idle]),
            at_most("G8", 5, "ms, the same (p99)", [each["p99"] for each in idle]),
        ),
        figures=(
            figure("a sweep in which nothing is due, longest", "ms", [each["longest"] for each in idle]),
            figure("the loop's stalls at rest, p99", "ms", [each["rest_p99"] for each in busy]),
            figure("the loop's stalls while it sweeps, p99", "ms", [each["sweep_p99"] for each in busy]),
            figure("the loop's stalls while it sweeps, longest", "ms", [each["sweep_longest"] for each in busy]),
            figure("tasks that were asked about", "a second", [each["asked_a_second"] for each in busy]),
        ),
    )


def nothing_due(path: str, size: int) -> dict[str, float]:
    """Fill a ledger, sweep it again and again, and return how long that took."""
    with tallystick.open(path) as ledger:
        with ledger.batch() as batch:
            for number in range(size):
                said = workload.creation(number)
                if number % DEADLINE_EVERY == 0:
                    said["timeout_ms"] = DAY_MS
                batch.create(**said).start()
        ledger.settled(SETTLE_S_MAX)
        took = []
        for _ in range(SWEEPS):
            began = perf_counter()
            ledger.sweep()
            took.append((perf_counter() - began) * MS_PER_S)
        assert size == ledger.counts().by_status["running"], "nothing was due"
    return {"p50": percentile(took, 50), "p99": percentile(took, 99), "longest": max(took)}


def on_a_loop(path: str, size: int) -> dict[str, float]:
    """Sweep tasks that have a probe, with an eye on the loop."""
    return asyncio.run(_on_a_loop(Path(path), size))


async def _on_a_loop(path: Path, size: int) -> dict[str, float]:
    asked = 0

    def probe(_task: TaskRecord) -> Verdict:
        nonlocal asked
        asked += 1
        return Verdict.alive()

    rest: Latencies = []
    sweeping: Latencies = []
    async with tallystick.open_async(path) as ledger:
        async with ledger.batch() as batch:
            for number in range(size):
                said: dict[str, Any] = {**workload.creation(number), "runtime": "subagent"}
                task = await batch.create(**said)
                await task.start()
        ledger.probe("subagent", probe)
        await ledger.sweep()
        await _watched(rest, asyncio.sleep(REST_S))
        asked = 0
        began = perf_counter()
        for _ in range(PROBED_SWEEPS):
            await _watched(sweeping, ledger.sweep())
        seconds = perf_counter() - began
    assert asked == PROBED_SWEEPS * size, asked
    return {
        "rest_p99": percentile(rest, 99) * MS_PER_S,
        "sweep_p99": percentile(sweeping, 99) * MS_PER_S,
        "sweep_longest": max(sweeping) * MS_PER_S,
        "asked_a_second": asked / seconds,
    }


async def _watched(stalls: Latencies, work: Any) -> None:
    ticking = asyncio.create_task(tick(stalls))
    await work
    await asyncio.sleep(0)
    ticking.cancel()
