"""A peer: the SQLite row through aiosqlite, from many coroutines that share one connection."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from tallystick.bench import workload
from tallystick.bench.sample import Sample, Stopwatch
from tallystick.bench.sqlite_row import FILE, SETTINGS, TABLE, statements
from tallystick.ledger.intake import Creation


def live(folder: Path, creations: Sequence[Creation], *, callers: int) -> Sample:
    """Live the lives; each caller awaits every answer before it goes on."""
    return asyncio.run(_live(folder, creations, callers))


async def _live(folder: Path, creations: Sequence[Creation], callers: int) -> Sample:
    import aiosqlite

    async with aiosqlite.connect(folder / FILE, isolation_level=None) as connection:
        for setting in (*SETTINGS, TABLE):
            await connection.execute(setting)

        async def call(waiting: Iterator[Creation]) -> None:
            for said in waiting:
                for sql, values in statements(said):
                    await connection.execute(sql, values)

        waiting = iter(creations)
        with Stopwatch() as watch:
            await asyncio.gather(*(call(waiting) for _ in range(callers)))
    count = workload.EVENTS_PER_LIFE * len(creations)
    return watch.sample(count, fsyncs=count)
