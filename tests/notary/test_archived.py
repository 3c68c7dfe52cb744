"""What has left the log for the archive is proved as before; of what was deleted there, the hash is."""

from pathlib import Path

import pytest

from tallystick import Config, InvalidInput
from tallystick.config import Integrity
from tallystick.ledger.archive import deletion
from tallystick.ledger.proofs.checkpoint import Checkpoint, sign
from tallystick.ledger.proofs.keys import SigningKey
from tallystick.ledger.store.disk import DiskLog
from tallystick.proofs import verify_proof
from tallystick.proving import Prover
from tallystick.readings import Readings, due_rules
from tests.ledger.archive.shelves import SEGMENT, SIZE, write

KEY = SigningKey("example.org/ledger/old", bytes(32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("archived") / "log"
    write(made)
    return made


def prover(log: DiskLog) -> Prover:
    readings = Readings(log, None, rules=due_rules(Config(integrity=Integrity())))
    return Prover(readings, lambda: fresh(log), Integrity())


def fresh(log: DiskLog) -> bytes:
    head = log.tree_head()
    return sign(Checkpoint(KEY.name, head.size, head.root_hash), KEY).to_bytes()


def test_events_on_both_sides_of_the_border_and_of_tiles_are_proved(folder: Path) -> None:
    with DiskLog.open(folder, readonly=True) as log:
        assert 2 * SEGMENT == log.archived()
        for position in (1, 256, 257, SEGMENT, SEGMENT + 1, 2 * SEGMENT, 2 * SEGMENT + 1, 1_281, SIZE - 1, SIZE):
            proof = prover(log).prove(position)
            proved = verify_proof(proof, KEY.verifier.text)

            assert proved.event is not None
            assert position == proved.event.position == proved.position
        for old in (0, 1, 256, 300, SEGMENT, 700, 2 * SEGMENT, SIZE - 1, SIZE):
            before = prover(log).prove_from(old)
            tree = Checkpoint(KEY.name, old, root(log, old))
            assert old == verify_proof(before, KEY.verifier.text, old=sign(tree, KEY).to_bytes()).old


def root(log: DiskLog, size: int) -> bytes:
    from tests.notary.parts import root_of

    return root_of(log, size)


def test_of_a_deleted_record_the_proof_is_for_who_has_it_from_elsewhere(tmp_path: Path) -> None:
    write(tmp_path / "log")
    with DiskLog.open(tmp_path / "log") as log:
        [record] = log.records(5, 5)
        assert isinstance(record, bytes)
        [first] = deletion.wanted(log.archive, before=SEGMENT + 1, recorded_before=None)
        deletion.delete(log, first, by="an operator", at=1, reason="nobody may know it any more")
        proof = prover(log).prove(5)

    with pytest.raises(InvalidInput, match="does not carry"):
        verify_proof(proof, KEY.verifier.text)
    proved = verify_proof(proof, KEY.verifier.text, record=record)
    assert proved.event is not None
    assert 5 == proved.event.position
