"""What is kept beside archived records is verified like any other, and goes when these are deleted."""

from pathlib import Path

import pytest

from tallystick.ledger.archive import deletion
from tallystick.ledger.claims import claims_in
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.facts.tasks import TaskErased, TaskProgressed, TaskPruned, TaskStarted, TaskSucceeded
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.store import keys
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.port import Row
from tallystick.ledger.store.verify import Kind, verify
from tests.aside import marked
from tests.ledger.archive.shelves import SEGMENT, seal
from tests.ledger.store import raw
from tests.ledger.store.make import AT_MS, Author
from tests.ledger.store.sound import found, verified
from tests.story import created

TASKS = 300  # of six or seven events each: every third one was erased


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An archived log of pruned tasks; what is said of each is kept beside it, and of every third one was erased."""
    write(tmp_path)
    return tmp_path


def write(path: Path) -> None:
    author = Author()
    events: list[Event] = []
    for number in range(TASKS):
        told: list[AnyFact] = [created(task=f"task {number}", run_id=f"run-{number}"), TaskStarted()]
        told.append(TaskProgressed(message="a part"))
        if not number % 3:
            told.append(TaskErased(reason="the customer asked for it"))
        for data in (*told, TaskProgressed(message="the rest"), TaskSucceeded(summary="done")):
            events += author.write(number, data=data)
        events += author.write(number, data=TaskPruned(status=Status.SUCCEEDED, ended_at=events[-1].occurred_at))
    told_so, payloads = marked(events)
    claims = {claim: event.stream for event in events for claim in claims_in(event.data)}
    with DiskLog.open(path) as log:
        for first in range(0, len(events), 256):  # an erasure in another batch, too
            batch = told_so[first : first + 256]
            some = {event.position: payloads[event.position] for event in batch if event.position in payloads}
            log.append(batch, claims if not first else {}, {}, some)
        assert 3 * SEGMENT == seal(log)


def delete(log: DiskLog, *, before: int) -> None:
    for entry in deletion.wanted(log.archive, before=before):
        deletion.delete(log, entry, by="cli:operator", at=AT_MS, reason="the contract ended")


def kept(path: Path) -> list[bytes]:
    with raw.opened(path) as database:
        return [key for key, _ in database(keys.PAYLOADS).rows()]


def change(path: Path, key: bytes, value: bytes | None) -> None:
    with raw.opened(path) as database:
        if value is None:
            del database(keys.PAYLOADS)[key]
        else:
            database(keys.PAYLOADS)[key] = value


def test_what_is_kept_of_archived_records_is_verified(folder: Path) -> None:
    assert [] == found(folder)
    first, second, *_ = kept(folder)

    change(folder, first, b"changed")
    change(folder, second, None)

    places = [(keys.payload_of(key)[0], Kind.PAYLOAD) for key in (first, second)]
    assert places == found(folder)
    assert places[0][0] <= SEGMENT


def test_what_was_erased_and_is_still_kept_of_archived_records_is_named(folder: Path) -> None:
    change(folder, keys.payload_key(1, "task"), b"whatever it is")

    assert {(1, Kind.PAYLOAD)} == set(found(folder))
    assert "task is still kept, though the event at 4 erased it" in {each.detail for each in verified(folder).problems}


def test_of_records_whose_segment_is_missing_nothing_is_said_but_that(folder: Path) -> None:
    [segment, *_] = sorted((folder / "archive").glob("*.seg"))
    segment.unlink()

    assert [(1, Kind.ARCHIVE)] == found(folder)


def test_when_records_are_deleted_nothing_of_them_is_missed_and_nothing_may_be_left(folder: Path) -> None:
    with DiskLog.open(folder) as log:
        delete(log, before=SEGMENT + 1)
    assert all(keys.payload_of(key)[0] > SEGMENT for key in kept(folder))
    assert ([], SEGMENT) == (found(folder), verified(folder).deleted)

    change(folder, keys.payload_key(SEGMENT, "message"), b"left")

    assert [(SEGMENT, Kind.PAYLOAD)] == found(folder)
    [problem] = verified(folder).problems
    assert "message is still kept, though the record was deleted: whoever writes next deletes it" == problem.detail


class _Interrupted(DiskLog):
    """A log of which the first segment is deleted between its records and what is kept of them."""

    deleted = 0

    def payloads(self, first: int, last: int, limit: int | None = None) -> list[Row]:
        if not self.deleted:
            delete(self, before=SEGMENT + 1)
            self.deleted = SEGMENT
        return super().payloads(first, last, limit)


def test_what_is_deleted_while_it_is_verified_is_not_missing(folder: Path) -> None:
    with _Interrupted.open(folder) as log:
        assert () == verify(log).problems
        assert SEGMENT == log.deleted
