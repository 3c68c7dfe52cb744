"""An erasure takes all content that is kept beside the log, says what stays, and can be asked for beforehand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import tallystick
from tallystick import Config, FlowRefused, InvalidInput, NotFound, NotOwner, Pruned, Refused
from tallystick.config import Payloads
from tallystick.erasures import Part
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.ledger.payloads import lacking
from tallystick.ledger.store.tree import TILE_WIDTH
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger
from tests.erasing.parts import ASIDE, OWNER, SECRET, WHY, Searcher, asked, ended, seal
from tests.face.parts import open_any

DAY = 86_400_000
CREATED = ("task", "label", "origin", "metadata")
NOTHING_ASIDE = Config()


def fields_of(parts: tuple[Part, ...]) -> dict[str, tuple[str, ...]]:
    return {part.type: part.fields for part in parts}


def test_what_goes_is_what_was_foreseen_and_the_event_says_how_much(ledger: Ledger) -> None:
    task = asked(ledger, notify="silent")
    task.fail(f"no answer of {SECRET}", summary=SECRET)
    head = ledger.status().head

    foreseen = ledger.erase(task.id, reason=WHY, dry_run=True)
    assert (head, None, False, None) == (ledger.status().head, foreseen.erased, foreseen.is_new, foreseen.record)
    erasure = ledger.erase(task.id, reason=WHY)

    gone = {"task-created.1": CREATED, "task-failed.1": ("error", "summary")}
    assert gone == fields_of(foreseen.gone) == fields_of(erasure.gone)
    assert (6, (*CREATED, "error", "summary")) == (erasure.count, erasure.fields)
    event = ledger.timeline(task.id)[-1]
    assert ("task-erased.1", "tester") == (event.type, event.actor)
    assert (WHY, erasure.fields, 6) == (event.data.reason, event.data.fields, event.data.count)  # type: ignore[union-attr]
    assert True is erasure.is_new
    assert erasure.record == ledger.get(task.id).record
    told = erasure.erased
    assert told is not None
    assert (event.occurred_at, "tester", WHY) == (told.at, told.by, told.reason)
    assert told == ledger.get(task.id).record.erased


@pytest.mark.parametrize("kind", ["disk", "asyncio", "joined"])
@pytest.mark.parametrize("way", ["ledger", "handle", "batch"])
def test_as_soon_as_it_is_answered_no_database_has_it(
    kind: str, way: str, folder: Path, clock: HandClock, searcher: Searcher
) -> None:
    erase: dict[str, Callable[[Any, str], object]] = {
        "ledger": lambda ledger, task_id: ledger.erase(task_id, reason=WHY),
        "handle": lambda ledger, task_id: ledger.get(task_id).erase(WHY),
        "batch": _in_a_batch,
    }
    with open_any(kind, folder, clock) as ledger:
        tasks = [ended(ledger, run_id=f"run-{number}", label=f"{SECRET}-{number}-") for number in range(3)]
        assert searcher.find(folder, SECRET)
        for task in tasks:
            erase[way](ledger, task.id)
            assert [] == searcher.find(folder, f"{SECRET}-{tasks.index(task)}-")
        assert [] == searcher.find(folder, SECRET)


@pytest.mark.parametrize("kind", ["disk", "asyncio", "joined"])
def test_as_soon_as_it_is_answered_no_database_has_what_a_flow_said(
    kind: str, folder: Path, clock: HandClock, searcher: Searcher
) -> None:
    erase: list[Callable[[Any, str], object]] = [
        lambda ledger, flow_id: ledger.erase(flow_id, reason=WHY),
        lambda ledger, flow_id: ledger.flows.get(flow_id).erase(WHY),
        lambda ledger, flow_id: ledger.flows.erase(flow_id, WHY),
    ]
    with open_any(kind, folder, clock) as ledger:
        for number, each in enumerate(erase):
            flow = ledger.flows.create(owner=OWNER, goal=f"{SECRET}-{number}-", controller="bot")
            flow.set_waiting({"for": f"{SECRET}-{number}-"})
            ledger.settled()
            assert "views/flows.rows.0" in {found.place for found in searcher.find(folder, f"{SECRET}-{number}-")}
            each(ledger, flow.id)
            assert [] == searcher.find(folder, f"{SECRET}-{number}-")


def _in_a_batch(ledger: Any, task_id: str) -> None:
    with ledger.batch() as batch:
        batch.task(task_id).erase(WHY)


def test_a_ledger_in_memory_erases_as_one_on_disk_does() -> None:
    with memory_ledger(config=ASIDE) as ledger:
        task = ended(ledger)
        ledger.erase(task.id, reason=WHY)

        assert SECRET not in repr((ledger.get(task.id).record, ledger.timeline(task.id), ledger.deliveries(task.id)))
        assert [] == ledger.session(OWNER).take()
        assert [] == ledger.list(text=SECRET).tasks
        assert ledger.verify().ok


def test_what_stands_in_the_log_stays_and_is_said(folder: Path, clock: HandClock, searcher: Searcher) -> None:
    with tallystick.open(folder, clock=clock, config=NOTHING_ASIDE) as ledger:
        task = asked(ledger, task="in the log", label=None, origin=None, metadata=None, notify="silent")
        task.start()
    with tallystick.open(folder, clock=clock) as ledger:
        ledger.get(task.id).succeed(SECRET)
        erasure = ledger.erase(task.id, reason=WHY)

        assert {"task-created.1": ("task",)} == fields_of(erasure.stays)
        assert {"task-succeeded.1": ("summary",)} == fields_of(erasure.gone)
        assert ("", None) == (ledger.get(task.id).record.task, ledger.get(task.id).record.terminal_summary)
        assert "in the log" == ledger.timeline(task.id)[0].data.task  # type: ignore[union-attr]
    assert [] == searcher.find(folder, SECRET)


def test_where_nothing_is_kept_beside_the_log_nothing_can_be_erased_and_the_error_says_what_to_do(
    folder: Path, clock: HandClock
) -> None:
    with tallystick.open(folder, clock=clock, config=NOTHING_ASIDE) as ledger:
        task, flow = ended(ledger), ledger.flows.create(owner=OWNER, goal="x", controller="bot")
        head = ledger.status().head
        for token, error in ((task.id, Refused), (flow.id, FlowRefused)):
            assert 0 == ledger.erase(token, reason=WHY, dry_run=True).count
            with pytest.raises(
                error, match=r'what is in the log itself stays: put content aside .*"aside".*\[payloads\]'
            ):
                ledger.erase(token, reason=WHY)
        assert head == ledger.status().head


def test_once_more_says_what_was_done_before_and_writes_nothing(ledger: Ledger, clock: HandClock) -> None:
    task = ended(ledger)
    first = ledger.erase(task.id, reason=WHY)
    clock.advance(DAY)
    head = ledger.status().head

    again = ledger.erase(task.id, reason="somebody else asks")

    assert replace(first, is_new=False) == again
    assert head == ledger.status().head
    assert () == ledger.erase(task.id, reason=WHY, dry_run=True).gone


def test_what_comes_after_an_erasure_is_erased_by_the_next(ledger: Ledger, folder: Path, searcher: Searcher) -> None:
    task = asked(ledger, notify="silent")
    ledger.erase(task.id, reason=WHY)
    task.start()
    task.progress(f"{SECRET} again", force=True)
    assert f"{SECRET} again" == ledger.get(task.id).record.progress_summary

    erasure = ledger.erase(task.id, reason="again")

    assert {"task-progressed.1": ("message",)} == fields_of(erasure.gone)
    assert [] == searcher.find(folder, SECRET)
    assert None is ledger.get(task.id).record.progress_summary


def test_progress_that_is_held_back_goes_with_it(ledger: Ledger, folder: Path, searcher: Searcher) -> None:
    task = asked(ledger)
    task.start()
    task.progress("first")
    task.progress(f"{SECRET} held back")
    ledger.erase(task.id, reason=WHY)
    ledger.sweep()

    assert [] == searcher.find(folder, SECRET)


def test_who_asks_again_does_not_bring_the_content_back(ledger: Ledger, folder: Path, searcher: Searcher) -> None:
    task = ended(ledger, idempotency_key="once")
    ledger.erase(task.id, reason=WHY)
    head = ledger.status().head

    again = asked(ledger, idempotency_key="once")

    assert (task.id, False) == (again.id, again.is_new)
    assert head == ledger.status().head
    assert [] == searcher.find(folder, SECRET)


def test_a_run_is_not_recognised_by_texts_that_are_erased(ledger: Ledger) -> None:
    """By what would recognise it, whoever tries could find out what it said."""
    task = ended(ledger)
    assert task.id == asked(ledger).id
    ledger.erase(task.id, reason=WHY)

    assert task.id != asked(ledger).id


def test_what_was_not_delivered_is_dismissed_and_nobody_is_told_any_more(ledger: Ledger, clock: HandClock) -> None:
    given: list[str] = []

    def busy(delivery: Any) -> Any:
        given.append(delivery.text)
        raise tallystick.Retryable("busy")

    ledger.channel("chat", busy)
    task = ended(ledger)
    ledger.settled()
    sent = len(given)
    ledger.erase(task.id, reason=WHY)
    clock.advance(DAY)
    ledger.sweep()

    assert sent == len(given)
    messages = ledger.deliveries(task.id)
    assert {"dismissed"} == {str(message.status) for message in messages}
    assert [("", ("text", "route"))] == [(message.text, message.erased) for message in messages[:1]]


# Pruned, deleted, mirrored.


def test_a_task_that_was_pruned_is_erased_by_its_id(folder: Path, clock: HandClock, searcher: Searcher) -> None:
    with tallystick.open(folder, clock=clock) as ledger:
        task = ended(ledger)
        ledger.dismiss(task.id)
        clock.advance(8 * DAY)
        ledger.sweep()
        with pytest.raises(Pruned) as before:
            ledger.get(task.id)
        assert searcher.find(folder, SECRET)
        erasure = ledger.erase(task.id, reason=WHY)

        assert [] == searcher.find(folder, SECRET)
        assert (CREATED, "task-erased.1") == (erasure.gone[0].fields, ledger.timeline(task.id)[-1].type)
        with pytest.raises(Pruned) as after:
            ledger.get(task.id)
        assert str(before.value) == str(after.value)
        assert False is ledger.erase(task.id, reason=WHY).is_new
    with tallystick.open(folder, clock=clock) as ledger, pytest.raises(Pruned) as later:
        ledger.get(task.id)
    assert str(before.value) == str(later.value)


def test_a_flow_goes_without_its_tasks_also_when_it_was_pruned(
    ledger: Ledger, clock: HandClock, folder: Path, searcher: Searcher
) -> None:
    flows = []
    for number in range(2):
        flow = ledger.flows.create(owner=OWNER, goal=f"{SECRET}{number}", controller="bot", state={"a": [SECRET]})
        flow.set_waiting(f"{SECRET}{number}", blocked=f"{SECRET}{number}")
        flow.fail(f"{SECRET}{number}")
        flows.append(flow)
    task = ledger.create(runtime="cli", task="stays", owner=OWNER)
    first = ledger.erase(flows[0].id, reason=WHY)
    assert [] == searcher.find(folder, f"{SECRET}0")
    assert {"flow-created.1", "flow-waiting-set.1", "flow-failed.1"} == {part.type for part in first.gone}
    record = ledger.flows.get(flows[0].id).record
    assert ("", None, first.erased) == (record.goal, record.error, record.erased)
    clock.advance(8 * DAY)
    ledger.sweep()
    with pytest.raises(Pruned):
        ledger.flows.get(flows[1].id)

    ledger.erase(flows[1].id, reason=WHY)

    assert [] == searcher.find(folder, SECRET)
    assert "stays" == ledger.get(task.id).record.task


def test_a_flow_that_mirrors_a_task_is_erased_with_it_and_not_alone(
    ledger: Ledger, folder: Path, searcher: Searcher
) -> None:
    task = asked(ledger)
    task.start()
    mirror = mirror_of(task.id)
    ledger.flows.cancel(mirror, f"{SECRET} says so", wait_ms=0)
    for dry_run in (True, False):
        with pytest.raises(FlowRefused, match="It mirrors a task: erase that") as refused:
            ledger.erase(mirror, reason=WHY, dry_run=dry_run)
        assert "not_managed" == refused.value.code
    ledger.settled()

    erasure = ledger.erase(task.id, reason=WHY)

    assert {"flow-created.1", "flow-cancel-requested.1"} < {part.type for part in erasure.gone}
    assert [] == searcher.find(folder, SECRET)
    assert "" == ledger.flows.get(mirror).record.goal


def test_of_a_history_whose_beginning_was_deleted_the_rest_is_erased(
    ledger: Ledger, clock: HandClock, folder: Path, searcher: Searcher
) -> None:
    task = asked(ledger, notify="silent")
    task.start()
    filler = ledger.create(runtime="cli", task="much", owner=OWNER)
    with ledger.batch() as batch:
        for step in range(TILE_WIDTH):
            batch.task(filler.id).progress(str(step), force=True)
        batch.task(filler.id).succeed()
    task.succeed(f"{SECRET} at the end")
    clock.advance(8 * DAY)
    ledger.sweep()
    seal(ledger, segment_events=TILE_WIDTH)
    ledger.delete_archives(before=TILE_WIDTH + 1, reason="old")
    assert [found.place for found in searcher.find(folder, SECRET)] == ["log/payloads"]
    for is_new in (True, False):
        erasure = ledger.erase(task.id, reason=WHY)

        assert is_new == erasure.is_new
        assert ("summary",) == fields_of(erasure.gone)["task-succeeded.1"]
        assert [] == searcher.find(folder, SECRET)
        with pytest.raises(Pruned):
            ledger.get(task.id)


def test_a_history_that_was_deleted_whole_has_nothing_to_be_erased(
    ledger: Ledger, clock: HandClock, folder: Path, searcher: Searcher
) -> None:
    task = ended(ledger)
    ledger.dismiss(task.id)
    clock.advance(8 * DAY)
    ledger.sweep()
    with ledger.batch() as batch:
        other = batch.create(runtime="cli", task="much", owner=OWNER)
        for step in range(2 * TILE_WIDTH):
            other.progress(str(step), force=True)
    seal(ledger, segment_events=TILE_WIDTH)
    ledger.get(other.id).succeed()
    clock.advance(8 * DAY)
    ledger.sweep()
    ledger.delete_archives(before=TILE_WIDTH + 1, reason="old")

    for dry_run in (True, False):
        with pytest.raises(Pruned, match="deleted"):
            ledger.erase(task.id, reason=WHY, dry_run=dry_run)
    assert [] == searcher.find(folder, SECRET)


# Who says the same.


def test_it_is_said_how_far_the_look_for_copies_is(ledger: Ledger) -> None:
    task = ended(ledger)
    seen: list[tuple[int, int]] = []

    ledger.erase(task.id, reason=WHY, told=lambda done, total: seen.append((done, total)))

    assert seen
    assert seen[-1][0] == seen[-1][1]


# What is refused.


@pytest.mark.parametrize("reason", ["", "  ", None, 5])
def test_who_erases_says_why(ledger: Ledger, reason: Any) -> None:
    task = ended(ledger)
    for erase in (lambda: ledger.erase(task.id, reason=reason), lambda: task.erase(reason)):
        with pytest.raises(InvalidInput) as refused:
            erase()
        assert "reason" == refused.value.field
    assert None is ledger.get(task.id).record.erased


def test_what_is_not_there_or_only_read_cannot_be_erased(ledger: Ledger, folder: Path) -> None:
    task = ended(ledger)
    for dry_run in (True, False):
        with pytest.raises(NotFound):
            ledger.erase("nothing", reason=WHY, dry_run=dry_run)
    with tallystick.open(folder, read_only=True) as reader:
        assert ledger.erase(task.id, reason=WHY, dry_run=True) == reader.erase(task.id, reason=WHY, dry_run=True)
        with pytest.raises(NotOwner):
            reader.erase(task.id, reason=WHY)
    assert None is ledger.get(task.id).record.erased


def test_a_task_can_be_erased_as_of_the_version_that_was_seen(ledger: Ledger) -> None:
    task = ended(ledger)
    with pytest.raises(tallystick.WrongVersion):
        task.erase(WHY, expected_version=1)
    record = task.erase(WHY, expected_version=task.record.version)
    assert record == ledger.get(task.id).record
    assert all(lacking(event.data) for event in ledger.timeline(task.id) if event.data.aside)


def test_only_what_is_larger_than_a_bound_is_kept_beside_the_log_and_erased(folder: Path, clock: HandClock) -> None:
    settings = Config(payloads=Payloads(larger_than=100))
    with tallystick.open(folder, clock=clock, config=settings) as ledger:
        task = ledger.create(runtime="cli", task="short", owner=OWNER)
        task.succeed("long " * 50)
        erasure = ledger.erase(task.id, reason=WHY)

        assert {"task-succeeded.1": ("summary",)} == fields_of(erasure.gone)
        assert {"task-created.1": ("task",)} == fields_of(erasure.stays)
