"""Applying does what the preview lists and nothing else; what has gone on meanwhile is left alone, and that is said."""

import pytest

import tallystick
from tallystick import Pruned, Receipt
from tallystick.chores import Outcome
from tallystick.config import Config
from tallystick.ledger.limits import (
    PROBE_FAILING_MS,
    RETENTION_LOST_MS,
    RETENTION_TERMINAL_MS,
    STALE_FLOW_MS,
    STALE_RUNNING_MS,
    UPKEEP_AT_ONCE,
)
from tallystick.ledger.upkeep.finding import Code, Kind
from tallystick.ledger.upkeep.retention import Rule
from tallystick.maintenance import Maintenance, carry_out
from tallystick.planning import planned
from tallystick.sync import Ledger
from tests.delivering.parts import CHAT, Channel
from tests.upkeep.cases import FLOW, SPEAKER, WORK, Scene, amiss

WEEK_MS = RETENTION_TERMINAL_MS


def done(ledger: Ledger, **more: object) -> tallystick.Task:
    task = ledger.create(**{**WORK, **more})
    task.succeed("42")
    return task


def taken(report: Maintenance) -> list[tuple[str, str, str]]:
    return [(step.token, step.action.value, step.outcome.value) for step in report.actions]


def test_a_task_is_pruned_seven_days_after_its_end_and_not_a_millisecond_before(scene: Scene) -> None:
    with scene.opened() as ledger:
        task = done(ledger)
        scene.clock.advance(WEEK_MS - 1)
        early = ledger.maintenance(apply=True)
        scene.clock.advance(1)

        late = ledger.maintenance(apply=True)

        assert [] == early.actions
        assert [(task.id, "prune", "done")] == taken(late)
        assert 1 == late.tasks.pruned
        with pytest.raises(Pruned) as gone:
            ledger.get(task.id)
        assert ("succeeded", scene.clock() - WEEK_MS, scene.clock()) == (
            gone.value.status,
            gone.value.ended_at,
            gone.value.pruned_at,
        )
        assert SPEAKER == ledger.timeline(task.id)[-1].actor


def test_a_lost_task_goes_after_a_day_and_a_flow_as_a_task_does(scene: Scene) -> None:
    with scene.opened() as ledger:
        flow = ledger.flows.create(**FLOW)
        flow.finish("released")
        task = ledger.create(**WORK)
        task.settle("lost", "nobody knows it")
        scene.clock.advance(RETENTION_LOST_MS)
        first = ledger.maintenance(apply=True)
        scene.clock.advance(WEEK_MS - RETENTION_LOST_MS)

        second = ledger.maintenance(apply=True)

        assert [(task.id, "prune", "done")] == taken(first)
        assert [(flow.id, "prune", "done")] == taken(second)
        assert (1, 0) == (second.flows.pruned, second.tasks.pruned)


def test_what_is_kept_though_its_retention_is_over_is_said_with_why(scene: Scene) -> None:
    with scene.opened() as ledger:
        waiting = done(ledger, notify="done_only")
        of_flow = done(ledger, flow=ledger.flows.create(**FLOW).id)
        parent = done(ledger)
        child = ledger.create(**WORK, parent=parent.id)
        held = done(ledger)
        held.hold("evidence")
        blocks = done(ledger)
        ledger.flows.create(**FLOW).set_waiting(None, blocked=blocks.id)
        scene.clock.advance(WEEK_MS)

        report = ledger.maintenance()

        assert [] == [step for step in report.actions if step.action == "prune"]
        assert {
            waiting.id: Rule.UNDELIVERED,
            of_flow.id: Rule.FLOW,
            parent.id: Rule.BELOW,
            blocks.id: Rule.FLOW,
        } == {kept.token: kept.why.rule for kept in report.kept}
        assert Rule.HELD is ledger.explain(held.id).rule
        assert Rule.FLOW is ledger.explain(blocks.id).rule
        assert child.record.is_active


def test_a_detached_task_that_is_pruned_takes_the_flow_with_it_that_mirrors_it(scene: Scene) -> None:
    with scene.opened() as ledger:
        task = ledger.create(**{**WORK, "runtime": "acp", "notify": "failures_only"})
        flow_id = task.record.parent_flow_id
        assert flow_id is not None
        flow = ledger.flows.get(flow_id)
        flow.cancel("enough", wait_ms=0)
        ledger.settled()
        assert "cancelled" == ledger.flows.get(flow_id).status
        scene.clock.advance(WEEK_MS)

        report = ledger.maintenance(apply=True)

        assert [(flow_id, "prune", "done"), (task.id, "prune", "done")] == taken(report)
        assert [] == ledger.maintenance().actions


def mirror_of_three(ledger: Ledger) -> tuple[str, str, list[str]]:
    """A flow that mirrors three tasks that have ended: the ids of its first task, of it, and of those that joined."""
    first = ledger.create(**{**WORK, "runtime": "acp", "notify": "failures_only"})
    flow_id = first.record.parent_flow_id
    assert flow_id is not None
    joined = [ledger.create(**WORK, flow=flow_id) for _ in range(2)]
    for task in (first, *joined):
        task.succeed("42")
    return first.id, flow_id, [task.id for task in joined]


def test_all_of_a_flow_that_mirrors_tasks_is_pruned_at_once_its_first_task_last_as_the_preview_said(
    scene: Scene,
) -> None:
    with scene.opened() as ledger:
        first, flow_id, joined = mirror_of_three(ledger)
        assert "succeeded" == ledger.flows.get(flow_id).status
        scene.clock.advance(WEEK_MS)

        preview, report = ledger.maintenance(), ledger.maintenance(apply=True)

        assert [*joined, flow_id, first] == [step.token for step in preview.actions]
        assert [(token, "prune", "done") for token in (*joined, flow_id, first)] == taken(report)
        assert (3, 1, []) == (report.tasks.pruned, report.flows.pruned, report.kept)
        assert [] == ledger.maintenance().actions
        with pytest.raises(Pruned) as gone:
            ledger.flows.get(flow_id)
        assert "succeeded" == gone.value.status


def test_the_first_task_of_a_flow_that_mirrors_another_which_is_kept_stays_with_that_flow(scene: Scene) -> None:
    with scene.opened() as ledger:
        first, flow_id, (held, joined) = mirror_of_three(ledger)
        ledger.get(held).hold("evidence")
        scene.clock.advance(WEEK_MS)

        report = ledger.maintenance(apply=True)

        assert [(joined, "prune", "done")] == taken(report)
        assert {first: Rule.FLOW} == {kept.token: kept.why.rule for kept in report.kept}
        assert "succeeded" == ledger.flows.get(flow_id).status


def test_when_one_of_a_mirror_has_gone_on_since_the_preview_its_flow_and_its_first_task_stay_and_that_is_said(
    scene: Scene,
) -> None:
    with scene.opened() as ledger:
        first, flow_id, (held, joined) = mirror_of_three(ledger)
        scene.clock.advance(WEEK_MS)
        house = ledger._house  # noqa: SLF001 - as `maintenance` does it, with some time in between
        plan = planned(house.readings, scene.clock(), judging=house.judging())
        ledger.get(held).hold("evidence")

        report = carry_out(house, plan)

        outcomes = {step.token: (step.outcome, step.detail) for step in report.actions}
        assert Outcome.DONE is outcomes[joined][0]
        assert Outcome.SKIPPED is outcomes[held][0]
        kept = (Outcome.SKIPPED, f"{held} of the same flow was not pruned")
        assert [kept] * 2 == [outcomes[token] for token in (flow_id, first)]
        assert "succeeded" == ledger.flows.get(flow_id).status


def test_what_came_due_since_the_preview_is_nothing_that_was_asked_for(scene: Scene) -> None:
    asked: list[str] = []

    def probe(task: tallystick.TaskRecord) -> tallystick.Verdict:
        asked.append(task.task_id)
        return tallystick.Verdict.unknown("the session store is locked")

    with scene.opened() as ledger:
        ledger.probe("acp", probe)
        puzzling = ledger.create(**{**WORK, "runtime": "acp"})
        puzzling.start()
        ledger.sweep()
        scene.clock.advance(PROBE_FAILING_MS)
        ledger.sweep()
        sooner, later = (ledger.create(**{**WORK, "runtime": "cli"}, timeout_ms=ms) for ms in (1_000, 1_001))
        other = ledger.create(**{**WORK, "runtime": "acp"})
        for task in (sooner, later, other):
            task.start()
        scene.clock.advance(1_000)
        house = ledger._house  # noqa: SLF001 - as `maintenance` does it, with some time in between
        plan = planned(house.readings, scene.clock(), judging=house.judging())
        scene.clock.advance(1_000)
        asked.clear()

        report = carry_out(house, plan)

        assert [(sooner.id, "reconcile", "done"), (puzzling.id, "ask", "done")] == taken(report)
        assert ["timed_out", "running"] == [ledger.get(task.id).status for task in (sooner, later)]
        assert {puzzling.id} == set(asked)
        ledger.sweep()
        assert "timed_out" == ledger.get(later.id).status


def test_a_read_model_that_was_made_anew_follows_again(scene: Scene) -> None:
    with amiss(scene, Kind.PROJECTION, Code.PROJECTION_STALLED) as ledger:
        ledger.maintenance(apply=True)
        done(ledger)
        ledger.settled()

        assert [0] * len(ledger.status().projections) == [each.lag for each in ledger.status().projections]


def test_every_step_of_one_task_is_taken_each_seen_as_the_one_before_left_it(scene: Scene) -> None:
    scene.channel.answer = tallystick.Permanent("410 Gone")
    with scene.opened() as ledger:
        task = ledger.create(**{**WORK, "runtime": "cli", "notify": "state_changes", "origin": CHAT})
        task.start(occurred_at=scene.clock() - 60_000)
        ledger.settled()
        scene.clock.advance(STALE_RUNNING_MS)
        scene.channel.answer = Receipt()

        report = ledger.maintenance(apply=True)

        assert [(task.id, "settle", "done"), (task.id, "retry", "done"), (task.id, "note", "done")] == taken(report)
        assert [] == ledger.audit().findings
        ledger.settled()
        assert [] == ledger.deliveries()


def test_what_has_gone_on_since_the_preview_is_left_alone_and_that_is_said(scene: Scene) -> None:
    with scene.opened() as ledger:
        heard, ended, stale = (ledger.create(**{**WORK, "runtime": "cli"}) for _ in range(3))
        for task in (heard, ended, stale):
            task.start()
        flow = ledger.flows.create(**FLOW)
        scene.clock.advance(STALE_RUNNING_MS)
        house = ledger._house  # noqa: SLF001 - as `maintenance` does it, with some time in between
        plan = planned(house.readings, scene.clock(), judging=house.judging())
        heard.progress("here I am", force=True)
        ended.succeed("42")
        flow.resume()

        report = carry_out(house, plan)

        outcomes = {step.token: (step.outcome, step.detail) for step in report.actions}
        assert (Outcome.DONE, None) == outcomes[stale.id]
        assert (Outcome.SKIPPED, "it has gone on since it was looked at: from 2 to 3") == outcomes[heard.id]
        assert {Outcome.SKIPPED} == {outcomes[each.id][0] for each in (ended, flow)}
        assert ("running", "succeeded", "running") == (
            ledger.get(heard.id).status,
            ledger.get(ended.id).status,
            ledger.flows.get(flow.id).status,
        )
        assert (1, 0) == (report.tasks.reconciled, report.flows.reconciled)
        assert (
            0 == ledger.get(ended.id).record.late_signal_count or ledger.get(ended.id).record.late_signal_count is None
        )


def test_a_task_that_somebody_began_to_need_since_the_preview_is_kept(scene: Scene) -> None:
    with scene.opened() as ledger:
        parent, grandparent, blocking, other = (done(ledger) for _ in range(4))
        child = done(ledger, parent=grandparent.id)
        flow = ledger.flows.create(**FLOW)
        scene.clock.advance(WEEK_MS)
        house = ledger._house  # noqa: SLF001 - as `maintenance` does it, with some time in between
        plan = planned(house.readings, scene.clock(), judging=house.judging())
        at_work = [ledger.create(**WORK, parent=each.id) for each in (parent, child)]
        flow.set_waiting(None, blocked=blocking.id)

        report = carry_out(house, plan)

        pruned = {step.token for step in report.actions if step.outcome is Outcome.DONE}
        assert {other.id} == pruned
        assert {Outcome.SKIPPED} == {step.outcome for step in report.actions if step.token != other.id}
        assert [] == ledger.maintenance().actions, "now the look itself knows it"
        assert {Rule.BELOW, Rule.FLOW} == {kept.why.rule for kept in ledger.maintenance().kept}
        for task in at_work:
            task.succeed("done")
        flow.finish("done")
        assert {parent.id, child.id, grandparent.id, blocking.id} == {
            step.token for step in ledger.maintenance(apply=True).actions if step.outcome is Outcome.DONE
        }


def test_more_than_fits_at_once_is_done_in_slices(scene: Scene) -> None:
    count = 2 * UPKEEP_AT_ONCE + 3
    with scene.opened() as ledger:
        with ledger.batch() as batch:
            for _ in range(count):
                batch.create(**WORK).succeed("42")
        scene.clock.advance(WEEK_MS)

        report = ledger.maintenance(apply=True)

        assert count == report.tasks.pruned == len(report.actions)
        assert 0 == ledger.counts().total


def test_what_is_due_by_the_clock_is_listed_and_done_by_whoever_judges(scene: Scene) -> None:
    with scene.opened() as ledger:
        task = ledger.create(**{**WORK, "runtime": "cli"}, timeout_ms=STALE_RUNNING_MS)
        task.start()
        scene.clock.advance(STALE_RUNNING_MS)

        preview = ledger.maintenance()
        with tallystick.open(scene.folder, read_only=True, clock=scene.clock) as elsewhere:
            seen_elsewhere = elsewhere.maintenance()
        report = ledger.maintenance(apply=True)

        assert [("reconcile", "its deadline is over")] == [(step.action, step.reason) for step in preview.actions]
        assert ["settle"] == [step.action for step in seen_elsewhere.actions]
        assert [(task.id, "reconcile", "done")] == taken(report)
        assert 1 == preview.tasks.reconciled == report.tasks.reconciled
        assert "timed_out" == ledger.get(task.id).status


def test_a_kind_that_is_kept_for_no_time_goes_at_once_and_its_name_is_told(scene: Scene) -> None:
    with tallystick.open(scene.folder, clock=scene.clock, config=Config(retention={"failed": 0, "acp": 5})) as ledger:
        task = ledger.create(**WORK)
        task.fail("no")
        acp = ledger.create(**{**WORK, "runtime": "acp"})
        acp.succeed("yes")

        why, other = ledger.explain(task.id), ledger.explain(acp.id)
        report = ledger.maintenance(apply=True)

        assert (Rule.OVER, True, "retention.failed", 0) == (why.rule, why.is_over, why.policy.name, why.policy.kept_ms)
        assert (Rule.RETENTION, "retention.acp") == (other.rule, other.policy.name)
        assert [(task.id, "prune", "done")] == taken(report)


def test_a_flow_is_explained_by_its_id_or_its_owner(scene: Scene) -> None:
    with scene.opened() as ledger:
        flow = ledger.flows.create(**{**FLOW, "owner": "agent:other"})

        by_id, by_owner = ledger.explain(flow.id), ledger.explain("agent:other")

        assert by_id == by_owner
        assert (Rule.ACTIVE, "queued", False) == (by_id.rule, by_id.status, by_id.is_over)
        scene.clock.advance(STALE_FLOW_MS)
        flow.finish("x")
        assert flow.record.ended_at is not None
        assert flow.record.ended_at + WEEK_MS == ledger.explain(flow.id).until


def test_nothing_happens_on_an_idle_ledger(scene: Scene) -> None:
    with scene.opened() as ledger:
        done(ledger)
        ledger.flows.create(**FLOW)
        head = ledger.status().head

        for _ in range(3):
            ledger.maintenance(apply=True)
            ledger.audit()

        assert head == ledger.status().head
        assert isinstance(scene.channel, Channel)
