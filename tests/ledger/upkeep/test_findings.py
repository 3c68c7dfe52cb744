"""How findings are ordered, counted and chosen, and what the table says of them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.upkeep.finding import Action, Code, Finding, Kind, Severity, chosen, ordered, summary_of
from tallystick.ledger.upkeep.treatment import AUTOMATIC, TREATMENTS, found

findings = st.builds(
    Finding,
    kind=st.sampled_from(Kind),
    severity=st.sampled_from(Severity),
    code=st.sampled_from(Code),
    detail=st.just("so"),
    token=st.sampled_from("abc"),
    remedy=st.just("do"),
    action=st.sampled_from(Action),
    age_ms=st.none() | st.integers(0, 5),
)


@given(st.lists(findings))
def test_errors_come_first_then_the_oldest(some: list[Finding]) -> None:
    shown = ordered(some)
    errors = [finding.severity is Severity.ERROR for finding in shown]
    ages = [
        [-1 if finding.age_ms is None else finding.age_ms for finding in shown if finding.severity is severity]
        for severity in Severity
    ]

    assert sorted(errors, reverse=True) == errors
    assert [sorted(each, reverse=True) for each in ages] == ages
    assert sorted(some, key=repr) == sorted(shown, key=repr)


@given(st.lists(findings))
def test_the_order_does_not_depend_on_how_they_came(some: list[Finding]) -> None:
    ranks = [(each.severity, each.age_ms, each.token, each.code) for each in ordered(some)]

    assert ranks == [(each.severity, each.age_ms, each.token, each.code) for each in ordered(reversed(some))]


@given(st.lists(findings), st.none() | st.sampled_from(Severity), st.none() | st.sampled_from(Code))
def test_a_summary_counts_everything_and_filters_choose(
    some: list[Finding], severity: Severity | None, code: Code | None
) -> None:
    summary = summary_of(some)

    assert len(some) == summary.total == summary.warnings + summary.errors == sum(summary.by_code.values())
    assert 0 not in summary.by_code.values()
    assert [each for each in some if (severity or each.severity, code or each.code) == (each.severity, each.code)] == (
        chosen(some, severity, code)
    )


def test_a_summary_has_its_codes_in_the_order_of_the_table() -> None:
    some = [found(kind, code, "so", token="x") for kind, code in sorted(TREATMENTS)]

    assert [code.value for code in Code] == list(summary_of(some).by_code)


@pytest.mark.parametrize(("kind", "code"), list(TREATMENTS))
def test_every_finding_has_a_step_and_says_what_it_is(kind: Kind, code: Code) -> None:
    finding = found(kind, code, "so it is", token="abc", age_ms=5)

    assert TREATMENTS[kind, code].action is finding.action
    assert "{" not in finding.remedy
    assert '"tally ' in finding.remedy


def test_a_finding_is_encoded_with_the_names_of_the_interface() -> None:
    finding = found(Kind.TASK, Code.STALE_QUEUED, "so it is", token="abc", age_ms=5, status="queued")

    assert {"kind", "severity", "code", "detail", "ageMs", "status", "token", "remedy", "action"} == set(
        msgspec.to_builtins(finding)
    )


def test_the_live_owner_does_nothing_by_itself_that_a_person_has_to_decide() -> None:
    assert {Action.SETTLE, Action.NOTE, Action.RETRY, Action.ASK, Action.REBUILD, Action.QUARANTINE} == (
        set(Action) - AUTOMATIC
    )
