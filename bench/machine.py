"""The machine: where a figure was measured, for without it a figure says nothing."""

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter

from msgspec import Struct

from tallystick.bench.sample import US_PER_S, percentile

LIBRARIES = ("tallystick", "pykka", "msgspec", "lmdb", "uvloop", "aiosqlite", "eventsourcing")
FSYNCS = 64
PAGE = bytes(4_096)
GIB = 1 << 30


class Machine(Struct, frozen=True):
    """Processor, memory, disk and software of one run."""

    cpu: str
    cores: int
    load: float  # of the machine when the run began: what others did meanwhile is in the figures
    memory_gib: float
    filesystem: str
    fsync_p50_us: float
    fsync_p99_us: float
    system: str
    python: str
    sqlite: str
    libraries: dict[str, str]

    def lines(self) -> Iterator[str]:
        """Yield it in a few lines."""
        yield f"{self.cpu}, {self.cores} cores (load {self.load:.1f} at the beginning), {self.memory_gib:.0f} GiB"
        yield (
            f"{self.filesystem}: a page and its fdatasync take {self.fsync_p50_us:,.0f} µs "
            f"(p99 {self.fsync_p99_us:,.0f} µs)"
        )
        libraries = ", ".join(f"{name} {number}" for name, number in self.libraries.items())
        yield f"{self.system}; {self.python}; SQLite {self.sqlite}; {libraries}"


def look(folder: Path) -> Machine:
    """Return what this machine is, and what an fsync costs in this folder."""
    import sqlite3

    import psutil

    syncs = fsync_seconds(folder)
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        load=os.getloadavg()[0],
        memory_gib=psutil.virtual_memory().total / GIB,
        filesystem=_filesystem(folder),
        fsync_p50_us=percentile(syncs, 50) * US_PER_S,
        fsync_p99_us=percentile(syncs, 99) * US_PER_S,
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        sqlite=sqlite3.sqlite_version,
        libraries=dict(_versions()),
    )


def fsync_seconds(folder: Path, count: int = FSYNCS) -> list[float]:
    """Return how long it took to append a page to a file and to make it durable, again and again."""
    path = folder / "fsync"
    sync = getattr(os, "fdatasync", os.fsync)
    seconds = []
    with path.open("wb", buffering=0) as file:
        for _ in range(count):
            began = perf_counter()
            file.write(PAGE)
            sync(file.fileno())
            seconds.append(perf_counter() - began)
    path.unlink()
    return seconds


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _filesystem(folder: Path) -> str:
    """The kind of the filesystem that the folder is on: a memory disk makes every fsync free."""
    import psutil

    path = folder.resolve()
    mounts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    found = next((mounts[place] for place in (path, *path.parents) if place in mounts), "an unknown filesystem")
    return f"{found} ({sys.platform})"


def _versions() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
