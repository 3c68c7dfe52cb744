"""The bytes of the files of an archive are these: what a released version wrote is read by every later one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.archive import block, deletion, directory, files, remains
from tallystick.ledger.archive.segment import Segment
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import TaskPruned
from tallystick.ledger.limits import RECORD_BYTES_MAX
from tallystick.ledger.store.codec import encode_all
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.tree import TILE_WIDTH, leaf_hashes, root_from_leaves
from tests.ledger.archive.shelves import seal
from tests.ledger.store.make import Author

GOLDEN = Path(__file__).parents[2] / "golden" / "archive-1.json"
BY, AT, REASON = "cli:operator", 1_790_000_100_000, "the contract ended"


def events() -> list[Event]:
    """What the golden archive was written from: one block."""
    return Author().write(*range(TILE_WIDTH), data=TaskPruned())


def golden() -> dict[str, str]:
    said: dict[str, str] = json.loads(GOLDEN.read_text("utf-8"))
    return said


def made(path: Path) -> dict[str, str]:
    """Make the golden archive anew: its files, those that are bytes in hexadecimal."""
    with DiskLog.open(path) as log:
        log.append(events())
        seal(log, segment_events=TILE_WIDTH)
        [entry] = log.archive.entries()
        segment = (log.archive.folder / entry.file).read_bytes().hex()
        kept = (log.archive.folder / files.MANIFEST).read_text("utf-8")
        deletion.delete(log, entry, by=BY, at=AT, reason=REASON)
        left = (log.archive.folder / files.name_of(1, TILE_WIDTH, files.REMAINS)).read_bytes().hex()
        deleted = (log.archive.folder / files.MANIFEST).read_text("utf-8")
    return {"segment": segment, "manifest": kept, "remains": left, "manifest of a deleted one": deleted}


def test_the_files_of_an_archive_are_these_but_for_what_the_library_packs(tmp_path: Path) -> None:
    """Another version of zstandard may pack a frame in another way: then its place, size and checksums are others."""
    known, now = golden(), made(tmp_path)

    frame = directory.hashes_offset(1, 1)
    one, other = bytes.fromhex(known["segment"]), bytes.fromhex(now["segment"])
    assert one[directory.directory_bytes(1) : frame] == other[directory.directory_bytes(1) : frame]
    assert one[:48] == other[:48]
    assert one[56:88] == other[56:88]
    if one == other:
        assert known == now


def test_a_segment_of_a_released_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / files.name_of(1, TILE_WIDTH)
    path.write_bytes(bytes.fromhex(golden()["segment"]))
    segment = Segment(path, 1, TILE_WIDTH)
    bodies = encode_all(events())

    assert bodies == segment.records(1, TILE_WIDTH)
    assert leaf_hashes(bodies) == [segment.hashes(0)[place : place + 32] for place in range(0, 8_192, 32)]
    assert [] == list(segment.faults())
    said = segment.directory()
    assert (root_from_leaves(leaf_hashes(bodies)), path.stat().st_size) == (said.root_hash, said.file_bytes)


def test_the_remains_of_a_released_version_are_read(tmp_path: Path) -> None:
    path = tmp_path / files.name_of(1, TILE_WIDTH, files.REMAINS)
    path.write_bytes(bytes.fromhex(golden()["remains"]))

    entry = remains.entry_of(path)
    assert (1, TILE_WIDTH, BY, AT, REASON) == (
        entry.first,
        entry.last,
        entry.deleted_by,
        entry.deleted_at,
        entry.reason,
    )
    assert b"".join(leaf_hashes(encode_all(events()))) == remains.hashes_of(path, 0)


records = st.lists(st.none() | st.binary(min_size=1, max_size=300), min_size=TILE_WIDTH, max_size=TILE_WIDTH)


@given(records)
def test_a_block_gives_back_what_it_was_given(given_records: list[bytes | None]) -> None:
    content = block.plain(given_records)

    assert given_records == block.records_of(block.unpacked(block.packed(content)))


def test_a_block_takes_the_longest_records_that_there_are() -> None:
    longest: list[bytes | None] = [bytes([place]) * RECORD_BYTES_MAX for place in range(TILE_WIDTH)]

    assert longest == block.records_of(block.unpacked(block.packed(block.plain(longest))))


@given(st.binary(max_size=2_000))
def test_other_bytes_are_no_block_no_directory_and_no_remains(content: bytes) -> None:
    for read in (block.unpacked, block.records_of, lambda stored: directory.from_bytes(stored, 1, 512)):
        with pytest.raises(Corrupt):
            read(content)


def test_names_of_files_say_their_positions_and_nothing_else_does() -> None:
    assert (1, 512) == files.range_of(files.name_of(1, 512))
    assert (1, 512) == files.range_of(files.name_of(1, 512, files.REMAINS))
    for name in ("manifest.json", "lock", "1-2.seg.unfinished", "2-1.seg", "0-5.seg", "x-5.seg", "1-5", ".seg"):
        assert files.range_of(name) is None
