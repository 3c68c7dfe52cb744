"""The rounds: subject and peers run in turn, several times, so that a busy moment of the machine meets all of them."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from tallystick.bench.sample import Sample

Run: TypeAlias = Callable[[Path], Sample]
"""One timed run in an empty folder."""

Samples: TypeAlias = dict[str, list[Sample]]


def alternate(runs: Mapping[str, Run], *, folder: Path, rounds: int) -> Samples:
    """Run each in turn, `rounds` times, each time in an empty folder that is gone afterwards."""
    samples: Samples = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            with empty_folder(folder) as place:
                samples[name].append(run(place))
    return samples


@contextmanager
def empty_folder(parent: Path) -> Iterator[Path]:
    """A folder of its own below `parent`, gone after the block."""
    path = Path(tempfile.mkdtemp(prefix="tallystick-bench-", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def rates(samples: Sequence[Sample]) -> list[float]:
    """Return the rate of every round."""
    return [sample.rate for sample in samples]


def cpu_rates(samples: Sequence[Sample]) -> list[float]:
    """Return the rate of every round, by seconds of processor."""
    return [sample.cpu_rate for sample in samples]


def ratios(subject: Sequence[Sample], peer: Sequence[Sample]) -> list[float]:
    """Return how many times as fast the subject was as the peer, round by round."""
    return [mine.rate / theirs.rate for mine, theirs in zip(subject, peer, strict=True)]


def cpu_ratios(subject: Sequence[Sample], peer: Sequence[Sample]) -> list[float]:
    """Return the same by seconds of processor: what is left of the ratio when nobody else uses the machine."""
    return [mine.cpu_rate / theirs.cpu_rate for mine, theirs in zip(subject, peer, strict=True)]
