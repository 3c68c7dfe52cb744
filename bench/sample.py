"""The sample: one timed run, and what it took."""

import gc
from collections.abc import Sequence
from time import perf_counter, process_time
from types import TracebackType
from typing import Self

from msgspec import Struct

US_PER_S = 1_000_000


class Sample(Struct, frozen=True):
    """How much was done in which time; the seconds of processor are those of all threads of this process."""

    count: int
    seconds: float
    cpu_seconds: float
    fsyncs: int = 0
    latencies: Sequence[float] = ()

    @property
    def rate(self) -> float:
        """How many a second, by the clock on the wall."""
        return self.count / self.seconds

    @property
    def cpu_rate(self) -> float:
        """How many in a second of processor time: neither the disk nor other people's programs count."""
        return self.count / max(self.cpu_seconds, 1e-9)

    def latency_us(self, percent: float) -> float:
        """Return the latency that this percentage of the calls did not exceed, in microseconds."""
        return percentile(self.latencies, percent) * US_PER_S


class Stopwatch:
    """Times its block. The garbage of whatever ran before is collected first, and not counted."""

    seconds = 0.0
    cpu_seconds = 0.0

    def __enter__(self) -> Self:
        gc.collect()
        self._cpu, self._wall = process_time(), perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds, self.cpu_seconds = perf_counter() - self._wall, process_time() - self._cpu

    def sample(self, count: int, *, fsyncs: int = 0, latencies: Sequence[float] = ()) -> Sample:
        """Return what the block did in its time."""
        return Sample(count, self.seconds, self.cpu_seconds, fsyncs, latencies)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest of the values that this percentage of them does not exceed; 0 of none."""
    if not values:
        return 0.0
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(int(rank), 1) - 1]
