"""Lost is an inference from evidence: only after the whole grace, only while somebody watched, and never final."""

from pathlib import Path

import pytest

import tallystick
from tallystick import Config, Verdict
from tallystick.ledger.errors import Refused
from tallystick.ledger.facts.tasks import TaskBackingMissed, TaskLost, TaskRecovered
from tallystick.sync import Ledger
from tallystick.task import Task
from tallystick.testing import HandClock
from tests.watching.conftest import OWNER, Told

GRACE_MS = 300_000


def running(ledger: Ledger, runtime: str = "subagent", **given: object) -> Task:
    task = ledger.create(runtime=runtime, task="work", owner=OWNER, notify="silent")
    task.start(**given)  # type: ignore[arg-type]
    return task


def types(ledger: Ledger, task: Task) -> list[str]:
    return [event.type for event in ledger.timeline(task.id)]


def test_the_first_miss_is_recorded_with_what_was_seen_and_begins_the_grace(ledger: Ledger, told: Told) -> None:
    task = running(ledger)
    told.answer = Verdict.missing({"session": "agent:main:subagent:1", "detail": "no such session"})

    ledger.sweep()
    ledger.sweep()

    missed = ledger.timeline(task.id)[-1]
    assert "task-backing-missed.1" == missed.type
    assert missed.data == TaskBackingMissed(evidence={"session": "agent:main:subagent:1", "detail": "no such session"})
    assert "supervisor" == missed.actor
    assert "running" == ledger.get(task.id).status


def test_it_is_lost_when_it_stayed_away_for_the_whole_grace_and_not_a_moment_before(
    ledger: Ledger, told: Told, clock: HandClock
) -> None:
    task = running(ledger)
    told.answer = Verdict.missing("no such session")
    ledger.sweep()

    clock.advance(GRACE_MS - 1)
    ledger.sweep()
    before = ledger.get(task.id).status
    clock.advance(1)
    ledger.sweep()

    assert ("running", "lost") == (before, ledger.get(task.id).status)
    lost = ledger.timeline(task.id)[-1].data
    assert isinstance(lost, TaskLost)
    assert "gone for the whole grace" == lost.rule
    assert {
        "detail": "no such session",
        "missingSince": clock() - GRACE_MS,
        "watchedSince": clock() - GRACE_MS,
        "graceMs": GRACE_MS,
    } == lost.evidence


def test_what_is_back_within_the_grace_was_never_lost(ledger: Ledger, told: Told, clock: HandClock) -> None:
    task = running(ledger)
    told.answer = Verdict.missing()
    ledger.sweep()
    clock.advance(GRACE_MS)
    told.answer = Verdict.alive("it is back")

    ledger.sweep()
    clock.advance(GRACE_MS)
    ledger.sweep()

    assert "running" == ledger.get(task.id).status
    assert "task-backing-restored.1" == types(ledger, task)[-1]


def test_a_word_from_the_work_itself_ends_a_miss(ledger: Ledger, told: Told, clock: HandClock) -> None:
    task = running(ledger)
    told.answer = Verdict.missing()
    ledger.sweep()
    task.progress("still at it")
    clock.advance(GRACE_MS)

    ledger.sweep()

    assert "running" == ledger.get(task.id).status, "a new miss has a grace of its own"
    assert ["task-backing-restored.1", "task-progressed.1", "task-backing-missed.1"] == types(ledger, task)[-3:]


def test_what_is_proved_dead_is_lost_at_once(ledger: Ledger, told: Told) -> None:
    task = running(ledger)
    told.answer = Verdict.dead("the session was deleted")

    ledger.sweep()

    record = ledger.get(task.id).record
    assert ("lost", "the session was deleted") == (record.status, record.error)
    assert [] == [each for each in types(ledger, task) if "missed" in each]


@pytest.mark.parametrize(
    "answer", [Verdict.unknown("locked"), OSError("no such store"), "nonsense", None, True, Verdict], ids=repr
)
def test_an_answer_that_tells_nothing_moves_nothing(
    ledger: Ledger, told: Told, clock: HandClock, answer: object
) -> None:
    task = running(ledger)
    missed = running(ledger)
    told.answer, told.of[task.id] = Verdict.missing(), answer
    ledger.sweep()
    told.answer = answer
    clock.advance(10 * GRACE_MS)

    ledger.sweep()

    assert (None, "running") == (ledger.get(task.id).record.backing_missed_at, ledger.get(task.id).status)
    assert "running" == ledger.get(missed.id).status


def test_only_time_in_which_somebody_watched_counts_for_a_grace(folder: Path, clock: HandClock) -> None:
    probe = Told()
    probe.answer = Verdict.missing()
    with tallystick.open(folder, clock=clock) as ledger:
        ledger.probe("subagent", probe)
        task = running(ledger)
        ledger.sweep()
    clock.advance(10 * GRACE_MS)

    with tallystick.open(folder, clock=clock) as ledger:
        ledger.probe("subagent", probe)
        ledger.sweep()
        clock.advance(GRACE_MS - 1)
        ledger.sweep()
        before = ledger.get(task.id).status
        clock.advance(1)
        ledger.sweep()
        after = ledger.get(task.id).status

    assert ("running", "lost") == (before, after)


def test_the_grace_is_set_for_each_runtime(folder: Path, clock: HandClock) -> None:
    probe = Told()
    probe.answer = Verdict.missing()
    config = Config(grace={"acp": 1_000, "default": 60_000})
    with tallystick.open(folder, clock=clock, config=config) as ledger:
        ledger.probe("subagent", probe)
        ledger.probe("acp", probe)
        child, session = running(ledger), running(ledger, "acp")
        ledger.sweep()
        clock.advance(1_000)
        ledger.sweep()
        after_a_second = ledger.get(child.id).status, ledger.get(session.id).status
        clock.advance(59_000)
        ledger.sweep()

        assert ("running", "lost") == after_a_second
        assert "lost" == ledger.get(child.id).status


def test_a_task_without_a_grace_is_lost_in_the_sweep_that_misses_it(folder: Path, clock: HandClock) -> None:
    probe = Told()
    probe.answer = Verdict.missing()
    with tallystick.open(folder, clock=clock, config=Config(grace={"default": 0})) as ledger:
        ledger.probe("subagent", probe)
        task = running(ledger)

        ledger.sweep()

        assert ["task-backing-missed.1", "task-lost.1"] == types(ledger, task)[-2:]


def test_a_task_that_nobody_has_begun_is_not_looked_for(ledger: Ledger, told: Told, clock: HandClock) -> None:
    task = ledger.create(runtime="subagent", task="later", owner=OWNER)
    told.answer = Verdict.dead()
    clock.advance(10 * GRACE_MS)

    ledger.sweep()

    assert "queued" == ledger.get(task.id).status
    assert [] == told.asked


def test_a_task_that_has_ended_is_not_looked_for_any_more(ledger: Ledger, told: Told) -> None:
    task = running(ledger)
    ledger.sweep()
    task.succeed()

    ledger.sweep()

    assert [task.id] == told.asked


def test_a_probe_that_is_registered_late_is_asked_about_what_runs_already(ledger: Ledger) -> None:
    task = running(ledger)
    probe = Told()
    probe.answer = Verdict.dead("gone")
    ledger.probe("subagent", probe)

    ledger.sweep()

    assert "lost" == ledger.get(task.id).status


def test_a_later_outcome_outranks_the_loss_and_names_the_event_that_it_corrects(ledger: Ledger, told: Told) -> None:
    task = running(ledger)
    told.answer = Verdict.dead()
    ledger.sweep()
    lost = ledger.timeline(task.id)[-1]

    record = task.succeed("it had only been slow")

    recovered = ledger.timeline(task.id)[-1].data
    assert isinstance(recovered, TaskRecovered)
    assert (lost.position, "succeeded") == (recovered.corrects, record.status)


def test_a_loss_is_corrected_by_the_record_of_a_probe_that_has_one(ledger: Ledger, clock: HandClock) -> None:
    class History(Told):
        recovers = True

    history = History()
    ledger.probe("cron", history)
    task = ledger.create(runtime="cron", task="nightly", source_id="job-1", run_id="job-1:5")
    task.start()
    history.answer = Verdict.dead("not among the active jobs")
    ledger.sweep()
    lost = ledger.get(task.id).status
    history.answer = Verdict.ended("failed", {"history": "runs.ndjson"}, error="exit code 3", ended_at=clock() - 5)

    ledger.sweep()

    record = ledger.get(task.id).record
    assert ("lost", "failed", "exit code 3", clock() - 5) == (lost, record.status, record.error, record.ended_at)
    assert "task-recovered.1" == types(ledger, task)[-1]


def test_a_run_whose_end_nobody_reported_ends_as_the_history_has_it(ledger: Ledger, told: Told) -> None:
    task = running(ledger)
    told.answer = Verdict.ended("succeeded", summary="3 mails")

    ledger.sweep()

    record = ledger.get(task.id).record
    assert ("succeeded", "3 mails") == (record.status, record.terminal_summary)


def test_lost_tasks_are_looked_for_again_after_a_restart_by_a_probe_that_recovers(
    folder: Path, clock: HandClock
) -> None:
    class History(Told):
        recovers = True

    with tallystick.open(folder, clock=clock) as ledger:
        ledger.probe("cron", history := History())
        task = ledger.create(runtime="cron", task="nightly", source_id="job-1")
        task.start()
        history.answer = Verdict.dead()
        ledger.sweep()

    history.answer = Verdict.ended("succeeded")
    with tallystick.open(folder, clock=clock) as ledger:
        ledger.probe("cron", history)
        ledger.sweep()

        assert "succeeded" == ledger.get(task.id).status


def test_a_settled_loss_is_the_operators_word_and_can_be_corrected_too(ledger: Ledger) -> None:
    task = running(ledger)
    task.settle("lost", "the host burned down")

    assert "failed" == task.fail("it was on another host, and failed there").status


def test_the_same_evidence_for_an_ended_task_leaves_no_trace(ledger: Ledger, told: Told) -> None:
    task = running(ledger)
    told.answer = Verdict.missing()
    ledger.sweep()
    task.fail("by itself")
    version = ledger.get(task.id).record.version

    ledger.sweep()
    with pytest.raises(Refused):
        task.succeed()

    assert version + 1 == ledger.get(task.id).record.version, "the late signal alone"


def test_a_run_that_names_nothing_lives_as_long_as_the_owner_that_heard_of_it(folder: Path, clock: HandClock) -> None:
    with tallystick.open(folder, clock=clock) as ledger:
        task, other = running(ledger, "cli"), running(ledger, "acp")
        clock.advance(10 * GRACE_MS)
        ledger.sweep()
        assert "running" == ledger.get(task.id).status

    with tallystick.open(folder, clock=clock) as ledger:
        ledger.sweep()
        ledger.get(other.id).progress("I am still here")
        clock.advance(GRACE_MS)
        ledger.sweep()

        assert ("lost", "running") == (ledger.get(task.id).status, ledger.get(other.id).status)
        assert "owner" not in str(ledger.get(other.id).record.error)


def test_opening_again_writes_nothing_new_about_what_is_missing_already(folder: Path, clock: HandClock) -> None:
    with tallystick.open(folder, clock=clock) as ledger:
        running(ledger, "cli")
    with tallystick.open(folder, clock=clock) as ledger:
        ledger.sweep()
        head = ledger.status().head

    with tallystick.open(folder, clock=clock) as ledger:
        ledger.sweep()

        assert head == ledger.status().head


def test_time_in_which_nobody_could_tell_does_not_count_for_a_grace(
    ledger: Ledger, told: Told, clock: HandClock
) -> None:
    task = running(ledger)
    told.answer = Verdict.missing()
    ledger.sweep()
    clock.advance(GRACE_MS - 1)
    told.answer = OSError("the store is locked")
    ledger.sweep()
    clock.advance(2)
    told.answer = Verdict.missing()
    ledger.sweep()
    after_the_outage = ledger.get(task.id).status

    clock.advance(GRACE_MS - 2)
    ledger.sweep()

    assert ("running", "lost") == (after_the_outage, ledger.get(task.id).status)


def test_the_evidence_says_when_the_work_itself_was_last_heard_of(folder: Path, clock: HandClock) -> None:
    with tallystick.open(folder, clock=clock) as ledger:
        task = running(ledger, "acp")
        heard = clock()
    clock.advance(60_000)

    with tallystick.open(folder, clock=clock) as ledger:
        ledger.sweep()
        clock.advance(GRACE_MS)
        ledger.sweep()

        lost = ledger.timeline(task.id)[-1].data
        assert isinstance(lost, TaskLost)
        assert heard == lost.evidence["heardAt"]


def test_a_promise_that_is_changed_counts_from_when_it_was_given(ledger: Ledger, clock: HandClock) -> None:
    task = running(ledger, "cli")
    task.keep_alive(1_000)
    clock.advance(900)
    task.keep_alive(60_000)
    given = clock()
    clock.advance(60_001)

    ledger.sweep()

    missed = ledger.timeline(task.id)[-1].data
    assert isinstance(missed, TaskBackingMissed)
    assert given == missed.evidence["lastSignAt"]
