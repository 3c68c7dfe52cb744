"""Ranges move into the archive when they are old enough and there is room, beside writers and readers."""

import fcntl
import os
import shutil
import stat
from pathlib import Path

import pytest

from tallystick.ledger.archive import files
from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.errors import Corrupt, Full, NewerFormat
from tallystick.ledger.events import Event
from tallystick.ledger.store import keys, layout
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.verify import verify
from tests.ledger.archive.shelves import LATER, SEGMENT, SIZE, answers, seal, streams_of, write
from tests.ledger.store import raw
from tests.ledger.store.environment_support import finish, said, start
from tests.ledger.store.make import AT_MS, Author, event, stream_id
from tests.ledger.store.sound import history
from tests.ledger.store.test_disk_log import files_at_most
from tests.ledger.store.test_room import own_disk


def segments_in(folder: Path) -> list[str]:
    """The files of an archive that have records, finished or not."""
    others = (files.LOCK, files.MANIFEST)
    return sorted(path.name for path in (folder / "archive").iterdir() if path.name not in others)


def test_a_segment_is_due_when_its_newest_event_is_old_enough_and_not_before(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append(*history(SIZE))
        sealing = Sealing(log, segment_events=SEGMENT)
        recorded = AT_MS + SEGMENT  # of the last event of the first segment

        assert sealing.due(recorded + 999, 1_000) is None
        assert not sealing.step()
        assert range(1, SEGMENT + 1) == sealing.due(recorded + 1_000, 1_000)


def test_all_that_is_due_is_told_at_once_in_the_order_in_which_it_moves(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append(*history(SIZE))
        first, second = range(1, SEGMENT + 1), range(SEGMENT + 1, 2 * SEGMENT + 1)

        def due(now: int) -> list[range]:
            return Sealing(log, segment_events=SEGMENT).all_due(now, 0)

        at = [AT_MS + SEGMENT - 1, AT_MS + SEGMENT, AT_MS + 2 * SEGMENT - 1, AT_MS + 2 * SEGMENT]
        assert [[], [first], [first], [first, second]] == [due(now) for now in at]
        seal(log, segments=1)
        assert [second] == due(LATER)
        seal(log)
        assert [] == due(LATER)


def test_an_incomplete_segment_is_never_due(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append(Author().write(*range(SEGMENT - 1)))
        sealing = Sealing(log, segment_events=SEGMENT)
        assert sealing.due(LATER, 0) is None
        log.append([event(SEGMENT, 9_999)])
        assert range(1, SEGMENT + 1) == sealing.due(LATER, 0)


def test_a_log_whose_records_are_all_archived_goes_on_as_before(tmp_path: Path) -> None:
    author = Author()
    with DiskLog.open(tmp_path) as log:
        log.append(author.write(*range(2 * SEGMENT)))
        assert 2 * SEGMENT == seal(log)
        assert 2 * SEGMENT == log.head()
    for _ in range(2):
        with DiskLog.open(tmp_path) as log:
            log.append(author.write(1, 2, 99_999))
            assert verify(log).ok
            first, second = log.stream(stream_id(1))[:2]
            assert isinstance(first, Event)
            assert isinstance(second, Event)
            assert (1, 2) == (first.version, second.version)


def test_archiving_raises_the_number_of_the_format_so_that_older_versions_do_not_see_gaps(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append(*history(SIZE))
    with raw.opened(tmp_path) as database:
        assert keys.format_value(layout.FORMAT_FIRST) == database(keys.META)[keys.FORMAT]

    with DiskLog.open(tmp_path) as log:
        seal(log)

    with raw.opened(tmp_path) as database:
        assert keys.format_value(layout.FORMAT_ARCHIVED) == database(keys.META)[keys.FORMAT]
        assert [] == [row for row in database(keys.TILES).rows() if row[0] < keys.tile_key(0, 4)]
        assert SIZE - 2 * SEGMENT == len(database(keys.EVENTS).rows())


def test_only_whoever_owns_the_files_may_look_at_them(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(tmp_path / "log")
    finally:
        os.umask(before)

    folder = tmp_path / "log" / "archive"
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_the_pages_that_were_given_back_are_used_for_what_is_written_next(tmp_path: Path) -> None:
    author = Author()
    with DiskLog.open(tmp_path) as log:
        log.append(author.write(*range(8 * 4_096)))
        seal(log, segment_events=4_096)
        size = (tmp_path / "data.mdb").stat().st_size
        for _ in range(4):
            log.append(author.write(*range(50_000, 50_000 + 4_096)))

        assert size * 1.1 > (tmp_path / "data.mdb").stat().st_size


def test_records_never_leave_the_log_for_an_archive_that_does_not_have_them(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append(*history(SIZE))
        for until in (SEGMENT, 100):
            with pytest.raises(Corrupt):
                log.let_go(until)
        assert 0 == log.archived()


def test_a_range_that_is_not_what_the_tree_was_built_from_stays_in_the_log(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append(*history(SIZE))
    raw.change_record(tmp_path, 300, raw.flipped)
    with raw.opened(tmp_path) as database:
        tiles = database(keys.TILES)
        [(key, hashes)] = [row for row in tiles.rows() if row[0].startswith(keys.tile_key(0, 1))]
        tiles[key] = raw.flipped(hashes)

    with DiskLog.open(tmp_path) as log:
        known = list(log.read())
        with pytest.raises(Corrupt, match="at position 257"):
            seal(log)
        assert (0, known) == (log.archived(), list(log.read()))
        assert [] == segments_in(tmp_path)
        log.append([event(SIZE + 1, 9_999)])


@pytest.mark.parametrize("size", [300, SEGMENT, 700])
def test_a_log_that_was_put_back_and_went_on_keeps_what_its_archive_has_otherwise(tmp_path: Path, size: int) -> None:
    early, late = tmp_path / "early", tmp_path / "late"
    author = Author()
    with DiskLog.open(early) as log:
        log.append(author.write(*range(size)))
    shutil.copytree(early, late)
    with DiskLog.open(late) as log:
        log.append(author.write(*range(SIZE - size)))
        assert 2 * SEGMENT == seal(log)
    shutil.copytree(late / "archive", early / "archive")

    with DiskLog.open(early) as log:
        log.append([event(position, 50_000 + position) for position in range(size + 1, SIZE + 1)])
        known = list(log.read())
        with pytest.raises(Corrupt, match="other records from here on than the log"):
            seal(log)
        assert known == list(log.read())
        assert verify(log).ok


def test_what_was_archived_before_a_kill_leaves_the_log_only_while_the_archive_has_it(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append(*history(SIZE))
        sealing = Sealing(log, segment_events=SEGMENT)
        assert sealing.due(LATER, 0) is not None
        while log.archive.end() < SEGMENT:
            sealing.step()
        sealing.close()
        [segment] = (tmp_path / "archive").glob("*.seg")
        content = segment.read_bytes()
        segment.write_bytes(content[:-20_000])
        with pytest.raises(Corrupt, match="other records from here on than the log"):
            seal(log)
        assert 0 == log.archived()
        segment.write_bytes(content)
        assert 2 * SEGMENT == seal(log)
        assert verify(log).ok


def test_a_process_that_was_killed_before_the_first_manifest_leaves_an_archive_without_a_fault(tmp_path: Path) -> None:
    write(tmp_path / "finished")
    with DiskLog.open(tmp_path / "log") as log:
        log.append(*history(SIZE))
        sealing = Sealing(log, segment_events=SEGMENT)
        assert sealing.due(LATER, 0) is not None
        sealing.step()
        sealing.close()
        segment = min((tmp_path / "finished" / "archive").glob("*.seg"))
        shutil.copy(segment, tmp_path / "log" / "archive")  # as it stands there before the manifest names it

        assert () == verify(log).problems
        assert () == log.archive.entries()
        assert 2 * SEGMENT == seal(log)


def test_a_child_that_was_forked_while_the_manifest_changed_keeps_nobody_from_changing_it(tmp_path: Path) -> None:
    out, into = os.pipe()
    with files.alone(tmp_path):
        child = os.fork()
        if not child:
            os.close(into)
            os.read(out, 1)
            os._exit(0)
    try:
        with (tmp_path / files.LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(into)
        os.close(out)
        os.waitpid(child, 0)


def test_no_snapshot_is_held_while_the_archive_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    opened, readers = os.open, set[int]()
    with DiskLog.open(tmp_path) as log:
        streams = streams_of(log)

        def watched(path: str, *given: int, **named: int) -> int:
            readers.add(log.environment.info().readers)
            return opened(path, *given, **named)

        monkeypatch.setattr(os, "open", watched)
        log.histories(streams)
        log.newest(streams)
        log.stream(streams[0])
        log.records(1, SIZE)
        log.tile(0, 0)

    assert {0} == readers


def test_a_segment_has_whole_blocks() -> None:
    for events in (0, -256, 255, 1_000):
        with pytest.raises(ValueError, match="multiple of 256"):
            Sealing(None, segment_events=events)  # type: ignore[arg-type] # it is not asked


def test_two_processes_read_the_same_while_a_third_one_archives_and_writes(tmp_path: Path) -> None:
    script = """
    from itertools import count
    from tallystick.ledger.store.disk import DiskLog
    from tallystick.ledger.store.verify import verify
    from tallystick.ledger.events import Event
    with DiskLog.open(Path(sys.argv[1]), readonly=True) as log:
        print("ready", flush=True)
        archived = set()
        while log.head() < int(sys.argv[2]):
            head = log.head()
            events = list(log.read(until=head))
            assert list(range(1, head + 1)) == [event.position for event in events], "a position is missing"
            assert all(isinstance(event, Event) for event in events)
            some = events[len(archived) * 7_919 % head]
            assert some in log.stream(some.stream)
            archived.add(log.archived())
        assert verify(log).ok
        print(len(archived) > 2, flush=True)
    """
    author = Author()
    end = 20 * SEGMENT
    with DiskLog.open(tmp_path) as log:
        log.append(author.write(*range(SEGMENT)))
        readers = [start(script, tmp_path, end) for _ in range(2)]
        assert ["ready"] * 2 == [said(reader) for reader in readers]
        sealing = Sealing(log, segment_events=SEGMENT)
        while log.head() < end:
            log.append(author.write(*range(100_000, 100_000 + 64)))
            if sealing.due(LATER, 0) is not None:
                sealing.step()
        assert [["True"]] * 2 == [finish(reader) for reader in readers]
        sealing.close()


def test_without_room_for_a_segment_nothing_is_left_of_it_and_it_is_moved_when_there_is(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append(*history(SIZE))
        with files_at_most(10_000), pytest.raises(Full, match="may not grow"):
            seal(log)
        assert [] == segments_in(tmp_path)
        log.append([event(SIZE + 1, 9_999)])
        assert 2 * SEGMENT == seal(log)
        assert verify(log).ok


def test_a_full_disk_leaves_the_log_as_it_is_and_the_move_goes_on_when_there_is_space(tmp_path: Path) -> None:
    process = start(
        """
    from tallystick.ledger.archive.sealing import Sealing
    from tallystick.ledger.errors import Full
    from tallystick.ledger.store.disk import DiskLog
    from tallystick.ledger.store.verify import verify
    from tests.ledger.store.sound import history
    disk = Path(sys.argv[1])
    def move(sealing):
        while sealing.due(1 << 50, 0) is not None:
            while sealing.step():
                pass
    with DiskLog.open(disk / "log", map_bytes=1 << 26) as log:
        log.append(*history(1_100))
        sealing = Sealing(log, segment_events=512)
        ballast = (disk / "ballast").open("wb", buffering=0)
        try:
            while ballast.write(bytes(4096)):
                pass
        except OSError:
            pass
        for _ in range(2):
            try:
                move(sealing)
            except Full as error:
                print("full", flush=True)
        print(log.archived(), verify(log).ok, [path.name for path in (disk / "log").glob("archive/*.*")])
        ballast.close()
        (disk / "ballast").unlink()
        move(sealing)
        print(log.archived(), verify(log).ok)
    """,
        tmp_path,
        prefix=own_disk(tmp_path),
    )

    assert ["full", "full", "0", "True", "[]", "1024", "True"] == finish(process)


def test_a_log_with_a_newer_format_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    with raw.opened(tmp_path) as database:
        database(keys.META)[keys.FORMAT] = keys.format_value(layout.FORMAT + 1)

    with pytest.raises(NewerFormat):
        DiskLog.open(tmp_path)


def test_moving_half_a_range_and_opening_again_changes_no_answer(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append(*history(SIZE))
        streams = streams_of(log)
        twin = list(answers(log, streams))
        for steps in range(1, 9):
            sealing = Sealing(log, segment_events=SEGMENT)
            if sealing.due(LATER, 0) is not None:
                for _ in range(steps):
                    sealing.step()
            sealing.close()
            assert twin == list(answers(log, streams))
