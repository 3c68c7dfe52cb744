"""Changes: what a run of the log makes of its tasks, and what it does with a log that makes no sense."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import TaskPruned, TaskReleased, TaskStarted, TaskSucceeded
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import Damaged, Stored
from tallystick.projections.change import Change, Changes, Known, Tombstone, changes_of, last_of, merge
from tests.projections.histories import histories, records_of, runs, told
from tests.story import STREAM, Story, created


def nothing(_: bytes) -> None:
    return None


@given(histories(), st.lists(st.integers(1, 20), max_size=6))
def test_the_changes_of_many_runs_merge_into_those_of_one(events: list[Event], cuts: list[int]) -> None:
    at_once = changes_of(events, nothing)
    known = None
    merged = Changes()
    for after, until in runs(events, cuts):
        latest = {stream: change.after for stream, change in merged.tasks.items()}
        run = changes_of(events[after:until], latest.get)
        merged = merge(merged, run.changes)
        known = changes_of(events[after:until], nothing, known)
    assert at_once.changes == merged
    assert at_once == (known or changes_of([], nothing))
    assert {stream: Change(None, record) for stream, record in records_of(events).items()} == at_once.changes.tasks


@st.composite
def nonsense(draw: st.DrawFn) -> list[Stored]:
    """A log in which records are damaged, lost, told twice or of another task."""
    stored: list[Stored] = list(draw(histories()))
    for _ in range(draw(st.integers(0, 4))):
        if not stored:
            break
        place = draw(st.integers(0, len(stored) - 1))
        event = stored[place]
        match draw(st.sampled_from(["damage", "lose", "repeat", "swap"])):
            case "damage":
                stored[place] = Damaged(event.position, "damaged")
            case "lose":
                del stored[place]
            case "repeat":
                stored.append(event)
            case _:
                stored.append(stored.pop(place))
    return stored


@given(nonsense(), st.lists(st.integers(1, 20), max_size=6), st.sampled_from(["record", "tombstone"]))
def test_nonsense_ends_in_the_same_records_however_it_is_cut(
    stored: list[Stored], cuts: list[int], known_by: str
) -> None:
    """And whether a pruned task is known by its record or by its tombstone."""
    at_once = changes_of(stored, nothing)
    known: dict[bytes, TaskRecord] = {}

    def lookup(stream: bytes) -> Known:
        record = known.get(stream)
        if record is not None and record.pruned_at is not None and known_by == "tombstone":
            return Tombstone(record.status, record.ended_at, record.pruned_at)
        return record

    cut_at = [0, *sorted(cut for cut in cuts if cut < len(stored)), len(stored)]
    for after, until in pairwise(cut_at):
        run = changes_of(stored[after:until], lookup)
        for stream, change in run.changes.tasks.items():
            assert known.get(stream) == change.before
            known[stream] = change.after
    assert {stream: change.after for stream, change in at_once.changes.tasks.items()} == known


def test_a_damaged_record_is_passed_over_and_its_task_keeps_its_last_good_state() -> None:
    first, _, third = Story(created(), TaskStarted(), TaskSucceeded()).events
    folded = changes_of([first, Damaged(2, "a flipped bit"), third], nothing)

    assert (2,) == folded.damaged
    assert 1 == folded.changes.tasks[STREAM].after.version
    assert 3 == folded.skipped[STREAM].position


def test_the_first_contradiction_of_a_task_is_the_one_that_is_told() -> None:
    first, second, third = Story(created(), TaskStarted(), TaskSucceeded()).events
    folded = changes_of([first, third], nothing)
    folded = changes_of([second, third, third], nothing, folded)

    assert 3 == folded.changes.tasks[STREAM].after.version
    assert "version 1, then 3" in str(folded.skipped[STREAM])


def test_nothing_follows_a_pruning() -> None:
    story = Story(created(), TaskSucceeded(), TaskPruned())
    after = story.next_event(TaskReleased())
    folded = changes_of([*story.events, after], nothing)

    assert Change(None, story.record) == folded.changes.tasks[STREAM]
    assert "pruned" in str(folded.skipped[STREAM])
    tombstone = Tombstone("succeeded", 1, 2)
    unchanged = changes_of([after, *story.events], lambda _: tombstone).changes
    assert ({}, {STREAM: after.position}) == (
        unchanged.tasks,
        {stream: broken.position for stream, broken in unchanged.broken.items()},
    )


def test_the_newest_change_is_found_wherever_it_stands() -> None:
    events = told()
    changes = changes_of(events, nothing).changes
    last = events[-1]
    assert None is last_of(Changes(), 0)
    assert (last.position, last.stream) == last_of(changes, last.position)
    assert (last.position, last.stream) == last_of(Changes(dict(reversed(changes.tasks.items()))), last.position)
    assert (last.position, last.stream) == last_of(changes, last.position + 1)
