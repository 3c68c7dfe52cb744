"""The sightings: what is noted of many tasks, and what of a note that was not written."""

from msgspec.structs import replace

from tallystick.actors.watching.sightings import KEPT_MAX, Sightings
from tallystick.ledger.facts.tasks import TaskStarted
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import WATCHED_SILENCE_MS, WATCHED_TASKS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.verdict import Verdict
from tallystick.projections.watched import WATCHED_NOTE, Watched, note_of, watched
from tests.story import BEGIN_MS, Story, created

NOW_MS = BEGIN_MS + 2 * WATCHED_SILENCE_MS
MANY = 5
RECORD = Story(created(), TaskStarted()).record


def sightings(before: Watched | None = None) -> Sightings:
    return Sightings(before or Watched(), NOW_MS, interval_ms=60_000)


def running(number: int, heard_at: int = BEGIN_MS) -> TaskRecord:
    return replace(RECORD, task_id=id_text(RECORD.stream[:-4] + number.to_bytes(4)), last_event_at=heard_at)


def told(seen: Sightings, now: int = NOW_MS) -> Watched | None:
    """What the note tells, read as every process reads it."""
    note = seen.note(now)
    if note is None:
        return None
    log = MemoryLog()
    log.append((), notes=dict([note]))
    return watched(log)


def test_of_too_many_those_are_noted_that_are_silent_for_the_shortest_time() -> None:
    seen = sightings()
    records = [running(number, BEGIN_MS + number) for number in range(KEPT_MAX + MANY)]
    for record in records:
        seen.saw(record, "acp", Verdict.alive(), NOW_MS)
    for record in records:
        seen.saw(record, "acp", Verdict.unknown(), NOW_MS)

    found = told(seen)

    newest = {record.stream for record in records[-WATCHED_TASKS_MAX:]}
    assert found is not None
    assert newest == found.alive.keys() == found.unknown.keys()


def test_what_was_noted_already_is_not_noted_again_until_it_changes() -> None:
    seen = sightings()
    assert None is told(seen)
    seen.saw(running(1), "acp", Verdict.unknown("locked"), NOW_MS)
    first = told(seen)
    seen.saw(running(1), "acp", Verdict.unknown("locked"), NOW_MS + 1)
    again = told(seen, NOW_MS + 1)
    seen.saw(running(1), "acp", Verdict.unknown("closed"), NOW_MS + 2)

    assert first is not None
    assert None is again
    assert ["closed"] == [each.detail for each in (told(seen, NOW_MS + 2) or Watched()).unknown.values()]


def test_a_note_that_was_not_written_is_told_the_next_time_whatever_it_says() -> None:
    seen = sightings()
    seen.saw(running(1), "acp", Verdict.alive(), NOW_MS)
    first = told(seen)
    seen.not_written()

    assert seen.is_due(NOW_MS)
    assert first == told(seen, NOW_MS)


def test_a_note_is_due_once_in_each_interval_also_when_the_clock_was_set_back() -> None:
    seen = sightings()
    assert seen.is_due(NOW_MS)
    seen.saw(running(1), "acp", Verdict.alive(), NOW_MS)
    seen.note(NOW_MS)

    assert [False, True, True] == [seen.is_due(NOW_MS + ms) for ms in (59_999, 60_000, -60_000)]


def test_a_note_that_cannot_be_read_says_nothing() -> None:
    log = MemoryLog()
    assert Watched() == watched(log)
    log.append((), notes={WATCHED_NOTE: b"\xc1"})
    assert Watched() == watched(log)
    log.append((), notes=dict([note_of(Watched(alive={b"x" * 16: 7}))]))
    assert Watched(alive={b"x" * 16: 7}) == watched(log)
