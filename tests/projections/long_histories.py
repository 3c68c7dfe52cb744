"""Histories of tasks that take hours, with times as people report them, for what looks at the clock."""

from hypothesis import strategies as st

from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import TaskCleanupStamped, TaskNoted
from tallystick.ledger.limits import STALE_BUCKET_MS
from tests.announced import WATCHED, Announced
from tests.projections.histories import STREAMS
from tests.story import BEGIN_MS
from tests.strategies import (
    creations,
    delivered,
    holds,
    losses,
    misses,
    outcomes,
    policies,
    progress,
    prunings,
    recoveries,
    releases,
    reports,
    starts,
    told_creations,
)

MINUTE_MS = 60_000

_notes = st.builds(TaskNoted, codes=st.sampled_from([("inconsistent_timestamps",), ("lost",)]))
_stamps = st.builds(TaskCleanupStamped, cleanup_after=st.integers(BEGIN_MS, BEGIN_MS + 90 * MINUTE_MS))
_told = st.one_of(
    reports,
    starts,
    progress,
    outcomes,
    losses,
    misses,
    recoveries,
    policies,
    holds,
    releases,
    prunings,
    _notes,
    _stamps,
)
_spans = st.sampled_from([0, 0, 1, 4 * MINUTE_MS, STALE_BUCKET_MS - 1, STALE_BUCKET_MS, 25 * MINUTE_MS])


@st.composite
def long_histories(draw: st.DrawFn, most: int = 20) -> list[Event]:
    """What was written of a few tasks and their messages, with minutes in between, and times as people report them."""
    stories = [Announced(stream=stream, routing=WATCHED) for stream in STREAMS]
    events: list[Event] = []
    for _ in range(draw(st.integers(0, most))):
        story = draw(st.sampled_from(stories))
        data = delivered(story) if bool(story.names) and draw(st.booleans()) else _told
        if story.record_or_none is None:
            data = st.one_of(told_creations(), creations())
        now = events[-1].recorded_at if events else BEGIN_MS
        story.position, story.now_ms, known = len(events), now, len(story.events)
        reported = draw(st.none() | st.integers(now - 30 * MINUTE_MS, now + 30 * MINUTE_MS))
        story.tell(draw(data), after_ms=draw(_spans), occurred_at=reported)
        events.extend(story.events[known:])
    return events


moments = st.one_of(
    st.integers(-40 * MINUTE_MS, 200 * MINUTE_MS), st.sampled_from([0, 60 * MINUTE_MS, 600 * MINUTE_MS])
).map(lambda ms: BEGIN_MS + ms)
