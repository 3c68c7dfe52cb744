"""`tally audit` and `tally maintenance`: text and data say the same, and the exit code says how bad it is."""

from collections.abc import Mapping
from pathlib import Path

import pytest

import tallystick
from tallystick.cli.times import now_ms
from tallystick.ledger.limits import RETENTION_TERMINAL_MS, STALE_RUNNING_MS
from tallystick.ledger.upkeep.finding import Code
from tallystick.testing import HandClock
from tests.cli.support import OWNER, make_stories, tally

DAY_MS = 86_400_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that `tally` means when nothing else is said."""
    folder = tmp_path / "ledger"
    monkeypatch.setenv("TALLYSTICK_LEDGER", str(folder))
    return folder


@pytest.fixture
def ids(folder: Path) -> Mapping[str, str]:
    """A ledger whose tasks began more than a week ago: one waits, one runs, three have ended, one of them is held."""
    clock = HandClock(now_ms() - RETENTION_TERMINAL_MS - DAY_MS)
    with tallystick.open(folder, clock=clock, actor="teller") as ledger:
        tasks = {
            name: ledger.create(runtime="cli", task=f"do {name}", label=name, owner=OWNER)
            for name in ("waits", "runs", "old", "held", "told")
        }
        tasks["runs"].start()
        tasks["old"].succeed("42")
        tasks["held"].succeed("42")
        tasks["held"].hold("evidence")
        clock.advance(2 * DAY_MS)
        tasks["told"].fail("exit code 1")
    return {name: task.id for name, task in tasks.items()}


def test_an_audit_lists_errors_first_with_what_to_do(ids: Mapping[str, str]) -> None:
    said, data = tally("audit"), tally("audit", "--json").data

    assert "2 findings: 1 error, 1 warning (1 stale_queued, 1 stale_running)" == said.out.splitlines()[0]
    assert ["stale_running", "stale_queued"] == [finding["code"] for finding in data["findings"]]
    assert {"total": 2, "warnings": 1, "errors": 1, "byCode": {"stale_queued": 1, "stale_running": 1}} == data[
        "summary"
    ]
    assert (2, 2, 2, {}) == tuple(data[name] for name in ("count", "filteredCount", "displayed", "filters"))
    for finding in data["findings"]:
        assert finding["token"] in said.out
        assert finding["detail"] in said.out
        assert finding["remedy"] in said.out
    assert ids["runs"] == data["findings"][0]["token"]


@pytest.mark.usefixtures("ids")
def test_filters_choose_what_is_shown_and_the_summary_counts_all() -> None:
    data = tally("audit", "--severity", "warn", "--limit", "5", "--json").data

    assert ["stale_queued"] == [finding["code"] for finding in data["findings"]]
    assert (2, 1, 1) == tuple(data[name] for name in ("count", "filteredCount", "displayed"))
    assert {"severity": "warn", "limit": 5} == data["filters"]
    assert "1 more are not shown" in tally("audit", "--code", "stale_queued").out


@pytest.mark.usefixtures("ids")
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 0),
        (("--fail-on", "error"), 3),
        (("--fail-on", "warn"), 3),
        (("--severity", "warn", "--fail-on", "error"), 0),
        (("--severity", "warn", "--fail-on", "warn"), 3),
        (("--severity", "error", "--fail-on", "warn"), 3),
        (("--code", "lost", "--fail-on", "warn"), 0),
        (("--limit", "1", "--fail-on", "warn"), 3),
    ],
)
def test_the_exit_code_says_whether_there_is_something_so_bad(words: tuple[str, ...], code: int) -> None:
    assert code == tally("audit", *words).code
    assert code == tally("audit", *words, "--json").code


@pytest.mark.usefixtures("ids")
@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("--severity", "bad", "error, warn"),
        ("--fail-on", "never", "error, warn"),
        ("--code", "stale", ", ".join(sorted(Code))),
        ("--limit", "0", "1"),
    ],
)
def test_what_is_not_known_is_refused_with_what_is_allowed(option: str, value: str, allowed: str) -> None:
    said = tally("audit", option, value)
    error = tally("audit", option, value, "--json").error

    assert 2 == said.code
    assert "InvalidInput" == error["type"]
    assert allowed in error["message"]
    assert allowed in said.err


def test_an_audit_of_a_healthy_ledger_says_so(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        ledger.create(runtime="cli", task="x", owner=OWNER).succeed("42")

    assert "Nothing is amiss.\n" == tally("audit", "--fail-on", "warn").out
    assert 0 == tally("audit", "--fail-on", "warn").code


def test_maintenance_shows_what_it_would_do_does_it_and_the_audit_is_clean(ids: Mapping[str, str]) -> None:
    text, preview = tally("maintenance").out, tally("maintenance", "--json").data
    applied = tally("maintenance", "--apply", "--json").data

    def steps(report: dict[str, object]) -> list[tuple[object, ...]]:
        actions = report["actions"]
        assert isinstance(actions, list)
        return [(step["token"], step["action"], step["reason"]) for step in actions]

    assert ("preview", "apply") == (preview["mode"], applied["mode"])
    assert steps(preview) == steps(applied)
    assert {(ids["waits"], "settle"), (ids["runs"], "settle"), (ids["old"], "prune")} == {
        step[:2] for step in steps(applied)
    }
    assert {"planned"} == {step["outcome"] for step in preview["actions"]}
    assert {"done"} == {step["outcome"] for step in applied["actions"]}
    assert {"reconciled": 2, "recovered": 0, "cleanupStamped": 0, "pruned": 1} == applied["tasks"] == preview["tasks"]
    assert {"reconciled": 0, "pruned": 0} == applied["flows"]
    assert (2, 0) == (applied["auditBefore"]["total"], applied["auditAfter"]["total"])
    assert "2 reconciled · 0 recovered · 0 stamped · 1 pruned" in text
    assert all(step["token"] in text and step["reason"] in text for step in preview["actions"])
    assert 0 == tally("audit", "--fail-on", "warn").code
    assert {"errors": 0, "warnings": 0} == tally("status", "--json").data["audit"]
    pruned = tally("show", ids["old"], "--json")
    assert (1, "Pruned", "succeeded") == (pruned.code, pruned.error["type"], pruned.error["status"])


def test_explain_says_by_which_rule_something_is_kept_and_until_when(ids: Mapping[str, str]) -> None:
    held, told = (tally("maintenance", "--explain", ids[name], "--json").data for name in ("held", "told"))
    text = tally("maintenance", "--explain", ids["told"]).out

    assert ("held", False, None) == (held["rule"], held["isOver"], held.get("until"))
    assert ("retention", {"name": "retention.terminal", "keptMs": RETENTION_TERMINAL_MS}) == (
        told["rule"],
        told["policy"],
    )
    record = tally("show", ids["told"], "--json").data
    assert record["endedAt"] + RETENTION_TERMINAL_MS == told["until"] == told["cleanupAfter"] == record["cleanupAfter"]
    assert "retention: its retention ends 7 d after its end" in text
    assert "policy          retention.terminal: for 7 d after its end" in text
    assert "cleanup after" in tally("show", ids["told"]).out


def test_a_release_ends_a_hold_and_what_is_released_goes(ids: Mapping[str, str]) -> None:
    assert 0 == tally("release", ids["held"]).code

    assert tally("maintenance", "--explain", ids["held"], "--json").data["isOver"]
    assert 2 == tally("maintenance", "--json").data["tasks"]["pruned"]


def test_to_explain_and_to_apply_are_not_one_thing(ids: Mapping[str, str]) -> None:
    said = tally("maintenance", "--apply", "--explain", ids["old"])

    assert 2 == said.code
    assert "explain" in said.err


def test_what_is_not_there_cannot_be_explained(ids: Mapping[str, str]) -> None:
    said = tally("maintenance", "--explain", "nobody", "--json")

    assert (1, "NotFound") == (said.code, said.error["type"])
    assert ids


def test_records_in_a_list_say_when_their_retention_ends(folder: Path) -> None:
    make_stories(folder)

    for record in tally("list", "--json").data["tasks"]:
        assert ("endedAt" in record) == ("cleanupAfter" in record)
    assert STALE_RUNNING_MS < DAY_MS
