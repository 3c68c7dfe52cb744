"""With a hook for all that is stored, no byte of a ledger's folder has what it names, whoever says it and whenever."""

import re
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

import tallystick
from tallystick import Config, TallystickError
from tallystick.config import Payloads
from tallystick.ledger.delivery import Permanent, Receipt, Retryable
from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import OF_DELIVERIES
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.ledger.redaction import REDACTED, TEXTS
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.erasing.parts import Searcher

SECOND, HOUR, DAY = 1_000, 3_600_000, 86_400_000
CHAT = "chat"
SESSIONS = ("agent:main:main", "agent:main:cron:nightly:run:1", "agent:main:chat:group:7")
SETTINGS = Config(retention={"terminal": 7 * DAY, "lost": DAY}, archive={"after": DAY})
MARK = "s3cret"
NOT_MARKED = OF_DELIVERIES
"""What tells what the record says, which had its marks where it was said."""

OWNER, JOINED = "the owner", "who joined"

whoever = st.sampled_from([OWNER, JOINED])
numbers = st.integers(0, 10**6)
texts = st.builds("{} {}-{} {}".format, st.sampled_from(["", "do", "é" * 40]), st.just(MARK), numbers, st.text("ab"))
"""Texts with a secret in them, each another one."""


class Redacting(RuleBasedStateMachine):
    """A ledger on disk, its owner and a process that joined it, both of which let nothing secret be stored."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp()) / "ledger"
        self.clock = HandClock()
        self.tasks: list[str] = []
        self.flows: list[str] = []
        self.said: list[dict[str, Any]] = []
        self.ledger: Ledger | None = None
        self.joined: Ledger | None = None
        self.fails = False
        self.answer: Any = Receipt()

    def name(self, text: str) -> Iterable[str]:
        """Name the secrets in a text, or fail, as hooks do."""
        if self.fails:
            raise ValueError(f"cannot parse {text}")
        return re.findall(rf"{MARK}-\d+", text)

    @initialize(aside=st.sampled_from(["nothing", "content"]))
    def begin(self, aside: str) -> None:
        self.settings = replace(SETTINGS, payloads=Payloads(aside=aside))
        self.open()
        self.joined = tallystick.join(
            self.folder, clock=self.clock, config=self.settings, redact_stored=self.name, actor="joined"
        )

    def open(self) -> None:
        self.ledger = tallystick.open(
            self.folder, clock=self.clock, config=self.settings, redact_stored=self.name, actor="owner"
        )
        self.ledger.channel(CHAT, self.receive)

    def receive(self, delivery: Any) -> Any:
        if isinstance(self.answer, type):
            raise self.answer(f"cannot say {delivery.text!r}, {MARK}-7")
        return self.answer

    def through(self, who: str) -> Ledger:
        found = self.joined if who == JOINED or self.ledger is None else self.ledger
        assert found is not None
        return found

    # What happens.

    @rule(hook=st.sampled_from(["names", "names", "fails"]), answer=st.sampled_from([Receipt(), Retryable, Permanent]))
    def the_hook_and_the_channel_change(self, hook: str, answer: Any) -> None:
        self.fails, self.answer = hook == "fails", answer

    @rule(
        who=whoever,
        said=st.fixed_dictionaries(
            {
                "runtime": st.sampled_from(["cli", "subagent", "acp", "cron"]),
                "task": texts,
                "label": st.none() | texts,
                "owner": st.sampled_from(SESSIONS),
                "notify": st.sampled_from(["silent", "done_only", "state_changes"]),
                "origin": st.none() | st.just({"channel": CHAT, "to": 7}),
                "kind": st.none() | st.just("image_generation"),
                "metadata": st.none() | st.dictionaries(texts, texts, max_size=2),
                "run_id": st.none() | st.sampled_from(["run-1", "run-2"]),
            }
        ),
    )
    def somebody_asks(self, who: str, said: dict[str, Any]) -> None:
        self.ask(who, said)

    @precondition(lambda self: bool(self.said))
    @rule(who=whoever, number=numbers)
    def somebody_asks_again(self, who: str, number: int) -> None:
        self.ask(who, self.said[number % len(self.said)])

    def ask(self, who: str, said: dict[str, Any]) -> None:
        with suppress(TallystickError):
            task = self.through(who).create(**said)
            assert task.is_new == (task.id not in self.tasks)
            self.said.append(said)
            self.tasks.append(task.id)
            assert MARK not in repr(task.record)

    @precondition(lambda self: bool(self.tasks))
    @rule(
        who=whoever,
        number=numbers,
        verb=st.sampled_from(["start", "progress", "succeed", "fail", "time_out", "cancelled", "lost"]),
        text=texts,
        times=st.integers(1, 2),
    )
    def work_goes_on(self, who: str, number: int, verb: str, text: str, times: int) -> None:
        task_id = self.tasks[number % len(self.tasks)]
        for _ in range(times):
            with suppress(TallystickError):
                task = self.through(who).get(task_id)
                match verb:
                    case "start":
                        task.start()
                    case "progress":
                        task.progress(text, phase=text)
                    case "succeed":
                        task.succeed(text, artifacts=[text])
                    case "fail":
                        task.fail(text, summary=text)
                    case "time_out":
                        task.time_out(text, summary=text)
                    case "cancelled":
                        task.cancelled(text, stopped=text)
                    case _:
                        task.settle("lost", text)

    @precondition(lambda self: bool(self.tasks))
    @rule(
        who=whoever,
        number=numbers,
        verb=st.sampled_from(["cancel", "hold", "release", "retry", "dismiss", "erase"]),
        text=texts,
    )
    def an_operator_does_something(self, who: str, number: int, verb: str, text: str) -> None:
        task_id = self.tasks[number % len(self.tasks)]
        with suppress(TallystickError):
            ledger = self.through(who)
            match verb:
                case "cancel":
                    ledger.get(task_id).cancel(text, wait_ms=0)
                case "retry" | "dismiss":
                    getattr(ledger, verb)(task_id, reason=text)
                case _:
                    getattr(ledger.get(task_id), verb)(text)

    @rule(who=whoever, owner=st.sampled_from(SESSIONS), text=texts)
    def a_flow_begins(self, who: str, owner: str, text: str) -> None:
        flow = self.through(who).flows.create(owner=owner, goal=text, controller="bot", state={text: [text, 1]})
        self.flows.append(flow.id)

    @precondition(lambda self: bool(self.flows))
    @rule(
        who=whoever,
        number=numbers,
        verb=st.sampled_from(["wait", "block", "resume", "finish", "fail", "cancel", "settle"]),
        text=texts,
    )
    def a_flow_goes_on(self, who: str, number: int, verb: str, text: str) -> None:
        with suppress(TallystickError):
            flow = self.through(who).flows.get(self.flows[number % len(self.flows)])
            match verb:
                case "wait":
                    flow.set_waiting({"for": text}, step="build", state=text)
                case "block":
                    flow.set_waiting(text, blocked=text)
                case "resume":
                    flow.resume(state=[text])
                case "finish":
                    flow.finish(text, state={text: None})
                case "fail":
                    flow.fail(text)
                case "cancel":
                    flow.cancel(text, wait_ms=0)
                case _:
                    flow.settle("failed", text)

    @precondition(lambda self: bool(self.tasks))
    @rule(number=numbers, joining=st.none() | numbers, text=texts)
    def a_mirror_is_joined_or_cancelled(self, number: int, joining: int | None, text: str) -> None:
        mirror = mirror_of(self.tasks[number % len(self.tasks)])
        with suppress(TallystickError):
            if joining is None:
                self.through(JOINED).flows.cancel(mirror, text, wait_ms=0)
            else:
                flow = self.through(JOINED).flows.get(mirror)
                flow.link(self.tasks[joining % len(self.tasks)])

    @rule(ms=st.sampled_from([1, SECOND, 11 * 60 * SECOND, 4 * HOUR, 2 * DAY, 8 * DAY]))
    def time_passes(self, ms: int) -> None:
        self.clock.advance(ms)
        self.through(OWNER).sweep()

    @rule()
    def the_gateway_leaves_or_comes_back(self) -> None:
        if self.ledger is None:
            self.open()
        else:
            ledger, self.ledger = self.ledger, None
            ledger.close()

    # What must never be.

    @invariant()
    def no_byte_of_any_file_has_a_secret(self) -> None:
        for path in self.folder.rglob("*"):
            if path.is_file():
                assert MARK.encode() not in path.read_bytes(), path

    def teardown(self) -> None:
        try:
            if self.joined is not None:
                self.look_again()
        finally:
            for ledger in (self.joined, self.ledger):
                if ledger is not None:
                    ledger.close()
            shutil.rmtree(self.folder.parent)

    def look_again(self) -> None:
        ledger = self.through(OWNER)
        ledger.settled()
        self.no_byte_of_any_file_has_a_secret()
        assert ledger.verify().ok
        for event in ledger.events():
            self.has_its_marks(event)
        for task_id in self.tasks:
            with suppress(TallystickError):
                assert ledger.state_at(task_id) == ledger.get(task_id).record
        with Searcher() as searcher:
            assert [] == searcher.find(self.folder, MARK), "in what is compressed"

    def has_its_marks(self, event: Event) -> None:
        """What stands in the place of a secret is marked, but in what tells what the record says."""
        fact = event.data
        if fact.__class__ not in NOT_MARKED:
            said = {name for name in TEXTS[fact.__class__] if REDACTED in repr(getattr(fact, name))}
            assert said <= set(fact.redacted), fact


Redacting.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestRedacting = pytest.mark.slow(Redacting.TestCase)
