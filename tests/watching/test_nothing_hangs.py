"""Whatever is reported, probed, cancelled or restarted, whatever the clock does: each task ends once, and rightly."""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import tallystick
from tallystick import Stopped, Verdict
from tallystick.ledger.errors import Refused
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.record import TaskRecord
from tallystick.task import Task
from tallystick.testing import HandClock
from tests.watching.law import hold_to_the_law

GRACE_MS = 300_000
CANCEL_MS = 30_000
LEASE_MS = 60_000

JUMPS = (0, 1, 999, LEASE_MS, CANCEL_MS - 1, CANCEL_MS, GRACE_MS - 1, GRACE_MS, 3_600_000, -1, -GRACE_MS, -3_600_000)

PROBED, STOPPABLE, OWNED = "subagent", "acp", "cli"
"""A runtime with a probe, one with a canceller, one with neither."""


KINDS = ((PROBED, None), (PROBED, GRACE_MS), (STOPPABLE, 1_000), (OWNED, None), (OWNED, GRACE_MS))

places = st.integers(0, len(KINDS) - 1)


class Known:
    """What the model knows of one task: as the specification has it, told another way than the ledger does."""

    def __init__(self, task_id: str, runtime: str) -> None:
        self.id, self.runtime = task_id, runtime
        self.status = "queued"
        self.deadline: int | None = None
        self.missed: int | None = None
        self.asked_to_stop: int | None = None
        self.alive_until: int | None = None
        self.answer: Any = Verdict.alive()
        self.born_here = True
        """Whether it was heard of since the present owner has the ledger."""


class NothingHangs(RuleBasedStateMachine):
    """One ledger with a clock that moves by hand, and what should be true of its tasks."""

    @initialize()
    def open(self) -> None:
        self.clock = HandClock()
        self.folder = Path(tempfile.mkdtemp())
        self.known: dict[str, Known] = {}
        self.places: list[Known] = []
        self._open()
        for runtime, timeout_ms in KINDS:
            self.places.append(self._created(runtime, timeout_ms))
            self._started(self.places[-1])

    def _open(self) -> None:
        self.ledger = tallystick.open(self.folder, clock=self.clock)
        self.opened = self.clock()
        self.ledger.probe(PROBED, self._probe)
        self.ledger.canceller(STOPPABLE, lambda _task: Stopped(detail="its session was closed"))

    def _probe(self, task: TaskRecord) -> Any:
        answer = self.known[task.task_id].answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()

    def _task(self, known: Known) -> Task:
        return self.ledger.get(known.id)

    # What people and work do.

    def _created(self, runtime: str, timeout_ms: int | None) -> Known:
        task = self.ledger.create(runtime=runtime, task="work", owner="agent:main", timeout_ms=timeout_ms)
        self.known[task.id] = known = Known(task.id, runtime)
        return known

    def _started(self, known: Known) -> None:
        if known.status == "queued":
            record = self._task(known).start()
            known.status, known.born_here = "running", True
            known.deadline = None if record.timeout_ms is None else self.clock() + record.timeout_ms

    @rule(place=places)
    def begin_another(self, place: int) -> None:
        if self.places[place].status not in ("queued", "running"):
            self.places[place] = self._created(*KINDS[place])

    @rule(place=places)
    def start(self, place: int) -> None:
        self._started(self.places[place])

    @rule(place=places)
    def progress(self, place: int) -> None:
        known = self.places[place]
        if known.status == "running":
            self._task(known).progress("a step", force=True)
            known.missed, known.born_here = None, True

    @rule(place=places, how=st.sampled_from(["succeed", "fail", "time_out"]))
    def finish(self, place: int, how: str) -> None:
        known = self.places[place]
        task = self._task(known)
        report: Callable[[], Any] = {"succeed": task.succeed, "fail": lambda: task.fail("it broke")}.get(
            how, task.time_out
        )
        told = {"succeed": "succeeded", "fail": "failed", "time_out": "timed_out"}[how]
        if known.status in ("queued", "running", "lost"):
            assert told == report().status
            known.status = told
        else:
            with suppress(Refused):
                report()

    @rule(place=places)
    def cancel(self, place: int) -> None:
        known = self.places[place]
        with suppress(Refused):
            record = self._task(known).cancel("enough", wait_ms=20_000 if known.runtime == STOPPABLE else 0)
            if known.status == "queued" or (known.status == "running" and known.runtime == STOPPABLE):
                assert (Status.CANCELLED, True) == (record.status, record.cancel_confirmed)
                known.status = "cancelled"
            elif known.status == "running" and known.asked_to_stop is None:
                known.asked_to_stop, known.born_here = self.clock(), True

    @rule(place=places)
    def keep_alive(self, place: int) -> None:
        known = self.places[place]
        with suppress(Refused):
            self._task(known).keep_alive(LEASE_MS)
            if known.status in ("queued", "running"):
                known.alive_until = self.clock() + LEASE_MS

    @rule(place=places, how=st.sampled_from(["failed", "cancelled", "lost"]))
    def settle(self, place: int, how: str) -> None:
        known = self.places[place]
        with suppress(Refused):
            self._task(known).settle(how, "the operator knows")
            if known.status in ("queued", "running"):
                known.status = how

    # What the world does.

    @rule(
        place=places,
        answer=st.sampled_from(
            [
                Verdict.alive(),
                Verdict.missing("no session"),
                Verdict.dead("deleted"),
                Verdict.unknown("the store is locked"),
                Verdict.ended("succeeded", summary="as its history says"),
                OSError("no such store"),
                "nonsense",
                None,
            ]
        ),
    )
    def probes_will_answer(self, place: int, answer: Any) -> None:
        known = self.places[place]
        known.answer = answer

    @rule(jump=st.sampled_from(JUMPS))
    def clock_jumps(self, jump: int) -> None:
        self.clock.advance(jump)

    @rule(passing=st.lists(st.sampled_from(JUMPS), min_size=1, max_size=3))
    def time_passes(self, passing: list[int]) -> None:
        for ms in passing:
            self.clock.advance(ms)
            self.sweep()

    @rule()
    def restart(self) -> None:
        self.ledger.close()
        for known in self.known.values():
            known.born_here = False
            if known.alive_until is not None:
                known.alive_until = self.clock() + LEASE_MS  # somebody listens again
        self._open()

    # What the ledger does.

    @rule()
    def sweep(self) -> None:
        expected = {known.id: self._expected(known) for known in self.known.values()}
        self.ledger.sweep()
        for known in self.known.values():
            record = self.ledger.state_at(known.id)
            assert isinstance(record, TaskRecord)
            ends, missed = expected[known.id]
            if ends:
                event(f"a sweep ended one as {record.status.value}")
                assert record.status in ends, (known.__dict__, record)
                known.status = record.status.value
            else:
                assert known.status == record.status, (known.__dict__, record)
                assert missed == (record.backing_missed_at is not None), (known.__dict__, record)
                known.missed = record.backing_missed_at

    def _expected(self, known: Known) -> tuple[set[str], bool]:
        """Return how the task may end in a sweep now, and whether it is missing after it if it does not."""
        now, ends, missing = self.clock(), set[str](), known.missed is not None
        if known.status not in ("queued", "running"):
            return ends, False
        if known.asked_to_stop is not None and now >= known.asked_to_stop + CANCEL_MS:
            ends.add("cancelled")
        if known.deadline is not None and now >= known.deadline:
            ends.add("timed_out")
        finding = self._finding(known, now)
        if finding == "dead":
            ends.add("lost")
        elif finding == "ended":
            ends.add("succeeded")
        elif finding == "alive":
            missing = False
        elif finding == "missing":
            if known.missed is not None and now >= max(known.missed, self.opened) + GRACE_MS:
                ends.add("lost")
            missing = True
        return ends, missing

    def _finding(self, known: Known, now: int) -> str:
        if known.runtime == PROBED and known.status == "running":
            return known.answer.finding.value if isinstance(known.answer, Verdict) else "unknown"
        if known.alive_until is not None:
            return "alive" if now <= known.alive_until else "missing"
        if known.status == "running":
            return "alive" if known.born_here and known.missed is None else "missing"
        return "nobody tells"

    # What is always true.

    @invariant()
    def no_task_ends_twice(self) -> None:
        for known in getattr(self, "known", {}).values():
            history = self.ledger.timeline(known.id)
            hold_to_the_law(history, grace_ms=GRACE_MS)


TestNothingHangs = NothingHangs.TestCase
TestNothingHangs.settings = settings(stateful_step_count=40)
