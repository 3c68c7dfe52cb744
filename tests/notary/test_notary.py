"""The notary believes nobody: not what is brought to it, and not the log that it signed a moment ago."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from tallystick.actors.future import LightFuture
from tallystick.actors.notary import Notary, Signer
from tallystick.ledger.errors import Closed, NotProved
from tallystick.ledger.events import Event
from tallystick.ledger.proofs.checkpoint import Checkpoint, sign
from tallystick.ledger.proofs.keys import SigningKey
from tallystick.ledger.proofs.note import Note
from tallystick.ledger.store.memory import MemoryLog
from tallystick.testing import HandClock
from tests.ledger.store.sound import history
from tests.notary.parts import said

KEY = SigningKey("example.org/ledger/main", bytes(range(32)))
SECOND = SigningKey("example.org/ledger/main", bytes(32))


class Desk:
    """A notary over a log in memory, which somebody may put another one in the place of."""

    def __init__(self, size: int) -> None:
        self.log, self.kept = MemoryLog(), dict[bytes, bytes]()
        self.log.append(*history(size))
        signer = Signer(KEY.name, lambda tree, _nodes: sign(tree(), KEY), is_signed)
        self.notary = Notary(self.log, self.keep, signer, HandClock(), by_hand=True)

    def keep(self, name: bytes, value: bytes, future: LightFuture) -> None:
        self.log.append((), {}, {name: value})
        future.set(None)

    def replace(self, events: list[Event]) -> None:
        """Let the log be another one from now on, with all that it keeps."""
        other = MemoryLog()
        other.append(events)
        vars(self.log).update(vars(other))


def is_signed(note: Note) -> bool:
    return any(KEY.verifier.has_made(signature) for signature in note.signatures)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk(300)
    made.notary.begin()
    yield made
    assert made.notary.end(20.0)


def test_a_log_that_was_changed_under_a_running_owner_is_signed_no_more(desk: Desk) -> None:
    assert 300 == said(desk.notary.seal()).size
    desk.replace([replace(event, actor="somebody else") for event in history(400)[0]])
    with pytest.raises(NotProved) as refused:
        desk.notary.seal()

    assert "root" == refused.value.what
    desk.replace(history(296)[0])
    with pytest.raises(NotProved) as refused:
        desk.notary.seal()
    assert "size" == refused.value.what


def test_what_is_brought_is_held_to_the_log_and_its_name(desk: Desk) -> None:
    head = desk.log.tree_head()
    good = Checkpoint(KEY.name, head.size, head.root_hash)
    for wrong, what in (
        (Checkpoint(KEY.name, head.size, bytes(32)), "root"),
        (Checkpoint(KEY.name, head.size + 1, head.root_hash), "size"),
        (Checkpoint("example.org/other", head.size, head.root_hash), "origin"),
        (Checkpoint(KEY.name, head.size, head.root_hash, ("more",)), "origin"),
    ):
        with pytest.raises(NotProved) as refused:
            desk.notary.take(sign(wrong, KEY).to_bytes())
        assert what == refused.value.what
        assert [] == desk.log.notes(b"")

    note = sign(good, SECOND).to_bytes()
    assert note == desk.notary.take(note)
    assert [(b"checkpoint", note)] == desk.log.notes(b"")


def test_who_asks_after_the_end_is_told_so() -> None:
    made = Desk(3)
    made.notary.begin()
    made.notary.end(20.0)

    with pytest.raises(Closed):
        made.notary.seal()
