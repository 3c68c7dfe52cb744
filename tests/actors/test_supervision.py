"""The supervision: who is asked about a task, and who can stop it, by what the task says and who is registered."""

from typing import Any

import pytest
from msgspec.structs import replace

from tallystick.actors.watching.crew import Unanswered
from tallystick.actors.watching.leases import Leases
from tallystick.actors.watching.supervision import Canceller, Probe, Supervision
from tallystick.ledger.decide import RULE_DEAD
from tallystick.ledger.facts.tasks import TaskLeased, TaskLost, TaskStarted
from tallystick.ledger.lifecycle import Runtime, Status
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.stopped import Stopped
from tallystick.ledger.verdict import Finding, Verdict
from tests.actors.parts import HandClock
from tests.story import Story, created

PID = {"pid": 4711}
ONLY_PROCESS = {"pid": 4711, "probe": "process"}


def by(name: str, finding: Finding = Finding.ALIVE) -> Probe:
    return lambda _task: Verdict(finding, {"by": name})


def stopping(name: str) -> Canceller:
    return lambda _task: Stopped(detail=name)


def supervision(**more: Any) -> Supervision:
    built_in = {"process": by("process"), "kill": stopping("kill"), "owner": by("owner")}
    return Supervision(Leases(HandClock()), **{**built_in, **more})


def task(status: Status, backing: dict[str, Any] | None = None, *, is_leased: bool = False) -> TaskRecord:
    story = Story(created(runtime="acp", backing=backing))
    if status is not Status.QUEUED:
        story.tell(TaskStarted())
    if is_leased:
        story.tell(TaskLeased(ttl_ms=1_000))
    if status is Status.LOST:
        story.tell(TaskLost(rule=RULE_DEAD, evidence={}))
    assert status is story.record.status
    return story.record


def asked(known: Supervision, record: TaskRecord) -> tuple[str, bool] | None:
    """Return of which kind the question is, and whether it is quick; the answer must come from that kind."""
    question = known.question(record)
    if question is None:
        return None
    answer = question.ask(record)
    assert isinstance(answer, Verdict)
    assert question.kind == answer.evidence.get("by", "lease")
    return question.kind, question.quick


Q, R, L = Status.QUEUED, Status.RUNNING, Status.LOST


@pytest.mark.parametrize(
    ("status", "backing", "is_leased", "is_registered", "expected"),
    [
        (R, ONLY_PROCESS, False, True, ("process", True)),
        (R, ONLY_PROCESS, True, True, ("process", True)),
        (R, {"probe": "process"}, False, True, ("owner", True)),
        (R, {"probe": "process"}, True, True, ("lease", True)),
        (R, PID, False, True, ("acp", False)),
        (R, PID, True, False, ("process", True)),
        (R, None, True, True, ("acp", False)),
        (R, {"session": "x"}, False, True, ("acp", False)),
        (R, None, True, False, ("lease", True)),
        (R, None, False, False, ("owner", True)),
        (R, {"session": "x"}, False, False, ("owner", True)),
        (Q, None, False, True, None),
        (Q, None, False, False, None),
        (Q, None, True, True, ("lease", True)),
        (Q, PID, False, False, ("process", True)),
        (Q, PID, False, True, ("process", True)),
        (Q, ONLY_PROCESS, False, True, ("process", True)),
        (L, None, False, True, ("acp", False)),
        (L, PID, False, True, ("acp", False)),
        (L, None, False, False, None),
    ],
)
def test_who_is_asked_follows_from_the_backing_then_the_runtime_then_the_lease_then_the_owner(
    status: Status,
    backing: dict[str, Any] | None,
    is_leased: bool,  # noqa: FBT001
    is_registered: bool,  # noqa: FBT001
    expected: tuple[str, bool] | None,
) -> None:
    known = supervision()
    if is_registered:
        known.set_probe(Runtime.ACP, by("acp"))
    known.set_probe(Runtime.CLI, by("cli"))
    assert expected == asked(known, task(status, backing, is_leased=is_leased))


def test_what_was_imported_never_ran_under_an_owner_of_this_ledger_and_its_runtime_may_know_of_it() -> None:
    known = supervision()
    record = replace(task(R), imported={"from": "openclaw"})

    assert known.question(record) is None
    known.set_probe(Runtime.ACP, by("acp"))
    assert ("acp", False) == asked(known, record)


def test_without_the_built_in_ones_only_leases_and_the_registered_are_asked() -> None:
    known = Supervision(Leases(HandClock()))
    assert known.question(task(R, ONLY_PROCESS)) is None
    assert known.canceller(task(R, ONLY_PROCESS)) is None
    assert ("lease", True) == asked(known, task(R, PID, is_leased=True))


@pytest.mark.parametrize("process", list(Finding))
def test_a_process_that_is_proved_dead_is_dead_whatever_the_runtime_says(process: Finding) -> None:
    if process is Finding.ENDED:
        return
    known = supervision(process=by("process", process))
    known.set_probe(Runtime.ACP, by("acp", Finding.MISSING))
    question = known.question(task(R, PID))
    assert question is not None
    expected = Finding.DEAD if process is Finding.DEAD else Finding.MISSING
    answer = question.ask(task(R, PID))
    assert isinstance(answer, Verdict)
    assert expected is answer.finding


@pytest.mark.parametrize(
    ("backing", "is_registered", "stopped"),
    [
        (ONLY_PROCESS, True, "kill"),
        ({"probe": "process"}, True, None),
        (PID, True, "acp"),
        (PID, False, "kill"),
        (None, True, "acp"),
        (None, False, None),
    ],
)
def test_who_stops_it_follows_from_the_same_things(
    backing: dict[str, Any] | None,
    is_registered: bool,  # noqa: FBT001
    stopped: str | None,
) -> None:
    known = supervision()
    if is_registered:
        known.set_canceller(Runtime.ACP, stopping("acp"))
    record = task(R, backing)
    canceller = known.canceller(record)
    assert (None if stopped is None else Stopped(detail=stopped)) == (canceller and canceller(record))


def test_a_runtime_is_probed_when_it_has_a_probe_and_recovers_when_that_says_so() -> None:
    known = supervision()
    assert (frozenset(), False) == (known.probed(), known.recovers(Runtime.CRON))

    class Recovering:
        recovers = True

        def __call__(self, _task: TaskRecord) -> Verdict:
            return Verdict.unknown()

    known.set_probe(Runtime.CRON, by("cron"))
    assert (frozenset({Runtime.CRON}), False) == (known.probed(), known.recovers(Runtime.CRON))
    known.set_probe(Runtime.CRON, Recovering())
    assert (frozenset({Runtime.CRON}), True) == (known.probed(), known.recovers(Runtime.CRON))


# What counts as an answer.


class MuteError(Exception):
    """An error that cannot even say what it is."""

    def __str__(self) -> str:
        raise ValueError("mute")


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (ValueError("no such table"), "the probe failed: ValueError: no such table"),
        (Unanswered("no answer within 10 s"), "the probe failed: Unanswered: no answer within 10 s"),
        (SystemExit(1), "the probe failed: SystemExit: 1"),
        (MuteError(), "the probe failed: MuteError"),
        (ValueError("half a \ud800 character\0"), "the probe failed: ValueError: half a � character"),
        (None, "the probe answered NoneType, not a Verdict"),
        (True, "the probe answered bool, not a Verdict"),
        ("alive", "the probe answered str, not a Verdict"),
        (Finding.ALIVE, "the probe answered Finding, not a Verdict"),
    ],
    ids=["error", "late", "exit", "mute", "half", "nothing", "yes", "words", "a finding"],
)
def test_what_is_no_verdict_tells_nothing_and_is_counted(answer: object, detail: str) -> None:
    known = supervision()
    assert Verdict.unknown(detail) == known.verdict("acp", answer)
    assert ({"acp": 1}, {"acp": 1}) == (known.asked, known.failed)


def test_an_error_of_any_length_can_be_written() -> None:
    verdict = supervision().verdict("acp", ValueError("x" * 1_000_000))
    assert str(verdict.evidence["detail"]).startswith("the probe failed: ValueError: xxx")


def test_a_verdict_is_taken_as_it_is() -> None:
    known = supervision()
    verdict = Verdict.dead({"pid": 4711})
    assert verdict is known.verdict("acp", verdict)
    assert ({"acp": 1}, {}) == (known.asked, known.failed)
