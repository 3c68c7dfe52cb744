"""The sightings: what is noted of many tasks, when, and what of a note that was not written."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from msgspec import msgpack
from msgspec.structs import replace

from tallystick.actors.watching.sightings import ABOUT_ALL, Sightings
from tallystick.actors.watching.supervision import BY_OWNER
from tallystick.ledger.facts.tasks import TaskStarted
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import (
    PROBE_FAILING_MS,
    STALE_RUNNING_MS,
    SWEEP_INTERVAL_MS,
    WATCHED_AGAIN_MS,
    WATCHED_SILENCE_MS,
)
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.verdict import Finding, Verdict
from tallystick.projections.watched import (
    WATCHED_NOTE,
    WATCHED_NOTES,
    Unknown,
    Watched,
    note_of,
    note_of_all,
    watched,
)
from tests.story import BEGIN_MS, Story, created

MINUTE_MS = 60_000
NOW_MS = BEGIN_MS + 2 * WATCHED_SILENCE_MS
RECORD = Story(created(), TaskStarted()).record
MANY = 50_000


def running(number: int, heard_at: int = BEGIN_MS) -> TaskRecord:
    return replace(RECORD, task_id=id_text(RECORD.stream[:-4] + number.to_bytes(4)), last_event_at=heard_at)


class Told:
    """A log with what sightings have told, as every process reads it."""

    def __init__(self, seen: Sightings | None = None, *, interval_ms: int = MINUTE_MS) -> None:
        self.log = MemoryLog()
        self.interval_ms = interval_ms
        self.seen = seen or Sightings(Watched(), NOW_MS, interval_ms=interval_ms)

    def tell(self, now: int = NOW_MS) -> list[bytes]:
        """Write what is news; return the names of the notes that were written."""
        notes = [note for place in self.seen.due(now) if (note := self.seen.note(place, now)) is not None]
        if notes:
            self.log.append((), notes=dict(notes))
        return [name for name, _ in notes]

    def reopen(self, now: int, *, asks: bool = True) -> None:
        """Let the next owner go on from what is written."""
        self.seen = Sightings(watched(self.log), now, interval_ms=self.interval_ms, asks=asks)

    def watched(self) -> Watched:
        return watched(self.log)


@pytest.mark.slow
def test_all_of_very_many_silent_tasks_are_told_of_in_notes_of_a_few_kilobytes() -> None:
    told = Told()
    for number in range(MANY):
        told.seen.saw(running(number), "acp", Verdict.alive(), NOW_MS)

    names = told.tell()

    assert {running(number).stream for number in range(MANY)} == told.watched().alive.keys()
    assert WATCHED_NOTES == len(names) == len(set(names))
    assert 8_192 > max(len(value) for _, value in told.log.notes(WATCHED_NOTE))


def test_news_of_one_task_writes_one_note_and_none_is_written_without_news() -> None:
    told = Told()
    records = [running(number) for number in range(1_000)]
    for record in records:
        told.seen.saw(record, "acp", Verdict.alive(), NOW_MS)
    told.tell()

    nothing = told.tell(NOW_MS + 1)
    for record in records:
        told.seen.saw(record, "acp", Verdict.alive(), NOW_MS + MINUTE_MS)
    again = told.tell(NOW_MS + MINUTE_MS)
    told.seen.forget(records[7].stream)
    ended = told.tell(NOW_MS + 2 * MINUTE_MS)

    assert [] == nothing == again
    assert [b"watched:07"] == ended
    assert {record.stream for record in records if record is not records[7]} == told.watched().alive.keys()


def test_that_work_was_seen_again_is_told_when_what_is_told_gets_old() -> None:
    told, record = Told(), running(1)
    told.seen.saw(record, "acp", Verdict.alive(), NOW_MS)
    told.tell()
    seen_again_at = NOW_MS + WATCHED_AGAIN_MS - 1
    told.seen.saw(record, "acp", Verdict.alive(), seen_again_at)

    assert [] == told.tell(seen_again_at)
    assert {record.stream: NOW_MS} == told.watched().alive
    assert [b"watched:01"] == told.tell(seen_again_at + 1)
    assert {record.stream: seen_again_at} == told.watched().alive
    assert [] == told.tell(seen_again_at + 2 * WATCHED_AGAIN_MS), "nobody has seen it since"


def test_beyond_the_limit_it_is_told_that_there_are_more_until_that_is_long_ago() -> None:
    told = Told(Sightings(Watched(), NOW_MS, interval_ms=MINUTE_MS, tasks_max=3))
    records = [running(number) for number in range(4)]
    for record in records:
        told.seen.saw(record, "acp", Verdict.alive(), NOW_MS)

    assert [b"watched:00", b"watched:01", b"watched:02", WATCHED_NOTE] == told.tell()
    assert Watched({record.stream: NOW_MS for record in records[:3]}, beyond_at=NOW_MS) == told.watched()
    told.reopen(NOW_MS + 1)
    told.seen.forget(records[0].stream)
    told.seen.saw(records[3], "acp", Verdict.alive(), NOW_MS + 1)
    told.tell(NOW_MS + 1)
    assert {record.stream for record in records[1:]} == told.watched().alive.keys()
    assert NOW_MS == told.watched().beyond_at
    told.tell(NOW_MS + STALE_RUNNING_MS)
    assert None is told.watched().beyond_at


def test_of_probes_that_cannot_tell_as_many_are_told_of_as_there_is_room_for() -> None:
    told = Told(Sightings(Watched(), NOW_MS, interval_ms=MINUTE_MS, unknown_max=2))
    records = [running(number) for number in range(3)]
    for record in records:
        told.seen.saw(record, "acp", Verdict.unknown(), NOW_MS)
    told.tell()
    first = told.watched().unknown.keys()
    told.seen.forget(records[0].stream)
    told.seen.saw(records[2], "acp", Verdict.unknown(), NOW_MS)
    told.tell()

    assert {records[0].stream, records[1].stream} == first
    assert {records[1].stream, records[2].stream} == told.watched().unknown.keys()
    assert None is told.watched().beyond_at, "that nobody can tell is no sign of life"


def test_what_a_probe_says_is_told_again_when_it_changes() -> None:
    told, record = Told(), running(1)
    told.seen.saw(record, "acp", Verdict.unknown("locked"), NOW_MS)
    told.tell()
    told.seen.saw(record, "acp", Verdict.unknown("locked"), NOW_MS + 1)
    assert [] == told.tell(NOW_MS + 1)
    told.seen.saw(record, "acp", Verdict.unknown("closed"), NOW_MS + 2)
    told.tell(NOW_MS + 2)

    assert {record.stream: Unknown(NOW_MS, "acp", "closed")} == told.watched().unknown


def test_a_note_that_was_not_written_is_told_the_next_time_whatever_it_says() -> None:
    told = Told(Sightings(Watched(), NOW_MS, interval_ms=MINUTE_MS, tasks_max=1))
    for number in range(2):
        told.seen.saw(running(number), "acp", Verdict.alive(), NOW_MS)
    places = told.seen.due(NOW_MS)
    for place in places:
        told.seen.note(place, NOW_MS)
        told.seen.not_written(place)

    assert [0, ABOUT_ALL] == places
    assert told.seen.is_due(NOW_MS)
    assert places == told.seen.due(NOW_MS)
    told.tell()
    assert Watched({running(0).stream: NOW_MS}, beyond_at=NOW_MS) == told.watched()


@pytest.mark.parametrize("interval_ms", [MINUTE_MS, 10 * MINUTE_MS])
def test_a_look_at_the_news_is_due_once_in_each_interval_or_minute_also_when_the_clock_was_set_back(
    interval_ms: int,
) -> None:
    seen = Sightings(Watched(), NOW_MS, interval_ms=interval_ms)
    assert seen.is_due(NOW_MS)
    seen.due(NOW_MS)

    assert [False, True, True] == [seen.is_due(NOW_MS + ms) for ms in (59_999, 60_000, -60_000)]


def test_a_clock_that_was_set_back_is_believed() -> None:
    told, record = Told(), running(1, BEGIN_MS - 86_400_000)
    told.seen.saw(record, "acp", Verdict.alive(), NOW_MS)
    told.tell()
    told.seen.saw(record, "acp", Verdict.alive(), NOW_MS - 3_600_000)
    told.tell(NOW_MS - 3_600_000)

    assert {record.stream: NOW_MS - 3_600_000} == told.watched().alive


def test_a_sign_of_life_before_the_last_one_or_long_ago_is_no_news() -> None:
    told, record, old = Told(), running(1), running(2)
    told.seen.lives(record, NOW_MS - 10, NOW_MS)
    told.seen.lives(record, NOW_MS - 20, NOW_MS)
    told.seen.lives(old, NOW_MS - STALE_RUNNING_MS - WATCHED_SILENCE_MS, NOW_MS)
    told.tell()

    assert {record.stream: NOW_MS - 10} == told.watched().alive


@pytest.mark.parametrize("minutes", [1, 5, 10, 15, 19, 25])
def test_silent_work_that_each_look_sees_alive_is_told_of_before_an_audit_asks_however_rare_the_looks(
    minutes: int,
) -> None:
    told, record = Told(interval_ms=minutes * MINUTE_MS), running(1)
    began = BEGIN_MS + 17
    for now in range(began, began + 3 * STALE_RUNNING_MS, SWEEP_INTERVAL_MS):
        told.tell(now)  # what the look before has seen
        if (now - began) % (minutes * MINUTE_MS) == 0:
            told.seen.saw(record, "acp", Verdict.alive(), now)
        heard_at = max(record.last_event_at, told.watched().alive.get(record.stream, 0))
        assert now - heard_at < STALE_RUNNING_MS


def test_a_note_that_cannot_be_read_says_nothing_and_the_others_what_they_say() -> None:
    log = MemoryLog()
    assert Watched() == watched(log)
    log.append((), notes={WATCHED_NOTE: b"\xc1", b"watched:00": b""})
    assert Watched() == watched(log)
    log.append((), notes=dict([note_of(7, {b"x" * 16: 7}, {})]))
    assert Watched(alive={b"x" * 16: 7}) == watched(log)


def in_one(alive: dict[bytes, int], unknown: dict[bytes, Unknown]) -> dict[bytes, bytes]:
    """What earlier versions wrote: all of it in one note."""
    return {WATCHED_NOTE: msgpack.encode((alive, unknown))}


def test_what_an_earlier_version_told_in_one_note_is_read_and_told_anew_in_many() -> None:
    told = Told()
    alive = {running(number).stream: NOW_MS for number in range(3)}
    unknown = {running(2).stream: Unknown(NOW_MS - 7, "acp", "locked")}
    told.log.append((), notes=in_one(alive, unknown))
    assert Watched(alive, unknown, is_in_one=True) == told.watched()
    told.reopen(NOW_MS + 1)
    told.seen.forget(running(0).stream)

    names = told.tell(NOW_MS + 1)

    assert [b"watched:00", b"watched:01", b"watched:02", WATCHED_NOTE] == names
    assert dict([note_of_all(None)]).items() <= dict(told.log.notes(WATCHED_NOTE)).items()
    assert Watched({stream: alive[stream] for stream in list(alive)[1:]}, unknown) == told.watched()
    assert [] == told.tell(NOW_MS + 2)


def test_who_asks_nobody_leaves_what_probes_could_not_tell_to_who_does() -> None:
    told = Told()
    told.seen.saw(running(1), "acp", Verdict.unknown("locked"), NOW_MS)
    told.tell()
    later = NOW_MS + 2 * PROBE_FAILING_MS
    told.reopen(NOW_MS, asks=False)
    told.tell(later)
    beside = told.watched().unknown
    told.reopen(NOW_MS)
    told.tell(later)

    assert [running(1).stream] == list(beside)
    assert {} == told.watched().unknown


# The law: whatever is seen, changes, fails to be written and in whichever order owners follow each other.

TASKS = tuple(running(number) for number in (0, 1, 2, 0x100, 0x201))  # two share the first note, two the second
INTERVAL_MS = MINUTE_MS
TASKS_MAX = 3
NUMBERS = st.integers(0, len(TASKS) - 1)
ANSWERS = st.sampled_from(
    [Verdict.alive(), Verdict.missing("gone"), Verdict.unknown("locked"), Verdict.unknown("shut")]
)


class AnAuditorReadsWhatWasSeen(RuleBasedStateMachine):
    """What is written is a part of what was seen, and after a round that was written it is all of it, but lately."""

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.now = NOW_MS
        self.log = MemoryLog()
        self.alive_at: dict[bytes, int] = {}
        self.unknown_since: dict[bytes, int] = {}
        self.puzzled_at: dict[bytes, int] = {}
        self.heard_at = {record.stream: BEGIN_MS for record in TASKS}
        self.beyond_at: int | None = None
        if data.draw(st.booleans()):  # an earlier version has told something
            self.alive_at = {TASKS[0].stream: NOW_MS - 1}
            self.log.append((), notes=in_one(self.alive_at, {}))
        self.restart()

    @rule()
    def restart(self) -> None:
        before = watched(self.log)
        self.seen = Sightings(before, self.now, interval_ms=INTERVAL_MS, tasks_max=TASKS_MAX)
        self.alive_at = dict(before.alive)  # what was not written is not known any more
        self.beyond_at = before.beyond_at
        self.unknown_since = {stream: each.since for stream, each in before.unknown.items()}
        self.puzzled_at = dict.fromkeys(before.unknown, self.now)

    @rule(passed_ms=st.one_of(st.integers(1, 2 * MINUTE_MS), st.integers(1, 40 * MINUTE_MS)))
    def wait(self, passed_ms: int) -> None:
        self.now += passed_ms

    @rule(number=NUMBERS, verdict=ANSWERS, probe=st.sampled_from(["acp", BY_OWNER]))
    def look(self, number: int, verdict: Verdict, probe: str) -> None:
        task = TASKS[number]
        record = replace(task, last_event_at=self.heard_at[task.stream])
        self.seen.saw(record, probe, verdict, self.now)
        if probe == BY_OWNER:
            return
        stream = task.stream
        if verdict.finding is Finding.UNKNOWN:
            self.unknown_since.setdefault(stream, self.now)
            self.puzzled_at[stream] = self.now
        else:
            self.unknown_since.pop(stream, None)
        if self.now - self.heard_at[stream] < WATCHED_SILENCE_MS:
            self.alive_at.pop(stream, None)
        elif verdict.finding is Finding.ALIVE:
            self._is_alive(stream, self.now)

    @rule(number=NUMBERS, ago_ms=st.integers(0, STALE_RUNNING_MS))
    def sign(self, number: int, ago_ms: int) -> None:
        task, stream = TASKS[number], TASKS[number].stream
        record = replace(task, last_event_at=self.heard_at[stream])
        self.seen.lives(record, self.now - ago_ms, self.now)
        if self.now - self.heard_at[stream] < WATCHED_SILENCE_MS:
            self.alive_at.pop(stream, None)
        else:
            self._is_alive(stream, max(self.now - ago_ms, self.alive_at.get(stream, 0)))

    def _is_alive(self, stream: bytes, at: int) -> None:
        if stream in self.alive_at or len(self.alive_at) < TASKS_MAX:
            self.alive_at[stream] = at
        else:
            self.beyond_at = self.now

    @rule(number=NUMBERS)
    def speak(self, number: int) -> None:
        self.heard_at[TASKS[number].stream] = self.now

    @rule(number=NUMBERS)
    def end(self, number: int) -> None:
        stream = TASKS[number].stream
        self.seen.forget(stream)
        self.alive_at.pop(stream, None)
        self.unknown_since.pop(stream, None)

    @rule(data=st.data())
    def publish_on_a_full_disk(self, data: st.DataObject) -> None:
        before = watched(self.log)
        places = self.seen.due(self.now)
        self._forget_what_is_old()
        room = data.draw(st.integers(0, len(places)))
        for place in places[:room]:
            self._write(place)
        if room < len(places):
            self.seen.note(places[room], self.now)
            self.seen.not_written(places[room])
        told = watched(self.log)
        for stream, at in told.alive.items():
            assert at <= max(self.alive_at.get(stream, 0), before.alive.get(stream, 0)), "more than was seen"

    @rule()
    def publish(self) -> None:
        for place in self.seen.due(self.now):
            self._write(place)
        self._forget_what_is_old()
        told = watched(self.log)
        assert self.alive_at.keys() == told.alive.keys()
        for stream, at in told.alive.items():
            assert self.alive_at[stream] - WATCHED_AGAIN_MS < at <= self.alive_at[stream]
        assert self.unknown_since == {stream: each.since for stream, each in told.unknown.items()}
        assert self.beyond_at == told.beyond_at
        assert not told.is_in_one

    def _write(self, place: int) -> None:
        note = self.seen.note(place, self.now)
        if note is not None:
            self.log.append((), notes=dict([note]))

    def _forget_what_is_old(self) -> None:
        oldest = self.now - STALE_RUNNING_MS
        self.alive_at = {stream: at for stream, at in self.alive_at.items() if at >= oldest}
        puzzled = self.now - PROBE_FAILING_MS
        self.unknown_since = {
            stream: since for stream, since in self.unknown_since.items() if self.puzzled_at[stream] >= puzzled
        }
        if self.beyond_at is not None and self.now - self.beyond_at >= STALE_RUNNING_MS:
            self.beyond_at = None


TestAnAuditorReadsWhatWasSeen = AnAuditorReadsWhatWasSeen.TestCase
