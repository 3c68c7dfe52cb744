"""A ledger of which something is kept beside its log, and some erased, is replayed, compared and explained as any."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import tallystick
from tallystick import replayers
from tallystick.comparing import Relation, compare
from tallystick.config import Config, Payloads
from tallystick.lacks import Lack
from tallystick.ledger.content import without
from tallystick.ledger.events import ERASURES, Event
from tallystick.ledger.facts.tasks import TaskErased, TaskPruned, TaskSucceeded
from tallystick.ledger.payloads import kept_of, put
from tallystick.ledger.reasons.reason import Rule
from tallystick.ledger.store import keys
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.moments import By, When
from tallystick.replaying import Replay, Replayed, folded
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger
from tests.aside import REASON, Kept, kept_histories, kept_log, marked
from tests.face.parts import ORDINARY
from tests.projections.histories import told
from tests.replaying.test_together import joined, parts
from tests.story import BEGIN_MS, STREAM, Story, created

ASIDE = Config(payloads=Payloads(aside="content"))


def as_of(kept: Kept, position: int) -> list[Event]:
    """The events up to a position as they are now: what a later erasure took is blank."""
    erased = {event.stream: event.position for event in kept.events if event.data.__class__ in ERASURES}
    return [
        replace(event, data=without(event.data, put(event.data)))
        if event.position < erased.get(event.stream, 0) and put(event.data)
        else event
        for event in kept.events[:position]
    ]


# Replaying.


@given(kept_histories())
def test_a_replay_comes_to_what_the_actors_knew(kept: Kept) -> None:
    replay = Replay(kept.log())
    replay.advance()

    assert (kept.tasks, kept.flows) == (replay.records, replay.flows)
    assert ({}, []) == (replay.skipped, replay.damaged)


@given(kept_histories(), st.integers(0, 25), st.integers(1, 3))
def test_as_of_any_position_it_is_what_the_events_tell_now(kept: Kept, until: int, of: int) -> None:
    until = min(until, len(kept.events))
    log, twin = kept.log(), MemoryLog()
    twin.append(as_of(kept, until))

    for when in (When(until), When(until, BEGIN_MS + 3, By.REPORTED)):
        expected = parts(folded(twin, When(until) if when.by is By.RECORDED else when, until))
        assert expected == parts(folded(log, when, until))
        assert expected == parts(joined(log, when, until, of))


@given(kept_histories(), st.lists(st.integers(0, 25), max_size=4))
def test_however_it_is_cut_it_comes_to_the_same(kept: Kept, cuts: list[int]) -> None:
    replay = Replay(kept.log())
    for until in sorted(cuts):
        replay.changes(until)
    replay.changes()

    assert (kept.tasks, kept.flows, {}) == (replay.records, replay.flows, replay.skipped)


def test_what_is_erased_after_it_was_pruned_is_known_to_be_by_both_times() -> None:
    story = Story(created(label="Bob"), TaskSucceeded(summary="done"), TaskPruned())
    events, payloads = marked(story.events)
    kept = kept_of(event.data for event in events)
    story.tell(TaskErased(reason=REASON, fields=kept.fields, count=kept.count))
    log = MemoryLog()
    log.append([*events, story.events[-1]], {}, {}, payloads)

    replay, cut = Replay(log), Replay(log)
    replay.advance()
    cut.changes(3)
    cut.changes()
    late = folded(log, When(None, story.now_ms, By.REPORTED), log.head())

    for told_ in (replay, cut, late):
        assert ({STREAM: story.record}, {}) == (told_.records, told_.skipped)
    assert REASON == story.record.erased.reason  # type: ignore[union-attr]


@given(kept_histories())
def test_by_reported_time_an_erasure_counts_also_of_what_was_pruned(kept: Kept) -> None:
    log = kept.log()
    late = max((event.occurred_at for event in kept.events), default=0)

    told_ = folded(log, When(None, late, By.REPORTED), log.head())
    assert {stream: record.erased for stream, record in kept.tasks.items()} == {
        stream: record.erased for stream, record in told_.records.items()
    }


def full(ledger: Ledger, count: int = 12) -> list[Any]:
    """Tasks and flows that say something."""
    tasks = []
    for number in range(count):
        task = ledger.create(**{**ORDINARY, "task": f"Count {number}", "label": f"label {number}"})
        task.start()
        task.progress(f"half of {number}")
        if number % 3:
            task.succeed(f"all of {number}")
        tasks.append(task)
    ledger.flows.create(owner="a", goal="release", controller="bot").claim("build")
    return tasks


def test_processes_come_to_what_one_comes_to(folder: Path) -> None:
    with tallystick.open(folder, config=ASIDE, clock=HandClock()) as ledger:
        for task in full(ledger)[::2]:
            task.erase(REASON)
    with DiskLog.open(folder / "log", readonly=True) as log:
        together = replayers.together(log, When(), log.head(), folder=folder / "log", processes=3, progress=None)
        alone = folded(log, When(), log.head())

    assert isinstance(together, Replayed)
    assert parts(alone) == parts(together)
    texts = sorted(record.task for record in alone.records.values())
    assert ["", "", "", "", "", "", "Count 1", "Count 11", "Count 3", "Count 5", "Count 7", "Count 9"] == texts


def test_the_past_of_an_erased_task_has_its_life_and_none_of_its_texts(any_aside: Ledger) -> None:
    task = full(any_aside, 2)[1]
    ended = any_aside.timeline(task.id)[-1].position
    task.erase(REASON)

    before, now = any_aside.replay(position=ended), any_aside.replay()
    assert ("succeeded", "", None) == (
        before.get(task.id).status.value,
        before.get(task.id).task,
        before.get(task.id).erased,
    )
    assert REASON == now.get(task.id).erased.reason  # type: ignore[union-attr]
    assert now.get(task.id) == any_aside.get(task.id).record


@pytest.fixture(params=["disk", "memory"])
def any_aside(request: pytest.FixtureRequest, folder: Path) -> Any:
    """A ledger of which all content is kept beside the log."""
    clock = HandClock()
    opened = (
        tallystick.open(folder, config=ASIDE, clock=clock)
        if request.param == "disk"
        else memory_ledger(config=ASIDE, clock=clock)
    )
    with opened as ledger:
        yield ledger


# Why.


def test_why_says_what_happened_and_not_what_was_erased(any_aside: Ledger) -> None:
    task = any_aside.create(**{**ORDINARY, "task": "Xylophone", "notify": "done_only"})
    task.start()
    task.fail("Xylophone")
    assert "agent reported that it failed: Xylophone" in [each.said for each in any_aside.why(task.id).reasons] or any(
        each.said.endswith("reported that it failed: Xylophone") for each in any_aside.why(task.id).reasons
    )
    task.erase(REASON)

    why = any_aside.why(task.id)
    assert "Xylophone" not in str(why)
    assert "failed" == why.status
    assert why.reasons[-1].said.endswith(f"erased its content: {REASON}")
    assert Rule.ERASED is why.reasons[-1].rule
    assert [each for each in why.reasons if each.said.endswith("reported that it failed")]
    past = any_aside.why(task.id, position=3)
    assert "Xylophone" not in str(past)


# Comparing.


def test_a_ledger_that_erased_more_is_the_same_and_goes_on_and_it_is_said_what_it_lacks(folder: Path) -> None:
    with tallystick.open(folder, config=ASIDE, clock=HandClock()) as ledger:
        tasks = full(ledger)
        ledger.backup(folder.with_name("backup"))
        for task in tasks[:2]:
            task.erase(REASON)
    with DiskLog.open(folder / "log") as log, DiskLog.open(folder.with_name("backup") / "log") as backup:
        found, back = compare(log, backup), compare(backup, log)
        trees = compare(log, backup, trees_only=True)

    assert (Relation.PREFIX, "other", ()) == (found.relation, found.shorter, found.faults)
    assert isinstance(found.next, Event)
    assert "task-erased.1" == found.next.type
    assert (Lack(side="this", events=5, fields=7),) == found.lacks
    assert (Lack(side="other", events=5, fields=7),) == back.lacks
    assert () == trees.lacks


@given(kept_histories(), st.data())
def test_what_a_log_and_a_copy_of_it_from_before_lack_is_what_was_erased_since(kept: Kept, data: st.DataObject) -> None:
    until = data.draw(st.integers(0, len(kept.events)))
    log, older = kept.log(), MemoryLog()
    older.append(kept.events[:until], {}, {}, {at: each for at, each in kept.payloads.items() if at <= until})

    found = compare(log, older)

    kept_there = {(row[0], row[1]) for row in older.payloads(1, until)}
    kept_here = {(row[0], row[1]) for row in log.payloads(1, until)}
    gone = kept_there - kept_here
    expected = (Lack(side="this", events=len({at for at, _ in gone}), fields=len(gone)),) if gone else ()
    assert (expected, ()) == (found.lacks, found.faults)
    assert set() == kept_here - kept_there


def test_a_payload_that_was_changed_is_a_fault_of_its_ledger(folder: Path) -> None:
    with tallystick.open(folder, config=ASIDE, clock=HandClock()) as ledger:
        full(ledger, 1)
        ledger.backup(folder.with_name("backup"))
    with DiskLog.open(folder / "log") as log, DiskLog.open(folder.with_name("backup") / "log") as backup:
        rows = {(at, name): payload for at, name, payload in log.payloads(1, log.head())}
        at, name = min(rows)
        kept = log.environment.databases[keys.PAYLOADS]
        wrong = rows[at, name][:-1] + b"!"
        log.environment.write_batch(lambda txn: txn.put(keys.payload_key(at, name), wrong, db=kept))
        found = compare(log, backup)
        log.environment.write_batch(lambda txn: txn.delete(keys.payload_key(at, name), db=kept))
        lost = compare(log, backup)

    assert [("this", at, f"what is kept of {name} is not what its record names")] == [
        (fault.side, fault.position, fault.detail) for fault in found.faults
    ]
    assert [("this", at, f"what was kept of {name} is gone, and nobody erased it")] == [
        (fault.side, fault.position, fault.detail) for fault in lost.faults
    ]
    assert (Relation.EQUAL, (), ()) == (found.relation, found.lacks, lost.lacks)


def test_a_difference_shows_what_both_say() -> None:
    one, other = kept_log(told()), kept_log([replace(each, actor="nobody") for each in told()])

    found = compare(one, other)

    assert found.difference is not None
    for side in (found.difference.this, found.difference.other):
        assert isinstance(side, Event)
        assert "Count the tallies" == side.data.task  # type: ignore[union-attr]
    assert ("actor",) == found.difference.differs
