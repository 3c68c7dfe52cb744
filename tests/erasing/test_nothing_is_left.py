"""After an erasure no database of the ledger has what was erased, and all who ask for it hear the same."""

import shutil
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec.structs import replace

import tallystick
from tallystick import FlowRefused, Pruned, Refused, TallystickError
from tallystick.ledger.delivery import Permanent, Receipt, Retryable, Unconfirmed
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.ledger.limits import PROGRESS_MS_MIN
from tallystick.ledger.store.port import TreeHead
from tallystick.ledger.store.tree import TILE_WIDTH
from tallystick.ledger.store.verify import verify
from tallystick.projections.check import check
from tallystick.readings import VIEWS_FOLDER
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.erasing.parts import ASIDE, Searcher, seal

SECOND, HOUR, DAY = 1_000, 3_600_000, 86_400_000
CHAT = "chat"
SESSIONS = ("agent:main:main", "agent:main:cron:nightly:run:1", "agent:main:chat:group:7")
OWN = SESSIONS[1]
"""The session of isolated runs: what it asks for is below them."""

SETTINGS = replace(ASIDE, retention={"terminal": 7 * DAY, "lost": DAY}, archive={"after": DAY})
REASON = "asked for by the customer"
ENDS = ("succeed", "fail", "time_out", "cancelled", "lost")
numbers = st.integers(0, 10**6)


class Told:
    """One task or flow, and the secrets that its texts carry: other ones after each erasure."""

    def __init__(self, name: str) -> None:
        self.name, self.id = name, ""
        self.asked: dict[str, Any] = {}
        self.erasures = self._texts = 0

    @property
    def secret(self) -> str:
        return f"s3cret-{self.name}-{self.erasures}-"

    def text(self, more: str = "") -> str:
        """Return another text with the secret in it."""
        self._texts += 1
        return f"{more}{self.secret}{self._texts}"


class Erasing(RuleBasedStateMachine):
    """A ledger on disk that keeps content beside its log, of which this or that is erased, at any time."""

    searcher: Searcher

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp()) / "ledger"
        self.clock = HandClock()
        self.answers: deque[Any] = deque()
        self.tasks: list[Told] = []
        self.flows: list[Told] = []
        self.gone: dict[str, set[str]] = {}
        """The secrets that are erased, and the tasks that are said to have a copy, until these are erased as well."""
        self.opened: Ledger | None = None
        self.heads: list[TreeHead] = []

    @initialize()
    def begin(self) -> None:
        self.opened = tallystick.open(self.folder, clock=self.clock, config=SETTINGS)
        self.opened.channel(CHAT, self.receive)

    @property
    def ledger(self) -> Ledger:
        assert self.opened is not None
        return self.opened

    def receive(self, delivery: Any) -> Any:
        answer = self.answers.popleft() if self.answers else Receipt(id="7")
        if isinstance(answer, type):
            raise answer(f"cannot say {delivery.text!r}")
        return answer

    def some(self, number: int) -> Told:
        return self.tasks[number % len(self.tasks)]

    def some_flow(self, number: int) -> Told:
        return self.flows[number % len(self.flows)]

    # What happens.

    @rule(more=st.lists(st.sampled_from([Receipt(), Retryable, Permanent, Unconfirmed, ValueError]), min_size=1))
    def the_channel_will_answer(self, more: list[Any]) -> None:
        self.answers.extend(more)

    @rule(
        runtime=st.sampled_from(["cli", "subagent", "acp", "cron"]),
        owner=st.sampled_from(SESSIONS),
        notify=st.sampled_from(["silent", "done_only", "state_changes"]),
        reached=st.booleans(),
        has_key=st.booleans(),
        is_run=st.booleans(),
        flow=st.none() | numbers,
        parent=st.none() | numbers,
    )
    def somebody_asks(
        self,
        *,
        runtime: str,
        owner: str,
        notify: str,
        reached: bool,
        has_key: bool,
        is_run: bool,
        flow: int | None,
        parent: int | None,
    ) -> None:
        told = Told(f"task{len(self.tasks)}")
        told.asked = {
            "runtime": runtime,
            "task": told.text("do "),
            "label": told.text(),
            "owner": owner,
            "child_session": OWN if is_run else None,
            "notify": notify,
            "origin": {"channel": CHAT, "to": told.text()} if reached else None,
            "metadata": {"about": told.text(), told.text(): "x"},
            "run_id": f"run-{len(self.tasks)}",
            "idempotency_key": f"key-{len(self.tasks)}" if has_key else None,
            "parent": None if parent is None or not self.tasks else self.some(parent).id,
            "flow": None if flow is None or not self.flows else self.some_flow(flow).id,
        }
        with suppress(TallystickError):
            told.id = self.ledger.create(**told.asked).id
            self.tasks.append(told)

    @precondition(lambda self: bool(self.tasks))
    @rule(number=numbers, more=st.booleans())
    def somebody_asks_again(self, number: int, *, more: bool) -> None:
        """With the very words of the first time, which may be erased by now."""
        told = self.some(number)
        if told.erasures and told.asked["idempotency_key"] is None:
            return  # nothing knows it again: another one would be made
        asked = {**told.asked, "metadata": {told.text(): told.text()}, "source_id": "1"} if more else told.asked
        with suppress(TallystickError):
            self.ledger.get(told.id)  # else it was pruned, and another one is made
            assert told.id == self.ledger.create(**asked).id

    @precondition(lambda self: bool(self.tasks))
    @rule(number=numbers, wait=st.booleans())
    def work_goes_on(self, number: int, *, wait: bool) -> None:
        told = self.some(number)
        with suppress(TallystickError):
            self.ledger.get(told.id).progress(told.text(), phase=told.text(), force=not wait)

    @precondition(lambda self: bool(self.tasks))
    @rule(number=numbers, end=st.sampled_from(ENDS))
    def work_ends_or_says_so_late(self, number: int, end: str) -> None:
        told = self.some(number)
        with suppress(TallystickError):
            task = self.ledger.get(told.id)
            match end:
                case "succeed":
                    task.succeed(told.text(), artifacts=[told.text("file:///")])
                case "fail":
                    task.fail(told.text(), summary=told.text())
                case "time_out":
                    task.time_out(told.text())
                case "cancelled":
                    task.cancelled(told.text(), stopped=told.text())
                case _:
                    task.settle("lost", told.text())

    @precondition(lambda self: bool(self.tasks))
    @rule(number=numbers, verb=st.sampled_from(["cancel", "hold", "release", "retry", "dismiss", "notify", "start"]))
    def an_operator_does_something(self, number: int, verb: str) -> None:
        told = self.some(number)
        with suppress(TallystickError):
            task = self.ledger.get(told.id)
            match verb:
                case "cancel":
                    task.cancel(told.text(), wait_ms=0)
                case "retry" | "dismiss":
                    getattr(self.ledger, verb)(told.id, reason=told.text())
                case "notify":
                    task.notify("state_changes")
                case "start":
                    task.start()
                case _:
                    getattr(task, verb)(told.text())

    @rule(owner=st.sampled_from(SESSIONS), is_confirmed=st.booleans())
    def a_session_takes(self, owner: str, *, is_confirmed: bool) -> None:
        session = self.ledger.session(owner)
        taken = session.take(limit=3)
        if taken and is_confirmed:
            session.ack(taken[-1].position)

    # Flows.

    @rule(owner=st.sampled_from(SESSIONS))
    def a_flow_begins(self, owner: str) -> None:
        told = Told(f"flow{len(self.flows)}")
        flow = self.ledger.flows.create(owner=owner, goal=told.text(), controller="bot", state={"a": [told.text()]})
        told.id = flow.id
        self.flows.append(told)

    @precondition(lambda self: bool(self.flows))
    @rule(number=numbers, verb=st.sampled_from(["wait", "block", "resume", "finish", "fail", "settle"]))
    def a_flow_goes_on(self, number: int, verb: str) -> None:
        told = self.some_flow(number)
        with suppress(TallystickError):
            flow = self.ledger.flows.get(told.id)
            match verb:
                case "wait":
                    flow.set_waiting({"for": told.text()}, step="build", state=told.text())
                case "block":
                    flow.set_waiting(told.text(), blocked=told.text())
                case "resume":
                    flow.resume(state=[told.text()])
                case "finish":
                    flow.finish(told.text(), state=None)
                case "fail":
                    flow.fail(told.text(), state={told.text(): 1})
                case _:
                    flow.settle("failed", told.text())

    @precondition(lambda self: bool(self.tasks))
    @rule(number=numbers, joining=st.none() | numbers)
    def a_mirror_is_joined_or_cancelled(self, number: int, joining: int | None) -> None:
        told = self.some(number)
        mirror = mirror_of(told.id)
        with suppress(TallystickError):
            if joining is None:
                self.ledger.flows.cancel(mirror, told.text(), wait_ms=0)
            else:
                self.ledger.flows.get(mirror).link(self.some(joining).id)

    # Time.

    @rule(ms=st.sampled_from([1, PROGRESS_MS_MIN, 6 * SECOND, 11 * 60 * SECOND, 4 * HOUR, 2 * DAY, 8 * DAY]))
    def time_passes(self, ms: int) -> None:
        self.clock.advance(ms)
        self.ledger.sweep()

    @rule()
    def so_much_happens_that_some_of_it_is_archived(self) -> None:
        with suppress(TallystickError), self.ledger.batch() as batch:
            task = batch.create(runtime="cli", task="much", owner=SESSIONS[0], notify="silent")
            for step in range(TILE_WIDTH):
                task.progress(str(step), force=True)
            task.succeed()
        self.ledger.settled()
        seal(self.ledger, segment_events=TILE_WIDTH)

    @rule()
    def the_gateway_is_restarted(self) -> None:
        self.ledger.close()
        self.begin()

    # Erasing.

    @precondition(lambda self: bool(self.tasks))
    @rule(number=numbers)
    def a_task_is_erased(self, number: int) -> None:
        self.erase(self.some(number))

    @precondition(lambda self: bool(self.flows))
    @rule(number=numbers)
    def a_flow_is_erased(self, number: int) -> None:
        self.erase(self.some_flow(number))

    def erase(self, told: Told) -> None:
        """Erase it, unless nothing of it is kept beside the log; then nothing is left of what it said up to now."""
        self.ledger.settled()
        self.heads.append(self.ledger._house.readings.log.tree_head())  # noqa: SLF001 - what a checkpoint would say
        foreseen = self.ledger.erase(told.id, reason=REASON, dry_run=True)
        try:
            erasure = self.ledger.erase(told.id, reason=REASON)
        except (Refused, FlowRefused):
            assert () == foreseen.gone
            return
        if not erasure.is_new:
            assert () == foreseen.gone
            return
        assert set(foreseen.gone) <= set(erasure.gone), "progress that was held back comes with it"
        assert foreseen.copies == erasure.copies
        for copies in self.gone.values():
            copies.discard(told.id)
        self.gone[told.secret] = {copy.id for copy in erasure.copies}
        told.erasures += 1
        self.nothing_is_found()
        self.read_models_say_what_the_log_says()

    def nothing_is_found(self) -> None:
        found = self.searcher.find(self.folder, *(secret for secret, copies in self.gone.items() if not copies))
        assert [] == found, [(each.place, each.secret, each.row) for each in found]

    def read_models_say_what_the_log_says(self) -> None:
        readings = self.ledger._house.readings  # noqa: SLF001 - byte for byte
        assert readings.views is not None
        self.ledger.settled()
        assert {} == readings.views.parked
        for projection in readings.views.projections:
            assert check(readings.views, readings.log, projection.name).ok, projection.name

    def teardown(self) -> None:
        try:
            if self.opened is not None:
                self.look_again()
        finally:
            if self.opened is not None:
                self.opened.close()
            shutil.rmtree(self.folder.parent)

    def look_again(self) -> None:
        """Whoever opens the ledger anew, with its read models or without, gets the same answers from the same log."""
        self.clock.advance(PROGRESS_MS_MIN)
        self.ledger.sweep()  # nothing is held back any more
        self.ledger.settled()
        self.read_models_say_what_the_log_says()
        before = self.answered(self.ledger)
        self.ledger.close()
        self.nothing_is_found()
        for _ in range(2):
            with tallystick.open(self.folder, clock=self.clock, config=SETTINGS, read_only=True) as reader:
                assert before == self.answered(reader)
                found = verify(reader._house.readings.log, checkpoint=self.heads)  # noqa: SLF001 - what others kept of it
                assert found.ok, found
            shutil.rmtree(self.folder / VIEWS_FOLDER, ignore_errors=True)
        self.nothing_is_found()

    def answered(self, ledger: Ledger) -> list[object]:
        """What is said of every task and flow; each record is what its events tell."""
        answers: list[object] = [ledger.counts(), ledger.flows.counts()]
        for told in (*self.tasks, *self.flows):
            get = ledger.flows.get if told in self.flows else ledger.get
            try:
                record = get(told.id).record
                assert record == ledger.state_at(told.id)
                answers.append(record)
            except Pruned as error:
                answers.append(str(error))
            answers.append(ledger.timeline(told.id))
        return answers


Erasing.TestCase.settings = settings(max_examples=40, stateful_step_count=30)


@pytest.fixture(scope="module", autouse=True)
def _searching() -> Iterator[None]:
    with Searcher() as searcher:
        Erasing.searcher = searcher
        yield


TestErasing = pytest.mark.slow(Erasing.TestCase)
