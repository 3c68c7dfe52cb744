"""Whoever has a ledger open lists and deletes its archives; the rest answers as if nothing were archived."""

import asyncio
from pathlib import Path

import pytest

import tallystick
from tallystick import InvalidInput, NotFound, NotOwner, Pruned, Refused
from tallystick.ledger.ids import id_text
from tallystick.ledger.store.disk import DiskLog
from tallystick.projections.rebuild import rebuild
from tallystick.readings import LOG_FOLDER
from tallystick.testing import memory_ledger
from tests.face.parts import ORDINARY
from tests.ledger.archive.shelves import SEGMENT, seal
from tests.ledger.archive.test_deletion import TASKS, write
from tests.ledger.store.make import AT_MS, stream_id

WHOLE = id_text(stream_id(5))  # all its events are in the first segment
STRADDLING = id_text(stream_id(SEGMENT // 5))


@pytest.fixture
def archived(folder: Path) -> Path:
    """A ledger of tasks that are pruned, with four segments in its archive."""
    write(folder / LOG_FOLDER)
    return folder


def test_histories_and_moments_that_are_archived_answer_as_before(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        tasks = [ledger.create(**ORDINARY) for _ in range(200)]
        for task in tasks:
            task.start()
            task.succeed("done")
        told = [(ledger.timeline(task.id), ledger.state_at(task.id, position=300)) for task in tasks[:100]]
        page, events = ledger.list(limit=500), list(ledger.events())
    with DiskLog.open(folder / LOG_FOLDER) as log:
        assert seal(log, segment_events=256) > 0

    with tallystick.open(folder) as ledger:
        assert told == [(ledger.timeline(task.id), ledger.state_at(task.id, position=300)) for task in tasks[:100]]
        assert (page, events) == (ledger.list(limit=500), list(ledger.events()))
        assert tasks[0].record == ledger.get(tasks[0].id).record
        views = ledger._house.readings.views  # noqa: SLF001 - what is rebuilt lies behind the face
        assert views is not None
        rebuild(views, ledger._house.readings.log)  # noqa: SLF001
        assert page == ledger.list(limit=500)
        ledger.get(tasks[0].id).hold("evidence")
        assert [*told[0][0], *ledger.events(after=len(events))] == ledger.timeline(tasks[0].id)
        assert ledger.verify().ok


def test_a_pruned_task_answers_so_also_when_its_beginning_is_deleted_and_the_audit_is_clean(archived: Path) -> None:
    with tallystick.open(archived) as ledger:
        deleted = ledger.delete_archives(before=SEGMENT + 1, reason="the law")

        assert [(1, SEGMENT, "the law")] == [(each.first, each.last, each.reason) for each in deleted]
        with pytest.raises(Pruned):
            ledger.get(WHOLE)
        with pytest.raises(NotFound, match=r"Its events were deleted with positions 1 to 512 by .*: the law"):
            ledger.timeline(WHOLE)
        assert [event.position > SEGMENT for event in ledger.timeline(STRADDLING)] == [True] * 3
        views = ledger._house.readings.views  # noqa: SLF001 - as above
        assert views is not None
        rebuild(views, ledger._house.readings.log)  # noqa: SLF001
        with pytest.raises(Pruned):
            ledger.get(id_text(stream_id(TASKS - 1)))
        assert 0 == ledger.audit().summary.total
        assert ledger.verify().ok


async def listed(folder: Path) -> list[bool]:
    async with tallystick.open_async(folder) as ledger:
        await ledger.delete_archives(recorded_before=AT_MS + 2 * SEGMENT + 1, reason="x")
        return [each.is_deleted for each in await ledger.archives()]


def test_asyncio_has_the_same(archived: Path) -> None:
    assert [True, True, False, False] == asyncio.run(listed(archived))


def test_a_ledger_that_only_reads_lists_and_deletes_nothing(archived: Path) -> None:
    with tallystick.open(archived, read_only=True) as ledger:
        assert 4 == len(ledger.archives())
        with pytest.raises(NotOwner):
            ledger.delete_archives(before=SEGMENT + 1, reason="x")
        assert not any(each.is_deleted for each in ledger.archives())


def test_a_joined_process_deletes_beside_the_owner(archived: Path) -> None:
    with tallystick.open(archived) as owner, tallystick.join(archived) as ledger:
        ledger.delete_archives(before=SEGMENT + 1, reason="x")

        assert ledger.archives() == owner.archives()
        assert owner.archives()[0].is_deleted


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"before": 5, "reason": ""}, "reason"),
        ({"before": 5, "reason": 5}, "reason"),
        ({"reason": "x"}, "before"),
        ({"before": 5, "recorded_before": 5, "reason": "x"}, "before"),
        ({"before": 0, "reason": "x"}, "before"),
        ({"before": "5", "reason": "x"}, "before"),
        ({"recorded_before": -1, "reason": "x"}, "recorded_before"),
    ],
)
def test_bad_input_names_the_field_and_nothing_is_deleted(archived: Path, given: dict[str, object], field: str) -> None:
    with tallystick.open(archived) as ledger:
        with pytest.raises(InvalidInput) as refused:
            ledger.delete_archives(**given)  # type: ignore[arg-type] # that is the question
        assert field == refused.value.field
        assert not any(each.is_deleted for each in ledger.archives())


def test_a_task_that_is_not_pruned_keeps_its_archive(folder: Path) -> None:
    write(folder / LOG_FOLDER, pruned=lambda number: number != 3)
    with tallystick.open(folder) as ledger:
        with pytest.raises(Refused) as refused:
            ledger.delete_archives(before=10**6, reason="x")

        assert (id_text(stream_id(3)), "succeeded") == (refused.value.token, refused.value.status)
        assert not any(each.is_deleted for each in ledger.archives())


def test_a_ledger_in_memory_has_no_archive() -> None:
    with memory_ledger() as ledger:
        assert () == ledger.archives()
        assert () == ledger.delete_archives(before=5, reason="x")
