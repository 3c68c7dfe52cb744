"""Maintenance from beside the owner: the same steps, by the caller's name; what only the owner can do is done by it."""

from contextlib import closing

import pytest

import tallystick
from tallystick import NotOwner
from tallystick.chores import CHORES
from tallystick.ledger.limits import STALE_RUNNING_MS
from tallystick.ledger.upkeep.finding import Code, Kind
from tallystick.ledger.upkeep.treatment import TREATMENTS
from tallystick.projections.acknowledged import acknowledged
from tests.cli.support import process
from tests.upkeep.cases import WORK, Scene, amiss

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
