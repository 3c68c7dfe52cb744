"""How long does an outbox take to empty that an outage has filled, and what do those feel who write meanwhile?

Hypothesis: while nobody takes messages the courier rests, and the outbox lies in the index, not in memory; while it
empties, what became of messages goes to the disk in large batches, and who writes waits a little longer for theirs.
Unit: messages a second, from the moment in which the receiver is back until nothing is left to be sent; milliseconds
until a caller who writes one event after the other has the answer; bytes of the process's own memory. The receiver is
a webhook in another process, on a port that refused connections until then.
"""

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tallystick
from tallystick.bench import child, workload
from tallystick.bench.callers import Latencies
from tallystick.bench.endpoint import Endpoint
from tallystick.bench.g11_delivery import CHANNEL, SECRET, TARGET
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import TIMES, Findings, at_least, at_most, figure
from tallystick.bench.sample import percentile
from tallystick.channels import build
from tallystick.sync import Ledger

SIZE, QUICK_SIZE = 100_000, 5_000
ENDED_AT_ONCE = 1_000
LOOK_S = 3.0  # at rest, and in the outage
BREATH_S = 0.002  # of the caller between two events
SETTLE_S_MAX = 3_600.0
MS_PER_S = 1_000
MB = 1_000_000

Measured = dict[str, float]


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(argv, name="g12_outbox", about=__doc__, measure=measure, size=SIZE, quick_size=QUICK_SIZE, rounds=1)


def measure(setting: Setting) -> Findings:
    """Fill and empty an outbox in a fresh process."""
    found: list[Measured] = [
        child.ask("g12_outbox", "outage", path=str(setting.folder / f"outage-{number}"), size=setting.size)
        for number in range(setting.rounds)
    ]
    shown = (
        ("an outbox that empties", "messages/s", "drained"),
        ("until it is empty, but for what was tried in the outage", "s", "drain_s"),
        ("messages that came more than once", "", "twice"),
        *((f"a write {when}, {part}", "ms", f"{key}_{part}") for when, key in _WHEN for part in ("p50", "p99")),
        ("own memory at rest", "MB", "rest_mb"),
        ("own memory in the outage", "MB", "outage_mb"),
        ("own memory while it empties, most", "MB", "drain_mb"),
    )
    return Findings(
        size=f"{setting.size:,} messages",
        goals=(
            at_least("G12", 500, "messages/s", [each["drained"] for each in found]),
            at_most("G12", 2, f"{TIMES} a write at rest, in the outage (p50)", _times(found, "outage_p50", "rest_p50")),
            at_most(
                "G12", 10, f"{TIMES} a write at rest, while it empties (p50)", _times(found, "drain_p50", "rest_p50")
            ),
        ),
        figures=tuple(figure(name, unit, [each[key] for each in found]) for name, unit, key in shown),
    )


_WHEN = (("at rest", "rest"), ("in the outage", "outage"), ("while it empties", "drain"))


def _times(found: list[Measured], one: str, other: str) -> list[float]:
    return [each[one] / each[other] for each in found]


class Beside:
    """A caller who writes one event after the other, while the block runs."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._latencies: Latencies = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.most_bytes = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
        self.most_bytes = max(self.most_bytes, child.memory_bytes()["own"])

    def _write(self) -> None:
        task = self._ledger.create(runtime="cli", task="Look at the clock", owner="o", notify="silent")
        looked_at = 0.0
        while not self._latencies or not self._is_over.wait(BREATH_S):
            began = time.perf_counter()
            task.progress(workload.MESSAGE, force=True)
            self._latencies.append(time.perf_counter() - began)
            if began - looked_at > 1:
                looked_at = began
                self.most_bytes = max(self.most_bytes, child.memory_bytes()["own"])
        task.succeed()

    def told(self, name: str) -> Measured:
        """Return how long it waited, and the memory that the process had."""
        return {
            f"{name}_p50": percentile(self._latencies, 50) * MS_PER_S,
            f"{name}_p99": percentile(self._latencies, 99) * MS_PER_S,
            f"{name}_mb": self.most_bytes / MB,
        }


def outage(path: str, size: int) -> Measured:
    """End tasks while nobody takes the messages, then let somebody take them."""
    with Endpoint() as endpoint, tallystick.open(Path(path)) as ledger:
        hook = build(CHANNEL, {"kind": "webhook", "url": endpoint.url, "secret": SECRET})
        assert hook is not None, "a webhook has a sender"
        ledger.channel(CHANNEL, hook)
        look_s = min(LOOK_S, size / ENDED_AT_ONCE)
        with Beside(ledger) as at_rest:
            _wait(look_s)
        for first in range(0, size, ENDED_AT_ONCE):
            _end(ledger, first, min(ENDED_AT_ONCE, size - first))
        ledger.settled(SETTLE_S_MAX)
        with Beside(ledger) as waiting:
            _wait(look_s)
        endpoint.listen()
        began = time.monotonic()
        with Beside(ledger) as emptying:
            ledger.channel(CHANNEL, hook)  # whoever registers it again says that it works: the pause is over
            ledger.settled(SETTLE_S_MAX)
        seconds, drained = time.monotonic() - began, len(endpoint.arrivals())
        while len(arrivals := endpoint.arrivals()) < size:  # those that were tried in the outage have their own time
            _wait(LOOK_S / 10)
        hook.close()
    return {
        **at_rest.told("rest"),
        **waiting.told("outage"),
        **emptying.told("drain"),
        "drained": drained / seconds,
        "drain_s": seconds,
        "twice": float(sum(len(times) - 1 for times in arrivals.values())),
    }


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def _end(ledger: Ledger, first: int, count: int) -> None:
    """Let so many tasks of which a channel is told begin and end."""
    with ledger.batch() as batch:
        for number in range(first, first + count):
            said: dict[str, Any] = {**workload.creation(number), "runtime": "subagent"}
            task = batch.create(**said, origin={"channel": CHANNEL, "to": TARGET})
            task.start()
            task.succeed(workload.SUMMARY)
