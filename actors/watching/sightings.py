"""The sightings: which silent tasks were seen alive, and of which tasks nobody can tell. Notes in the log have them."""

from typing import TypeAlias

from msgspec import Struct

from tallystick.actors.watching.supervision import BY_OWNER
from tallystick.ledger import fields
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.limits import (
    PROBE_FAILING_MS,
    STALE_RUNNING_MS,
    SWEEP_INTERVAL_MS,
    WATCHED_AGAIN_MS,
    WATCHED_SILENCE_MS,
    WATCHED_TASKS_MAX,
    WATCHED_UNKNOWN_MAX,
    WATCHED_WORDS_BYTES_MAX,
)
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.redaction import Strip
from tallystick.ledger.verdict import Finding, Verdict
from tallystick.projections.watched import WATCHED_NOTES, Unknown, Watched, note_of, note_of_all, place_of

Note: TypeAlias = tuple[bytes, bytes]

ABOUT_ALL = WATCHED_NOTES
"""The place of the note about all tasks, behind those of the others."""


class Puzzle(Struct, frozen=True, gc=False):
    """What is not known of a task, and when that was so last (ms)."""

    unknown: Unknown
    at: int


class _Page:
    """What one note tells, and whether that is news."""

    __slots__ = ("alive", "behind_since", "is_news", "puzzles")

    def __init__(self) -> None:
        self.alive: dict[bytes, int] = {}
        self.puzzles: dict[bytes, Puzzle] = {}
        self.is_news = False
        """Whether another task is told of, or something else, than was told last."""
        self.behind_since: int | None = None
        """Of those who were seen again since they were told of, when the first of them was seen as it was told."""

    def is_due(self, now: int) -> bool:
        is_old = self.behind_since is not None and abs(now - self.behind_since) >= WATCHED_AGAIN_MS
        return self.is_news or is_old

    def moves_from(self, at: int) -> None:
        self.behind_since = at if self.behind_since is None else min(self.behind_since, at)

    def told(self) -> None:
        self.is_news, self.behind_since = False, None


class Sightings:
    """What verdicts and signs of life tell that no event does. Owned by one thread.

    News is told at once; that a task which is told of was seen again, when WATCHED_AGAIN_MS have passed. So the notes
    cost what changes, and are never behind by more than that and one interval.
    What an earlier owner has told counts until somebody has looked again, but no probe that nobody asks any more is
    told of: an answer is forgotten when two more looks should have followed it. Who `asks` none leaves those answers to
    whoever does. `words` takes what may not be kept out of what a probe says.
    """

    def __init__(
        self,
        before: Watched,
        now: int,
        *,
        interval_ms: int,
        asks: bool = True,
        words: Strip = str,
        tasks_max: int = WATCHED_TASKS_MAX,
        unknown_max: int = WATCHED_UNKNOWN_MAX,
    ) -> None:
        self._asks, self._words, self._tasks_max, self._unknown_max = asks, words, tasks_max, unknown_max
        self._every_ms = min(interval_ms, SWEEP_INTERVAL_MS)
        self._stale_ms = max(PROBE_FAILING_MS, 2 * interval_ms)
        # So that it is told before an audit asks, if this look sees it alive and the next one comes when it should.
        self._silence_ms = max(min(WATCHED_SILENCE_MS, STALE_RUNNING_MS - interval_ms - 2 * self._every_ms), 0)
        self._pages = [_Page() for _ in range(WATCHED_NOTES)]
        self._alive_count, self._puzzle_count = len(before.alive), len(before.unknown)
        for stream, at in before.alive.items():
            self._page(stream).alive[stream] = at
        for stream, unknown in before.unknown.items():
            self._page(stream).puzzles[stream] = Puzzle(unknown, now)
        self._beyond_at = self._told_beyond_at = before.beyond_at
        self._is_all_news = before.is_in_one  # then it has to be said that it is told elsewhere now
        for page in self._pages:
            page.is_news = before.is_in_one and bool(page.alive or page.puzzles)
        self._looked_at: int | None = None

    def _page(self, stream: bytes) -> _Page:
        return self._pages[place_of(stream)]

    # What is seen.

    def saw(self, record: TaskRecord, probe: str, verdict: Verdict, now: int) -> None:
        """Take note of what a look at a task told. That its owner lives is no sign of its own."""
        if probe == BY_OWNER:
            return
        if verdict.finding is Finding.UNKNOWN and record.is_active:
            self._cannot_tell(record.stream, probe, verdict.evidence.get("detail"), now)
        else:
            self._can_tell(record.stream)
        if verdict.finding is Finding.ALIVE:
            self.lives(record, now, now)
        elif not self._is_silent(record, now):
            self._is_heard(record.stream)

    def lives(self, record: TaskRecord, at: int, now: int) -> None:
        """Take note that a task was alive at a moment (ms), now or before."""
        stream = record.stream
        if not self._is_silent(record, now):
            self._is_heard(stream)
            return
        page = self._page(stream)
        known = page.alive.get(stream)
        if known is None:
            if at < self._oldest(now):
                return
            if self._alive_count >= self._tasks_max:
                self._beyond_at = now
                return
            self._alive_count += 1
            page.is_news = True
        elif at == known or at < min(known, now):  # a clock that was set back is right
            return
        else:
            page.moves_from(known)
        page.alive[stream] = at

    def forget(self, stream: bytes) -> None:
        """The task has ended."""
        self._is_heard(stream)
        self._can_tell(stream)

    def _is_silent(self, record: TaskRecord, now: int) -> bool:
        return record.status is Status.RUNNING and now - record.last_event_at >= self._silence_ms

    def _is_heard(self, stream: bytes) -> None:
        page = self._page(stream)
        if page.alive.pop(stream, None) is not None:
            self._alive_count -= 1
            page.is_news = True

    def _cannot_tell(self, stream: bytes, probe: str, detail: object, now: int) -> None:
        page = self._page(stream)
        known = page.puzzles.get(stream)
        if known is None:
            if self._puzzle_count >= self._unknown_max:
                return
            self._puzzle_count += 1
        said = None if detail is None else self._in_short(str(detail))
        unknown = Unknown(now if known is None else known.unknown.since, probe, said)
        page.puzzles[stream] = Puzzle(unknown, now)
        page.is_news |= known is None or known.unknown != unknown

    def _in_short(self, detail: str) -> str | None:
        """Return what a probe says, cut to what a note has room for."""
        return fields.report("detail", self._words(detail), bytes_max=WATCHED_WORDS_BYTES_MAX)

    def _can_tell(self, stream: bytes) -> None:
        page = self._page(stream)
        if page.puzzles.pop(stream, None) is not None:
            self._puzzle_count -= 1
            page.is_news = True

    # What is told.

    def is_due(self, now: int) -> bool:
        """Whether enough time has passed for another look at what there is to tell."""
        return self._looked_at is None or abs(now - self._looked_at) >= self._every_ms

    def due(self, now: int) -> list[int]:
        """Return the places of the notes that are to be written now; that of the one about all comes last."""
        self._looked_at = now
        self._forget_what_is_old(now)
        places = [place for place, page in enumerate(self._pages) if page.is_due(now)]
        if self._is_all_news or self._beyond_at != self._told_beyond_at:
            places.append(ABOUT_ALL)
        return places

    def note(self, place: int, now: int) -> Note | None:
        """Return one of the notes, with all that is known now; None when it tells that already."""
        if place == ABOUT_ALL:
            self._is_all_news, self._told_beyond_at = False, self._beyond_at
            return note_of_all(self._beyond_at)
        page = self._pages[place]
        if not page.is_due(now):
            return None
        page.told()
        return note_of(place, page.alive, {stream: each.unknown for stream, each in page.puzzles.items()})

    def not_written(self, place: int) -> None:
        """A note was not written: the next look tells it again."""
        self._looked_at = None
        if place == ABOUT_ALL:
            self._is_all_news = True
        else:
            self._pages[place].is_news = True

    def _forget_what_is_old(self, now: int) -> None:
        oldest, puzzled = self._oldest(now), now - self._stale_ms
        if self._beyond_at is not None and now - self._beyond_at >= STALE_RUNNING_MS:
            self._beyond_at = None
        for page in self._pages:
            if page.alive and min(page.alive.values()) < oldest:
                for stream in [stream for stream, at in page.alive.items() if at < oldest]:
                    self._is_heard(stream)
            if self._asks and page.puzzles:
                for stream in [stream for stream, each in page.puzzles.items() if each.at < puzzled]:
                    self._can_tell(stream)

    def _oldest(self, now: int) -> int:
        """Return when a task must have been seen alive to be told of: of any before that an audit says so anyhow."""
        return now - max(self._stale_ms + WATCHED_SILENCE_MS, STALE_RUNNING_MS)
