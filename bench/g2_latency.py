"""How long does one caller wait who waits for every answer?

Hypothesis: the way through the actor and back costs no more than the commit itself.
Unit: microseconds from the call to the answer, against one bare append of one event: encoded, hashed, one LMDB
transaction, one fsync. Both in turn, a few at a time, for the cost of an fsync changes from second to second.
"""

from pathlib import Path
from time import perf_counter

import tallystick
from tallystick.bench import workload
from tallystick.bench.callers import Latencies, one_life
from tallystick.bench.limit import Limit
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import TIMES, Findings, at_most, figure
from tallystick.bench.rounds import empty_folder
from tallystick.bench.sample import Sample

SIZE, QUICK_SIZE = 1_000, 100
TURN = 25  # lives, then as many bare events


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(argv, name="g2_latency", about=__doc__, measure=measure, size=SIZE, quick_size=QUICK_SIZE)


def measure(setting: Setting) -> Findings:
    """Commit and call in turn."""
    pairs = []
    for _ in range(setting.rounds):
        with empty_folder(setting.folder) as place:
            pairs.append(in_turn(place, setting.size))
    calls, commits = [call for call, _ in pairs], [commit for _, commit in pairs]
    return Findings(
        size=f"{setting.size:,} tasks of {workload.EVENTS_PER_LIFE} events, one caller",
        goals=(
            at_most(
                "G2",
                2.0,
                f"{TIMES} one raw commit with one fsync (p50)",
                [call.latency_us(50) / commit.latency_us(50) for call, commit in pairs],
            ),
        ),
        figures=(
            figure("a call, p50", "µs", [call.latency_us(50) for call in calls]),
            figure("a call, p99", "µs", [call.latency_us(99) for call in calls]),
            figure("a raw commit, p50", "µs", [commit.latency_us(50) for commit in commits]),
            figure("a raw commit, p99", "µs", [commit.latency_us(99) for commit in commits]),
            figure("a call less a raw commit, p50", "µs", [c.latency_us(50) - r.latency_us(50) for c, r in pairs]),
            figure("calls", "events/s", [call.rate for call in calls]),
            figure("fsyncs", "", [call.fsyncs for call in calls]),
        ),
    )


def in_turn(folder: Path, lives: int) -> tuple[Sample, Sample]:
    """Return what the calls took, and what the bare commits of as many events did."""
    calls: Latencies = []
    commits: Latencies = []
    events = workload.events(lives)
    bare_folder = folder / "bare"
    bare_folder.mkdir()
    bare = Limit(bare_folder)
    with tallystick.open(folder / "ledger") as ledger:
        for first in range(0, lives, TURN):
            for number in range(first, min(first + TURN, lives)):
                one_life(ledger, workload.creation(number), calls)
            ledger.settled()
            while len(commits) < len(calls):
                event = events[len(commits)]
                began = perf_counter()
                bare.append([event])
                commits.append(perf_counter() - began)
        stats = ledger.status().stats
    bare.close()
    assert stats is not None
    return (
        Sample(len(calls), sum(calls), sum(calls), stats.fsyncs, calls),
        Sample(len(commits), sum(commits), sum(commits), len(commits), commits),
    )
