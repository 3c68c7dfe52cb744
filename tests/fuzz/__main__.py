"""The long run: random bytes for each target, those that reach new code kept and changed further.

    make fuzz SECONDS=600 TARGET="note proof"

What was kept of earlier runs is begun with; what was read in a wrong way is a file whose name the run ends with.
Owns the processes, one for each target; `atheris`, which drives them, is no part of what the tests need.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

WORK = Path(".fuzz")
"""Where the bytes are that runs have kept, and what they have found."""

SECONDS = 300
INPUT_BYTES_MAX = 16_384  # longer than the longest number that Python reads
MEMORY_MIB_MAX = 2_048
ONE_INPUT_S_MAX = 20
_STATE = re.compile(rb"^#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)/\S+.*exec/s: (\d+)", re.MULTILINE)
_FOUND = re.compile(rb"Test unit written to (\S+)")


class Run(Struct, frozen=True):
    """What came of one target: how often it read, the branches that were taken, and the file that it read wrongly."""

    name: str
    code: int
    reads: int = 0
    branches: int = 0
    kept: int = 0
    found: str | None = None

    def __str__(self) -> str:
        end = self.found or ("sound" if self.code == 0 else f"ended with {self.code}: {WORK / self.name}.log")
        return f"{self.name:18} {self.reads:>10,} reads  {self.branches:>6,} branches  {self.kept:>5,} kept  {end}"


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for, one target behind the other; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", help="the names of targets; all of them without any")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for each target")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.inside:
        _read(given.inside, given.seconds)
    names = given.targets or _names()
    runs = []
    for name in names:
        runs.append(_run(name, given.seconds))
        sys.stdout.write(f"{runs[-1]}\n")
        sys.stdout.flush()
    return int(any(run.code for run in runs))


def _names() -> list[str]:
    from tests.fuzz.targets import TARGETS

    return [*TARGETS]


def _run(name: str, seconds: int) -> Run:
    """Run one target in a process of its own, which may die of what it reads."""
    WORK.mkdir(exist_ok=True)
    log = WORK / f"{name}.log"
    with tempfile.TemporaryDirectory() as folder, log.open("wb") as out:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz", "--inside", name, "--seconds", str(seconds)],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": folder},
            check=False,
        )
    said = log.read_bytes()
    states, found = _STATE.findall(said), _FOUND.search(said)
    reads, branches, _, kept, _ = map(int, states[-1]) if states else (0,) * 5
    return Run(name, done.returncode, reads, branches, kept, found[1].decode() if found else None)


def _read(name: str, seconds: int) -> None:
    """Be the process of one target; does not return."""
    import atheris

    with atheris.instrument_imports(include=["tallystick"]):
        from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    os.nice(10)
    corpus, words = WORK / name, WORK / f"{name}.words"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / sha256(seed).hexdigest()).write_bytes(seed)
    words.write_text("".join(f'"{word}"\n' for word in ("\\x00", *target.words)), "utf-8")  # it may not be empty
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={seconds}",
            f"-max_len={INPUT_BYTES_MAX}",
            f"-rss_limit_mb={MEMORY_MIB_MAX}",
            f"-timeout={ONE_INPUT_S_MAX}",
            f"-dict={words}",
            f"-artifact_prefix={WORK}/found-{name}-",
            "-print_final_stats=1",
            str(corpus),
        ],
        target.take,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
