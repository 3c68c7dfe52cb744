"""Whatever happens in whatever order: checkpoints are of one history, signed with the keys of their time."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import tallystick
from tallystick.proofs import verify_proof
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.notary.parts import ORDINARY, Place, said, signers


class Lives(RuleBasedStateMachine):
    """One ledger: written, swept, asked, closed and opened again, with other keys."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.place = Place(Path(self.folder.name))
        self.clock = HandClock()
        self.keys: list[int] = []
        self.seen: list[tuple[bytes, list[int]]] = []
        self.task: Any = None
        self.ledger: Ledger | None = None

    @initialize()
    def begin(self) -> None:
        self.place.new_key()
        self.keys = [0]
        self._open()

    def _open(self) -> None:
        self.ledger = self.place.open(*self.keys, clock=self.clock)

    def _note(self, note: bytes | None) -> None:
        """Keep what anybody could have seen, with the keys that were in force."""
        if note is not None and (not self.seen or self.seen[-1][0] != note):
            self.seen.append((note, list(self.keys)))

    @rule(count=st.integers(1, 30))
    def write(self, count: int) -> None:
        assert self.ledger is not None
        with self.ledger.batch() as batch:
            for _ in range(count):
                batch.create(**ORDINARY)

    @rule(ms=st.sampled_from([0, 500, 1_000, 60_000, -5_000]))
    def sweep(self, ms: int) -> None:
        assert self.ledger is not None
        self.clock.advance(ms)
        self.ledger.sweep()
        if self.ledger.status().checkpoint is not None:
            with tallystick.open(self.place.ledger, config=tallystick.Config(), read_only=True) as beside:
                self._note(beside.checkpoint())

    @rule()
    def ask(self) -> None:
        assert self.ledger is not None
        note = self.ledger.checkpoint()
        self._note(note)
        assert self.ledger.status().head == said(note).size

    @rule()
    def restart(self) -> None:
        assert self.ledger is not None
        head = self.ledger.status().head
        self.ledger.close()
        kept = self.place.kept()
        assert (0 if kept is None else said(kept).size) == head
        self._note(kept)
        self._open()

    @precondition(lambda self: len(self.place.files) < 4)
    @rule(overlap=st.booleans())
    def rotate(self, *, overlap: bool) -> None:
        assert self.ledger is not None
        self.ledger.close()
        self._note(self.place.kept())
        self.place.new_key()
        newest = len(self.place.files) - 1
        self.keys = [self.keys[-1], newest] if overlap else [newest]
        self._open()

    @invariant()
    def checkpoints_are_of_one_history(self) -> None:
        if not self.seen or self.ledger is None:
            return
        sizes = [said(note).size for note, _ in self.seen]
        assert sizes == sorted(sizes)
        for note, numbers in self.seen[-3:]:
            allowed = [self.place.verifiers[number] for number in numbers]
            assert set(signers(note, self.place.verifiers)) <= set(allowed)
            assert signers(note, allowed)
            proof = self.ledger.prove_from(note)
            trusted = self.place.verifiers
            assert said(note).size == verify_proof(proof, *trusted, old=note).old

    def teardown(self) -> None:
        if self.ledger is not None:
            self.ledger.close()
        self.folder.cleanup()


TestLives = pytest.mark.slow(Lives.TestCase)
TestLives.settings = settings(max_examples=20, stateful_step_count=15)
