"""Whenever a writer is killed, everything that was acknowledged is there, and the next writer goes on.

`CRASH_KILLS=5000 pytest tests/crash` kills that many writers under full load; `CRASH_SEED` chooses other moments.
"""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from tests.crash.lives import Life, Witness

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if "CRASH_KILLS" in os.environ else 120)]

LIVES = 8  # of one ledger; then a new one, so that folding it all remains quick
KILLS = int(os.environ.get("CRASH_KILLS", "32"))
SEED = os.environ.get("CRASH_SEED", "tally")
LOADS = ("all", "threads", "batches", "coroutines")

ACKNOWLEDGED_MAX = 300
SPIN_US_MAX = 3_000


class Lives:
    """The lives of one ledger, one after the other; the next one is there while the last one is looked into."""

    def __init__(self, folder: Path, modes: Iterator[str], seed: str) -> None:
        self.witness = Witness(folder)
        self._folder, self._modes, self._seed = folder, modes, seed
        self.chance = random.Random(seed)
        self._open = ExitStack()
        self._next: Life | None = None
        self.count = 0

    def __enter__(self) -> Self:
        self._next = self._born()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _born(self) -> Life:
        self.count += 1
        return self._open.enter_context(Life(self._folder, next(self._modes), f"{self._seed} {self.count}"))

    def begin(self) -> Life:
        """Let the next life open the ledger."""
        assert self._next is not None
        self._next.go_on()
        return self._next

    def end(self, life: Life, *, after_us: int) -> int:
        """Kill it, and hold the ledger to what it has said; return how much was acknowledged."""
        said = life.kill(after_us=self.chance.randrange(after_us))
        self._next = self._born()
        acknowledged = self.witness.hear(said)
        self.witness.check()
        return acknowledged


def always(mode: str) -> Iterator[str]:
    while True:
        yield mode


@pytest.mark.parametrize("number", range(-(-KILLS // LIVES)))
def test_everything_acknowledged_is_there_after_every_kill_under_full_load(tmp_path: Path, number: int) -> None:
    with Lives(tmp_path / "ledger", always(LOADS[number % len(LOADS)]), f"{SEED} {number}") as lives:
        for _ in range(LIVES):
            life = lives.begin()
            life.hear(acknowledged=lives.chance.randrange(1, ACKNOWLEDGED_MAX))
            assert 0 < lives.end(life, after_us=SPIN_US_MAX)


def test_a_writer_killed_while_it_opens_the_ledger_leaves_it_whole(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    with Lives(folder, always("open"), f"{SEED} open") as lives:
        for number in range(10):
            life = lives.begin()
            life.hear(mark="open")
            lives.end(life, after_us=60_000)
            if number % 4 == 2:
                shutil.rmtree(folder / "views")  # the next one folds them anew
            if number % 4 == 3:
                shutil.rmtree(folder)  # the next one makes it
                lives.witness = Witness(folder)


def test_a_writer_killed_while_it_closes_the_ledger_leaves_it_whole(tmp_path: Path) -> None:
    with Lives(tmp_path / "ledger", always("close"), f"{SEED} close") as lives:
        for _ in range(6):
            life = lives.begin()
            life.hear(acknowledged=lives.chance.randrange(1, ACKNOWLEDGED_MAX))
            life.go_on()
            life.hear(mark="close")
            lives.end(life, after_us=20_000)


def test_a_writer_killed_while_its_maps_grow_leaves_the_ledger_whole(tmp_path: Path) -> None:
    with Lives(tmp_path / "ledger", always("grow"), f"{SEED} grow") as lives:
        for _ in range(6):
            life = lives.begin()
            life.hear(mark="grow", times=lives.chance.randrange(1, 30))
            lives.end(life, after_us=1_000)


def test_a_writer_killed_while_it_rebuilds_its_read_models_leaves_them_whole(tmp_path: Path) -> None:
    with Lives(tmp_path / "ledger", always("rebuild"), f"{SEED} rebuild") as lives:
        for _ in range(6):
            life = lives.begin()
            life.hear(acknowledged=lives.chance.randrange(1, ACKNOWLEDGED_MAX))
            life.hear(mark="rebuild", times=life.marks["rebuild"] + 1)
            assert 0 < lives.end(life, after_us=30_000)
