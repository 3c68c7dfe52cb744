"""An audit gives the same answer in every process, takes filters, and refuses those that are not known."""

import asyncio

import msgspec
import pytest

import tallystick
from tallystick import Config, InvalidInput
from tallystick.auditing import Audit
from tallystick.ledger.limits import STALE_FLOW_MS, STALE_QUEUED_MS, STALE_RUNNING_MS
from tallystick.ledger.upkeep.finding import Code, Kind, Severity
from tallystick.sync import Ledger
from tallystick.testing import memory_ledger
from tests.upkeep.cases import FLOW, WORK, Scene, amiss, damage_a_record


def several(ledger: Ledger, scene: Scene) -> None:
    """Make a few things amiss: two errors, three warnings."""
    ledger.create(**{**WORK, "runtime": "cli"}).start()
    ledger.create(**WORK).succeed("42", occurred_at=scene.clock() - 86_400_000)
    scene.clock.advance(STALE_RUNNING_MS)
    ledger.create(**WORK)
    ledger.create(**WORK)
    flow = ledger.flows.create(**FLOW)
    flow.resume()
    ledger.create(**WORK, flow=flow.id).succeed("42")
    scene.clock.advance(STALE_FLOW_MS)


def in_short(audit: Audit) -> list[tuple[str, str, int | None]]:
    return [(finding.code, finding.token, finding.age_ms) for finding in audit.findings]


def test_errors_come_first_then_the_oldest_and_the_summary_counts_all(scene: Scene) -> None:
    with scene.opened() as ledger:
        several(ledger, scene)

        audit = ledger.audit()

        assert ["stale_running", "stale_running", "inconsistent_timestamps", "stale_queued", "stale_queued"] == [
            finding.code for finding in audit.findings
        ]
        assert [STALE_RUNNING_MS + STALE_FLOW_MS, STALE_FLOW_MS] == [each.age_ms for each in audit.findings[:2]]
        assert (5, 3, 2) == (audit.summary.total, audit.summary.warnings, audit.summary.errors)
        assert {"stale_queued": 2, "stale_running": 2, "inconsistent_timestamps": 1} == audit.summary.by_code


def test_filters_choose_what_is_shown_and_not_what_is_counted(scene: Scene) -> None:
    with scene.opened() as ledger:
        several(ledger, scene)

        errors = ledger.audit(severity="error")
        one = ledger.audit(code=Code.STALE_QUEUED, limit=1)
        none = ledger.audit(severity=Severity.ERROR, code="stale_queued")

        assert {"error"} == {finding.severity for finding in errors.findings}
        assert (1, 2, "warn") == (len(one.findings), one.filtered, one.worst)
        assert ([], 0, None) == (none.findings, none.filtered, none.worst)
        assert errors.summary == one.summary == none.summary


@pytest.mark.parametrize(
    ("filters", "allowed"),
    [
        ({"severity": "fatal"}, "error, warn"),
        ({"severity": 3}, "error, warn"),
        ({"code": "stale"}, "stale_queued"),
        ({"limit": 0}, "1"),
        ({"limit": -1}, "1"),
        ({"limit": "3"}, "whole"),
    ],
)
def test_a_filter_that_is_not_known_is_refused_with_what_is_allowed(
    scene: Scene, filters: dict[str, object], allowed: str
) -> None:
    with scene.opened() as ledger, pytest.raises(InvalidInput, match=allowed):
        ledger.audit(**filters)  # type: ignore[arg-type] # on purpose


def test_everybody_who_has_the_ledger_open_gets_the_same_answer(scene: Scene) -> None:
    async def in_asyncio() -> Audit:
        async with tallystick.join_async(scene.folder, clock=scene.clock) as ledger:
            return await ledger.audit()

    with scene.opened() as owner:
        several(owner, scene)
        with tallystick.open(scene.folder, read_only=True, clock=scene.clock) as reader:
            read = reader.audit()
        with tallystick.join(scene.folder, clock=scene.clock) as member:
            joined = member.audit()
        told = asyncio.run(in_asyncio())
        mine = owner.audit()
    with tallystick.open(scene.folder, read_only=True, clock=scene.clock) as reader:
        afterwards = reader.audit()

    assert 5 == mine.summary.total
    assert mine == read == joined == told == afterwards


def test_a_ledger_in_memory_is_audited_as_one_on_disk(scene: Scene) -> None:
    with scene.opened() as on_disk:
        several(on_disk, scene)
        expected = on_disk.audit()
    clock = type(scene.clock)()
    other = Scene(scene.folder)
    other.clock = clock
    with memory_ledger(clock=clock) as ledger:
        several(ledger, other)

        found = ledger.audit()

    assert expected.summary == found.summary
    assert [(code, age) for code, _, age in in_short(expected)] == [(code, age) for code, _, age in in_short(found)]


@pytest.mark.parametrize("code", [Code.PROBE_FAILING, Code.LOST, Code.UNDELIVERED])
def test_what_only_the_owner_has_seen_is_told_in_every_process(scene: Scene, code: Code) -> None:
    with (
        amiss(scene, Kind.TASK, code) as owner,
        tallystick.open(scene.folder, read_only=True, clock=scene.clock) as reader,
    ):
        assert [code] == [finding.code for finding in reader.audit().findings]
        assert owner.audit() == reader.audit()


def test_running_work_whose_probe_sees_it_alive_is_not_stale_in_any_process(scene: Scene) -> None:
    with scene.opened() as owner:
        owner.create(**WORK).start()
        for _ in range(6):
            scene.clock.advance(STALE_RUNNING_MS // 3)
            owner.sweep()
        with tallystick.open(scene.folder, read_only=True, clock=scene.clock) as reader:
            assert [] == reader.audit().findings == owner.audit().findings
        scene.clock.advance(STALE_RUNNING_MS)
        assert [Code.STALE_RUNNING] == [finding.code for finding in owner.audit().findings]


def test_a_read_model_that_nobody_keeps_is_not_stalled(scene: Scene) -> None:
    with amiss(scene, Kind.PROJECTION, Code.PROJECTION_STALLED) as ledger:
        assert [Code.PROJECTION_STALLED] == [finding.code for finding in ledger.audit().findings]
    with tallystick.open(scene.folder, read_only=True, clock=scene.clock) as reader:
        assert max(each.lag for each in reader.status().projections)
        assert [] == reader.audit().findings


def test_damage_that_somebody_knows_of_is_quiet_in_the_audit_and_verify_goes_on_naming_it(scene: Scene) -> None:
    damage_a_record(scene)
    with scene.opened() as ledger:
        tokens = {finding.token for finding in ledger.audit().findings}
        ledger.maintenance(apply=True)

        assert [] == ledger.audit().findings
        assert 2 == len(tokens)  # the place, and the task that does not go on there
        assert not ledger.verify().ok
    with scene.opened() as again:
        assert [] == again.audit().findings


def test_a_stale_task_that_cannot_be_read_is_named_as_that(scene: Scene) -> None:
    """The read models have its last state, so nobody has seen the damage before somebody looks at it."""
    from tests.ledger.store import raw

    with scene.opened() as ledger:
        task = ledger.create(**{**WORK, "runtime": "cli"})
        task.start()
        position = task.record.position
        ledger.settled()
    raw.change_record(scene.folder / "log", position, lambda _body: b"nonsense")
    with scene.opened() as ledger:
        assert [] == ledger.audit().findings
        scene.clock.advance(STALE_RUNNING_MS)

        found = ledger.audit().findings
        report = ledger.maintenance(apply=True)

        assert [(Kind.STREAM, Code.RESTORE_FAILED, task.id)] == [(each.kind, each.code, each.token) for each in found]
        assert ["done"] == [step.outcome for step in report.actions]
        assert [] == ledger.audit().findings


def test_a_finding_is_told_as_data_with_the_names_of_the_interface(scene: Scene) -> None:
    with scene.opened() as ledger:
        ledger.create(**WORK)
        scene.clock.advance(STALE_QUEUED_MS)
        [finding] = msgspec.to_builtins(ledger.audit().findings)

    assert {"kind", "severity", "code", "detail", "token", "remedy", "action", "ageMs", "status"} == finding.keys()
    assert ("task", "warn", "stale_queued", STALE_QUEUED_MS, "queued") == tuple(
        finding[name] for name in ("kind", "severity", "code", "ageMs", "status")
    )


def test_what_is_kept_for_ever_is_lost_as_a_warning_only(scene: Scene) -> None:
    settings = Config(retention={"lost": 1})
    with tallystick.open(scene.folder, clock=scene.clock, config=settings) as ledger:
        ledger.probe("subagent", lambda _task: tallystick.Verdict.dead({}))
        ledger.create(**WORK).start()
        ledger.sweep()
        first = [finding.severity for finding in ledger.audit().findings]
        scene.clock.advance(1)
        second = [finding.severity for finding in ledger.audit().findings]

    assert (["warn"], ["error"]) == (first, second)
