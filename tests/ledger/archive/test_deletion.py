"""Deleting archives is explicit, goes from the oldest on, and leaves a tree that can still be verified."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from tallystick.ledger.archive import deletion, files, manifest
from tallystick.ledger.archive.reader import Archive
from tallystick.ledger.archive.segment import Segment
from tallystick.ledger.claims import claims_of
from tallystick.ledger.errors import Corrupt, Full, Refused
from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import TaskProgressed, TaskPruned, TaskStarted, TaskSucceeded
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.index_check import WINDOW_POSITIONS, WINDOWS_SEARCHED_MAX
from tallystick.ledger.store.port import Deleted
from tallystick.ledger.store.verify import Kind, verify
from tests.ledger.archive.shelves import SEGMENT, seal
from tests.ledger.store.make import AT_MS, Author, stream_id
from tests.ledger.store.test_disk_log import files_at_most
from tests.story import created

TASKS = 500  # of five events each
BY, AT, REASON = "cli:operator", AT_MS + 10**9, "the contract ended"


def write(path: Path, *, pruned: Callable[[int], bool] = lambda _: True) -> None:
    """Make a log of tasks that ended, most of them pruned, with four segments of the archive."""
    author = Author()
    events: list[Event] = []
    claims: dict[bytes, bytes] = {}
    for number in range(TASKS):
        creation = created(run_id=f"run-{number}")
        for data in (creation, TaskStarted(), TaskProgressed(), TaskSucceeded()):
            events += author.write(number, data=data)
        if pruned(number):
            events += author.write(number, data=TaskPruned(status=Status.SUCCEEDED, ended_at=events[-1].occurred_at))
        claims |= dict.fromkeys(claims_of(creation), stream_id(number))
    with DiskLog.open(path) as log:
        log.append(events, claims)
        assert 4 * SEGMENT == seal(log)


def delete(log: DiskLog, *, before: int) -> list[manifest.Entry]:
    entries = deletion.wanted(log.archive, before=before)
    deletion.check(log, entries)
    return [deletion.delete(log, entry, by=BY, at=AT, reason=REASON) for entry in entries]


def names(path: Path) -> list[str]:
    return sorted(each.name for each in (path / "archive").iterdir() if each.suffix in (".seg", ".tiles"))


def test_what_lies_wholly_before_a_position_or_a_moment_is_wanted(tmp_path: Path) -> None:
    write(tmp_path)
    archive = Archive(tmp_path / "archive")

    def lasts(**given: int) -> list[int]:
        return [entry.last for entry in deletion.wanted(archive, **given)]

    assert [] == lasts(before=SEGMENT)
    assert [SEGMENT] == lasts(before=SEGMENT + 1)
    assert [SEGMENT, 2 * SEGMENT] == lasts(before=3 * SEGMENT)
    assert [] == lasts(recorded_before=AT_MS + SEGMENT)
    assert [SEGMENT] == lasts(recorded_before=AT_MS + SEGMENT + 1)
    assert 4 == len(lasts(recorded_before=AT, before=10**9))
    assert [] == [entry.last for entry in deletion.wanted(Archive(tmp_path / "nowhere"), before=10**9)]


def test_a_segment_of_which_nobody_knows_when_it_was_recorded_is_before_no_moment(tmp_path: Path) -> None:
    write(tmp_path)
    archive = Archive(tmp_path / "archive")
    first, *others = archive.entries()
    manifest.write(archive.folder, [replace(first, recorded_first=0, recorded_last=0), *others])

    assert () == deletion.wanted(archive, recorded_before=AT)
    assert 4 == len(deletion.wanted(archive, before=10**9))


def test_deleted_records_are_told_as_deleted_and_the_log_verifies_to_the_same_root(tmp_path: Path) -> None:
    write(tmp_path)
    with DiskLog.open(tmp_path) as log:
        known, before = list(log.read()), verify(log)

        [first, second] = delete(log, before=2 * SEGMENT + 1)

        for position, record in enumerate(log.read(), 1):
            if position > 2 * SEGMENT:
                assert known[position - 1] == record
            else:
                assert isinstance(record, Deleted)
                assert (position, BY, AT, REASON) == (record.position, record.by, record.at, record.reason)
                assert REASON in record.detail
        found = verify(log)
        assert found.ok
        assert (before.root_hash, before.events - 2 * SEGMENT, 2 * SEGMENT) == (
            found.root_hash,
            found.events,
            found.deleted,
        )
        assert (True, BY, AT, REASON) == (first.is_deleted, first.deleted_by, first.deleted_at, first.reason)
        assert (first, second) == log.archive.entries()[:2]
    assert [".tiles", ".tiles", ".seg", ".seg"] == [name[-name[::-1].index(".") - 1 :] for name in names(tmp_path)]


def test_a_stream_keeps_what_stands_in_later_segments_and_its_place(tmp_path: Path) -> None:
    write(tmp_path)
    with DiskLog.open(tmp_path) as log:
        straddling = stream_id(SEGMENT // 5)
        whole = log.stream(straddling)

        delete(log, before=SEGMENT + 1)

        now = log.stream(straddling)
        assert [isinstance(record, Deleted) for record in now] == [event.position <= SEGMENT for event in whole]
        assert now[-1] == whole[-1]
        assert now == log.histories([straddling])[straddling]
        assert TASKS == sum(map(len, log.claims()))


def test_segments_in_which_something_is_not_pruned_are_refused_and_it_is_named(tmp_path: Path) -> None:
    write(tmp_path, pruned=lambda number: number != 150)
    with DiskLog.open(tmp_path) as log:
        assert 1 == len(delete(log, before=SEGMENT + 1))
        with pytest.raises(Refused, match="not pruned") as refused:
            delete(log, before=2 * SEGMENT + 1)

        assert (id_text(stream_id(150)), "succeeded") == (refused.value.token, refused.value.status)
        assert isinstance(list(log.read())[SEGMENT], Event)
        assert verify(log).ok


def test_a_segment_with_records_that_cannot_be_read_stays_for_nobody_knows_what_they_say(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "archive" / names(tmp_path)[0]
    content = bytearray(path.read_bytes())
    content[Segment(path, 1, SEGMENT).directory().place(1).offset] ^= 1
    path.write_bytes(content)
    with DiskLog.open(tmp_path) as log, pytest.raises(Refused, match="cannot be read") as refused:
        delete(log, before=SEGMENT + 1)

    assert (id_text(stream_id(257 // 5)), "not readable") == (refused.value.token, refused.value.status)


def test_deleting_again_changes_nothing_and_what_is_gone_cannot_be_deleted(tmp_path: Path) -> None:
    write(tmp_path)
    with DiskLog.open(tmp_path) as log:
        [first] = delete(log, before=SEGMENT + 1)
        assert first == deletion.delete(log, first, by="somebody else", at=1, reason="again")
        (tmp_path / "archive" / names(tmp_path)[1]).unlink()
        with pytest.raises(Corrupt, match="put the file back"):
            deletion.delete(log, log.archive.entries()[1], by=BY, at=AT, reason=REASON)


def test_more_is_archived_behind_what_was_deleted_and_all_of_it_verifies(tmp_path: Path) -> None:
    write(tmp_path)
    with DiskLog.open(tmp_path) as log:
        delete(log, before=10**9)
        log.append(Author(log.head()).write(*range(9_000, 9_000 + 2 * SEGMENT)))
        assert 6 * SEGMENT == seal(log)

        found = verify(log)

        assert (True, 4 * SEGMENT) == (found.ok, found.deleted)


def test_more_events_than_the_index_is_searched_for_are_deleted_without_a_doubt_about_the_index(tmp_path: Path) -> None:
    author, size = Author(), (WINDOWS_SEARCHED_MAX + 1) * WINDOW_POSITIONS
    with DiskLog.open(tmp_path) as log:
        log.append(author.write(*range(size - 1), size - 2))
        assert size == seal(log, segment_events=size)
        [entry] = log.archive.entries()
        deletion.delete(log, entry, by=BY, at=AT, reason=REASON)

        found = verify(log)

        assert ((), size) == (found.problems, found.deleted)


def test_remains_that_are_altered_or_gone_are_named(tmp_path: Path) -> None:
    write(tmp_path)
    with DiskLog.open(tmp_path) as log:
        root = verify(log).root_hash
        delete(log, before=2 * SEGMENT + 1)
    one, other = (tmp_path / "archive" / name for name in names(tmp_path)[:2])
    content = bytearray(one.read_bytes())
    content[-5] ^= 1
    one.write_bytes(content)
    other.unlink()

    with DiskLog.open(tmp_path, readonly=True) as log:
        found = verify(log)

    assert [(257, Kind.TILE), (SEGMENT + 1, Kind.ARCHIVE)] == [(each.position, each.kind) for each in found.problems]
    assert root == found.root_hash


def test_remains_that_tell_another_story_than_the_manifest_are_named(tmp_path: Path) -> None:
    write(tmp_path)
    with DiskLog.open(tmp_path) as log:
        delete(log, before=SEGMENT + 1)
    path = tmp_path / "archive" / files.MANIFEST
    path.write_text(path.read_text("utf-8").replace(REASON, "by mistake"), "utf-8")

    with DiskLog.open(tmp_path, readonly=True) as log:
        [problem] = verify(log).problems

    assert (1, Kind.ARCHIVE) == (problem.position, problem.kind)


def test_a_deletion_without_room_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    with DiskLog.open(tmp_path) as log:
        known, before = list(log.read()), names(tmp_path)
        with files_at_most(2_000), pytest.raises(Full):
            delete(log, before=SEGMENT + 1)

        assert before == names(tmp_path)
        assert known == list(log.read())
        assert verify(log).ok
