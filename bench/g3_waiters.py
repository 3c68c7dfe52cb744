"""How much more do many waiting callers get than one, and does the loop stay free for others?

Hypothesis: callers that wait at the same time share an fsync, and the loop is never held up by a disk or a batch.
Unit: events a second of 64 threads and of 1,000 coroutines, as a multiple of what one caller gets; and by how much
a coroutine that sleeps for a millisecond wakes up late.
"""

from functools import partial

from tallystick.bench import workload
from tallystick.bench.callers import Latencies, from_coroutines, from_threads
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import TIMES, Findings, at_least, at_most, figure
from tallystick.bench.rounds import alternate, rates, ratios
from tallystick.bench.sample import percentile

SIZE, QUICK_SIZE = 20_000, 2_000
ALONE_SHARE = 20
THREADS, COROUTINES = 64, 1_000
MS_PER_S = 1_000

ALONE = "one caller"
MANY_THREADS = "64 threads"
MANY_COROUTINES = "1,000 coroutines"


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(argv, name="g3_waiters", about=__doc__, measure=measure, size=SIZE, quick_size=QUICK_SIZE)


def measure(setting: Setting) -> Findings:
    """Run one caller, the threads and the coroutines in turn."""
    few = max(setting.size // ALONE_SHARE, 1)
    creations = [workload.creation(number) for number in range(setting.size)]
    stalls: list[Latencies] = [[] for _ in range(setting.rounds)]
    taking = iter(stalls)
    samples = alternate(
        {
            ALONE: partial(from_threads, creations=creations[:few], callers=1),
            MANY_THREADS: partial(from_threads, creations=creations, callers=THREADS),
            MANY_COROUTINES: lambda folder: from_coroutines(folder, creations, callers=COROUTINES, stalls=next(taking)),
        },
        folder=setting.folder,
        rounds=setting.rounds,
    )
    threads, coroutines = samples[MANY_THREADS], samples[MANY_COROUTINES]
    return Findings(
        size=f"{setting.size:,} tasks of {workload.EVENTS_PER_LIFE} events; one caller {few:,} tasks",
        goals=(
            at_least("G3", 4, f"{TIMES} one caller, 64 threads", ratios(threads, samples[ALONE])),
            at_least("G3", 4, f"{TIMES} one caller, 1,000 coroutines", ratios(coroutines, samples[ALONE])),
            at_most("G3", 5, "ms, the loop's stalls (p99)", [percentile(each, 99) * MS_PER_S for each in stalls]),
        ),
        figures=(
            *(figure(name, "events/s", rates(each)) for name, each in samples.items()),
            *(
                figure(f"{name}: an answer, p{percent}", "ms", [each.latency_us(percent) / 1_000 for each in group])
                for name, group in samples.items()
                for percent in (50, 99)
            ),
            figure("the loop's stalls, p50", "ms", [percentile(each, 50) * MS_PER_S for each in stalls]),
            figure("the loop's stalls, longest", "ms", [max(each, default=0.0) * MS_PER_S for each in stalls]),
            *(
                figure(f"{name}: events in one fsync", "", [each.count / each.fsyncs for each in group])
                for name, group in samples.items()
            ),
        ),
    )
