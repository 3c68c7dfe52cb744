"""The inspector: every question ends, whatever is answered, and what follows is decided by the task's own actor."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tallystick.actors.watching.inspector import AT_ONCE
from tallystick.ledger.decide import RULE_DEAD
from tallystick.ledger.errors import Busy, Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import TaskFailed, TaskLeased, TaskLost, TaskProgressed, TaskSucceeded
from tallystick.ledger.ids import ID_BYTES, id_text
from tallystick.ledger.lifecycle import Runtime
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import Damaged
from tallystick.ledger.verdict import Verdict
from tests.actors.inspection import Inspection
from tests.actors.parts import PATIENCE_S, STREAMS, fail, full, reached
from tests.story import BEGIN_MS

GRACE_MS = 300_000
ONE, TWO = STREAMS[:2]


@pytest.fixture
def inspection() -> Iterator[Inspection]:
    inspection = Inspection()
    yield inspection
    inspection.crew.close()


def test_a_miss_is_written_once_and_the_loss_when_the_grace_is_over(inspection: Inspection) -> None:
    inspection.probe(lambda _: Verdict.missing("gone"))
    inspection.started(ONE)
    for passed, expected in (
        (0, ["TaskBackingMissed"]),
        (GRACE_MS - 1, ["TaskBackingMissed"]),
        (1, ["TaskBackingMissed", "TaskLost"]),
        (GRACE_MS, ["TaskBackingMissed", "TaskLost"]),
    ):
        inspection.desk.clock.advance(passed)
        inspection.look(ONE)
        assert expected == inspection.facts(ONE)


def test_a_task_that_ends_while_it_is_asked_about_keeps_its_end_and_has_no_trace_of_it(inspection: Inspection) -> None:
    gate, entered = threading.Event(), threading.Event()

    def dead(_: TaskRecord) -> Verdict:
        entered.set()
        assert reached(gate)
        return Verdict.dead("gone")

    inspection.probe(dead)
    inspection.started(ONE)
    inspection.inspector.look_into([ONE])
    assert reached(entered)
    inspection.told(ONE, TaskSucceeded())
    gate.set()
    inspection.settle()
    assert ["TaskSucceeded"] == inspection.facts(ONE)


def test_an_answer_about_an_old_miss_does_not_lose_a_task_that_came_back(inspection: Inspection) -> None:
    inspection.probe(lambda _: Verdict.missing("gone"))
    inspection.started(ONE)
    inspection.look(ONE)
    inspection.desk.clock.advance(GRACE_MS)
    inspection.inspector.look_into([ONE])
    inspection.told(ONE, TaskProgressed(message="here"))
    inspection.settle()
    assert ["TaskBackingMissed", "TaskBackingRestored", "TaskProgressed", "TaskBackingMissed"] == inspection.facts(ONE)


def test_a_task_is_asked_about_once_at_a_time(inspection: Inspection) -> None:
    calls: list[str] = []
    gate = threading.Event()

    def probe(task: TaskRecord) -> Verdict:
        calls.append(task.task_id)
        assert reached(gate)
        return Verdict.alive()

    inspection.probe(probe)
    inspection.started(ONE)
    for _ in range(5):
        inspection.inspector.look_into([ONE, ONE])
    gate.set()
    inspection.settle()
    assert [id_text(ONE)] == calls
    inspection.look(ONE)
    assert 2 == len(calls)


def test_those_that_end_while_they_wait_leave_their_places_to_others(inspection: Inspection) -> None:
    """More end in the backlog than are under way: every one that waits behind them is asked about nevertheless."""
    gate = threading.Event()
    asked: set[str] = set()

    def probe(task: TaskRecord) -> Verdict:
        assert reached(gate)
        asked.add(task.task_id)
        return Verdict.alive()

    inspection.probe(probe)
    streams = [number.to_bytes(ID_BYTES) for number in range(1, 2 * AT_ONCE + 21)]
    for stream in streams:
        inspection.started(stream)
    inspection.inspector.look_into(streams)
    for stream in streams[AT_ONCE : 2 * AT_ONCE]:
        inspection.told(stream, TaskFailed(error="no"))
    gate.set()
    inspection.settle()
    assert {id_text(stream) for stream in (*streams[:AT_ONCE], *streams[2 * AT_ONCE :])} == asked


def test_a_kind_that_hangs_leaves_the_others_alone(inspection: Inspection) -> None:
    gate = threading.Event()
    inspection.probe(lambda _: Verdict.alive() if reached(gate) else None)
    inspection.probe(lambda _: Verdict.dead("gone"), Runtime.CRON)
    waiting = [inspection.started(stream) for stream in STREAMS[:12]]
    other = inspection.started(STREAMS[12], runtime="cron")
    inspection.inspector.look_into([*waiting, other])
    while not inspection.facts(other):
        inspection.step()
    assert inspection.inspector.is_busy()
    gate.set()
    inspection.settle()


class MuteError(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError("mute")


@pytest.mark.parametrize(
    "error", [ValueError("no"), MuteError(), SystemExit(1), ValueError("\ud800" * 10_000)], ids=lambda e: str(type(e))
)
def test_a_probe_that_fails_changes_nothing_and_is_asked_again(inspection: Inspection, error: BaseException) -> None:
    inspection.probe(lambda _: fail(error))
    inspection.started(ONE)
    for count in (1, 2):
        inspection.look(ONE)
        assert [ONE] * count == inspection.again
    assert [] == inspection.facts(ONE)
    assert 2 == inspection.supervision.failed["subagent"]


def test_a_probe_that_fails_for_many_is_complained_of_once_a_minute(
    inspection: Inspection, caplog: pytest.LogCaptureFixture
) -> None:
    inspection.probe(lambda _: fail(ValueError("no")))
    streams = [inspection.started(stream) for stream in STREAMS]
    for passed, expected in ((0, 1), (59_999, 1), (1, 2), (-3_600_000, 3)):
        inspection.desk.clock.advance(passed)
        inspection.look(*streams)
        assert expected == [record.getMessage() for record in caplog.records].count("probe_failed")
    assert 4 * len(streams) == inspection.supervision.failed["subagent"]


def test_work_that_is_being_stopped_is_not_lost_because_it_stopped(inspection: Inspection) -> None:
    answers: list[Verdict] = [
        Verdict.dead("killed"),
        Verdict.missing("killed"),
        Verdict.ended("failed", error="killed"),
    ]
    inspection.probe(lambda _: answers.pop(0))
    inspection.started(ONE)
    inspection.spared.add(ONE)
    inspection.look(ONE)
    assert ([], [ONE], 3) == (inspection.facts(ONE), inspection.again, len(answers))

    inspection.spared.clear()
    for expected in ([], [], ["TaskFailed"]):
        inspection.inspector.look_into([ONE])
        inspection.spared.add(ONE)  # the stop began while it was asked about
        inspection.settle()
        inspection.spared.clear()
        assert expected == inspection.facts(ONE)


@pytest.mark.parametrize("error", [Busy("the ledger", depth=1), RuntimeError("nobody expects it")])
def test_an_inference_that_could_not_be_sent_is_made_again_later(inspection: Inspection, error: Exception) -> None:
    inspection.probe(lambda _: Verdict.dead("gone"))
    inspection.started(ONE)
    inspection.refusing = error
    inspection.look(ONE)
    assert ([], [ONE, ONE]) == (inspection.facts(ONE), inspection.again)
    inspection.refusing = None
    inspection.look(ONE)
    assert ["TaskLost"] == inspection.facts(ONE)


def test_an_inference_that_a_full_disk_refused_is_made_again_later(inspection: Inspection) -> None:
    inspection.probe(lambda _: Verdict.dead("gone"))
    inspection.started(ONE)
    inspection.desk.log.failures.append(full())  # type: ignore[attr-defined]
    inspection.look(ONE)
    assert ([], [ONE, ONE]) == (inspection.facts(ONE), inspection.again)
    inspection.look(ONE)
    assert ["TaskLost"] == inspection.facts(ONE)


def test_nobody_is_asked_and_nothing_is_inferred_when_the_ledger_closes(inspection: Inspection) -> None:
    gate, entered = threading.Event(), threading.Event()

    def probe(_: TaskRecord) -> Any:
        entered.set()
        return Verdict.dead("gone") if reached(gate) else None

    inspection.probe(probe)
    streams = [inspection.started(stream) for stream in STREAMS]
    inspection.inspector.look_into(streams)
    assert entered.wait(PATIENCE_S)
    inspection.crew.close()
    gate.set()
    inspection.settle()
    assert ([], []) == ([fact for stream in streams for fact in inspection.facts(stream)], inspection.again)
    inspection.look(*streams)
    assert 0 == inspection.supervision.failed["subagent"]


class TornLog(MemoryLog):
    """A log that cannot be read now and then."""

    is_torn = False

    def read(self, after: int = 0, until: int | None = None) -> Iterator[Event | Damaged]:
        if self.is_torn:
            raise Corrupt("a page is damaged")
        return super().read(after, until)


def test_a_task_that_cannot_be_read_now_is_looked_at_again_and_one_that_is_not_there_is_not() -> None:
    log = TornLog()
    inspection = Inspection(log=log)
    inspection.probe(lambda _: Verdict.dead("gone"))
    inspection.started(ONE)
    log.is_torn = True
    inspection.look(ONE)
    assert ([ONE], []) == (inspection.again, inspection.facts(ONE))
    log.is_torn = False
    inspection.look(ONE, TWO)
    assert [ONE, ONE] == inspection.again
    assert ["TaskLost"] == inspection.facts(ONE)
    inspection.crew.close()


def test_what_never_blocks_is_asked_on_the_spot(inspection: Inspection) -> None:
    inspection.started(ONE)
    inspection.told(ONE, TaskLeased(ttl_ms=1_000))
    for passed, expected in (
        (0, []),
        (1_000, []),
        (1, ["TaskBackingMissed"]),
        (GRACE_MS, ["TaskBackingMissed", "TaskLost"]),
    ):
        inspection.desk.clock.advance(passed)
        inspection.look(ONE)
        assert ["TaskLeased", *expected] == inspection.facts(ONE)


def test_a_lost_task_is_asked_about_only_when_its_probe_can_recover_it(inspection: Inspection) -> None:
    class Recovering:
        recovers = False

        def __call__(self, _: TaskRecord) -> Verdict:
            return Verdict.ended("succeeded", ended_at=BEGIN_MS)

    probe = Recovering()
    inspection.probe(probe)
    inspection.started(ONE)
    inspection.told(ONE, TaskLost(rule=RULE_DEAD, evidence={}))
    inspection.look(ONE)
    assert ["TaskLost"] == inspection.facts(ONE)
    probe.recovers = True
    for _ in range(2):
        inspection.look(ONE)
        assert ["TaskLost", "TaskRecovered"] == inspection.facts(ONE)
    record = inspection.reader.get(id_text(ONE))
    assert ("succeeded", BEGIN_MS) == (record.status, record.ended_at)
