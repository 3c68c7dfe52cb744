"""How many events a second does a replay fold, and a verification recompute?

Hypothesis: one core decodes four times as fast as it folds, processes that share the tasks of a log fold faster by
nearly their number, and the Merkle tree costs as much again as folding.
Unit: events in a second of one core, that is of processor time. Replay: from the log alone to the record of every
task. Verification: every record decoded, every hash of the tree and every index recomputed. Decoding by itself shows
how fast the machine is; decoding and hashing by themselves, how fast a verification could be that held the records to
nothing.
"""

import os
from collections import deque
from pathlib import Path

from tallystick.bench import large
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import TIMES, Findings, at_least, figure
from tallystick.bench.rounds import cpu_rates, cpu_ratios, rates, ratios
from tallystick.bench.sample import Sample, Stopwatch
from tallystick.ledger.store.codec import read_events
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.tree import Tree, leaf_hashes
from tallystick.ledger.store.verify import SLICE_RECORDS, verify
from tallystick.moments import When
from tallystick.readings import LOG_FOLDER
from tallystick.replayers import together
from tallystick.replaying import Replay

CORES = max(len(os.sched_getaffinity(0)), 2)
SIZE, QUICK_SIZE = 1_000_000, 20_000


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(argv, name="g7_replay", about=__doc__, measure=measure, size=SIZE, quick_size=QUICK_SIZE)


def measure(setting: Setting) -> Findings:
    """Decode, fold and verify the same log in turn."""
    path = large.ledger(setting.cache, setting.size) / LOG_FOLDER
    decoded: list[Sample] = []
    folded: list[Sample] = []
    shared: list[Sample] = []
    bare: list[Sample] = []
    verified: list[Sample] = []
    for _ in range(setting.rounds):
        decoded.append(decode(path))
        folded.append(fold(path, setting.size))
        shared.append(fold_together(path, setting.size))
        bare.append(hash_alone(path))
        verified.append(recompute(path))
    return Findings(
        size=f"{setting.size:,} running tasks, {large.EVENTS_PER_TASK * setting.size:,} events",
        goals=(
            at_least("G7", 1_000_000, "events/s of one core, replay to every task's record", cpu_rates(folded)),
            at_least("G7", 500_000, "events/s of one core, with the Merkle tree (verify)", cpu_rates(verified)),
        ),
        figures=(
            figure("decode in order", "events/s of one core", cpu_rates(decoded)),
            figure("decode in order, by the clock", "events/s", rates(decoded)),
            figure("replay, by the clock", "events/s", rates(folded)),
            figure(f"replay by {CORES} processes, by the clock", "events/s", rates(shared)),
            figure(f"replay by {CORES} processes", f"{TIMES} one, by the clock", ratios(shared, folded)),
            figure("decode and hash, nothing else", "events/s of one core", cpu_rates(bare)),
            figure("verify, by the clock", "events/s", rates(verified)),
            figure("replay", f"{TIMES} decoding", cpu_ratios(folded, decoded)),
            figure("verify", f"{TIMES} decoding", cpu_ratios(verified, decoded)),
            figure("verify", f"{TIMES} decoding and hashing", cpu_ratios(verified, bare)),
        ),
    )


def decode(path: Path) -> Sample:
    """Read the log in order."""
    with DiskLog.open(path, readonly=True, create=False) as log, Stopwatch() as watch:
        deque(log.read(), maxlen=0)
        head = log.head()
    return watch.sample(head)


def fold(path: Path, tasks: int) -> Sample:
    """Fold the log to the record of every task."""
    with DiskLog.open(path, readonly=True, create=False) as log, Stopwatch() as watch:
        replay = Replay(log)
        replay.advance()
        position = replay.position
    assert len(replay.records) == tasks, len(replay.records)
    return watch.sample(position)


def fold_together(path: Path, tasks: int) -> Sample:
    """Fold the log by a process for each core."""
    with DiskLog.open(path, readonly=True, create=False) as log, Stopwatch() as watch:
        head = log.head()
        told = together(log, When(), head, folder=path, processes=CORES, progress=None)
    assert told is not None, "a process could not do its part"
    assert len(told.records) == tasks, len(told.records)
    return watch.sample(head)


def hash_alone(path: Path) -> Sample:
    """Read and decode the log, and make the two hashes that the tree needs for each record, held to nothing."""
    with DiskLog.open(path, readonly=True, create=False) as log, Stopwatch() as watch:
        head = log.head()
        for first in range(1, head + 1, SLICE_RECORDS):
            bodies = log.records(first, min(first + SLICE_RECORDS - 1, head))
            read_events(first, bodies)
            Tree().extend(leaf_hashes(bodies))  # type: ignore[arg-type] # of a log that is whole
    return watch.sample(head)


def recompute(path: Path) -> Sample:
    """Verify the log."""
    with DiskLog.open(path, readonly=True, create=False) as log, Stopwatch() as watch:
        found = verify(log)
    assert found.ok, found.problems[:3]
    return watch.sample(found.events)
