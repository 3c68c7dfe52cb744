"""Nothing is found that cannot be settled: for everything that an audit finds, apply does what the preview lists."""

import pytest

from tallystick.ledger.upkeep.finding import Code, Kind
from tallystick.ledger.upkeep.treatment import TREATMENTS
from tallystick.projections.check import check
from tests.upkeep.cases import MAKERS, Scene, amiss


def test_there_is_a_case_for_everything_that_an_audit_finds() -> None:
    assert TREATMENTS.keys() == MAKERS.keys()


@pytest.mark.parametrize(("kind", "code"), list(TREATMENTS), ids=str)
def test_audit_preview_apply_and_the_audit_is_clean(scene: Scene, kind: Kind, code: Code) -> None:
    with amiss(scene, kind, code) as ledger:
        before = ledger.audit()
        found = [finding for finding in before.findings if (finding.kind, finding.code) == (kind, code)]
        preview = ledger.maintenance()
        scene.mend()

        applied = ledger.maintenance(apply=True)

        assert found, before
        assert {finding.token for finding in found} == {
            step.token for step in preview.actions if code.value in step.codes
        }
        steps = [(step.kind, step.token, step.action, step.reason, step.codes) for step in preview.actions]
        assert steps == [(step.kind, step.token, step.action, step.reason, step.codes) for step in applied.actions]
        assert {"planned"} == {step.outcome for step in preview.actions}
        assert {"done"} == {step.outcome for step in applied.actions}, applied.actions
        assert (preview.tasks, preview.flows) == (applied.tasks, applied.flows)
        assert before.summary == preview.audit_before == applied.audit_before
        assert 0 == preview.audit_after.total == applied.audit_after.total, applied.audit_after
        assert [] == ledger.audit().findings
        assert [] == ledger.maintenance().actions
        views = ledger._house.readings.views  # noqa: SLF001 - what was made anew is what the log says
        assert views is not None
        ledger.settled()
        assert all(check(views, ledger._house.readings.log, each.name).ok for each in views.projections)  # noqa: SLF001
