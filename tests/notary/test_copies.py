"""However a ledger is copied, restored and written, a key signs one history and refuses every other."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from tallystick import keys
from tallystick.last_signed import LastSigned, sign_next
from tallystick.ledger.errors import NotProved
from tallystick.ledger.proofs.checkpoint import Checkpoint, parse_checkpoint
from tallystick.ledger.store.tree import leaf_hash, root_from_leaves

ORIGIN = "example.org/ledger/main"
History = tuple[bytes, ...]
"""The leaves of one copy of a ledger."""


class Tree:
    """The nodes of a history, by the definition."""

    def __init__(self, history: History) -> None:
        self.history = history

    def node(self, level: int, index: int) -> bytes:
        return root_from_leaves(self.history[index << level : (index + 1) << level])


class Copies(RuleBasedStateMachine):
    """Copies of one ledger, with one key or two, and what the model says that these signed last."""

    copies: Bundle[History] = Bundle("copies")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.files = [Path(self.folder.name) / name for name in ("first.key", "second.key")]
        for file in self.files:
            keys.new(ORIGIN, file)
        self.keys = [LastSigned(keys.read(file), file) for file in self.files]
        self.signed: list[History | None] = [None, None]
        self.writes = 0

    @initialize(target=copies)
    def begin(self) -> History:
        return ()

    @rule(target=copies, copy=consumes(copies), count=st.integers(1, 9))
    def write(self, copy: History, count: int) -> History:
        self.writes += 1
        return *copy, *(leaf_hash(b"%d %d" % (self.writes, number)) for number in range(count))

    @rule(target=copies, copy=copies)
    def duplicate(self, copy: History) -> History:
        return copy

    @rule(target=copies, copy=copies, share=st.floats(0, 1))
    def restore(self, copy: History, share: float) -> History:
        return copy[: int(share * len(copy))]

    @rule(copy=copies, numbers=st.sampled_from([(0,), (1,), (0, 1), (1, 0)]))
    def sign(self, copy: History, numbers: tuple[int, ...]) -> None:
        wanted = Checkpoint(ORIGIN, len(copy), root_from_leaves(copy))
        before = [self.signed[number] for number in numbers]
        goes_on = all(last is None or copy[: len(last)] == last for last in before)
        try:
            note = sign_next(lambda: wanted, *(self.keys[number] for number in numbers), nodes=Tree(copy))
        except NotProved:
            assert not goes_on
        else:
            assert goes_on
            assert wanted == parse_checkpoint(note.text)
            for number in numbers:
                self.signed[number] = copy

    @invariant()
    def each_key_keeps_what_it_signed(self) -> None:
        for key, signed in zip(self.keys, self.signed, strict=True):
            found = key.read()
            assert (None if signed is None else (len(signed), root_from_leaves(signed))) == (
                None if found is None else (found.size, found.root_hash)
            )

    def teardown(self) -> None:
        self.folder.cleanup()


TestCopies = pytest.mark.slow(Copies.TestCase)
TestCopies.settings = settings(max_examples=40, stateful_step_count=25)
