"""The gauge: what a process and its ledger hold at one moment, and whether that grows."""

import threading
from collections.abc import Sequence
from statistics import linear_regression, median
from time import monotonic

import psutil
from msgspec import Struct

from tallystick.bench.child import memory_bytes
from tallystick.house import House
from tallystick.ledger.store.disk import DiskLog

MB = 1_000_000
WARM_UP_SHARE = 0.25  # of the run, in which caches fill and arenas find their size
GROWTH_SHARE_MAX = 0.05  # of the median, over all that was measured after that
GROWTH_BYTES_MIN = 8 * MB  # less than this is noise of the allocator
POINTS_MIN = 12

HEADINGS = ("s", "events/s", "own MB", "RSS MB", "actors", "readers", "log MB", "views MB", "lag", "threads", "files")


class Reading(Struct, frozen=True):
    """Everything at one moment."""

    at_s: float
    head: int
    own_bytes: int
    resident_bytes: int
    actors: int
    readers: int
    log_bytes: int
    views_bytes: int
    lag: int
    threads: int
    files: int

    def cells(self, before: "Reading") -> tuple[str, ...]:
        """Return what a line shows, given the reading before."""
        rate = (self.head - before.head) / max(self.at_s - before.at_s, 1e-9)
        return (
            f"{self.at_s:.0f}",
            f"{rate:,.0f}",
            f"{self.own_bytes / MB:,.1f}",
            f"{self.resident_bytes / MB:,.0f}",
            f"{self.actors:,}",
            f"{self.readers:,}",
            f"{self.log_bytes / MB:,.0f}",
            f"{self.views_bytes / MB:,.0f}",
            f"{self.lag:,}",
            f"{self.threads:,}",
            f"{self.files:,}",
        )


class Gauge:
    """Reads an open ledger of this process."""

    def __init__(self, house: House) -> None:
        self._house, self._began = house, monotonic()
        self._process = psutil.Process()

    def read(self) -> Reading:
        """Return everything as it is now."""
        readings, system = self._house.readings, self._house.system
        assert isinstance(readings.log, DiskLog)
        assert readings.views is not None
        log, views = readings.log.environment.info(), readings.views.environment.info()
        memory = memory_bytes()
        return Reading(
            at_s=monotonic() - self._began,
            head=readings.log.head(),
            own_bytes=memory["own"],
            resident_bytes=memory["resident"],
            actors=len(system.directory),
            readers=log.readers + views.readers,
            log_bytes=log.used_bytes,
            views_bytes=views.used_bytes,
            lag=max((standing.lag for standing in system.standings()), default=0),
            threads=threading.active_count(),
            files=self._process.num_fds(),
        )


class Trend(Struct, frozen=True):
    """How much something grew from the end of the warm-up on, by the straight line through all points."""

    median: float
    growth: float
    allowed: float

    @property
    def is_flat(self) -> bool:
        """Whether the growth is no more than noise."""
        return self.growth <= self.allowed


def memory_trend(readings: Sequence[Reading]) -> Trend | None:
    """Return how the process's own memory went; None when there are too few readings to say."""
    warm = readings[int(len(readings) * WARM_UP_SHARE) :]
    if len(warm) < POINTS_MIN:
        return None
    times, sizes = [reading.at_s for reading in warm], [reading.own_bytes for reading in warm]
    middle = median(sizes)
    growth = linear_regression(times, sizes).slope * (times[-1] - times[0])
    return Trend(middle, growth, max(middle * GROWTH_SHARE_MAX, GROWTH_BYTES_MIN))


def usual_readers(readings: Sequence[Reading]) -> tuple[float, float] | None:
    """Return how many readers LMDB had in the middle of the first and of the second half; None of too few readings."""
    if len(readings) < POINTS_MIN:
        return None
    counts = [reading.readers for reading in readings]
    half = len(counts) // 2
    return median(counts[:half]), median(counts[half:])
