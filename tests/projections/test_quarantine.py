"""The quarantine: what of a log says nothing, known without reading the log again, and exact to its head."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import event as happened
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.ledger.events import Event
from tallystick.ledger.facts.flows import FlowFinished, FlowPruned, FlowResumed
from tallystick.ledger.facts.tasks import TaskProgressed, TaskPruned, TaskReleased, TaskStarted, TaskSucceeded
from tallystick.ledger.ids import id_text
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import Damaged, Deleted, Stored
from tallystick.projections import overdue
from tallystick.projections.catch_up import catch_up
from tallystick.projections.change import changes_of
from tallystick.projections.check import check
from tallystick.projections.quarantine import Quarantined
from tallystick.projections.reader import Reader
from tallystick.projections.rebuild import rebuild
from tallystick.projections.views import Views
from tests.ledger.flows.tale import Tale
from tests.projections.flow_histories import flow_histories, standings
from tests.projections.histories import STREAMS, dump, logged, views_folder
from tests.story import Story, created

few = settings(max_examples=60)


class DamagedLog(MemoryLog):
    """A log of which some records cannot be read, and some are not what they were."""

    def __init__(self, stored: Sequence[Stored]) -> None:
        super().__init__()
        self.stored = list(stored)

    def head(self) -> int:
        return len(self.stored)

    def read(self, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        yield from self.stored[after : len(self.stored) if until is None else until]

    def stream(self, stream: bytes, after_version: int = 0) -> list[Stored]:
        return [
            each
            for each in self.stored
            if isinstance(each, Event) and each.stream == stream and each.version > after_version
        ]


@st.composite
def damaged_histories(draw: st.DrawFn) -> list[Stored]:
    """What was written of tasks and flows, some records of which say nothing now."""
    events: list[Event] = draw(flow_histories(most=25))
    bad = draw(st.sets(st.integers(0, 24), max_size=6))
    details = draw(st.lists(st.sampled_from(["a flipped bit", "no such segment"]), min_size=25, max_size=25))
    return [Damaged(event.position, details[place]) if place in bad else event for place, event in enumerate(events)]


def expected_of(stored: Sequence[Stored]) -> list[Quarantined]:
    """What says nothing, when everything is folded at once, record by record."""
    folded = changes_of(stored, lambda _: None)
    found = [
        Quarantined(error.position or 0, error.position or 0, error.detail, stream)
        for stream, error in folded.skipped.items()
    ]
    for each in stored:
        if isinstance(each, Damaged):
            last = next((known for known in found if known.stream is None and known.last == each.position - 1), None)
            if last is not None and last.detail == each.detail:
                found.remove(last)
                found.append(Quarantined(last.position, each.position, each.detail))
            else:
                found.append(Quarantined(each.position, each.position, each.detail))
    return sorted(found, key=lambda each: (each.position, each.stream or b""))


@few
@given(damaged_histories(), standings)
def test_what_says_nothing_is_told_to_the_head_wherever_the_read_models_stand(
    stored: list[Stored], standing: tuple[int, ...]
) -> None:
    log = DamagedLog(stored)
    with views_folder() as folder, Views.open(folder, log) as views:
        for projection, position in zip(views.projections, standing, strict=True):
            catch_up(views, log, until=position, names={projection.name})
        found = Reader(log, views).answer(overdue.quarantined)

    assert expected_of(stored) == found == Reader(log, None).answer(overdue.quarantined)
    happened(f"found: {len(found)}")


@few
@given(damaged_histories(), st.integers(1, 9), st.integers(0, 25), st.integers(1, 9))
def test_the_quarantine_has_the_same_bytes_however_the_log_was_cut_and_when_it_is_rebuilt(
    stored: list[Stored], slice_events: int, behind: int, rebuilt_by: int
) -> None:
    log = DamagedLog(stored)
    with views_folder() as folder, Views.open(folder / "a", log) as views, Views.open(folder / "b", log) as others:
        catch_up(views, log)
        catch_up(others, log, until=behind, slice_events=slice_events)
        rebuild(others, log, slice_events=rebuilt_by)
        catch_up(others, log, slice_events=slice_events)

        assert dump(views) == dump(others)
        assert all(check(views, log, projection.name).ok for projection in views.projections)


@few
@given(damaged_histories(), st.lists(st.integers(0, 25), max_size=5))
def test_a_reader_that_folds_on_from_moment_to_moment_tells_the_same(stored: list[Stored], stops: list[int]) -> None:
    log = DamagedLog([])
    with views_folder() as folder, Views.open(folder, log) as views:
        reader = Reader(log, views)
        for number, stop in enumerate(sorted({*stops, len(stored)})):
            log.stored = stored[:stop]
            assert expected_of(stored[:stop]) == reader.answer(overdue.quarantined)
            if number % 2:
                catch_up(views, log, until=max(stop - 2, 0))


def test_what_is_found_stays_until_a_rebuild_does_not_find_it_any_more(tmp_path: Path) -> None:
    story = Story(created(), TaskStarted(), TaskProgressed(message="half"), TaskSucceeded(), stream=STREAMS[0])
    log = DamagedLog(story.events)
    log.stored[1] = Damaged(2, "a flipped bit")
    with Views.open(tmp_path, log) as views:
        catch_up(views, log)
        reader = Reader(log, views)
        found = reader.answer(overdue.quarantined)
        log.stored[1] = story.events[1]
        still = reader.answer(overdue.quarantined)
        rebuild(views, log)
        after = reader.answer(overdue.quarantined)

        why = f"task {id_text(STREAMS[0])} has version 1, then 3"
        assert [Quarantined(2, 2, "a flipped bit"), Quarantined(3, 3, why, STREAMS[0])] == found == still
        assert [] == after
        assert "succeeded" == reader.get(id_text(STREAMS[0])).status


@pytest.mark.parametrize("seen_by_views", [3, 4, 5])
def test_a_stream_is_told_of_from_where_it_began_not_to_go_on(tmp_path: Path, seen_by_views: int) -> None:
    story = Story(created(), TaskStarted(), *[TaskProgressed(message="more")] * 3, stream=STREAMS[0])
    log = DamagedLog(story.events)
    log.stored[1] = Damaged(2, "a flipped bit")
    with Views.open(tmp_path, log) as views:
        catch_up(views, log, until=seen_by_views)

        assert [2, 3] == [each.position for each in Reader(log, views).answer(overdue.quarantined)]


def test_a_whole_range_that_cannot_be_read_is_one_entry(tmp_path: Path) -> None:
    detail = "archive/1-9.seg is missing"
    log = DamagedLog([Damaged(position, detail) for position in range(1, 10)])
    with Views.open(tmp_path, log) as views:
        catch_up(views, log, slice_events=2)

        assert [Quarantined(1, 9, detail)] == Reader(log, views).answer(overdue.quarantined)
        assert check(views, log, "quarantine").ok


@pytest.mark.parametrize("slice_events", [1, 2, 100])
def test_a_pruning_is_the_last_word_on_a_task_of_which_the_beginning_was_deleted(
    tmp_path: Path, slice_events: int
) -> None:
    story = Story(created(), TaskStarted(), TaskSucceeded(), TaskPruned(reason="old"), stream=STREAMS[0])
    gone = [Deleted(position, "archive 1-2", by="ada", at=0, reason="old") for position in (1, 2)]
    log = DamagedLog([*gone, *story.events[2:]])
    with Views.open(tmp_path, log) as views:
        catch_up(views, log, slice_events=slice_events)

        assert [] == Reader(log, views).answer(overdue.quarantined)
        assert all(check(views, log, projection.name).ok for projection in views.projections)
        log.stored.append(story.next_event(TaskReleased()))
        after = Reader(log, views).answer(overdue.quarantined)
        catch_up(views, log)

        assert [(5, STREAMS[0])] == [(each.position, each.stream) for each in after]
        assert after == Reader(log, views).answer(overdue.quarantined)
        assert after == Reader(log, None).answer(overdue.quarantined)


def test_a_flow_that_does_not_go_on_is_told_and_its_pruning_ends_that(tmp_path: Path) -> None:
    tale = Tale(FlowResumed(), FlowFinished(), FlowPruned(reason="old"))
    log = DamagedLog([tale.events[0], Damaged(2, "a flipped bit"), tale.events[2]])
    with Views.open(tmp_path, log) as views:
        catch_up(views, log)
        before = Reader(log, views).answer(overdue.quarantined)
        log.stored.append(tale.events[3])
        unseen = Reader(log, views).answer(overdue.quarantined)
        catch_up(views, log)

        assert [(2, None), (3, tale.stream)] == [(each.position, each.stream) for each in before]
        assert [Quarantined(2, 2, "a flipped bit")] == unseen == Reader(log, views).answer(overdue.quarantined)
        assert all(check(views, log, projection.name).ok for projection in views.projections)


def test_a_row_of_the_quarantine_that_cannot_be_read_is_asked_of_the_log(tmp_path: Path) -> None:
    log = DamagedLog([Damaged(1, "a flipped bit")])
    with Views.open(tmp_path, log) as views:
        catch_up(views, log)
        with views.read() as sight:
            assert sight is not None
            table = sight.tables["quarantine"][0]
        views.environment.write_batch(lambda txn: txn.put((1).to_bytes(8), b"\xc1", db=table))

        assert [Quarantined(1, 1, "a flipped bit")] == Reader(log, views).answer(overdue.quarantined)


def test_a_sound_log_has_nothing_in_quarantine() -> None:
    log = logged(Story(created(), TaskStarted()).events)

    assert [] == Reader(log, None).answer(overdue.quarantined)
