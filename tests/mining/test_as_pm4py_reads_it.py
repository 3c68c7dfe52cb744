"""What others make of the exports: pm4py reads them, finds all that was, and tells what was from what was forged."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from html import unescape
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import tallystick
from tallystick.config import Config, Payloads
from tallystick.exports.net import lifecycle_net
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.payloads import lacking
from tallystick.ledger.store.port import EventLog
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger
from tests.aside import Kept, kept_histories
from tests.docs.pages import doc
from tests.docs.playing import play
from tests.mining.forgeries import FORGERIES, forged
from tests.mining.game import conforms
from tests.mining.lives import Lives
from tests.mining.logs import as_stream, copied, exported, log_of
from tests.story import Story
from tests.strategies import announced, stories

pytestmark = [
    pytest.mark.slow,
    # It says how it could be faster.
    pytest.mark.filterwarnings("ignore:Install the optional requirement:UserWarning"),
]

Net: TypeAlias = tuple[Any, Any, Any]
"""A net of pm4py's, its first marking and its last."""


class Miner:
    """Somebody who mines the exports with pm4py."""

    def __init__(self, folder: Path) -> None:
        self.pm4py: Any = pytest.importorskip("pm4py", reason="pm4py is not installed: nobody else reads the exports")
        self._replay: Any = import_module("pm4py.algo.conformance.tokenreplay.algorithm")
        self._folder = folder
        self.net: Net = self.pm4py.read_pnml(str(self.file(log_of([]), "pnml")))

    def file(self, log: EventLog, form: str) -> Path:
        """Export a log to a file."""
        path = self._folder / f"export.{form}"
        path.write_bytes(exported(log, form))
        return path

    def traces(self, log: EventLog, variant: str = "chunk_regex") -> Any:
        """Return what pm4py reads of a log in XES."""
        path = self.file(log, "xes")
        return self.pm4py.read_xes(str(path), variant=variant, return_legacy_log_object=True)

    def objects(self, log: EventLog) -> Any:
        """Return what pm4py reads of a log in OCEL 2.0."""
        return self.pm4py.read_ocel2_json(str(self.file(log, "ocel")))

    def replayed(self, traces: Any) -> list[tuple[bool, float]]:
        """Return of each trace whether it fits the net, and how well. What the net does not know does not fit."""
        parameters = {"consider_activities_not_in_model_in_fitness": True, "show_progress_bar": False}
        told = self._replay.apply(traces, *self.net, parameters=parameters)
        return [(each["trace_is_fit"], each["trace_fitness"]) for each in told]

    def verdicts(self, histories: Sequence[Sequence[Event]]) -> list[bool]:
        """Return of each history whether it conforms."""
        return [fits for fits, _ in self.replayed(self.traces(log_of(histories)))]


@pytest.fixture(scope="module")
def miner(tmp_path_factory: pytest.TempPathFactory) -> Miner:
    return Miner(tmp_path_factory.mktemp("mined"))


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    clock = HandClock()
    with memory_ledger(clock=clock) as ledger:
        Lives(ledger, clock).tell()
        yield ledger


@pytest.fixture(scope="module")
def log(ledger: Ledger) -> EventLog:
    return copied(ledger.events())


def test_every_way_to_live_and_to_end_conforms(miner: Miner, log: EventLog) -> None:
    traces = miner.traces(log)

    assert {(True, 1.0)} == set(miner.replayed(traces))
    assert 30 == len(traces)


def test_a_ledger_on_disk_conforms_as_well(miner: Miner, tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger", clock=HandClock()) as ledger:
        task = ledger.create(runtime="subagent", task="Count", owner="agent:main:main", child_session="agent:kid")
        task.progress(message="counting")
        task.succeed("42")
        ledger.export("xes", tmp_path / "tasks.xes")

    traces = miner.pm4py.read_xes(str(tmp_path / "tasks.xes"), variant="chunk_regex", return_legacy_log_object=True)
    assert [(True, 1.0)] == miner.replayed(traces)


@settings(max_examples=10, phases=[Phase.explicit, Phase.generate])
@given(told=st.lists(st.one_of(stories(), announced()), min_size=1, max_size=20))
def test_whatever_the_rules_admit_conforms(miner: Miner, told: list[Story]) -> None:
    traces = miner.traces(log_of([story.events for story in told]))

    assert [(True, 1.0)] * len(told) == miner.replayed(traces)


@settings(max_examples=10, phases=[Phase.explicit, Phase.generate])
@given(kept=kept_histories(most=40).filter(lambda kept: bool(kept.tasks)))
def test_what_is_kept_beside_the_log_or_erased_conforms(miner: Miner, kept: Kept) -> None:
    log = kept.log()
    traces = miner.traces(log)

    assert [(True, 1.0)] * len(kept.tasks) == miner.replayed(traces)
    marks = [event["tally:erased"] for trace in traces for event in trace if "tally:erased" in event]
    lack = [list(lacking(event.data)) for event in events(log) if not event.is_of_flow and lacking(event.data)]
    assert sorted(lack) == sorted(json.loads(unescape(mark)) for mark in marks)  # this reader leaves that to others


def test_every_way_to_live_conforms_once_it_is_erased(miner: Miner) -> None:
    clock = HandClock()
    with memory_ledger(clock=clock, config=Config(payloads=Payloads(aside="content"))) as ledger:
        Lives(ledger, clock).tell()
        every = ledger.list(limit=100).tasks
        for task in every:
            ledger.get(task.task_id).erase("somebody asked for it")
        whole = copied(ledger.events())

    path = miner.file(whole, "xes")
    assert path.read_bytes().count(b'task-erased"') == len(every)
    traces = miner.traces(whole)
    assert {(True, 1.0)} == set(miner.replayed(traces))


def test_forgeries_do_not_conform(miner: Miner) -> None:
    verdicts = miner.verdicts([as_stream(facts) for facts in FORGERIES.values()])

    assert [] == [name for name, fits in zip(FORGERIES, verdicts, strict=True) if fits]


@settings(max_examples=10, phases=[Phase.explicit, Phase.generate])
@given(histories=st.lists(forged(), min_size=1, max_size=20))
def test_pm4py_and_the_net_agree_on_what_was_forged(miner: Miner, histories: list[list[AnyFact]]) -> None:
    verdicts = miner.verdicts([as_stream(facts) for facts in histories])

    assert [conforms(facts) for facts in histories] == verdicts


def test_what_is_left_out_of_a_real_history_is_missed(miner: Miner, log: EventLog) -> None:
    """Without its creation nothing conforms; without its start nothing that needs one."""
    needed = {"task-created.1": None, "task-started.1": {"task-progressed.1", "task-succeeded.1"}}
    histories = []
    for history in by_task(log):
        for name, needs in needed.items():
            left = [event for event in history if event.type != name]
            later = {event.type for event in left if event.type.startswith("task-")}
            if len(left) < len(history) and (later if needs is None else later & needs):
                histories.append(left)

    assert {False} == set(miner.verdicts(histories))
    assert 30 < len(histories)


def by_task(log: EventLog) -> list[list[Event]]:
    histories: dict[bytes, list[Event]] = {}
    for event in log.read():
        if isinstance(event, Event) and not event.is_of_flow:
            histories.setdefault(event.stream, []).append(event)
    return list(histories.values())


def test_a_damaged_record_does_not_conform(miner: Miner, log: EventLog) -> None:
    [history] = [history for history in by_task(log) if len(history) > 8][:1]
    [fits] = miner.verdicts([history])
    assert fits
    traces = miner.traces(log_of([history]))
    traces[0][3]["concept:name"] = "record-damaged"
    assert [False] == [fits for fits, _ in miner.replayed(traces)]


@pytest.mark.parametrize("variant", ["iterparse", "iterparse_20", "line_by_line", "chunk_regex"])
def test_every_reader_of_pm4py_finds_every_event(miner: Miner, log: EventLog, variant: str) -> None:
    traces = miner.traces(log, variant)

    assert [[event.type for event in history] for history in by_task(log)] == [
        [event["tally:type"] for event in trace] for trace in traces
    ]


def test_the_objects_are_all_there_and_related(miner: Miner, log: EventLog) -> None:
    ocel = miner.objects(log)
    counts = ocel.objects["ocel:type"].value_counts().to_dict()

    assert log.head() == len(ocel.events)
    assert len(by_task(log)) == counts["task"]
    assert sum(event.data.__class__.__name__ == "DeliveryQueued" for event in events(log)) == counts["message"]
    assert {"task", "flow", "session", "agent", "message"} == set(counts)
    assert set(ocel.relations["ocel:eid"]) == set(ocel.events["ocel:eid"]), "every event is about something"
    assert {"part of", "child of", "owned by", "works in", "done by", "tells of"} <= set(ocel.o2o["ocel:qualifier"])
    assert {"status", "deliveryStatus"} <= set(ocel.object_changes["ocel:field"])


def events(log: EventLog) -> Iterator[Event]:
    return (stored for stored in log.read() if isinstance(stored, Event))


def test_objects_flattened_to_tasks_conform(miner: Miner, log: EventLog) -> None:
    flat = miner.pm4py.ocel_flattening(miner.objects(log), "task")

    assert {(True, 1.0)} == set(miner.replayed(flat))
    assert len(by_task(log)) == flat["case:concept:name"].nunique()


def test_forged_objects_do_not_conform(miner: Miner) -> None:
    told = {name: as_stream(facts) for name, facts in FORGERIES.items()}
    flat = miner.pm4py.ocel_flattening(miner.objects(log_of(told.values())), "task")

    assert [] == [name for name, (fits, _) in zip(told, miner.replayed(flat), strict=True) if fits]


def test_the_net_is_read_as_it_was_written(miner: Miner) -> None:
    net, first, last = miner.net
    ours = lifecycle_net()

    assert miner.pm4py.check_is_workflow_net(net)
    assert ({"begin": 1}, {"end": 1}) == tuple({place.name: n for place, n in m.items()} for m in (first, last))
    assert {(each.id, each.activity, frozenset(each.takes), frozenset(each.gives)) for each in ours.transitions} == {
        (
            each.name,
            each.label,
            frozenset(arc.source.name for arc in each.in_arcs),
            frozenset(arc.target.name for arc in each.out_arcs),
        )
        for each in net.transitions
    }


def test_the_page_about_mining_shows_what_pm4py_says(miner: Miner, tmp_path: Path) -> None:
    page = doc("how-to/mine-processes.md")
    play(page, tmp_path)
    [shown] = [block.text for block in page.blocks() if block.language == "text"]

    done = subprocess.run(
        [sys.executable, "check.py"],
        cwd=tmp_path,
        env={**os.environ, "PM4PY_SHOW_PROGRESS_BAR": "false"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )

    assert miner.pm4py is not None
    assert shown == done.stdout
