"""Maintenance from beside the owner: the same steps, by the caller's name; what only the owner can do is done by it."""

import threading
import time
from contextlib import ExitStack, closing

import pytest
from msgspec.structs import replace

import tallystick
from tallystick import NotOwner, TaskRecord, Verdict
from tallystick.chores import ANSWER_S_MAX, CHORES, Outcome, ask_for, chores_among
from tallystick.ledger.limits import STALE_RUNNING_MS
from tallystick.ledger.upkeep.finding import Action, Code, Kind
from tallystick.ledger.upkeep.treatment import TREATMENTS
from tallystick.maintenance import carry_out
from tallystick.planning import planned
from tallystick.projections.acknowledged import acknowledged
from tallystick.sharing.bell import DOOR_NAME, Bell
from tests.cli.support import process
from tests.upkeep.cases import WORK, Scene, amiss, damage_a_record

OPERATOR = "the one who joined"


@pytest.mark.parametrize(("kind", "code"), list(TREATMENTS), ids=str)
def test_whoever_joined_settles_everything_as_the_owner_does(scene: Scene, kind: Kind, code: Code) -> None:
    with (
        amiss(scene, kind, code) as owner,
        tallystick.join(scene.folder, clock=scene.clock, actor=OPERATOR) as ledger,
    ):
        expected = owner.maintenance()
        preview = ledger.maintenance()
        scene.mend()

        applied = ledger.maintenance(apply=True)

        assert preview.actions
        assert [step.token for step in expected.actions] == [step.token for step in preview.actions]
        assert {"done"} == {step.outcome for step in applied.actions}, applied.actions
        assert [] == ledger.audit().findings == owner.audit().findings
        assert {OPERATOR} >= {known.actor for known in acknowledged(ledger._house.readings.log)}  # noqa: SLF001
        for step in applied.actions:
            if step.action not in CHORES and step.action != "retry":
                assert OPERATOR == owner.timeline(step.token)[-1].actor


def test_silent_work_whose_process_is_alive_is_not_stale_though_nobody_watches_it(scene: Scene) -> None:
    with (
        tallystick.join(scene.folder, clock=scene.clock) as ledger,
        tallystick.track(ledger, runtime="cli", task="A silent import", owner="o") as task,
    ):
        scene.clock.advance(2 * STALE_RUNNING_MS)

        assert [] == ledger.audit().findings
        assert [] == ledger.maintenance(apply=True).actions
        assert "running" == ledger.get(task.id).status


def test_without_an_owner_whoever_joined_does_what_an_owner_can_and_leaves_the_probes_to_a_gateway(
    scene: Scene,
) -> None:
    with amiss(scene, Kind.TASK, Code.PROBE_FAILING):
        pass
    with tallystick.join(scene.folder, clock=scene.clock) as ledger:
        report = ledger.maintenance(apply=True)

        [step] = report.actions
        assert ("ask", "left") == (step.action, step.outcome)
        assert "whoever opens the ledger with its probes" in (step.detail or "")
        assert 1 == report.audit_after.total


def test_damage_is_acknowledged_by_whoever_joined_when_nobody_owns_the_ledger(scene: Scene) -> None:
    with amiss(scene, Kind.STREAM, Code.RESTORE_FAILED):
        pass
    with tallystick.join(scene.folder, clock=scene.clock) as ledger:
        assert {"done"} == {step.outcome for step in ledger.maintenance(apply=True).actions}
        assert [] == ledger.audit().findings


def test_a_ledger_that_only_reads_has_a_preview_and_applies_nothing(scene: Scene) -> None:
    with amiss(scene, Kind.TASK, Code.STALE_QUEUED) as owner:
        with tallystick.open(scene.folder, read_only=True, clock=scene.clock) as reader:
            assert ["settle"] == [step.action for step in reader.maintenance().actions]
            with pytest.raises(NotOwner, match="read_only"):
                reader.maintenance(apply=True)
        assert 1 == owner.audit().summary.total


def test_the_command_line_settles_what_is_amiss_beside_a_live_gateway(scene: Scene) -> None:
    with closing(tallystick.open(scene.folder)) as gateway:  # by the clock of the machine, as the command goes
        begun = gateway.create(**WORK)
        begun.start(occurred_at=begun.record.created_at - 60_000)
        words = ("--json", "--ledger", str(scene.folder))
        before = process("audit", "--fail-on", "warn", *words)
        applied = process("maintenance", "--apply", *words)
        after = process("audit", "--fail-on", "warn", *words)

        assert (3, 0, 0) == (before.code, applied.code, after.code)
        assert ["inconsistent_timestamps"] == [finding["code"] for finding in before.data["findings"]]
        assert [("note", "done")] == [(step["action"], step["outcome"]) for step in applied.data["actions"]]
        assert ("inconsistent_timestamps",) == gateway.get(begun.id).record.noted


def test_the_owner_does_what_it_was_asked_for_and_nothing_else_that_is_amiss(scene: Scene) -> None:
    damage_a_record(scene)
    damage_a_record(scene)
    with scene.opened() as owner, tallystick.join(scene.folder, clock=scene.clock, actor=OPERATOR) as ledger:
        house = ledger._house  # noqa: SLF001 - as `maintenance` does it, of less than there is
        plan = planned(house.readings, scene.clock(), judging=None)
        asked, *others = [step for step in plan.steps if step.action is Action.QUARANTINE]

        report = carry_out(house, replace(plan, steps=[asked]))

        assert [(asked.token, "done")] == [(step.token, step.outcome) for step in report.actions]
        assert others
        assert {step.token for step in others} == {finding.token for finding in owner.audit().findings}
        assert [OPERATOR] == [known.actor for known in acknowledged(owner._house.readings.log)]  # noqa: SLF001


def test_what_does_not_fit_into_one_message_is_asked_for_in_several(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystick.chores.ASKED_BYTES_MAX", 90)
    damage_a_record(scene)
    damage_a_record(scene)
    with scene.opened() as owner, tallystick.join(scene.folder, clock=scene.clock, actor=OPERATOR) as ledger:
        report = ledger.maintenance(apply=True)

        assert len(report.actions) > 1
        assert {"done"} == {step.outcome for step in report.actions}
        assert [] == owner.audit().findings


@pytest.mark.slow
def test_whoever_asks_waits_longer_than_a_probe_may_hang(scene: Scene) -> None:
    with (
        amiss(scene, Kind.TASK, Code.PROBE_FAILING) as owner,
        tallystick.join(scene.folder, clock=scene.clock, actor=OPERATOR) as ledger,
    ):
        come_back = threading.Event()

        def hangs(_task: TaskRecord) -> Verdict:
            come_back.wait()
            return Verdict.alive({})

        owner.probe("subagent", hangs)
        try:
            [step] = ledger.maintenance(apply=True).actions
        finally:
            come_back.set()

        assert ("ask", "done") == (step.action, step.outcome)


def test_an_owner_that_goes_while_it_is_asked_leaves_it_to_the_next_one(scene: Scene) -> None:
    damage_a_record(scene)
    with scene.opened():
        pass
    with ExitStack() as opened:
        ledger = opened.enter_context(tallystick.open(scene.folder, clock=scene.clock, read_only=True))
        house = ledger._house  # noqa: SLF001 - who asks while somebody hears, and nobody answers
        plan = planned(house.readings, scene.clock(), judging=None)
        bell = Bell(scene.folder, DOOR_NAME)
        opened.callback(bell.close)
        assert bell.hang()

        began = time.monotonic()
        became = ask_for(scene.folder, house.readings.log, chores_among(plan.steps), OPERATOR)

        assert {Outcome.LEFT} == {outcome for outcome, _ in became.values()}
        assert time.monotonic() - began < ANSWER_S_MAX / 2
