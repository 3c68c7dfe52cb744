"""Comparing two logs finds the first place where they differ, by few reads, and says what differs there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import tallystick
from tallystick.comparing import Comparison, Proof, Relation, compare
from tallystick.ledger.archive import deletion
from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import TaskStarted
from tallystick.ledger.store import keys
from tallystick.ledger.store.codec import encode
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.testing import HandClock
from tests.face.parts import ORDINARY
from tests.ledger.archive.shelves import write
from tests.projections.histories import histories, logged
from tests.story import BEGIN_MS, Story, created


def many(count: int, *, another: int | None = None) -> MemoryLog:
    """A log with so many tasks; the one at a position says something else."""
    log = MemoryLog()
    log.append(
        [
            Event(
                number,
                b"\x01" * 8 + number.to_bytes(8),
                1,
                BEGIN_MS,
                BEGIN_MS,
                "teller",
                created(label="another" if number == another else "one"),
            )
            for number in range(1, count + 1)
        ]
    )
    return log


class Counting(MemoryLog):
    """A log that counts how often its tiles and records are read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def tile(self, level: int, index: int) -> bytes:
        self.reads += 1
        return super().tile(level, index)


@given(histories(), st.data())
def test_the_first_difference_is_that_of_the_histories(events: list[Event], data: st.DataObject) -> None:
    one = logged(events)
    until = data.draw(st.integers(0, len(events)))
    others = list(events[:until])
    changed = data.draw(st.none() | st.integers(1, until)) if until else None
    if changed is not None:
        others[changed - 1] = replace(others[changed - 1], actor="somebody else")
    other = logged(others)

    for found, shorter in ((compare(one, other), "other"), (compare(other, one), "this")):
        if changed is not None:
            assert found.relation is Relation.DIFFERENT
            assert found.difference is not None
            assert (changed, Proof.TREE, ("actor",)) == (
                found.difference.position,
                found.difference.proof,
                found.difference.differs,
            )
            assert changed - 1 == found.common
        else:
            assert (until, None) == (found.common, found.difference)
            is_equal = until == len(events)
            assert (Relation.EQUAL if is_equal else Relation.PREFIX) == found.relation
            assert (None if is_equal else shorter) == found.shorter
            assert (None if is_equal else events[until]) == found.next
        assert not found.is_damaged


@pytest.mark.parametrize("count", [1, 255, 256, 257, 1_000])
@pytest.mark.parametrize("place", [0.0, 0.3, 1.0])
def test_every_size_and_place_is_found(count: int, place: float) -> None:
    position = max(1, round(count * place))

    found = compare(many(count), many(count, another=position))

    assert found.difference is not None
    assert (position, ("data.label",)) == (found.difference.position, found.difference.differs)
    assert isinstance(found.difference.other, Event)
    assert position == found.difference.other.position


def test_the_trees_find_it_by_a_few_reads_however_long_the_logs_are() -> None:
    one, other = Counting(), many(70_000, another=40_000)
    one.append([event for event in many(70_000).read() if isinstance(event, Event)])

    found = compare(one, other, trees_only=True)

    assert found.difference is not None
    assert (40_000, 39_999) == (found.difference.position, found.unread)
    assert one.reads <= 4


def test_another_event_at_the_same_place_differs_in_all_that_it_says() -> None:
    one, other = Story(created(), TaskStarted()), Story(created(label="x"))
    found = compare(logged(one.events), logged(other.events))

    assert found.difference is not None
    assert ("data.label",) == found.difference.differs


# On disk.


@contextmanager
def two_ledgers() -> Iterator[tuple[Path, Path]]:
    """A ledger, and its backup."""
    with TemporaryDirectory() as folder:
        here, there = Path(folder) / "ledger", Path(folder) / "backup"
        with tallystick.open(here, clock=HandClock()) as ledger:
            for number in range(5):
                ledger.create(**{**ORDINARY, "task": f"Count {number}"})
            ledger.backup(there)
        yield here / "log", there / "log"


def compared(here: Path, there: Path, *, trees_only: bool = False) -> Comparison:
    with (
        DiskLog.open(here, readonly=True, create=False) as one,
        DiskLog.open(there, readonly=True, create=False) as other,
    ):
        return compare(one, other, trees_only=trees_only)


def overwrite(folder: Path, position: int, body: bytes | None) -> None:
    """Put other bytes in the place of a record, without the tree's knowledge."""
    with DiskLog.open(folder) as log:
        events = log.environment.databases[keys.EVENTS]
        key = keys.event_key(position)
        log.environment.write_batch(
            lambda txn: txn.delete(key, db=events) if body is None else txn.put(key, body, db=events)
        )


def test_a_ledger_is_equal_to_its_backup() -> None:
    with two_ledgers() as (here, there):
        found = compared(here, there)

    assert (Relation.EQUAL, 5, 0, ()) == (found.relation, found.common, found.unread, found.faults)
    assert found.this.root_hash == found.other.root_hash


def test_a_record_that_was_changed_behind_the_tree_is_found_by_its_bytes_and_its_ledger_is_named() -> None:
    with two_ledgers() as (here, there):
        with DiskLog.open(here, readonly=True) as log:
            [event] = log.read(2, 3)
        assert isinstance(event, Event)
        overwrite(here, 3, encode(replace(event, actor="nobody")))
        found, trees = compared(here, there), compared(here, there, trees_only=True)

    assert found.difference is not None
    assert (3, Proof.BYTES, ("actor",)) == (
        found.difference.position,
        found.difference.proof,
        found.difference.differs,
    )
    assert [("this", 3)] == [(fault.side, fault.position) for fault in found.faults]
    assert found.is_damaged
    assert (Relation.EQUAL, 5) == (trees.relation, trees.unread)


def test_a_record_that_is_gone_is_named_and_its_hash_speaks_for_it() -> None:
    with two_ledgers() as (here, there):
        overwrite(there, 2, None)
        found = compared(here, there)

    assert (Relation.EQUAL, 1) == (found.relation, found.unread)
    assert [("other", 2, "there is no record")] == [
        (fault.side, fault.position, fault.detail) for fault in found.faults
    ]


def test_without_a_tree_the_bytes_alone_are_compared() -> None:
    with two_ledgers() as (here, there):
        with DiskLog.open(there) as log:
            meta = log.environment.databases[keys.META]
            log.environment.write_batch(lambda txn: txn.delete(keys.EDGE, db=meta))
        with DiskLog.open(here, readonly=True) as log:
            [event] = log.read(3, 4)
        assert isinstance(event, Event)
        overwrite(here, 4, encode(replace(event, actor="nobody")))
        found = compared(here, there)

    assert found.difference is not None
    assert (4, Proof.BYTES) == (found.difference.position, found.difference.proof)
    assert found.other.root_hash is None
    assert {"this", "other"} == {fault.side for fault in found.faults}


@pytest.fixture
def archived(tmp_path: Path) -> tuple[Path, MemoryLog]:
    """The folder of a log whose oldest records are in its archive, and its twin without one."""
    return tmp_path / "log", write(tmp_path / "log")


def test_what_is_in_an_archive_is_compared_as_if_it_were_in_the_log(archived: tuple[Path, MemoryLog]) -> None:
    folder, twin = archived
    events = [event for event in twin.read() if isinstance(event, Event)]
    other = MemoryLog()
    other.append([*events[:300], replace(events[300], actor="nobody"), *events[301:]])
    with DiskLog.open(folder, readonly=True) as log:
        same, found = compare(log, twin), compare(log, other)

    assert (Relation.EQUAL, len(events), 0, ()) == (same.relation, same.common, same.unread, same.faults)
    assert found.difference is not None
    assert (301, ("actor",)) == (found.difference.position, found.difference.differs)


def test_what_was_deleted_with_its_archive_is_compared_by_its_hashes(archived: tuple[Path, MemoryLog]) -> None:
    folder, twin = archived
    with DiskLog.open(folder) as log:
        [first, *_] = log.archive.entries()
        deletion.delete(log, first, by="ops", at=BEGIN_MS, reason="the contract ended")
        found = compare(log, twin)

    assert (Relation.EQUAL, first.last, ()) == (found.relation, found.unread, found.faults)


class Lying(MemoryLog):
    """A log of which one stored hash is another."""

    def __init__(self, level: int, place: int, events: list[Event]) -> None:
        super().__init__()
        self.wrong = level, place
        self.append(events)

    def tile(self, level: int, index: int) -> bytes:
        hashes = super().tile(level, index)
        wrong_level, place = self.wrong
        if (level, index) != (wrong_level, 0):
            return hashes
        return hashes[: place * 32] + bytes(32) + hashes[(place + 1) * 32 :]


@pytest.mark.parametrize(("level", "place", "position"), [(1, 0, 1), (0, 36, 37)])
def test_a_hash_of_the_tree_that_is_not_its_records_is_a_fault_and_no_difference(
    level: int, place: int, position: int
) -> None:
    events = [event for event in many(300 if level else 40).read() if isinstance(event, Event)]

    for trees_only in (False, True):
        found = compare(Lying(level, place, events), logged(events), trees_only=trees_only)

        assert Relation.EQUAL is found.relation
        assert {("this", position)} == {(fault.side, fault.position) for fault in found.faults}
