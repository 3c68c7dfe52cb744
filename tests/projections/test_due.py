"""What is due, spelled out: deadlines, cancels and graces, seen by the views or not, and under new rules at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.tasks import TaskBackingMissed, TaskCancelRequested, TaskLeased, TaskStarted, TaskSucceeded
from tallystick.projections.due import Due, DueKind, DueRules
from tallystick.projections.reader import Reader
from tests.projections.histories import STREAMS, caught_up_views, logged
from tests.story import BEGIN_MS, Story, created

FAR_MS = 2 * BEGIN_MS
RULES = DueRules(grace_default=300_000, cancel_grace=30_000)

begun = pytest.mark.parametrize("seen_by_views", [0, 2, 100])
"""How much of the log the views have seen; the rest is read from the log."""


@contextmanager
def reader_after(path: Path, seen_by_views: int, *facts: AnyFact) -> Iterator[Reader]:
    events = Story(created(timeout_ms=60_000), *facts, stream=STREAMS[0]).events
    log = logged(events)
    with caught_up_views(path, log, until=min(seen_by_views, len(events))) as views:
        yield Reader(log, views)


def due(at: int, kind: DueKind) -> Due:
    return Due(BEGIN_MS + at, kind, STREAMS[0])


@begun
def test_a_running_task_is_due_at_its_deadline_at_the_end_of_its_grace_and_of_its_cancel(
    tmp_path: Path, seen_by_views: int
) -> None:
    """Created after one second, started after two, missed after three, cancelled after four."""
    cancel, deadline = due(4_000 + 30_000, DueKind.CANCEL), due(2_000 + 60_000, DueKind.DEADLINE)
    grace = due(3_000 + 300_000, DueKind.GRACE)
    later = DueRules(grace_default=10, cancel_grace=20, watching_since=BEGIN_MS + 3_600_000)
    facts = TaskStarted(), TaskBackingMissed(evidence={}), TaskCancelRequested(reason="enough")

    with reader_after(tmp_path, seen_by_views, *facts) as reader:
        assert [cancel, deadline, grace] == reader.due(FAR_MS, RULES)
        assert [cancel, grace] == reader.due(FAR_MS, RULES, kinds={DueKind.CANCEL, DueKind.GRACE})
        assert [cancel] == reader.due(cancel.at, RULES)
        assert [] == reader.due(cancel.at - 1, RULES)
        assert [due(4_020, DueKind.CANCEL), deadline, due(3_600_010, DueKind.GRACE)] == reader.due(FAR_MS, later)


@begun
def test_a_task_that_has_ended_is_due_for_its_retention_and_nothing_else(tmp_path: Path, seen_by_views: int) -> None:
    facts = TaskStarted(), TaskBackingMissed(evidence={}), TaskCancelRequested(), TaskSucceeded()
    with reader_after(tmp_path, seen_by_views, *facts) as reader:
        assert [DueKind.RETENTION] == [found.kind for found in reader.due(FAR_MS, RULES)]
        assert [] == reader.due(FAR_MS, RULES, kinds={DueKind.DEADLINE, DueKind.GRACE, DueKind.CANCEL})


@begun
@pytest.mark.parametrize(
    ("facts", "is_backed"),
    [
        ([TaskStarted(backing={"pid": 4711})], True),
        ([TaskStarted(backing={"session": "x"})], False),
        ([TaskStarted()], False),
        ([TaskLeased(ttl_ms=1_000)], True),
        ([TaskStarted(), TaskLeased(ttl_ms=1_000)], True),
        ([TaskStarted(backing={"pid": 4711}), TaskLeased(ttl_ms=1_000), TaskSucceeded()], False),
    ],
)
def test_who_names_what_backs_it_is_known_without_looking_at_the_others(
    tmp_path: Path,
    seen_by_views: int,
    facts: list[AnyFact],
    is_backed: bool,  # noqa: FBT001
) -> None:
    with reader_after(tmp_path, seen_by_views, *facts) as reader:
        assert ([STREAMS[0]] if is_backed else []) == reader.backed()
