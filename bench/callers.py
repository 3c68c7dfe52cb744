"""The callers: many of one kind who each wait for every answer, and how long each answer took."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import tallystick
from tallystick.aio import AsyncLedger
from tallystick.bench import workload
from tallystick.bench.sample import Sample, Stopwatch
from tallystick.ledger.intake import Creation
from tallystick.readings import LedgerStatus
from tallystick.sync import Ledger

Latencies = list[float]
Run = Callable[[Coroutine[Any, Any, Sample]], Sample]
"""What runs a coroutine to its end: asyncio's own loop, or another one."""


def one_life(ledger: Ledger, said: Creation, latencies: Latencies) -> None:
    """Live one life, waiting for every answer."""
    began = perf_counter()
    task = ledger.create(**said)
    created = perf_counter()
    task.start()
    started = perf_counter()
    task.progress(workload.MESSAGE)
    progressed = perf_counter()
    task.succeed(workload.SUMMARY)
    latencies += (created - began, started - created, progressed - started, perf_counter() - progressed)


def from_threads(folder: Path, creations: Sequence[Creation], *, callers: int) -> Sample:
    """Live the lives from so many threads."""
    latencies: Latencies = []
    waiting = _shared(creations)
    with tallystick.open(folder / "ledger") as ledger:

        def call() -> None:
            mine: Latencies = []
            for said in waiting:
                one_life(ledger, said, mine)
            latencies.extend(mine)

        threads = [threading.Thread(target=call) for _ in range(callers)]
        with Stopwatch() as watch:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return _sample(watch, ledger.status(), latencies)


def from_coroutines(
    folder: Path, creations: Sequence[Creation], *, callers: int, stalls: Latencies, run: Run = asyncio.run
) -> Sample:
    """Live the lives from so many coroutines; `stalls` takes how late the loop was for whoever only wanted a turn."""
    return run(_from_coroutines(folder, creations, callers, stalls))


async def _from_coroutines(folder: Path, creations: Sequence[Creation], callers: int, stalls: Latencies) -> Sample:
    latencies: Latencies = []
    waiting = iter(creations)
    async with tallystick.open_async(folder / "ledger") as ledger:
        ticker = asyncio.create_task(tick(stalls))
        with Stopwatch() as watch:
            await asyncio.gather(*(_call(ledger, waiting, latencies) for _ in range(callers)))
        ticker.cancel()
        return _sample(watch, await ledger.status(), latencies)


async def _call(ledger: AsyncLedger, waiting: Iterator[Creation], latencies: Latencies) -> None:
    for said in waiting:
        began = perf_counter()
        task = await ledger.create(**said)
        created = perf_counter()
        await task.start()
        started = perf_counter()
        await task.progress(workload.MESSAGE)
        progressed = perf_counter()
        await task.succeed(workload.SUMMARY)
        latencies += (created - began, started - created, progressed - started, perf_counter() - progressed)


TICK_S = 0.001


async def tick(stalls: Latencies) -> None:
    """Sleep for a millisecond, again and again, and note by how much more it was: what any other coroutine sees."""
    while True:
        began = perf_counter()
        await asyncio.sleep(TICK_S)
        stalls.append(max(perf_counter() - began - TICK_S, 0.0))


def _shared(creations: Sequence[Creation]) -> Iterator[Creation]:
    """The creations one by one, for many threads: a list's own iterator is one step under the interpreter lock."""
    return iter(list(creations))


def _sample(watch: Stopwatch, status: LedgerStatus, latencies: Latencies) -> Sample:
    assert status.stats is not None
    assert status.tasks.by_status["succeeded"] == status.tasks.total, status.tasks
    return watch.sample(status.stats.events, fsyncs=status.stats.fsyncs, latencies=latencies)
