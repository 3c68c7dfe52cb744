"""Does a ledger at full load keep its memory, its readers and every fact, minute after minute?

Hypothesis: memory is flat once it is warm, no read transaction is left open, and nothing acknowledged is missing.
Unit: a line every ten seconds; at the end a verdict, and 1 as exit code unless everything held. Threads, coroutines
and batches write, readers, subscribers and other processes read, a read model is rebuilt and checked now and then.
"""

import argparse
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from tallystick.bench import machine
from tallystick.bench.gauge import HEADINGS, MB, Gauge, Reading, memory_trend, usual_readers
from tallystick.bench.load import Load
from tallystick.bench.rounds import empty_folder
from tallystick.building import build
from tallystick.config import Config
from tallystick.ledger.ids import id_bytes
from tallystick.projections.check import check
from tallystick.readings import Readings, due_rules

MINUTES = 10.0
EVERY_S = 10.0
SETTLE_S_MAX = 600.0
REBUILDS = (0.1, 0.5)  # at which parts of the run a read model is rebuilt, and checked in another process
READERS_MORE = 1  # in one half than in the other is chance
WIDTH = 9

Verdicts = list[tuple[bool, str]]


def main(argv: list[str]) -> int:
    """Answer the question: 0 when everything held, 1 when not."""
    parser = argparse.ArgumentParser(prog="tally bench soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("minutes", nargs="?", type=float, default=MINUTES, help="how long (default %(default)s)")
    parser.add_argument("--every", type=float, default=EVERY_S, help="seconds between two lines (default %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="on which disk")
    parser.add_argument("--json", action="store_true", help="say the verdict and all readings as JSON at the end")
    options = parser.parse_args(argv)
    out = sys.stderr if options.json else sys.stdout

    def say(*lines: str) -> None:
        print(*lines, sep="\n", file=out, flush=True)

    with empty_folder(options.folder) as folder:
        say(*machine.look(folder).lines())
        load, readings = _run(folder / "ledger", options.minutes * 60, options.every, say)
        verdicts = [*_of_the_run(load, readings), *_of_the_ledger(folder / "ledger", load)]
    say("", *(f"{'held ' if held else 'FAILED'} {what}" for held, what in verdicts))
    if options.json:
        sys.stdout.write(msgspec.json.encode({"verdicts": verdicts, "readings": readings}).decode() + "\n")
    return 0 if all(held for held, _ in verdicts) else 1


def _run(path: Path, seconds: float, every_s: float, say: Callable[..., None]) -> tuple[Load, list[Reading]]:
    """Let the load run so long, and read the gauge."""
    house = build(path, actor="soak")
    gauge, load = Gauge(house), Load(house)
    ended = threading.Event()
    readings = [gauge.read()]
    say("".join(heading.rjust(WIDTH) for heading in HEADINGS))
    load.start()
    keeper = threading.Thread(target=_keep, args=(load, seconds, ended))
    keeper.start()
    try:
        while readings[-1].at_s < seconds:
            ended.wait(min(every_s, max(seconds - readings[-1].at_s, 0.01)))
            readings.append(gauge.read())
            say("".join(cell.rjust(WIDTH) for cell in readings[-1].cells(readings[-2])))
    finally:
        ended.set()
        load.stop()
        keeper.join()
        house.settled(SETTLE_S_MAX)
        readings.append(gauge.read())
        say("".join(cell.rjust(WIDTH) for cell in readings[-1].cells(readings[-2])))
        house.close()
    return load, readings


def _keep(load: Load, seconds: float, ended: threading.Event) -> None:
    """Rebuild and check at certain times."""
    passed = 0.0
    for share in REBUILDS:
        if ended.wait(share * seconds - passed):
            return
        passed = share * seconds
        try:
            load.rebuild("counts")
            load.check("counts")
        except Exception as error:  # noqa: BLE001 - the verdict names it
            load.failures.append(f"rebuild and check: {type(error).__name__}: {error}")


def _of_the_run(load: Load, readings: Sequence[Reading]) -> Iterator[tuple[bool, str]]:
    """Yield what the gauge says."""
    done = ", ".join(f"{count:,} {what}" for what, count in sorted(load.counts.items()))
    yield not load.failures, f"nobody failed: {'; '.join(load.failures) or done}"
    trend = memory_trend(readings[:-1])
    if trend is None:
        yield True, "memory: too short a run to say"
    else:
        grown = f"{trend.growth / MB:+,.1f} MB after warming up (allowed {trend.allowed / MB:,.1f})"
        yield trend.is_flat, f"memory is flat: {trend.median / MB:,.1f} MB of its own, {grown}"
    usual = usual_readers(readings[:-1])
    if usual is None:
        yield True, "readers: too short a run to say"
    else:
        stays = usual[1] > usual[0] + READERS_MORE
        yield not stays, f"no reader stays: usually {usual[0]:g} at once in the first half, {usual[1]:g} in the second"
    last = readings[-1]
    yield last.readers == 0, f"no reader is left: {last.readers} when the load had stopped"
    yield last.lag == 0, f"the read models are at the head: {last.lag} behind"


def _of_the_ledger(path: Path, load: Load) -> Verdicts:
    """Open it again, beside nobody, and hold it to what was acknowledged."""
    readings = Readings.open(path, rules=due_rules(Config()))
    try:
        found = readings.verify()
        versions = {task_id: len(readings.log.stream(id_bytes(task_id))) for task_id, _ in load.acknowledged}
        missing = [task_id for task_id, version in load.acknowledged if versions[task_id] < version]
        assert readings.views is not None
        models = {each.name: check(readings.views, readings.log, each.name) for each in readings.views.projections}
    finally:
        readings.close()
    return [
        (found.ok, f"the log verifies: {found.events:,} events, {found.problem_count} problems"),
        (not missing, f"nothing is lost: {len(missing)} of the last {len(load.acknowledged):,} acknowledged records"),
        *((each.ok, f"{name} is what the log says: {each.different} differences") for name, each in models.items()),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
