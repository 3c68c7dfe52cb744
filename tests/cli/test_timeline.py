"""`tally timeline` and `tally watch` tell events, with nothing of them left out."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallystick
from tallystick.cli.facts import fact_data, fact_words, verb
from tallystick.cli.times import stamp, took
from tallystick.ledger.events import BY_NAME, AnyFact
from tallystick.ledger.facts.tasks import TaskAmended
from tallystick.plain import plain
from tests import strategies
from tests.cli.support import COMMAND, OWNER, process, tally
from tests.ledger.flows.some import moves as flow_facts

pytestmark = pytest.mark.usefixtures("ledger")

FACTS: st.SearchStrategy[AnyFact] = st.one_of(
    strategies.reports,
    strategies.creations(),
    strategies.recoveries,
    strategies.late_signals,
    flow_facts,
    st.builds(TaskAmended, metadata=strategies.metadata, timeout_ms=st.just(5_000), kind=strategies.keys),
)


def leaves(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, bool):
        yield "yes" if value else "no"
    elif isinstance(value, dict):
        for key, said in value.items():
            yield plain(key)
            yield from leaves("", said)
    elif isinstance(value, list | tuple):
        for said in value:
            yield from leaves("", said)
    elif isinstance(value, int) and name.endswith("Ms"):
        yield took(value)
    elif isinstance(value, int) and name == "cleanupAfter":
        yield stamp(value)
    else:
        yield plain(str(value))


@given(FACTS)
def test_a_fact_in_words_says_all_that_it_says_as_data(fact: AnyFact) -> None:
    said = fact_words(fact)

    assert [] == [leaf for name, value in fact_data(fact).items() for leaf in leaves(name, value) if leaf not in said]


def test_every_fact_has_a_verb_of_its_own() -> None:
    verbs = [verb(name) for name in BY_NAME]

    assert len(set(verbs)) == len(BY_NAME)
    assert {"created", "timed out", "late signal", "cancel requested"} <= set(verbs)


def test_a_timeline_has_every_event_with_position_time_and_who(ids: Mapping[str, str]) -> None:
    lines = tally("timeline", ids["tests"]).out.splitlines()

    assert f"Task {ids['tests']}  3 events" == lines[0]
    heads = [line.split() for line in lines if line[:8].strip().isdecimal()]
    assert ["4", "5", "6"] == [head[0] for head in heads]
    assert ["+0ms", "+1m01s"] == [head[3] for head in heads[1:]]
    assert ["created", "by", "teller"] == heads[0][-3:]
    assert "          exit code 1: 2 tests failed; exit code 1" == lines[-1]


def test_a_timeline_as_data_says_the_same(ids: Mapping[str, str]) -> None:
    data = tally("timeline", ids["tests"], "--json").data

    assert ids["tests"] == data["taskId"]
    assert ["task-created.1", "task-started.1", "task-failed.1"] == [event["type"] for event in data["events"]]
    assert {"position", "version", "type", "occurredAt", "recordedAt", "actor", "data"} == data["events"][2].keys()
    assert {"error": "exit code 1: 2 tests failed", "exitCode": 1} == data["events"][2]["data"]


def test_what_happened_before_it_was_recorded_says_both(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger") as opened:
        task = opened.create(runtime="cli", task="late to tell", owner=OWNER, occurred_at=1_000_000)

    said = tally("timeline", task.id, "--ledger", str(tmp_path / "ledger"))

    assert "  happened 1970-01-01 " in said.out


# Watching.


def test_watch_follows_the_log_from_a_position() -> None:
    said = tally("watch", "--after", "3", "--limit", "2")

    lines = said.out.splitlines()
    assert 0 == said.code
    assert ["4", "5"] == [line.split()[0] for line in lines]
    assert "  created: tests: do tests; " in lines[0]


def test_watch_as_json_is_a_line_for_each_event(ids: Mapping[str, str]) -> None:
    lines = tally("watch", "--after", "3", "--limit", "3", "--json").out.splitlines()

    events = [json.loads(line) for line in lines]
    assert [4, 5, 6] == [event["position"] for event in events]
    assert ids["tests"] == events[0]["taskId"]


def test_watch_refuses_to_watch_nothing() -> None:
    assert (2, "limit: 0 is not allowed; give a whole number from 1.\n") == (
        (said := tally("watch", "--limit", "0")).code,
        said.err,
    )
    assert 2 == tally("watch", "--after", "-1").code


def test_watch_sees_what_another_process_writes_until_it_is_interrupted(tmp_path: Path) -> None:
    folder = str(tmp_path / "ledger")
    assert 0 == process("run", "--ledger", folder, "--", "true").code
    with subprocess.Popen(
        [*COMMAND, "watch", "--after", "0", "--ledger", folder], stdout=subprocess.PIPE, encoding="utf-8"
    ) as watching:
        assert watching.stdout is not None
        before = [watching.stdout.readline() for _ in range(3)]
        assert 7 == process("run", "--ledger", folder, "--", sys.executable, "-c", "raise SystemExit(7)").code
        after = [watching.stdout.readline() for _ in range(3)]
        watching.send_signal(2)

        assert ("", 130) == (watching.stdout.read(), watching.wait(30))
    assert ["1", "2", "3"] == [line.split()[0] for line in before]
    assert ["4", "5", "6"] == [line.split()[0] for line in after]
    assert "failed: exit code 7" in after[2]
