"""How long after a task's end does the message about it reach the receiver's socket, at 1,000 ends a second?

Hypothesis: a commit, two changes of threads and a POST: a few milliseconds while there is processor time left.
Unit: milliseconds from the call of `succeed`, and from its answer, to the moment in which another process on this
machine has read the whole request, a signed webhook over HTTP on loopback. The load is open: coroutines end tasks when
it is time, whatever became of the ones before.
"""

import asyncio
import time
from pathlib import Path
from typing import Any

import tallystick
from tallystick.bench import child, workload
from tallystick.bench.endpoint import Endpoint
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import Figure, Findings, at_most, figure
from tallystick.bench.sample import percentile
from tallystick.config import Config

SIZE, QUICK_SIZE = 10_000, 2_000
RATE, CALM_RATE = 1_000, 100
CALM_SHARE = RATE // CALM_RATE  # so that both take as long
CHANNEL, TARGET = "hook", "ops"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - it protects nothing
SETTLE_S_MAX = 600.0
MS_PER_S = 1_000

Measured = dict[str, float]


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(argv, name="g11_delivery", about=__doc__, measure=measure, size=SIZE, quick_size=QUICK_SIZE)


def measure(setting: Setting) -> Findings:
    """End tasks at both rates, each in a fresh process."""
    rounds: dict[int, list[Measured]] = {RATE: [], CALM_RATE: []}
    for number in range(setting.rounds):
        for rate, found in rounds.items():
            path = str(setting.folder / f"{rate}-{number}")
            size = setting.size if rate == RATE else max(setting.size // CALM_SHARE, 1)
            found.append(child.ask("g11_delivery", "at_rate", path=path, rate=rate, size=size))
    busy, calm = rounds[RATE], rounds[CALM_RATE]
    return Findings(
        size=f"{setting.size:,} tasks ended at {RATE:,} a second, a tenth of them at {CALM_RATE:,} a second",
        goals=(
            at_most(
                "G11", 50, f"ms to the socket at {CALM_RATE:,} a second (p99)", [each["call_p99"] for each in calm]
            ),
            at_most("G11", 250, f"ms to the socket at {RATE:,} a second (p99)", [each["call_p99"] for each in busy]),
        ),
        figures=(*_figures(RATE, busy), *_figures(CALM_RATE, calm)),
    )


def _figures(rate: int, found: list[Measured]) -> list[Figure]:
    shown = (
        ("from the call, p50", "ms", "call_p50"),
        ("from the call, p99", "ms", "call_p99"),
        ("from the call, longest", "ms", "call_max"),
        ("from the answer, p50", "ms", "answer_p50"),
        ("from the answer, p99", "ms", "answer_p99"),
        ("from the answer, longest", "ms", "answer_max"),
        ("an answer, p50", "ms", "waited_p50"),
        ("an answer, p99", "ms", "waited_p99"),
        ("ends", "a second", "ends"),
        ("arrivals", "a second", "arrivals"),
        ("processor time for one end", "µs", "cpu"),
    )
    return [figure(f"{rate:,} a second: {name}", unit, [each[key] for each in found]) for name, unit, key in shown]


def at_rate(path: str, rate: int, size: int) -> Measured:
    """End so many tasks at this rate, and return how long their messages took."""
    with Endpoint() as endpoint:
        endpoint.listen()
        return asyncio.run(_at_rate(Path(path), rate, size, endpoint))


async def _at_rate(path: Path, rate: int, size: int, endpoint: Endpoint) -> Measured:
    called: dict[str, float] = {}
    answered: dict[str, float] = {}

    async def end(task: Any) -> None:
        called[task.id] = time.monotonic()
        await task.succeed(workload.SUMMARY)
        answered[task.id] = time.monotonic()

    settings = Config(channel={CHANNEL: {"kind": "webhook", "url": endpoint.url, "secret": SECRET}})
    async with tallystick.open_async(path, config=settings) as ledger:
        tasks = [await ledger.get(task_id) for task_id in await _running(ledger, size)]
        await ledger.settled(SETTLE_S_MAX)
        began, spent = time.monotonic(), time.process_time()
        ends = []
        for number, task in enumerate(tasks):
            await asyncio.sleep(max(began + number / rate - time.monotonic(), 0))
            ends.append(asyncio.create_task(end(task)))
        await asyncio.gather(*ends)
        await ledger.settled(SETTLE_S_MAX)
        spent = time.process_time() - spent
    arrived = {name.split(":")[1]: times[0] for name, times in endpoint.arrivals().items()}
    assert arrived.keys() == called.keys(), "a message is missing"
    return {
        **_spread("call", [arrived[each] - called[each] for each in arrived]),
        **_spread("answer", [arrived[each] - answered[each] for each in arrived]),
        **_spread("waited", [answered[each] - called[each] for each in arrived]),
        "ends": size / (max(called.values()) - began),
        "arrivals": size / (max(arrived.values()) - began),
        "cpu": spent / size * 1_000_000,
    }


async def _running(ledger: tallystick.AsyncLedger, size: int) -> list[str]:
    """Return the ids of tasks that run and that somebody on the channel asked for."""
    tasks = []
    async with ledger.batch() as batch:
        for number in range(size):
            said: dict[str, Any] = {**workload.creation(number), "runtime": "subagent"}
            tasks.append(await batch.create(**said, origin={"channel": CHANNEL, "to": TARGET}))
            await tasks[-1].start()
    return [task.id for task in tasks]


def _spread(name: str, seconds: list[float]) -> Measured:
    return {
        f"{name}_p50": percentile(seconds, 50) * MS_PER_S,
        f"{name}_p99": percentile(seconds, 99) * MS_PER_S,
        f"{name}_max": max(seconds) * MS_PER_S,
    }
