"""Verification names the first record that is not as it was written and what else is wrong; the rest stays readable."""

from pathlib import Path

import pytest

from tallystick.ledger import limits
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.store import keys
from tallystick.ledger.store.codec import encode
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import Damaged
from tallystick.ledger.store.tree import leaf_hashes, root_from_leaves
from tallystick.ledger.store.verify import Kind, Verification, verify
from tests.ledger.store import raw
from tests.ledger.store.make import Author, event, stream_id
from tests.ledger.store.sound import SIZE, found, history, verified, write


class Dreamed(Fact, frozen=True, tag="task-dreamed.7"):
    """A fact that a newer version may know."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log that nobody has touched."""
    write(tmp_path)
    return tmp_path


def test_a_log_that_nobody_touched_is_sound(folder: Path) -> None:
    events, _ = history()
    root = root_from_leaves(leaf_hashes([encode(event) for event in events]))

    assert Verification(
        ok=True, events=SIZE, head=SIZE, root_hash=root, first_bad=None, problem_count=0, problems=()
    ) == verified(folder)


def test_a_log_in_memory_is_verified_alike(folder: Path) -> None:
    log = MemoryLog()
    log.append(*history())

    assert verified(folder) == verify(log)


def test_who_waits_is_told_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []
    log = MemoryLog()
    log.append(Author().write(*range(2_500)))

    verify(log, progress=lambda done, size: told.append((done, size)))

    assert [(1_024, 2_500), (2_048, 2_500), (2_500, 2_500)] == told


# Records.


@pytest.mark.parametrize("position", [1, 100, 256, 257, 513, 590, SIZE])
def test_a_changed_record_is_named_and_the_others_are_read(folder: Path, position: int) -> None:
    raw.change_record(folder, position, lambda body: body.replace(b"\xa4test", b"\xa4best"))

    verification = verified(folder)

    assert [(position, Kind.CHANGED)] == found(folder)
    assert (False, position, SIZE - 1) == (verification.ok, verification.first_bad, verification.events)


def test_every_changed_record_is_named_the_first_one_first(folder: Path) -> None:
    for position in (400, 30, 31):
        raw.change_record(folder, position, lambda body: body.replace(b"\xa4test", b"\xa4best"))

    assert [(30, Kind.CHANGED), (31, Kind.CHANGED), (400, Kind.CHANGED)] == found(folder)
    assert 30 == verified(folder).first_bad


@pytest.mark.parametrize("position", [2, 300, SIZE])
def test_a_record_that_is_no_event_any_more_is_quarantined_and_named(folder: Path, position: int) -> None:
    raw.change_record(folder, position, lambda _: b"not a record")

    with DiskLog.open(folder, readonly=True) as log:
        records = list(log.read())
        damaged = records.pop(position - 1)
        assert isinstance(damaged, Damaged)
        assert [event for event in history()[0] if event.position != position] == records
        task = log.stream(stream_id((position - 1) // 4))
        assert damaged in task
        assert 4 == len(task)
    assert [(position, Kind.CHANGED)] == found(folder)
    assert damaged.detail in verified(folder).problems[0].detail


@pytest.mark.parametrize("position", [1, 255, 514])
def test_a_record_that_is_cut_out_is_named(folder: Path, position: int) -> None:
    raw.cut_record(folder, position)

    with DiskLog.open(folder, readonly=True) as log:
        gap = Damaged(position, "there is no record")
        assert SIZE == log.head()
        assert gap == list(log.read())[position - 1]
        assert [gap] == list(log.read(after=position - 1, until=position))
        assert gap in log.stream(stream_id((position - 1) // 4))
        assert SIZE - 1 == len(list(log.bodies()))
    assert [(position, Kind.MISSING)] == found(folder)
    assert SIZE - 1 == verified(folder).events


def test_records_that_are_cut_off_the_end_are_named_and_their_positions_not_given_again(folder: Path) -> None:
    for position in (598, 599, 600):
        raw.cut_record(folder, position)

    assert [(598, Kind.CUT_OFF)] == found(folder)
    assert "the log ends at 597; its tree has 600 records" in verified(folder).problems[0].detail
    with DiskLog.open(folder) as log:
        log.append([event(601, 900)])
        assert [598, 599, 600, 601] == [record.position for record in log.read(after=597)]


def test_a_long_end_that_is_cut_off_is_one_problem(tmp_path: Path) -> None:
    write(tmp_path, 3_000)
    with raw.opened(tmp_path) as database:
        events = database(keys.EVENTS)
        for position in range(1_000, 3_001):
            del events[keys.event_key(position)]

    assert [(1_000, Kind.CUT_OFF)] == found(tmp_path)
    assert 999 == verified(tmp_path).events


def test_records_that_changed_places_are_named(folder: Path) -> None:
    with raw.opened(folder) as database:
        events = database(keys.EVENTS)
        one, other = keys.event_key(10), keys.event_key(20)
        events[one], events[other] = events[other], events[one]

    assert [(10, Kind.REORDERED), (20, Kind.REORDERED)] == found(folder)


def test_records_behind_the_end_are_named_and_nothing_is_appended_to_them(folder: Path) -> None:
    with raw.opened(folder) as database:
        database(keys.EVENTS)[keys.event_key(SIZE + 1)] = encode(event(SIZE + 1, 900))
        database(keys.EVENTS)[b"\xffstranger"] = b"what is this"

    assert [(0, Kind.ADDED), (SIZE + 1, Kind.ADDED)] == found(folder)
    with DiskLog.open(folder) as log:
        assert SIZE == log.head()
        assert SIZE == len(list(log.read()))
        with pytest.raises(Corrupt, match="another record"):
            log.append([event(SIZE + 1, 901)])


def test_a_strange_key_among_the_records_is_found_and_hinders_nobody(folder: Path) -> None:
    with raw.opened(folder) as database:
        database(keys.EVENTS)[keys.event_key(5) + b"!"] = b"what is this"

    with DiskLog.open(folder, readonly=True) as log:
        assert history()[0] == list(log.read())
    assert [(0, Kind.ADDED)] == found(folder)


def test_a_record_of_a_newer_version_is_unreadable_and_not_changed(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append([event(1), event(2, 1, 2, data=Dreamed()), event(3, 1, 3)])  # type: ignore[arg-type]

    assert [(2, Kind.UNREADABLE)] == found(tmp_path)
    assert "task-dreamed.7" in verified(tmp_path).problems[0].detail


def test_what_is_wrong_is_counted_beyond_what_is_named(tmp_path: Path) -> None:
    write(tmp_path, 2_000)
    with raw.opened(tmp_path) as database:
        events = database(keys.EVENTS)
        for position in range(5, 1_505):
            events[keys.event_key(position)] = b"gone"

    verification = verified(tmp_path)

    assert 1_500 == verification.problem_count
    assert limits.PROBLEMS_KEPT_MAX == len(verification.problems)
    assert (5, 500) == (verification.first_bad, verification.events)


def test_a_whole_history_that_is_written_anew_has_another_root(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    events, claims = history()
    events[299] = event(300, 74, 4, data=events[0].data)
    with DiskLog.open(other) as log:
        log.append(events, claims)

    assert verified(other).root_hash != verified(folder).root_hash
