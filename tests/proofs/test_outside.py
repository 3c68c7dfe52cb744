"""Debian's Go packages verify what was written for a log on disk, and notice one flipped bit anywhere.

These are sumdb/note and sumdb/tlog, with which Go checks its modules: nobody here wrote them, and they know nothing of
this project. Where they are missing the tests are skipped, and say what to install.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from tallystick.ledger.proofs.checkpoint import open_checkpoint, parse_checkpoint, sign
from tallystick.ledger.proofs.keys import SigningKey, parse_signing_key, parse_vkey
from tallystick.ledger.proofs.note import parse_note
from tallystick.ledger.proofs.proving import prove_consistency, prove_inclusion
from tallystick.ledger.proofs.tiles import Place, places
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.nodes import StoredNodes
from tallystick.tiles import write_tiles
from tests.ledger.archive import test_deletion as deletion
from tests.ledger.archive.shelves import SEGMENT
from tests.proofs import golden
from tests.proofs.logs import checkpoint_at, grow
from tests.proofs.outside import Outsider, Refused, raw
from tests.proofs.parts import ORIGIN, OTHER, TRUSTED, cosign, every_flip, flipped, witness

pytestmark = pytest.mark.slow

SIZES = (1, 2, 255, 256, 257, 3_000, 65_535, 65_536, 65_537, 66_100)
SIZE = SIZES[-1]
VKEY = TRUSTED.text
RANDOM = random.Random(7)
FLIPS = 16  # of a file in which there are too many to try all
INDEXES = sorted({0, 1, 255, 256, 2_999, 65_535, 65_536, SIZE - 1, *RANDOM.sample(range(SIZE), 42)})


class Published(Struct, frozen=True):
    """A log on disk, its checkpoints by size, and the folder to which its tiles were written after each of them."""

    log: DiskLog
    checkpoints: dict[int, bytes]
    tiles: Path


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    folder = tmp_path_factory.mktemp("published")
    with DiskLog.open(folder / "log") as log:
        found = Published(log, {}, folder / "tiles")
        for size in SIZES:
            grow(log, size)
            found.checkpoints[size] = checkpoint_at(log, size)
            write_tiles(log, found.tiles, found.checkpoints[size])
        yield found


def body(log: DiskLog, index: int) -> bytes:
    (found,) = log.records(index + 1, index + 1)
    assert isinstance(found, bytes)
    return found


def inclusion(published: Published, index: int, size: int = SIZE) -> bytes:
    return prove_inclusion(StoredNodes(published.log), index, published.checkpoints[size]).to_bytes()


def consistency(published: Published, old: int, new: int = SIZE) -> bytes:
    return prove_consistency(StoredNodes(published.log), old, published.checkpoints[new]).to_bytes()


# What was written is verified.


def test_go_opens_every_checkpoint(outsider: Outsider, published: Published) -> None:
    for size, checkpoint in published.checkpoints.items():
        text = outsider.ask("open", vkey=VKEY, note=checkpoint)["Text"]
        assert parse_note(checkpoint).text == text
        assert size == parse_checkpoint(text).size


def test_go_verifies_the_proofs_of_records(outsider: Outsider, published: Published) -> None:
    for index in INDEXES:
        for size in (size for size in SIZES if index < size):
            outsider.ask(
                "inclusion", vkey=VKEY, proof=inclusion(published, index, size), record=body(published.log, index)
            )


def test_go_verifies_the_proofs_of_older_trees(outsider: Outsider, published: Published) -> None:
    for new in SIZES:
        for old in (old for old in SIZES if old <= new):
            proof = consistency(published, old, new)
            outsider.ask("consistency", vkey=VKEY, proof=proof, note=published.checkpoints[old])


def test_go_reads_the_tiles_and_derives_the_same_proofs_from_them(outsider: Outsider, published: Published) -> None:
    olds = list(SIZES)

    answer = outsider.ask("tiles", vkey=VKEY, folder=str(published.tiles), indexes=INDEXES, olds=olds)

    nodes, checkpoint = StoredNodes(published.log), published.checkpoints[SIZE]
    ours = [prove_inclusion(nodes, index, checkpoint).hashes for index in INDEXES]
    ours += [prove_consistency(nodes, old, checkpoint).hashes for old in olds]
    assert ours == list(map(raw, answer["Proofs"]))
    assert tuple(body(published.log, index) for index in INDEXES) == raw(answer["Leaves"])


def test_go_reads_the_tiles_of_a_log_whose_oldest_records_were_deleted(outsider: Outsider, tmp_path: Path) -> None:
    deletion.write(tmp_path / "log")
    with DiskLog.open(tmp_path / "log") as log:
        deletion.delete(log, before=SEGMENT + 1)
        write_tiles(log, tmp_path / "tiles", checkpoint_at(log, log.head()))
        head = log.head()

    def ask(*indexes: int) -> object:
        return outsider.ask("tiles", vkey=VKEY, folder=str(tmp_path / "tiles"), indexes=indexes, olds=[1, 255, head])

    assert ask(SEGMENT, SEGMENT + 1, head - 1)
    with pytest.raises(Refused, match="no such file"):
        ask(SEGMENT - 1)


def test_the_golden_proofs_are_what_go_makes(outsider: Outsider) -> None:
    made = golden.made_by_go(outsider)

    assert golden.PATH.read_text("utf-8") == golden.text_of(made)
    assert made == json.loads(golden.PATH.read_text("utf-8"))


# What is another is noticed.


def means_the_same(data: bytes, bit: int) -> bool:
    """Whether a flipped bit is one that base64 does not use: Go reads over it, and what it reads is what was signed.

    The last character before the padding has some. This project refuses such texts, Go takes them.
    """
    line = data[: bit // 8].count(b"\n")
    start = data.rfind(b"\n", 0, bit // 8) + 1
    text = data.split(b"\n")[line]
    return text.endswith(b"=") and bit // 8 - start == len(text.rstrip(b"=")) - 1


def test_go_notices_one_flipped_bit_anywhere_in_a_checkpoint(outsider: Outsider, published: Published) -> None:
    checkpoint = published.checkpoints[3_000]

    believed = [bit for bit, data in every_flip(checkpoint) if outsider.believes("open", vkey=VKEY, note=data)]

    assert [] == [bit for bit in believed if not means_the_same(checkpoint, bit)]
    assert len(believed) <= 2


def test_go_notices_one_flipped_bit_anywhere_in_a_proof_of_a_record(outsider: Outsider, published: Published) -> None:
    proof, record = inclusion(published, 2_999, 3_000), body(published.log, 2_999)

    def believed(proof: bytes, record: bytes) -> bool:
        return outsider.believes("inclusion", vkey=VKEY, proof=proof, record=record)

    found = [bit for bit, data in every_flip(proof) if believed(data, record)]
    assert believed(proof, record)
    assert [] == [bit for bit in found if not means_the_same(proof, bit)]
    assert [] == [bit for bit, data in every_flip(record) if believed(proof, data)]


def test_go_notices_one_flipped_bit_anywhere_in_a_proof_of_an_older_tree(
    outsider: Outsider, published: Published
) -> None:
    proof, old = consistency(published, 257, 3_000), published.checkpoints[257]

    def believed(proof: bytes, old: bytes) -> bool:
        return outsider.believes("consistency", vkey=VKEY, proof=proof, note=old)

    found = [bit for bit, data in every_flip(proof) if believed(data, old)]
    assert believed(proof, old)
    assert [] == [bit for bit in found if not means_the_same(proof, bit)]
    assert [] == [bit for bit, data in every_flip(old) if believed(proof, data) and not means_the_same(old, bit)]


def of_one_place(place: Place) -> list[int]:
    """A record whose proof needs some hash of a tile, for each of its hashes."""
    span = 256**place.level
    return [(place.index * 256 + at) * span for at in range(place.width)]


@pytest.mark.parametrize("place", [Place(0, 11), Place(0, 258, 52), Place(1, 0), Place(1, 1, 2), Place(2, 0, 1)])
def test_go_notices_one_flipped_bit_in_a_tile(outsider: Outsider, published: Published, place: Place) -> None:
    assert place in places(SIZE)
    indexes = of_one_place(place)[:3]
    path = published.tiles / place.path
    sound = path.read_bytes()
    try:
        for bit in RANDOM.sample(range(len(sound) * 8), FLIPS):
            path.write_bytes(flipped(sound, bit))
            assert not outsider.believes("tiles", vkey=VKEY, folder=str(published.tiles), indexes=indexes)
    finally:
        path.write_bytes(sound)
    assert outsider.believes("tiles", vkey=VKEY, folder=str(published.tiles), indexes=indexes)


@pytest.mark.parametrize("place", [Place(0, 11), Place(0, 258, 52)])
def test_go_notices_one_flipped_bit_in_a_bundle(outsider: Outsider, published: Published, place: Place) -> None:
    indexes = of_one_place(place)
    path = published.tiles / place.bundle_path
    sound = path.read_bytes()
    try:
        for bit in RANDOM.sample(range(len(sound) * 8), FLIPS):
            path.write_bytes(flipped(sound, bit))
            assert not outsider.believes("tiles", vkey=VKEY, folder=str(published.tiles), indexes=indexes)
    finally:
        path.write_bytes(sound)


def test_go_believes_nobody_elses_key(outsider: Outsider, published: Published) -> None:
    checkpoint = published.checkpoints[3_000]

    with pytest.raises(Refused, match="no verifiable signatures"):
        outsider.ask("open", vkey=OTHER.verifier.text, note=checkpoint)
    edited = checkpoint.replace(b"\n3000\n", b"\n3001\n")
    with pytest.raises(Refused, match="invalid signature for key"):
        outsider.ask("open", vkey=VKEY, note=edited)


# Keys and signatures go both ways.


def test_a_key_that_go_made_signs_there_and_is_verified_here(outsider: Outsider, published: Published) -> None:
    made = outsider.ask("generate", name=ORIGIN)
    text = parse_note(published.checkpoints[3_000]).text

    note = raw([outsider.ask("sign", skey=made["Skey"], text=text)["Note"]])[0]

    key = parse_signing_key(made["Skey"])
    assert made["Vkey"] == key.verifier.text
    assert made["Skey"] == key.text
    assert text == open_checkpoint(note, parse_vkey(made["Vkey"])).checkpoint.text
    assert note == sign(parse_checkpoint(text), key).to_bytes()


def test_a_key_that_was_made_here_signs_and_is_verified_there(outsider: Outsider, published: Published) -> None:
    key = SigningKey.generate("example.org/a-new-one")
    checkpoint = checkpoint_at(published.log, 257, key)

    assert outsider.ask("open", vkey=key.verifier.text, note=checkpoint)
    again = outsider.ask("sign", skey=key.text, text=parse_note(checkpoint).text)["Note"]
    assert (checkpoint,) == raw([again])


def test_go_reads_over_signatures_that_it_does_not_know(outsider: Outsider, published: Published) -> None:
    note = parse_note(published.checkpoints[3_000])
    secret, _ = witness("witness.example/w")
    more = (*sign(parse_checkpoint(note.text), OTHER).signatures, cosign(secret, note.text))

    several = type(note)(note.text, (*note.signatures, *more))

    assert note.text == outsider.ask("open", vkey=VKEY, note=several.to_bytes())["Text"]
    assert note.text == outsider.ask("open", vkey=OTHER.verifier.text, note=several.to_bytes())["Text"]
