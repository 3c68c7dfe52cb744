"""What is kept beside the log is verified while others write and erase, with a bound on what is remembered."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tallystick.ledger.facts.tasks import TaskProgressed, TaskStarted
from tallystick.ledger.store import keys, payload_check
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import Row, Stored
from tallystick.ledger.store.verify import SLICE_RECORDS, verify
from tests.aside import marked
from tests.ledger.store.beside import ERASED, claims_of, put_rows, rows_of, tell
from tests.ledger.store.make import Author
from tests.ledger.store.sound import found, verified
from tests.story import created


class _Meanwhile:
    """Does something as soon as the first slice of a verification is done."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work: Callable[[], None] | None = work

    def __call__(self, _seen: int, _size: int) -> None:
        work, self.work = self.work, None
        if work is not None:
            work()


def long_log(path: Path) -> Iterator[tuple[DiskLog, Author]]:
    author = Author()
    events, payloads = marked(
        [
            *author.write(1, data=created(task="one", run_id="run")),
            *author.write(*range(2, SLICE_RECORDS + 2)),
            *author.write(1, data=TaskProgressed(message="behind the first slice")),
        ]
    )
    with DiskLog.open(path) as log:
        log.append(events, claims_of(events), {}, payloads)
        yield log, author


def test_what_is_erased_or_written_meanwhile_is_no_damage(tmp_path: Path) -> None:
    for log, author in long_log(tmp_path):

        def go_on(log: DiskLog = log, author: Author = author) -> None:
            events, payloads = marked(
                [*author.write(1, data=ERASED), *author.write(1, data=TaskProgressed(message="and on"))]
            )
            log.append(events, {}, {}, payloads)

        assert () == verify(log, progress=_Meanwhile(go_on)).problems
        assert () == verify(log).problems


@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_however_little_is_remembered_the_same_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(payload_check, "WAITING_MAX", most)
    tasks = (1, 2, 3, 4)
    tell(
        tmp_path,
        *((number, created(task=f"task {number}")) for number in tasks),
        *((number, TaskStarted()) for number in range(10, SLICE_RECORDS + 10)),
        *((number, ERASED) for number in tasks[1:]),
        *((number, TaskProgressed(message="and on")) for number in tasks),
        *((number, TaskStarted()) for number in range(5_000, SLICE_RECORDS + 5_000)),
        *((number, ERASED) for number in tasks[:3]),
    )
    assert [] == found(tmp_path)
    rows = {keys.payload_of(key)[0]: key for key in rows_of(tmp_path)}
    put_rows(tmp_path, {keys.payload_key(1, "task"): b"x", keys.payload_key(3, "task"): b"y"})

    # What is there again was changed, too; of the fourth task the last message is missing.
    assert [1, 1, 3, 3, max(rows)] == [problem.position for problem in verified(tmp_path).problems]


class _Counting(MemoryLog):
    """A log that counts what is read of it beside its records in their order."""

    histories_read = places_read = 0

    def stream(self, stream: bytes, after_version: int = 0) -> list[Stored]:
        self.histories_read += 1
        return super().stream(stream, after_version)

    def payloads(self, first: int, last: int, limit: int | None = None) -> list[Row]:
        self.places_read += first == last
        return super().payloads(first, last, limit)


@pytest.mark.parametrize(("most", "histories_read", "places_read"), [(100, 0, 3), (1, 2, 7)])
def test_it_is_remembered_what_was_looked_at_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch, most: int, histories_read: int, places_read: int
) -> None:
    monkeypatch.setattr(payload_check, "WAITING_MAX", most)
    monkeypatch.setattr(payload_check, "ERASED_MAX", most)
    author = Author()
    created_first = [event for number in (1, 2) for event in author.write(number, data=created(task="one"))]
    between = author.write(*range(10, SLICE_RECORDS + 10))
    erased = [event for _ in range(2) for number in (1, 2) for event in author.write(number, data=ERASED)]
    told, payloads = marked([*created_first, *between, *erased])
    log = _Counting()
    log.append(told, {}, {}, payloads)

    assert () == verify(log).problems
    assert (histories_read, places_read) == (log.histories_read, log.places_read)
