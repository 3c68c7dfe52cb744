"""What does an archive cost and save: ten million events moved into it, and read from it?

Hypothesis: a record takes a tenth of its bytes there, so that its leaf hash, which no library makes smaller, is most of
what is left; unpacking costs less than decoding does, so that a replay hardly notices; and a writer waits for no more
than one transaction of the move.
Unit: events a second by the clock, or in a second of one core, that is of processor time; bytes an event;
milliseconds of one append to the log, from one caller, and of the history of one task. Beside a writer pauses are made,
as the owner of a ledger makes them; without them it goes as fast as it can.
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from tallystick.bench import child, workload
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import TIMES, Findings, at_least, at_most, figure
from tallystick.bench.sample import Stopwatch, percentile
from tallystick.ledger import ids
from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.events import Event
from tallystick.ledger.limits import ARCHIVE_SEGMENT_EVENTS, BATCH_EVENTS_MAX
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.tree import TILE_WIDTH
from tallystick.ledger.store.verify import verify
from tallystick.replaying import Replay

SIZE, QUICK_SIZE = 10_000_000, 200_000
LOOK_S = 10.0
BREATH_S = 0.001
PAUSE_S = 0.005
BESIDE_SEGMENTS = 8  # of the range are moved beside a writer
BESIDE_SHARE_MAX = 4  # at most this part of all
AGAIN_SHARE = 5  # this part of the events is written once more, to see whether the file grows
SEGMENTS_MIN = 2
SIZE_MIN = 4 * TILE_WIDTH
TIMELINES = 300
LATER_MS = 1 << 50
MS_PER_S = 1_000
MB = 1_000_000

Measured = dict[str, float]


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(argv, name="g14_archive", about=__doc__, measure=measure, size=SIZE, quick_size=QUICK_SIZE, rounds=1)


def measure(setting: Setting) -> Findings:
    """Write a log, read it, move it into its archive, and read it again, each in a process of its own."""
    found: list[Measured] = []
    size = max(setting.size, SIZE_MIN)
    for number in range(setting.rounds):
        path = str(setting.folder / f"log-{number}")
        told = child.ask("g14_archive", "written", path=path, size=size)
        told |= {f"log_{name}": value for name, value in child.ask("g14_archive", "looked_at", path=path).items()}
        told |= child.ask("g14_archive", "moved", path=path, segment_events=_segment_events(size))
        told |= {f"archive_{name}": value for name, value in child.ask("g14_archive", "looked_at", path=path).items()}
        found.append(told | child.ask("g14_archive", "written_again", path=path, size=size // AGAIN_SHARE))
    shown = (
        ("the log before", "MB", "before_mb"),
        ("the log before", "bytes/event", "before_bytes"),
        ("what it uses after", "MB", "after_mb"),
        ("the archive", "MB", "archive_mb"),
        ("the archive", "bytes/event", "archive_bytes"),
        ("moved, without pauses", "events/s", "moved"),
        ("moved, with pauses beside a writer", "events/s", "moved_beside"),
        ("all of it moved", "s", "moved_s"),
        ("replay from the log", "events/s of one core", "log_replay"),
        ("replay from the archive", "events/s of one core", "archive_replay"),
        ("replay from the archive, by the clock", "events/s", "archive_replay_clock"),
        ("verify from the log", "events/s of one core", "log_verify"),
        ("verify from the archive", "events/s of one core", "archive_verify"),
        ("verify from the archive, by the clock", "events/s", "archive_verify_clock"),
        ("the history of a task from the log, p50", "ms", "log_timeline"),
        ("the history of a task from the archive, p50", "ms", "archive_timeline"),
        ("an append at rest, p50", "ms", "rest_p50"),
        ("an append at rest, p99", "ms", "rest_p99"),
        ("an append beside the move, p50", "ms", "beside_p50"),
        ("an append beside the move, p99", "ms", "beside_p99"),
        ("the longest step of the move", "ms", "step_max"),
        (f"the file, with 1/{AGAIN_SHARE} as many events written after it", "MB", "again_mb"),
    )
    return Findings(
        size=f"{size:,} events, in segments of {_segment_events(size):,}",
        goals=(
            at_least("G14", 0.5, f"{TIMES} replay from the log", _times(found, "archive_replay", "log_replay")),
            at_least("G14", 0.5, f"{TIMES} verify from the log", _times(found, "archive_verify", "log_verify")),
            at_most("G14", 2, f"{TIMES} an append at rest, beside it (p99)", _times(found, "beside_p99", "rest_p99")),
            at_most("G14", 1.05, f"{TIMES} the file before, with more written", _times(found, "again_mb", "file_mb")),
        ),
        figures=tuple(figure(name, unit, [each[key] for each in found]) for name, unit, key in shown),
    )


def _times(found: list[Measured], one: str, other: str) -> list[float]:
    return [each[one] / each[other] for each in found]


def _segment_events(size: int) -> int:
    """As many as a segment has; fewer of a log that would not have a few of those."""
    return max(min(ARCHIVE_SEGMENT_EVENTS, size // SEGMENTS_MIN // TILE_WIDTH * TILE_WIDTH), TILE_WIDTH)


def written(path: str, size: int) -> Measured:
    """Write a log of ordinary lives."""
    with DiskLog.open(Path(path)) as log:
        _write(log, size)
        used = _used(log)
    return {"before_mb": used / MB, "before_bytes": used / size, "file_mb": _file_mb(path)}


def written_again(path: str, size: int) -> Measured:
    """Write more behind what was moved: LMDB has room for it in the pages that were given back."""
    with DiskLog.open(Path(path)) as log:
        _write(log, size)
    return {"again_mb": _file_mb(path)}


def _write(log: DiskLog, size: int) -> None:
    head, events = log.head(), _events(log.head(), size)
    while log.head() < head + size:
        log.append([event for _, event in zip(range(BATCH_EVENTS_MAX), events, strict=False)])


def _events(head: int, size: int) -> Iterator[Event]:
    position = head
    number = 0
    while True:
        stream = ids.new_id()
        for version, fact in enumerate(workload.life(number), 1):
            if position == head + size:
                return
            position += 1
            at = workload.BEGIN_MS + position
            yield Event(position, stream, version, at, at, workload.SPEAKER, fact)
        number += 1


def looked_at(path: str) -> Measured:
    """Replay and verify a log, and look at the histories of tasks anywhere in it."""
    with DiskLog.open(Path(path), readonly=True) as log:
        with Stopwatch() as folding:
            replay = Replay(log)
            replay.advance()
        head, streams = replay.position, list(replay.records)
        with Stopwatch() as verifying:
            found = verify(log)
        assert found.ok, found.problems[:3]
        seconds = []
        for number in range(TIMELINES):
            began = time.perf_counter()
            log.stream(streams[number * 7_919 % (len(streams) * 9 // 10)])
            seconds.append(time.perf_counter() - began)
    return {
        "replay": head / folding.cpu_seconds,
        "replay_clock": head / folding.seconds,
        "verify": head / verifying.cpu_seconds,
        "verify_clock": head / verifying.seconds,
        "timeline": percentile(seconds, 50) * MS_PER_S,
    }


class Beside:
    """A caller who appends one event after the other, while the block runs."""

    def __init__(self, log: DiskLog) -> None:
        self._log = log
        self._seconds: list[float] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._append)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _append(self) -> None:
        events = _events(self._log.head(), 1 << 62)
        while not self._is_over.wait(BREATH_S):
            event = next(events)
            began = time.perf_counter()
            self._log.append([event])
            self._seconds.append(time.perf_counter() - began)

    def told(self, name: str) -> Measured:
        """Return how long it waited."""
        return {f"{name}_p{percent}": percentile(self._seconds, percent) * MS_PER_S for percent in (50, 99)}


def moved(path: str, segment_events: int) -> dict[str, Any]:
    """Move all whole segments into the archive: the first of them beside a writer, with pauses, the others at once."""
    folder = Path(path)
    with DiskLog.open(folder) as log:
        segments = log.head() // segment_events
        beside = max(min(BESIDE_SEGMENTS, segments // BESIDE_SHARE_MAX), 1)
        with Beside(log) as at_rest:
            threading.Event().wait(min(LOOK_S, 2.0 * segments))
        with Beside(log) as writing:
            slow, longest = _move(log, beside, segment_events, PAUSE_S)
        fast, _ = _move(log, segments - beside, segment_events, 0)
        archived, used = log.archived(), _used(log)
        size = sum(entry.bytes for entry in log.archive.entries())
    return {
        **at_rest.told("rest"),
        **writing.told("beside"),
        "moved": (segments - beside) * segment_events / max(fast, 1e-9),
        "moved_beside": beside * segment_events / slow,
        "moved_s": slow + fast,
        "step_max": longest * MS_PER_S,
        "after_mb": used / MB,
        "archive_mb": size / MB,
        "archive_bytes": size / archived,
    }


def _move(log: DiskLog, segments: int, segment_events: int, pause_s: float) -> tuple[float, float]:
    """Return how long so many segments took, and the longest step."""
    sealing, pause = Sealing(log, segment_events=segment_events), threading.Event()
    longest, began = 0.0, time.monotonic()
    for _ in range(segments):
        assert sealing.due(LATER_MS, 0) is not None
        more = True
        while more:
            stepped = time.perf_counter()
            more = sealing.step()
            longest = max(longest, time.perf_counter() - stepped)
            if pause_s:
                pause.wait(pause_s)
    return time.monotonic() - began, longest


def _used(log: DiskLog) -> int:
    """The bytes of the pages that have something: those that are free to be used again are not among them."""
    with log.environment.read() as txn:
        told = [txn.stat(database) for database in log.environment.databases.values()]
    return sum((each["leaf_pages"] + each["branch_pages"] + each["overflow_pages"]) * each["psize"] for each in told)


def _file_mb(path: str) -> float:
    return (Path(path) / "data.mdb").stat().st_size / MB
