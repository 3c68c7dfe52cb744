"""What is missing, cut or altered in the archive is told where it is, and named by verify; everything else works."""

import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.archive import files, manifest
from tallystick.ledger.archive.directory import BLOCK_RECORDS, directory_bytes, hashes_offset
from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.archive.segment import Segment
from tallystick.ledger.errors import Corrupt, NewerFormat, StoreError
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import Damaged
from tallystick.ledger.store.verify import Kind, Verification, verify
from tests.ledger.archive.shelves import LATER, SEGMENT, SIZE, answers, seal, streams_of, write
from tests.ledger.store import raw
from tests.ledger.store.make import Author, event, stream_id
from tests.ledger.store.sound import history

BLOCKS = SEGMENT // BLOCK_RECORDS
FIRST = f"{1:020}-{SEGMENT:020}.seg"
SECOND = f"{SEGMENT + 1:020}-{2 * SEGMENT:020}.seg"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MemoryLog]:
    """An archived log that nobody has touched, and its twin."""
    path = tmp_path_factory.mktemp("sound")
    return path, write(path)


@pytest.fixture
def folder(sound: tuple[Path, MemoryLog], tmp_path: Path) -> Path:
    """One that may be touched."""
    return copied(sound[0], tmp_path / "log")


@pytest.fixture
def twin(sound: tuple[Path, MemoryLog]) -> MemoryLog:
    return sound[1]


def copied(path: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(path, to))


def held_to(twin: MemoryLog, folder: Path, damaged: set[int]) -> Verification:
    """Hold a log to its twin but for these positions, let it go on, and return what verification finds."""
    with DiskLog.open(folder, readonly=True) as log:
        records = list(log.read())
        assert damaged == {record.position for record in records if isinstance(record, Damaged)}
        assert [record for record in twin.read() if record.position not in damaged] == [
            record for record in records if not isinstance(record, Damaged)
        ]
        for stream in streams_of(twin):
            for known, record in zip(twin.stream(stream), log.stream(stream), strict=True):
                assert isinstance(record, Damaged) if record.position in damaged else known == record
        found = verify(log)
    assert (twin.tree_head().root_hash, SIZE - len(damaged)) == (found.root_hash, found.events)
    with DiskLog.open(folder) as log:
        log.append([event(SIZE + 1, 9_999)])
        assert [SIZE + 1] == [record.position for record in log.stream(stream_id(9_999))]
        assert log.claimed(next(iter(history()[1]))) is not None
    return found


def kinds(found: Verification) -> list[tuple[int, Kind]]:
    return [(problem.position, problem.kind) for problem in found.problems]


def flip(path: Path, at: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(content)


def block_at(path: Path, first: int, last: int, offset: int) -> int | None:
    """The number of the block that a byte of a segment belongs to; None for the directories and hashes."""
    said = Segment(path, first, last).directory()
    for number in range((last - first + 1) // BLOCK_RECORDS):
        place = said.place(number)
        if place.offset <= offset < place.offset + place.size:
            return number
    return None


def test_an_archived_log_that_nobody_touched_is_sound(folder: Path, twin: MemoryLog) -> None:
    assert [] == kinds(held_to(twin, folder, set()))


def test_a_missing_segment_is_one_problem_and_exactly_its_records_are_damaged(folder: Path, twin: MemoryLog) -> None:
    (folder / "archive" / FIRST).unlink()

    found = held_to(twin, folder, set(range(1, SEGMENT + 1)))

    assert [(1, Kind.ARCHIVE)] == kinds(found)
    assert f"{FIRST}, which has positions 1 to {SEGMENT}, is missing" in found.problems[0].detail


def test_all_segments_missing_are_named_one_by_one(folder: Path, twin: MemoryLog) -> None:
    for name in (FIRST, SECOND):
        (folder / "archive" / name).unlink()

    found = held_to(twin, folder, set(range(1, 2 * SEGMENT + 1)))

    assert [(1, Kind.ARCHIVE), (SEGMENT + 1, Kind.ARCHIVE)] == kinds(found)


def test_an_archive_that_is_gone_as_a_whole_is_told_and_the_log_goes_on(folder: Path, twin: MemoryLog) -> None:
    shutil.rmtree(folder / "archive")

    found = held_to(twin, folder, set(range(1, 2 * SEGMENT + 1)))

    assert [(1, Kind.ARCHIVE)] == kinds(found)
    assert "no file of the archive has it" in found.problems[0].detail


@given(bit=st.integers(0, 10**7), second=st.booleans())
def test_one_flipped_bit_anywhere_in_a_segment_damages_at_most_the_records_of_its_block_and_is_named(
    sound: tuple[Path, MemoryLog], tmp_path_factory: pytest.TempPathFactory, bit: int, *, second: bool
) -> None:
    folder = copied(sound[0], tmp_path_factory.mktemp("flipped") / "log")
    path, first = folder / "archive" / (SECOND if second else FIRST), SEGMENT * second + 1
    bit %= 8 * path.stat().st_size
    number = block_at(path, first, first + SEGMENT - 1, bit // 8)

    flip(path, bit // 8, bit % 8)

    start = first + (number or 0) * BLOCK_RECORDS
    found = held_to(sound[1], folder, set() if number is None else set(range(start, start + BLOCK_RECORDS)))
    assert (first, Kind.ARCHIVE) in kinds(found)  # the file, by its checksum
    if number is not None:
        named = [problem.detail for problem in found.problems if problem.position == start]
        assert any(f"block {number}, which has positions {start} to" in detail for detail in named)
    shutil.rmtree(folder.parent)


@pytest.mark.parametrize("where", ["empty", "directory", "hashes", "blocks", "end"])
def test_a_segment_that_is_cut_off_has_what_stands_before_the_cut(folder: Path, twin: MemoryLog, where: str) -> None:
    path = folder / "archive" / FIRST
    blocks = hashes_offset(BLOCKS, BLOCKS)
    sizes = {"empty": 0, "directory": 100, "hashes": hashes_offset(BLOCKS) + 10, "blocks": 0, "end": 0}
    sizes["blocks"], sizes["end"] = (
        blocks + Segment(path, 1, SEGMENT).directory().place(0).size + 7,
        path.stat().st_size,
    )
    sizes["end"] -= directory_bytes(BLOCKS) // 2

    os.truncate(path, sizes[where])

    lost = {"empty": SEGMENT, "directory": SEGMENT, "hashes": SEGMENT, "blocks": BLOCK_RECORDS, "end": 0}[where]
    found = held_to(twin, folder, set(range(SEGMENT - lost + 1, SEGMENT + 1)))
    assert (1, Kind.ARCHIVE) in kinds(found)
    assert {Kind.ARCHIVE} == {problem.kind for problem in found.problems}


def test_a_flipped_leaf_hash_is_named_for_its_record(folder: Path, twin: MemoryLog) -> None:
    flip(folder / "archive" / FIRST, hashes_offset(BLOCKS, 1) + 32 * 5)

    found = held_to(twin, folder, set())

    assert [(1, Kind.ARCHIVE), (BLOCK_RECORDS + 6, Kind.TILE)] == kinds(found)


def test_both_directories_damaged_lose_the_segment_and_say_so(folder: Path, twin: MemoryLog) -> None:
    path = folder / "archive" / FIRST
    flip(path, 3)
    flip(path, path.stat().st_size - 1)

    found = held_to(twin, folder, set(range(1, SEGMENT + 1)))

    assert {(1, Kind.ARCHIVE)} == set(kinds(found))
    assert any("cannot be read: its directory" in problem.detail for problem in found.problems)


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 1}', b'{"format": 99, "segments": []}', b"\xff\xfe"])
def test_a_manifest_that_cannot_be_read_is_named_and_the_files_speak_for_themselves(
    folder: Path, twin: MemoryLog, content: bytes
) -> None:
    (folder / "archive" / "manifest.json").write_bytes(content)

    if content == b'{"format": 1}':  # it can be read, and says that there is nothing
        assert (1, Kind.ARCHIVE) in kinds(held_to(twin, folder, set(range(1, 2 * SEGMENT + 1))))
    else:
        assert [(0, Kind.ARCHIVE)] == kinds(held_to(twin, folder, set()))


@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_one_flipped_bit_in_the_manifest_is_found_or_changes_nothing_and_nothing_crashes(
    sound: tuple[Path, MemoryLog], tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
) -> None:
    folder = copied(sound[0], tmp_path_factory.mktemp("manifest") / "log")
    path = folder / "archive" / "manifest.json"
    flip(path, at % path.stat().st_size, bit)
    with DiskLog.open(folder, readonly=True) as log:
        assert list(range(1, SIZE + 1)) == [record.position for record in log.read()]
        assert sound[1].tree_head().root_hash == verify(log).root_hash
        assert list(sound[1].read())[2 * SEGMENT :] == list(log.read(after=2 * SEGMENT))
    shutil.rmtree(folder.parent)


def test_the_next_range_that_is_moved_writes_a_manifest_that_was_lost_anew(folder: Path, twin: MemoryLog) -> None:
    path = folder / "archive" / "manifest.json"
    known = manifest.read(path.parent)
    path.write_bytes(b"{")
    with DiskLog.open(folder) as log:
        log.append(Author(SIZE).write(*range(10_000, 10_200)))
        assert 3 * SEGMENT == seal(log)
        assert verify(log).ok
        assert list(twin.read()) == list(log.read(until=SIZE))
    assert known == (manifest.read(path.parent) or ())[:2]


def test_a_manifest_of_a_newer_version_is_read_past_and_never_written_over(folder: Path) -> None:
    path = folder / "archive" / "manifest.json"
    path.write_bytes(newer := path.read_bytes().replace(b'"format": 1', b'"format": 7'))
    with DiskLog.open(folder) as log:
        log.append(Author(SIZE).write(*range(10_000, 10_200)))
        with pytest.raises(NewerFormat):
            seal(log)
    assert newer == path.read_bytes()


@contextmanager
def no_descriptors() -> Iterator[None]:
    """This process cannot open a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("is_known", [False, True])
def test_a_process_that_can_open_no_file_hears_that_and_nothing_is_taken_for_damaged(
    folder: Path, twin: MemoryLog, *, is_known: bool
) -> None:
    manifested = (folder / "archive" / files.MANIFEST).read_bytes()
    with DiskLog.open(folder) as log:
        if is_known:
            assert 2 * SEGMENT == log.archive.end()
        for ask in (lambda: list(log.read()), lambda: log.histories(streams_of(twin)), lambda: log.tile(0, 0)):
            with no_descriptors(), pytest.raises(StoreError, match="Too many open files"):
                ask()
        assert list(twin.read()) == list(log.read())
        assert [] == list(log.archive.faults())
        with files.alone(folder / "archive"):
            log.archive.mend()
    assert manifested == (folder / "archive" / files.MANIFEST).read_bytes()


def test_a_segment_that_is_another_file_than_its_name_says_is_told(folder: Path, twin: MemoryLog) -> None:
    shutil.copy(folder / "archive" / SECOND, folder / "archive" / FIRST)

    found = held_to(twin, folder, set(range(1, SEGMENT + 1)))

    assert {(1, Kind.ARCHIVE)} == {place for place in kinds(found) if place[1] is Kind.ARCHIVE}


def test_records_that_were_damaged_before_they_were_archived_are_archived_as_they_are(tmp_path: Path) -> None:
    events, claims = history(SIZE)
    with DiskLog.open(tmp_path) as log:
        log.append(events, claims)
    raw.change_record(tmp_path, 10, lambda body: body.replace(b"\xa4test", b"\xa4best"))
    raw.change_record(tmp_path, 300, lambda _: b"not a record")
    raw.cut_record(tmp_path, 20)
    streams = [stream_id(number) for number in range(SIZE // 4)]
    with DiskLog.open(tmp_path) as log:
        known, found = list(answers(log, streams)), verify(log)
        assert 2 * SEGMENT == seal(log)

        assert known == list(answers(log, streams))
        assert found == verify(log)
    assert [(10, Kind.CHANGED), (20, Kind.MISSING), (300, Kind.CHANGED)] == kinds(found)


@pytest.mark.parametrize("places", [(5,), (1,), (2 * SEGMENT,), (1, 1_024), (5, SEGMENT, SIZE + 2)])
def test_planted_records_where_the_archive_has_them_are_added(folder: Path, places: tuple[int, ...]) -> None:
    with raw.opened(folder) as database:
        for place in places:
            database(b"events")[place.to_bytes(8)] = b"planted"

    with DiskLog.open(folder, readonly=True) as log:
        found = verify(log)
    assert [(place, Kind.ADDED) for place in places] == kinds(found)
    assert places[0] == found.first_bad


def test_more_planted_records_than_are_named_are_counted(folder: Path) -> None:
    with raw.opened(folder) as database:
        for place in range(2, 100):
            database(b"events")[place.to_bytes(8)] = b"planted"

    with DiskLog.open(folder, readonly=True) as log:
        found = verify(log)
    assert [(0, Kind.ADDED), *((place, Kind.ADDED) for place in range(2, 18))] == kinds(found)
    assert "82 more than there should be" in found.problems[0].detail


def test_a_log_whose_archive_was_rolled_back_is_not_archived_further(folder: Path) -> None:
    shutil.rmtree(folder / "archive")
    with DiskLog.open(folder) as log:
        log.append(Author(SIZE).write(*range(10_000, 10_600)))
        with pytest.raises(Corrupt, match=f"the archive ends at 0, and everything up to {2 * SEGMENT} has left"):
            Sealing(log, segment_events=SEGMENT).due(LATER, 0)
