"""What an audit finds of a task or a flow, and from which moment on."""

import pytest
from msgspec.structs import replace

from tallystick.ledger.facts.deliveries import DeliveryFailed, DeliveryRetried
from tallystick.ledger.facts.tasks import (
    TaskLost,
    TaskNotifyChanged,
    TaskProgressed,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.flows import intake as of_flows
from tallystick.ledger.intake import stamped, taken_note_of
from tallystick.ledger.lifecycle import NotifyPolicy, Status
from tallystick.ledger.limits import (
    CANCEL_FINISHED_MS,
    CANCEL_STUCK_MS,
    FUTURE_END_MS,
    STALE_FLOW_MS,
    STALE_RUNNING_MS,
    TIMES_APART_MS,
    UNDELIVERED_MS,
)
from tallystick.ledger.upkeep.finding import Code, Finding, Kind, Severity
from tallystick.ledger.upkeep.flows import Children
from tallystick.ledger.upkeep.spans import span
from tallystick.ledger.upkeep.tasks import Signs, findings_of_task
from tallystick.ledger.upkeep.times import contradiction
from tallystick.ledger.upkeep.treatment import TREATMENTS
from tests.announced import CHAT, WATCHED, Announced, asked
from tests.ledger.flows.tale import MIRROR, Tale
from tests.ledger.upkeep.cases import AT_ONCE, CASES, KEPT_MS, NAME, Case, of_flow, of_task
from tests.story import OTHER_ID, Story, created

YEARS_MS = 10 * 365 * 86_400_000
LOST = TaskLost(rule="proved dead", evidence={}, error="process 4711 is gone")


def codes(findings: list[Finding]) -> list[Code]:
    return [finding.code for finding in findings]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_finding_is_told_from_its_moment_on_and_not_a_millisecond_before(case: Case) -> None:
    assert case.code in codes(case.look(case.since))
    assert case.code in codes(case.look(case.since + YEARS_MS)) or case.code is Code.MISSING_CLEANUP
    if case.code not in AT_ONCE:
        assert [] == case.look(case.since - 1)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_finding_says_how_bad_it_is_what_it_is_about_and_what_makes_it_go_away(case: Case) -> None:
    [finding] = [each for each in case.look(case.since) if each.code is case.code]
    treatment = TREATMENTS[case.kind, case.code]

    assert (case.kind, treatment.severity, treatment.action) == (finding.kind, finding.severity, finding.action)
    assert "tally" in finding.remedy
    assert "{" not in finding.remedy
    assert finding.detail
    assert finding.status
    assert finding.age_ms is None or finding.age_ms >= 0


def test_the_cases_are_all_that_a_rule_about_tasks_or_flows_can_find() -> None:
    of_both = {each for each in TREATMENTS if each[0] in (Kind.TASK, Kind.FLOW)}

    assert {(case.kind, case.code) for case in CASES} == of_both


def test_running_work_is_heard_of_by_an_event_a_sign_of_life_or_its_probe() -> None:
    story = Story(created(), TaskStarted())
    silent = story.now_ms + STALE_RUNNING_MS

    assert [Code.STALE_RUNNING] == codes(of_task(story)(silent))
    assert [] == of_task(story, Signs(alive_at=silent - STALE_RUNNING_MS + 1))(silent)
    story.tell(TaskProgressed(message="going on"), after_ms=STALE_RUNNING_MS - 1)
    assert [] == of_task(story)(silent)


def test_a_loss_is_an_error_from_the_end_of_its_retention_on() -> None:
    story = Story(created(), TaskStarted(), LOST)
    over = story.now_ms + KEPT_MS

    [before], [after] = of_task(story)(over - 1), of_task(story)(over)

    assert (Severity.WARN, Severity.ERROR) == (before.severity, after.severity)
    assert "process 4711 is gone" in after.detail
    assert [Severity.WARN] == [each.severity for each in of_task(story, kept_ms=None)(over + YEARS_MS)]


def test_what_an_operator_has_settled_is_no_finding() -> None:
    story = Story(created(), TaskStarted(), TaskSettled(status=Status.LOST, reason="nobody knows it"))

    assert [] == of_task(story)(story.now_ms + YEARS_MS)


def test_an_end_in_the_future_is_no_finding_once_it_is_stamped_or_near_or_its_kind_is_kept_for_ever() -> None:
    story = Story(created(), TaskStarted())
    story.tell(TaskSucceeded(), occurred_at=story.now_ms + YEARS_MS)
    now = story.now_ms

    assert [Code.MISSING_CLEANUP] == codes(of_task(story)(now + YEARS_MS - FUTURE_END_MS - 2_000))
    assert [] == of_task(story)(now + YEARS_MS - FUTURE_END_MS)
    assert [] == of_task(story, kept_ms=None)(now)
    story.tell(stamped(now + KEPT_MS))
    assert [] == of_task(story)(now)


@pytest.mark.parametrize(("apart_ms", "is_told"), [(TIMES_APART_MS, True), (TIMES_APART_MS - 1, False), (0, False)])
@pytest.mark.parametrize("what", ["start", "end", "end before start"])
def test_reported_times_contradict_each_other_when_they_are_a_second_apart(
    what: str, apart_ms: int, *, is_told: bool
) -> None:
    story = Story(created())
    if what == "start":
        story.tell(TaskStarted(), occurred_at=story.record.created_at - apart_ms)
    elif what == "end":
        story.tell(TaskStarted(), occurred_at=story.record.created_at)
        story.tell(TaskSettled(status=Status.FAILED, reason="no"), occurred_at=story.record.created_at - apart_ms)
    else:
        story.tell(TaskStarted(), after_ms=60_000)
        story.tell(TaskSucceeded(), occurred_at=(story.record.started_at or 0) - apart_ms)

    assert is_told == (contradiction(story.record) is not None)
    assert is_told == (Code.INCONSISTENT_TIMESTAMPS in codes(of_task(story)(story.now_ms)))


def test_what_is_noted_is_quiet_until_the_status_changes() -> None:
    story = Story(created())
    story.tell(TaskStarted(), occurred_at=story.now_ms - 60_000)
    story.tell(taken_note_of(["inconsistent_timestamps"]))

    assert [] == of_task(story)(story.now_ms)
    story.tell(TaskSucceeded())
    assert [Code.INCONSISTENT_TIMESTAMPS] == codes(of_task(story)(story.now_ms))


def test_a_message_that_is_sent_again_has_all_its_time_again() -> None:
    story = Announced(asked(), TaskStarted(), TaskSucceeded())
    story.tell(DeliveryFailed(delivery=NAME, attempt=3, error="410 Gone"), after_ms=UNDELIVERED_MS)
    assert [Code.DELIVERY_FAILED] == codes(of_task(story)(story.now_ms))

    story.tell(DeliveryRetried())

    assert [] == of_task(story)(story.now_ms + UNDELIVERED_MS - 1)
    assert [Code.UNDELIVERED] == codes(of_task(story)(story.now_ms + UNDELIVERED_MS))


def test_nobody_hears_of_a_failed_message_of_a_silent_task_unless_a_monitoring_route_waits_for_it() -> None:
    story = Announced(asked(), TaskStarted(), TaskSucceeded())
    story.tell(DeliveryFailed(delivery=NAME, attempt=3, error="410 Gone"))
    story.tell(TaskNotifyChanged(policy=NotifyPolicy.SILENT))
    watched = Announced(asked(origin=CHAT), TaskStarted(), LOST, routing=WATCHED)
    for waiting in watched.record.outbox:
        if waiting.route is not None:
            watched.tell(DeliveryFailed(delivery=waiting.delivery, attempt=3, error="410 Gone"))
    watched.tell(TaskNotifyChanged(policy=NotifyPolicy.SILENT))

    assert [] == of_task(story)(story.now_ms)
    assert Code.DELIVERY_FAILED in codes(of_task(watched)(watched.now_ms))


def test_what_waits_in_a_session_is_not_on_its_way() -> None:
    story = Announced(asked(origin=None), TaskStarted(), TaskSucceeded())
    assert ["agent:main:main"] == [waiting.session for waiting in story.record.outbox]

    assert [] == of_task(story)(story.now_ms + UNDELIVERED_MS)


@pytest.mark.parametrize(
    "children",
    [
        Children(count=1, active=1),
        Children(count=1, heard_at=Tale(of_flows.resumed()).now_ms + 1),
    ],
)
def test_a_flow_is_not_stale_while_a_task_of_it_works_or_has_just_ended(children: Children) -> None:
    tale = Tale(of_flows.resumed())

    assert [] == of_flow(tale, children)(tale.now_ms + STALE_FLOW_MS)


def test_a_flow_that_runs_without_a_task_is_an_error_and_one_that_never_began_a_warning() -> None:
    queued, running = Tale(), Tale(of_flows.resumed())

    of_queued, of_running = (of_flow(tale)(tale.now_ms + STALE_FLOW_MS) for tale in (queued, running))

    assert [(Code.MISSING_LINKED_TASKS, Severity.WARN)] == [(each.code, each.severity) for each in of_queued]
    assert {(Code.MISSING_LINKED_TASKS, Severity.ERROR), (Code.STALE_RUNNING, Severity.ERROR)} == {
        (each.code, each.severity) for each in of_running
    }


@pytest.mark.parametrize("told", [of_flows.finished(), of_flows.failed("boom")])
def test_nothing_is_amiss_with_a_flow_that_has_ended(told: object) -> None:
    tale = Tale(of_flows.resumed(), told)  # type: ignore[arg-type] # one of two facts

    assert [] == of_flow(tale, Children(misses_blocked=True))(tale.now_ms + YEARS_MS)


def test_a_cancel_is_not_stuck_while_a_task_is_at_work_nor_the_moment_after() -> None:
    tale = Tale(of_flows.cancel_requested())
    over = tale.now_ms + CANCEL_STUCK_MS

    assert [] == of_flow(tale, Children(count=2, active=1))(over)
    assert [] == of_flow(tale, Children(count=2, heard_at=over - CANCEL_FINISHED_MS + 1))(over)
    assert [Code.CANCEL_STUCK] == codes(of_flow(tale, Children(count=2, heard_at=over - CANCEL_FINISHED_MS))(over))


def test_a_flow_is_quiet_about_what_is_noted_until_something_happens_to_it() -> None:
    tale = Tale(of_flows.waiting(None, blocked=OTHER_ID), of_flows.taken_note_of(["stale_blocked"]))
    late = tale.now_ms + YEARS_MS

    assert [Code.BLOCKED_TASK_MISSING] == codes(of_flow(tale, Children(misses_blocked=True))(late))
    tale.tell(of_flows.waiting({"for": "a key"}, blocked=OTHER_ID))
    assert [Code.STALE_BLOCKED] == codes(of_flow(tale)(late))


def test_a_mirrored_flow_is_judged_by_its_tasks_except_for_a_cancel_that_is_stuck() -> None:
    tale = Tale(beginning=MIRROR)

    assert [] == of_flow(tale)(tale.now_ms + YEARS_MS)
    tale.tell(of_flows.cancel_requested())
    assert [Code.CANCEL_STUCK] == codes(of_flow(tale)(tale.now_ms + YEARS_MS))


def test_a_pruned_task_has_no_findings() -> None:
    record = replace(Story(created(), TaskStarted(), LOST).record, pruned_at=1)

    assert [] == list(findings_of_task(record, record.last_event_at + YEARS_MS, kept_ms=KEPT_MS))


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (90_000, "90 s"),
        (120_000, "2 min"),
        (1_800_000, "30 min"),
        (3_600_000, "1 h"),
        (5_400_000, "90 min"),
        (86_400_000, "1 d"),
        (129_600_000, "36 h"),
        (604_800_000, "7 d"),
        (604_799_999, "6 d"),
    ],
)
def test_a_span_is_said_in_the_unit_that_says_enough(ms: int, said: str) -> None:
    assert said == span(ms)
