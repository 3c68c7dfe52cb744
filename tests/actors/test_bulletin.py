"""The bulletin: notes are written a few at a time, in rounds, and who waits for one hears what became of it."""

import logging
from collections import deque
from typing import Any

import pytest
from msgspec import msgpack
from msgspec.structs import replace

from tallystick.actors.envelope import ExcInfo, Reply
from tallystick.actors.watching.bulletin import AT_ONCE, Bulletin, Published
from tallystick.actors.watching.sightings import Sightings
from tallystick.ledger.errors import Closed, Full
from tallystick.ledger.facts.tasks import TaskStarted
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import WATCHED_SILENCE_MS
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.verdict import Verdict
from tallystick.projections.watched import WATCHED_NOTE, WATCHED_NOTES, Watched, watched
from tests.story import BEGIN_MS, Story, created

NOW_MS = BEGIN_MS + 2 * WATCHED_SILENCE_MS
RECORD = Story(created(), TaskStarted()).record


def running(number: int) -> TaskRecord:
    return replace(RECORD, task_id=id_text(RECORD.stream[:-4] + number.to_bytes(4)), last_event_at=BEGIN_MS)


class Waits:
    """Somebody who waits for the end of a round."""

    def __init__(self) -> None:
        self.heard: list[BaseException | None] = []

    def set(self, _value: Any = None) -> None:
        self.heard.append(None)

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        self.heard.append(exc_info and exc_info[1])

    def fail(self, error: BaseException) -> None:
        self.heard.append(error)


class Writer:
    """Writes notes when it is told to, and hands the answers back."""

    def __init__(self, before: Watched | None = None) -> None:
        self.log = MemoryLog()
        self.waiting: deque[tuple[bytes, bytes, Reply]] = deque()
        self.answers: deque[Published] = deque()
        self.names: list[bytes] = []
        self.seen = Sightings(before or Watched(), NOW_MS, interval_ms=60_000)
        self.bulletin = Bulletin(self.seen, self._keep, self.answers.append)

    def _keep(self, name: bytes, value: bytes, reply: Reply) -> None:
        self.waiting.append((name, value, reply))

    def sees(self, *numbers: int) -> None:
        for number in numbers:
            self.seen.saw(running(number), "acp", Verdict.alive(), NOW_MS)

    def write(self, error: BaseException | None = None) -> None:
        """Write the next note, or fail to."""
        name, value, reply = self.waiting.popleft()
        self.names.append(name)
        if error is None:
            self.log.append((), notes={name: value})
            reply.set(None)
        else:
            reply.fail(error)
        while self.answers:
            self.bulletin.published(self.answers.popleft())

    def write_all(self) -> None:
        while self.waiting:
            self.write()


def test_many_notes_are_written_a_few_at_a_time_and_who_waits_hears_when_all_of_them_are() -> None:
    writer, waits = Writer(), Waits()
    writer.sees(*range(WATCHED_NOTES))

    writer.bulletin.publish(NOW_MS, [waits])
    under_way = set()
    while writer.waiting:
        assert [] == waits.heard
        under_way.add(len(writer.waiting))
        writer.write()

    assert AT_ONCE == max(under_way)
    assert [None] == waits.heard
    assert WATCHED_NOTES == len(watched(writer.log).alive)


def test_who_waits_for_nothing_is_answered_at_once() -> None:
    writer, waits = Writer(), Waits()

    writer.bulletin.publish(NOW_MS, [waits])

    assert [None] == waits.heard


def test_one_round_follows_the_other_and_writes_nothing_a_second_time() -> None:
    writer, first, second = Writer(), Waits(), Waits()
    writer.sees(1)
    writer.bulletin.publish(NOW_MS, [first])
    writer.sees(2)
    writer.bulletin.publish(NOW_MS, [second])
    writer.bulletin.publish_now_and_then(NOW_MS + 60_000)

    writer.write()
    between = list(first.heard), list(second.heard)
    writer.write_all()

    assert ([None], []) == between
    assert [None] == second.heard
    assert [b"watched:01", b"watched:02"] == writer.names


def test_on_a_full_disk_a_round_is_given_up_and_the_next_one_tells_it_all(caplog: pytest.LogCaptureFixture) -> None:
    writer, waits = Writer(), Waits()
    writer.sees(*range(2 * AT_ONCE))
    writer.bulletin.publish(NOW_MS, [waits])
    for _ in range(AT_ONCE):
        writer.write(Full("the disk", bytes=0))

    assert not writer.waiting, "it is not asked for the others"
    assert [Full] == [type(error) for error in waits.heard]
    assert ["sightings_not_written"] == [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
    writer.bulletin.publish_now_and_then(NOW_MS + 1)
    writer.write_all()
    assert {running(number).stream for number in range(2 * AT_ONCE)} == watched(writer.log).alive.keys()


def test_what_was_told_in_one_note_is_not_taken_out_of_it_before_the_others_are_durable() -> None:
    alive = {running(number).stream: NOW_MS for number in range(AT_ONCE + 2)}
    writer = Writer(Watched(alive, is_in_one=True))
    writer.log.append((), notes={WATCHED_NOTE: msgpack.encode((alive, {}))})

    writer.bulletin.publish(NOW_MS)
    while writer.waiting:
        assert alive == watched(writer.log).alive
        assert WATCHED_NOTE not in {name for name, _, _ in writer.waiting} or 1 == len(writer.waiting)
        writer.write()

    assert Watched(alive) == watched(writer.log)
    assert WATCHED_NOTE == writer.names[-1]


def test_if_one_of_them_is_not_written_the_one_note_stays_as_it_was() -> None:
    alive = {running(number).stream: NOW_MS for number in range(3)}
    writer = Writer(Watched(alive, is_in_one=True))
    writer.log.append((), notes={WATCHED_NOTE: msgpack.encode((alive, {}))})
    writer.bulletin.publish(NOW_MS)
    writer.write(Full("the disk", bytes=0))
    writer.write_all()
    assert WATCHED_NOTE not in writer.names

    writer.bulletin.publish(NOW_MS)
    writer.write_all()

    assert Watched(alive) == watched(writer.log)


def test_when_the_ledger_closes_who_waits_is_told_so_and_nothing_is_complained_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer, first, second = Writer(), Waits(), Waits()
    writer.sees(1)
    writer.bulletin.publish(NOW_MS, [first])
    writer.bulletin.publish(NOW_MS, [second])

    writer.bulletin.abandon()
    writer.write(Closed())

    assert [[Closed], [Closed]] == [[type(error) for error in waits.heard] for waits in (first, second)]
    assert [] == [each for each in caplog.records if each.levelno >= logging.ERROR]
