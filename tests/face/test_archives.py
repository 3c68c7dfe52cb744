"""Whoever has a ledger open lists and deletes its archives; the rest answers as if nothing were archived."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import tallystick
from tallystick import InvalidInput, NotFound, NotOwner, Pruned, Refused
from tallystick.ledger.ids import id_text
from tallystick.ledger.redaction import REDACTED
from tallystick.ledger.store.disk import DiskLog
from tallystick.projections.rebuild import rebuild
from tallystick.readings import LOG_FOLDER
from tallystick.testing import HandClock, memory_ledger
from tests.face.parts import ORDINARY
from tests.ledger.archive.shelves import SEGMENT, seal
from tests.ledger.archive.test_deletion import TASKS, write
from tests.ledger.store.make import AT_MS, stream_id
from tests.redacting.parts import SECRET, named

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


def test_why_an_archive_was_deleted_is_kept_without_what_a_hook_names(archived: Path) -> None:
    with tallystick.open(archived, redact_stored=named) as ledger:
        [deleted] = ledger.delete_archives(before=SEGMENT + 1, reason=f"it had {SECRET}")

        assert f"it had {REDACTED}" == deleted.reason
    assert not any(SECRET.encode() in path.read_bytes() for path in archived.rglob("*") if path.is_file())


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


# What is said of a history that was deleted.

DELETED = r"Its events were deleted with positions 1 to 512 by .+ at \d+ \(ms\): the law"
DAY_MS = 86_400_000


def asked(ledger: tallystick.Ledger, token: str) -> list[Callable[[], object]]:
    """Everything that asks for one task or flow."""
    return [
        lambda: ledger.timeline(token),
        lambda: ledger.state_at(token),
        lambda: ledger.state_at(token, position=SEGMENT // 2),
        lambda: ledger.explain(token),
    ]


def told_of(ask: Callable[[], object]) -> tuple[str, dict[str, object]]:
    with pytest.raises(Pruned) as told:
        ask()
    return str(told.value), told.value.data


def test_a_task_whose_history_was_deleted_says_what_it_was_and_who_deleted_that_when_and_why(archived: Path) -> None:
    with tallystick.open(archived, actor="ada") as ledger:
        ledger.delete_archives(before=SEGMENT + 1, reason="the law")
        [deleted] = [each for each in ledger.archives() if each.is_deleted]
        asks = [
            *asked(ledger, WHOLE),
            lambda: ledger.get(WHOLE),
            lambda: ledger.find(WHOLE),
            lambda: ledger.create(**ORDINARY, run_id="run-5"),
        ]

        told = [told_of(ask) for ask in asks]

        for words, data in told:
            assert re.search(f"^Task pruned: {WHOLE} was succeeded, ended at \\d+ .*{DELETED}$", words), words
            assert ("ada", deleted.deleted_at, "the law") == tuple(
                data[name] for name in ("deleted_by", "deleted_at", "deleted_reason")
            )
        assert [told[0][1]] * len(told) == [data for _, data in told]
        assert ledger.create(**ORDINARY, run_id="another", parent=WHOLE).record.parent_task_id == WHOLE


def test_a_task_of_whose_history_a_part_was_deleted_says_so_and_shows_the_rest(archived: Path) -> None:
    with tallystick.open(archived) as ledger:
        ledger.delete_archives(before=SEGMENT + 1, reason="the law")

        asks = [lambda: ledger.state_at(STRADDLING), lambda: ledger.state_at(STRADDLING, position=SEGMENT)]
        words = [told_of(ask)[0] for ask in (*asks, lambda: ledger.explain(STRADDLING), lambda: ledger.get(STRADDLING))]

        assert 3 == len(ledger.timeline(STRADDLING))
        for said in words:
            assert "The rest of its history is in the log; its first events were deleted with positions 1 to" in said
        whole = told_of(lambda: ledger.get(id_text(stream_id(TASKS - 1))))
        assert whole[0].endswith("Its history is in the log.")
        assert {None} == {whole[1][name] for name in ("deleted_by", "deleted_at", "deleted_reason")}


def test_when_the_read_models_were_made_anew_what_was_deleted_is_still_known_to_be_gone(archived: Path) -> None:
    with tallystick.open(archived) as ledger:
        ledger.settled()  # what was read before it was deleted is not written afterwards
        ledger.delete_archives(before=SEGMENT + 1, reason="the law")
        views = ledger._house.readings.views  # noqa: SLF001 - as above
        assert views is not None
        rebuild(views, ledger._house.readings.log)  # noqa: SLF001
        asks = [*asked(ledger, WHOLE), lambda: ledger.get(WHOLE), lambda: ledger.create(**ORDINARY, run_id="run-5")]

        for words, data in map(told_of, asks):
            assert re.search(f"^Task or flow pruned: {WHOLE}. {DELETED}$", words), words
            assert ("unknown", None) == (data["status"], data["ended_at"])
        with pytest.raises(NotFound) as missing:
            ledger.get(id_text(stream_id(TASKS + 7)))
        assert not isinstance(missing.value, Pruned)


def deleted_flows(folder: Path) -> dict[str, str]:
    """Make a ledger in which all that was told of some flows is deleted; return their ids by what they were."""
    clock = HandClock()
    detached = {**ORDINARY, "notify": "done_only"}
    with tallystick.open(folder, clock=clock) as ledger:
        managed = ledger.flows.create(owner=ORDINARY["owner"], goal="Release", controller="bot")
        managed.finish("released")
        alone, first = ledger.create(**detached), ledger.create(**detached)
        joined = ledger.create(**detached, flow=first.record.parent_flow_id)
        for task in (alone, first, joined):
            task.succeed("done")
            ledger.dismiss(task.id)
        clock.advance(8 * DAY_MS)
        ledger.sweep()
        with ledger.batch() as batch:  # so that a segment is full
            for _ in range(SEGMENT // 3):
                batch.create(**ORDINARY).succeed("done")
        clock.advance(8 * DAY_MS)
        ledger.sweep()
        assert 0 == ledger.counts().total
        mirrors = [str(task.record.parent_flow_id) for task in (alone, first)]
        ids = {"managed": managed.id, "mirror": mirrors[0], "joined mirror": mirrors[1], "task": alone.id}
    with DiskLog.open(folder / LOG_FOLDER) as log:
        seal(log)
    with tallystick.open(folder, clock=clock, actor="ada") as ledger:
        ledger.delete_archives(before=SEGMENT + 1, reason="the law")
    return ids


@pytest.mark.parametrize("kind", ["managed", "mirror", "joined mirror"])
def test_a_flow_whose_history_was_deleted_is_told_as_a_flow(folder: Path, kind: str) -> None:
    flow_id = deleted_flows(folder)[kind]
    with tallystick.open(folder) as ledger:
        asks = [
            *asked(ledger, flow_id),
            lambda: ledger.flows.get(flow_id),
            lambda: ledger.flows.find(flow_id),
        ]
        if kind != "mirror":  # of that nothing was ever written, so that nothing can join it
            asks.append(lambda: ledger.create(**ORDINARY, flow=flow_id))

        told = [told_of(ask) for ask in asks]

        for words, data in told:
            assert re.search(f"^Flow pruned: {flow_id} was succeeded, ended at \\d+ .*{DELETED}$", words), words
            assert ("ada", "the law") == (data["deleted_by"], data["deleted_reason"])


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
