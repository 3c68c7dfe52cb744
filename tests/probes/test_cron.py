"""What a cron runtime has under way, and what became of the rest."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.verdict import Finding, Verdict
from tallystick.probes import CronRuns, RunEnd
from tests.probes.parts import PATIENCE_S, record

TASK = record(run_id="run-1", source_id="nightly")


class Runtime:
    """A cron runtime: what is under way, its history, and how often it was asked. Plain and asynchronous."""

    def __init__(self, *under_way: str, history: Any = None) -> None:
        self.under_way, self.told = set(under_way), history
        self.asked = {"active": 0, "history": 0}

    def active(self) -> set[str]:
        self.asked["active"] += 1
        return self.under_way

    def history(self, task: TaskRecord) -> Any:
        assert task.run_id or task.source_id
        self.asked["history"] += 1
        return self.told

    async def active_later(self) -> set[str]:
        await asyncio.sleep(0)
        return self.active()

    async def history_later(self, task: TaskRecord) -> Any:
        await asyncio.sleep(0)
        return self.history(task)


def answer(probe: CronRuns, task: TaskRecord = TASK) -> Verdict:
    """What a probe answers, awaited if need be."""
    verdict = probe(task)
    if isinstance(verdict, Verdict):
        return verdict

    async def awaited(answer: Awaitable[Verdict]) -> Verdict:
        return await answer

    return asyncio.run(awaited(verdict))


@pytest.fixture(params=["plain", "later", "active later", "active in time", "history later"])
def probe_of(request: pytest.FixtureRequest) -> Callable[..., CronRuns]:
    how: str = request.param

    def made(runtime: Runtime, **more: Any) -> CronRuns:
        active: Any = runtime.active_later if how in {"later", "active later"} else runtime.active
        if how == "active in time":
            active = lambda: runtime.active_later()  # noqa: E731, PLW0108 - a plain function, of what is to be awaited
        history: Any = runtime.history_later if how in {"later", "history later"} else runtime.history
        return CronRuns(active, history, **more)

    return made


@pytest.mark.parametrize("key", ["run-1", "nightly"])
def test_a_run_that_is_under_way_is_alive_and_its_history_is_not_asked(
    probe_of: Callable[..., CronRuns], key: str
) -> None:
    runtime = Runtime(key)

    assert Verdict.alive({"active": key}) == answer(probe_of(runtime))
    assert 0 == runtime.asked["history"]


@pytest.mark.parametrize(
    "told",
    [
        {"status": "failed", "error": "no space", "ended_at": 7},
        RunEnd("failed", error="no space", ended_at=7),
        Verdict.ended("failed", {"asked": "run-1"}, error="no space", ended_at=7),
    ],
    ids=["mapping", "struct", "verdict"],
)
def test_a_run_that_is_over_ends_as_its_history_says(probe_of: Callable[..., CronRuns], told: Any) -> None:
    expected = Verdict.ended("failed", {"asked": "run-1"}, error="no space", ended_at=7)

    assert expected == answer(probe_of(Runtime("run-2", history=told)))


def test_a_run_that_nobody_knows_is_missing(probe_of: Callable[..., CronRuns]) -> None:
    verdict = answer(probe_of(Runtime("run-2")))

    assert Verdict.missing({"asked": "run-1", "detail": "it is neither under way nor in the history"}) == verdict


def test_a_history_that_stopped_at_a_running_run_is_no_end(probe_of: Callable[..., CronRuns]) -> None:
    verdict = answer(probe_of(Runtime(history={"status": "running"})))

    assert Verdict.missing({"asked": "run-1", "detail": "it is not under way, and running in the history"}) == verdict


def test_a_task_without_a_run_or_a_source_tells_nothing() -> None:
    assert Finding.UNKNOWN is answer(CronRuns(Runtime().active, Runtime().history), record()).finding


def test_a_task_without_a_run_is_known_by_its_source(probe_of: Callable[..., CronRuns]) -> None:
    assert Verdict.alive({"active": "nightly"}) == answer(probe_of(Runtime("nightly")), record(source_id="nightly"))


def test_its_tasks_are_looked_at_after_they_are_lost() -> None:
    assert CronRuns.recovers


def test_one_answer_serves_ten_thousand_tasks_for_a_quarter_of_a_second() -> None:
    now = [0.0]
    runtime = Runtime("run-1")
    probe = CronRuns(runtime.active, runtime.history, clock=lambda: now[0])

    assert {Finding.ALIVE} == {answer(probe).finding for _ in range(10_000)}
    assert 1 == runtime.asked["active"]
    now[0] += 250
    runtime.under_way = set()
    assert Finding.MISSING is answer(probe).finding
    assert 2 == runtime.asked["active"]


def test_what_the_runtime_does_to_its_set_afterwards_changes_no_answer() -> None:
    runtime = Runtime("run-1")
    probe = CronRuns(runtime.active, runtime.history, clock=lambda: 0)
    answer(probe)
    runtime.under_way.clear()

    assert Finding.ALIVE is answer(probe).finding


def test_threads_that_ask_at_the_same_time_cost_one_question() -> None:
    runtime = Runtime("run-1")
    ready = threading.Barrier(8)

    def ask(_: int) -> Finding:
        ready.wait(PATIENCE_S)
        return answer(probe).finding

    probe = CronRuns(runtime.active, runtime.history, clock=lambda: 0)
    with ThreadPoolExecutor(8) as threads:
        assert [Finding.ALIVE] * 8 == list(threads.map(ask, range(8)))
    assert 1 == runtime.asked["active"]


def test_coroutines_that_ask_at_the_same_time_cost_one_question() -> None:
    runtime = Runtime("run-1")
    probe: Any = CronRuns(runtime.active_later, runtime.history, clock=lambda: 0)

    async def main() -> list[Verdict]:
        return list(await asyncio.gather(*(probe(TASK) for _ in range(100))))

    assert {Finding.ALIVE} == {verdict.finding for verdict in asyncio.run(main())}
    assert 1 == runtime.asked["active"]


def test_who_stops_waiting_ends_the_question_only_when_nobody_waits_any_more() -> None:
    ends: list[str] = []
    ready = asyncio.Event()

    async def active() -> set[str]:
        try:
            await ready.wait()
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise
        return {"run-1"}

    async def main() -> Verdict:
        probe: Any = CronRuns(active, Runtime().history)
        first, second = (asyncio.ensure_future(probe(TASK)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        assert [] == ends
        second.cancel()
        await asyncio.wait([second])
        third = asyncio.ensure_future(probe(TASK))
        await asyncio.sleep(0)
        ready.set()
        verdict: Verdict = await third
        return verdict

    assert Finding.ALIVE is asyncio.run(main()).finding
    assert ["cancelled"] == ends


def test_what_a_runtime_raises_is_raised_and_asked_again(probe_of: Callable[..., CronRuns]) -> None:
    class Broken(Runtime):
        def active(self) -> set[str]:
            super().active()
            raise ConnectionError("no scheduler")

    runtime = Broken()
    probe = probe_of(runtime)

    for _ in range(2):
        with pytest.raises(ConnectionError, match="no scheduler"):
            answer(probe)
    assert 2 == runtime.asked["active"]


@pytest.mark.parametrize("active", ["run-1", None, 7])
def test_an_answer_that_is_no_set_of_ids_is_refused(active: Any) -> None:
    with pytest.raises(InvalidInput, match=r"active\(\): .* is not allowed; give the ids of what is under way"):
        answer(CronRuns(lambda: active, lambda _: None))


def test_an_end_that_no_task_has_is_refused(probe_of: Callable[..., CronRuns]) -> None:
    with pytest.raises(InvalidInput, match="succeeded, failed, timed_out or cancelled"):
        answer(probe_of(Runtime(history={"status": "ok"})))
