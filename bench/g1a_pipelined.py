"""How many durable transitions a second does a caller get who does not wait for each answer?

Hypothesis: task actors, group commit and the views cost at most two thirds of what the bare append can do.
Unit: events a second, every one decided by its task's actor, durable (fsync) and in the views when the clock stops.
Creations, starts, progress and successes of tasks that live one after the other, through `ledger.batch()`.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import tallystick
from tallystick.bench import eventsourcing_sqlite, limit, sqlite_row, workload
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import TIMES, Findings, at_least, figure
from tallystick.bench.rounds import alternate, cpu_ratios, rates, ratios
from tallystick.bench.sample import Sample, Stopwatch
from tallystick.ledger.intake import Creation

SIZE, QUICK_SIZE = 100_000, 5_000
PEERS_SHARE = 10  # a peer lives this part of the lives: its rate does not depend on how many
SETTLE_S_MAX = 600.0

LIMIT = "raw append limit (encode, tree, LMDB; batches of 1,000)"
SUBJECT = "task actors, list and status current"
WITH_RUNS = "the same, every task with a run id"
EVENTSOURCING = "eventsourcing on SQLite, a save per event"
ROW = "SQLite, a row per task, no history"


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(argv, name="g1a_pipelined", about=__doc__, measure=measure, size=SIZE, quick_size=QUICK_SIZE)


def measure(setting: Setting) -> Findings:
    """Run the ledger, the limit and the peers in turn."""
    few = max(setting.size // PEERS_SHARE, 1)
    events = workload.events(setting.size)
    creations = [workload.creation(number) for number in range(setting.size)]
    runs = [workload.creation(number, run_id=True) for number in range(setting.size)]
    samples = alternate(
        {
            LIMIT: lambda folder: limit.append_all(folder, events),
            SUBJECT: partial(live, creations=creations),
            ROW: lambda folder: sqlite_row.live(folder, creations[:few]),
            EVENTSOURCING: lambda folder: eventsourcing_sqlite.live(folder, creations[:few]),
            WITH_RUNS: partial(live, creations=runs),
        },
        folder=setting.folder,
        rounds=setting.rounds,
    )
    subject, bare = samples[SUBJECT], samples[LIMIT]
    return Findings(
        size=f"{setting.size:,} tasks of {workload.EVENTS_PER_LIFE} events; peers {few:,} tasks",
        goals=(
            at_least("G1a", 0.30, f"{TIMES} the raw append limit", ratios(subject, bare)),
            at_least("G1a", 20, f"{TIMES} eventsourcing on SQLite", ratios(subject, samples[EVENTSOURCING])),
            at_least("G1a", 4, f"{TIMES} the SQLite row", ratios(subject, samples[ROW])),
        ),
        figures=(
            *(figure(name, "events/s", rates(each)) for name, each in samples.items()),
            figure("by processor time", f"{TIMES} the limit", cpu_ratios(subject, bare)),
            figure("events in one fsync", "", [sample.count / sample.fsyncs for sample in subject]),
            figure("fsyncs", "", [sample.fsyncs for sample in subject]),
        ),
    )


def live(folder: Path, creations: Sequence[Creation]) -> Sample:
    """Live the lives in a new ledger, and wait until the views have seen them."""
    with tallystick.open(folder / "ledger") as ledger:
        with Stopwatch() as watch:
            with ledger.batch() as batch:
                for said in creations:
                    task = batch.create(**said)
                    task.start()
                    task.progress(workload.MESSAGE)
                    task.succeed(workload.SUMMARY)
            ledger.settled(SETTLE_S_MAX)
        counts, stats = ledger.counts(), ledger.status().stats
    assert counts.by_status["succeeded"] == len(creations), counts
    assert stats is not None
    return watch.sample(stats.events, fsyncs=stats.fsyncs)
