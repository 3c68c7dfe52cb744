"""How many durable transitions a second do 2,000 asyncio callers get who each await every answer?

Hypothesis: group commit makes one fsync of two thousand callers' transitions; what is left is the loop itself.
Unit: events a second, every answer awaited after its fsync; one loop, one ledger.
"""

from functools import partial

from tallystick.bench import limit, sqlite_async, workload
from tallystick.bench.callers import Latencies, Run, from_coroutines
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import TIMES, Findings, at_least, figure
from tallystick.bench.rounds import alternate, cpu_ratios, rates, ratios

SIZE, QUICK_SIZE = 40_000, 4_000
CALLERS = 2_000
PEERS_SHARE = 10

LIMIT = "raw append limit (encode, tree, LMDB; batches of 1,000)"
SUBJECT = "2,000 coroutines, asyncio's own loop"
FASTER_LOOP = "2,000 coroutines, uvloop"
ROW = "2,000 coroutines, aiosqlite, a row per task"


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(argv, name="g1b_asyncio", about=__doc__, measure=measure, size=SIZE, quick_size=QUICK_SIZE)


def measure(setting: Setting) -> Findings:
    """Run both loops, the limit and the peer in turn."""
    import uvloop

    few = max(setting.size // PEERS_SHARE, 1)
    events = workload.events(setting.size)
    creations = [workload.creation(number) for number in range(setting.size)]
    stalls: Latencies = []
    on_uvloop: Run = uvloop.run
    samples = alternate(
        {
            LIMIT: lambda folder: limit.append_all(folder, events),
            SUBJECT: partial(from_coroutines, creations=creations, callers=CALLERS, stalls=stalls),
            ROW: lambda folder: sqlite_async.live(folder, creations[:few], callers=CALLERS),
            FASTER_LOOP: partial(from_coroutines, creations=creations, callers=CALLERS, stalls=[], run=on_uvloop),
        },
        folder=setting.folder,
        rounds=setting.rounds,
    )
    subject, bare = samples[SUBJECT], samples[LIMIT]
    return Findings(
        size=f"{setting.size:,} tasks of {workload.EVENTS_PER_LIFE} events; the peer {few:,} tasks",
        goals=(
            at_least("G1b", 0.10, f"{TIMES} the raw append limit", ratios(subject, bare)),
            at_least("G1b", 10, f"{TIMES} aiosqlite's row", ratios(subject, samples[ROW])),
        ),
        figures=(
            *(figure(name, "events/s", rates(each)) for name, each in samples.items()),
            figure("by processor time", f"{TIMES} the limit", cpu_ratios(subject, bare)),
            figure("an answer, p50", "ms", [sample.latency_us(50) / 1_000 for sample in subject]),
            figure("an answer, p99", "ms", [sample.latency_us(99) / 1_000 for sample in subject]),
            figure("events in one fsync", "", [sample.count / sample.fsyncs for sample in subject]),
            figure("fsyncs", "", [sample.fsyncs for sample in subject]),
        ),
    )
