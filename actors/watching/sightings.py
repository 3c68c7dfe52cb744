"""The sightings: which silent tasks were seen alive, and of which tasks nobody can tell. A note in the log has them."""

from typing import TypeAlias, TypeVar

from msgspec import Struct

from tallystick.actors.watching.supervision import BY_OWNER
from tallystick.ledger import fields
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.limits import (
    PROBE_FAILING_MS,
    WATCHED_SILENCE_MS,
    WATCHED_TASKS_MAX,
    WATCHED_WORDS_BYTES_MAX,
)
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.verdict import Finding, Verdict
from tallystick.projections.watched import Unknown, Watched, note_of

Note: TypeAlias = tuple[bytes, bytes]

KEPT_MAX = 4 * WATCHED_TASKS_MAX  # in memory, so that it is rarely looked which to leave out


class Alive(Struct, frozen=True, gc=False):
    """When a silent task was seen alive last, and since when nothing else was heard of it (ms)."""

    at: int
    silent_since: int


class Puzzle(Struct, frozen=True, gc=False):
    """What is not known of a task, when that was so last, and since when nothing was heard of it (ms)."""

    unknown: Unknown
    at: int
    silent_since: int


Seen = TypeVar("Seen", Alive, Puzzle)


class Sightings:
    """What verdicts tell that no event does. Owned by one thread.

    What an earlier owner has told counts until somebody has looked again, but no probe that nobody asks any more is
    told of: an answer is forgotten when two more looks should have followed it.
    """

    def __init__(self, before: Watched, now: int, *, interval_ms: int) -> None:
        self._every_ms = interval_ms
        self._stale_ms = max(PROBE_FAILING_MS, 2 * interval_ms)
        self._alive = {stream: Alive(at, at) for stream, at in before.alive.items()}
        self._puzzles = {stream: Puzzle(unknown, now, unknown.since) for stream, unknown in before.unknown.items()}
        self._told: Watched | None = before
        self._told_at: int | None = None

    def saw(self, record: TaskRecord, probe: str, verdict: Verdict, now: int) -> None:
        """Take note of what a look at a task told. That its owner lives is no sign of its own."""
        if probe == BY_OWNER:
            return
        stream, heard_at = record.stream, record.last_event_at
        if verdict.finding is Finding.UNKNOWN and record.is_active:
            known = self._puzzles.get(stream)
            since = now if known is None else known.unknown.since
            said = _in_short(verdict.evidence.get("detail"))
            self._puzzles[stream] = Puzzle(Unknown(since, probe, said), now, heard_at)
            self._puzzles = _bounded(self._puzzles)
        else:
            self._puzzles.pop(stream, None)
        if record.status is not Status.RUNNING or now - heard_at < WATCHED_SILENCE_MS:
            self._alive.pop(stream, None)
        elif verdict.finding is Finding.ALIVE:
            self._alive[stream] = Alive(now, heard_at)
            self._alive = _bounded(self._alive)

    def forget(self, stream: bytes) -> None:
        """The task has ended."""
        self._alive.pop(stream, None)
        self._puzzles.pop(stream, None)

    def is_due(self, now: int) -> bool:
        """Whether enough time has passed since the last note for another one."""
        return self._told_at is None or abs(now - self._told_at) >= self._every_ms

    def note(self, now: int) -> Note | None:
        """Return the note that tells what is known now; None when the last one told the same."""
        self._puzzles = {stream: each for stream, each in self._puzzles.items() if now - each.at <= self._stale_ms}
        oldest = now - self._stale_ms - WATCHED_SILENCE_MS
        self._alive = {stream: each for stream, each in self._alive.items() if each.at >= oldest}
        watched = Watched(
            {stream: each.at for stream, each in _newest(self._alive).items()},
            {stream: each.unknown for stream, each in _newest(self._puzzles).items()},
        )
        if watched == self._told:
            return None
        self._told, self._told_at = watched, now
        return note_of(watched)

    def not_written(self) -> None:
        """The last note was not written: the next one tells it all."""
        self._told = self._told_at = None


def _bounded(seen: dict[bytes, Seen]) -> dict[bytes, Seen]:
    return seen if len(seen) <= KEPT_MAX else _newest(seen)


def _newest(seen: dict[bytes, Seen]) -> dict[bytes, Seen]:
    """Return as many as a note tells of, those whose silence is the newest."""
    if len(seen) <= WATCHED_TASKS_MAX:
        return seen
    newest = sorted(seen, key=lambda stream: seen[stream].silent_since, reverse=True)
    return {stream: seen[stream] for stream in newest[:WATCHED_TASKS_MAX]}


def _in_short(detail: object) -> str | None:
    """Return what a probe says, cut to what a note has room for."""
    if detail is None:
        return None
    return fields.report("detail", str(detail), bytes_max=WATCHED_WORDS_BYTES_MAX)
