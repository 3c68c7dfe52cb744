"""Whatever channels answer, operators do and gateways survive: each message ends somewhere, and nobody is misled."""

import shutil
import tempfile
from collections import defaultdict, deque
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import tallystick
from tallystick import Config, NotFound, Refused
from tallystick.ledger.delivery import Delivery, Permanent, Receipt, Retryable, Unconfirmed
from tallystick.ledger.evolve import fold
from tallystick.ledger.facts.deliveries import DeliveryDismissed, DeliveryQueued
from tallystick.ledger.lifecycle import DeliveryStatus, NotifyPolicy
from tallystick.ledger.outbox import id_of, sendable
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.told import DeliveryRecord, deliveries_of
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.actors.parts import history
from tests.delivering.parts import DAY, HOUR, MINUTE, SECOND

CHANNELS = ("one", "two", "ops")
SESSIONS = ("agent:main:main", "agent:main:one:group:7")
MONITORED = Config(
    retention={"terminal": None, "lost": None},  # days go by, and what becomes of messages is read at the end
    channel={"ops": {"kind": "registered"}},
    route=({"to": "ops://1/2", "when": {"status": "failed"}}, {"to": "ops://1/2", "when": {"runtime": "cli"}}),
)

answers = st.sampled_from(
    [
        Receipt(),
        Receipt(id="7"),
        Retryable("busy"),
        Retryable("slow down", after_ms=3 * MINUTE),
        Retryable("tomorrow", after_ms=2 * DAY),
        Permanent("no such chat"),
        Unconfirmed("the line broke"),
        ValueError("bug"),
        "not a receipt",
    ]
)
origins = st.builds(
    lambda channel, to, account: {"channel": channel, "to": to, "account": account},
    st.sampled_from(["one", "two"]),
    st.sampled_from([1, "1", 2]),
    st.sampled_from([None, "work"]),
)
ends = st.sampled_from(["succeed", "fail", "time_out", "cancelled"])
numbers = st.integers(0, 10**6)


class Delivering(RuleBasedStateMachine):
    """A gateway on disk whose clock moves by hand, and receivers that remember what they were given."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = HandClock()
        self.answers: deque[Any] = deque()
        self.given: list[Delivery] = []
        self.wrong: list[str] = []
        self.tasks: list[str] = []
        self.ledger: Ledger | None = None

    @initialize()
    def begin(self) -> None:
        self.ledger = tallystick.open(self.folder / "ledger", clock=self.clock, config=MONITORED)
        for channel in CHANNELS:
            self.ledger.channel(channel, self.receive)
        self.ledger.settled()

    @property
    def house(self) -> Ledger:
        assert self.ledger is not None
        return self.ledger

    def receive(self, delivery: Delivery) -> Any:
        """On a thread of the courier: whatever is sent has to be the next of its task and route, as of the log now."""
        self.given.append(delivery)
        record = self.folded(delivery.task_id)
        if delivery.id not in {id_of(record.task_id, waiting.delivery) for waiting in sendable(record.outbox)}:
            self.wrong.append(f"{delivery.id} was sent, and not its turn: {record.outbox}")
        answer = self.answers.popleft() if self.answers else Receipt()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def folded(self, task_id: str) -> TaskRecord:
        record = fold(history(self.house._house.readings.log, self.house._house.stream(task_id)))  # noqa: SLF001 - the log itself
        assert record is not None
        return record

    def some(self, number: int) -> str:
        return self.tasks[number % len(self.tasks)]

    # What happens.

    @rule(more=st.lists(answers, min_size=1, max_size=6))
    def channels_will_answer(self, more: list[Any]) -> None:
        self.answers.extend(more)

    @rule(
        origin=st.none() | origins,
        owner=st.sampled_from(SESSIONS),
        policy=st.none() | st.sampled_from(list(NotifyPolicy)),
        what=st.sampled_from(["subagent", "acp", "media", "cli"]),
    )
    def somebody_asks(self, origin: Any, owner: str, policy: NotifyPolicy | None, what: str) -> None:
        task = self.house.create(
            runtime="cli" if what == "media" else what,
            task="Count",
            owner=owner,
            origin=origin,
            notify=policy,
            kind="image_generation" if what == "media" else None,
            child_session="agent:child" if what == "acp" else None,
        )
        self.tasks.append(task.id)

    @precondition(lambda self: bool(self.tasks))
    @rule(number=numbers, verb=st.sampled_from(["start", "progress"]))
    def work_goes_on(self, number: int, verb: str) -> None:
        task = self.house.get(self.some(number))
        try:
            if verb == "start":
                task.start()
            else:
                task.progress(f"step {number}", force=True)
        except Refused:
            pass

    @precondition(lambda self: bool(self.tasks))
    @rule(number=numbers, end=ends)
    def work_ends_or_is_recovered(self, number: int, end: str) -> None:
        with suppress(Refused):
            getattr(self.house.get(self.some(number)), end)("said at the end")

    @precondition(lambda self: bool(self.tasks))
    @rule(number=numbers)
    def work_is_lost(self, number: int) -> None:
        with suppress(Refused):
            self.house.get(self.some(number)).settle("lost", "nobody heard of it")

    @precondition(lambda self: bool(self.tasks))
    @rule(number=numbers, policy=st.sampled_from(list(NotifyPolicy)))
    def the_policy_changes(self, number: int, policy: NotifyPolicy) -> None:
        self.house.get(self.some(number)).notify(policy)

    @rule(owner=st.sampled_from(SESSIONS), limit=st.integers(1, 3))
    def a_session_takes(self, owner: str, limit: int) -> None:
        session = self.house.session(owner)
        taken = session.take(limit=limit)
        if taken:
            assert len(taken) == session.ack(taken[-1].position)
            assert not {event.position for event in session.take(limit=1_000)} & {event.position for event in taken}

    @precondition(lambda self: bool(self.tasks))
    @rule(number=numbers, verb=st.sampled_from(["retry", "dismiss"]))
    def an_operator_helps(self, number: int, verb: str) -> None:
        with suppress(Refused):
            getattr(self.house, verb)(self.some(number))

    @rule(ms=st.sampled_from([1, SECOND, 6 * SECOND, MINUTE, 2 * MINUTE, 11 * MINUTE, 3 * HOUR, 25 * HOUR, -MINUTE]))
    def time_passes(self, ms: int) -> None:
        self.clock.advance(ms)
        self.house.sweep()

    @rule()
    def the_gateway_is_restarted(self) -> None:
        self.house.close()
        self.begin()

    # What is true.

    @invariant()
    def nothing_was_sent_out_of_turn(self) -> None:
        if self.ledger is not None:
            self.ledger.settled()
        assert [] == self.wrong

    @invariant()
    def the_record_says_what_the_history_says(self) -> None:
        for task_id in self.tasks[-3:]:
            self.agrees(task_id)

    def agrees(self, task_id: str) -> list[DeliveryRecord]:
        record, told = self.house.get(task_id).record, deliveries_of(self.house.timeline(task_id))
        assert self.folded(task_id) == record
        waiting = {
            each.position: (each.name, each.status, each.route, each.session, each.attempts, each.due_at)
            for each in told
            if each.is_open
        }
        assert waiting == {
            each.position: (each.delivery, each.status, each.route, each.session, each.attempts, each.due_at)
            for each in record.outbox
        }
        return told

    def teardown(self) -> None:
        try:
            if self.ledger is not None:
                self.comes_to_an_end()
        finally:
            if self.ledger is not None:
                self.ledger.close()
            shutil.rmtree(self.folder)

    def comes_to_an_end(self) -> None:
        self.answers.clear()
        for _ in range(400):
            if not any(each.route and each.due_at for each in self.house.deliveries(limit=200)):
                break
            self.clock.advance(9 * MINUTE)
            self.house.sweep()
        self.nothing_was_sent_out_of_turn()
        said: dict[str, set[Any]] = defaultdict(set)
        for delivery in self.given:
            said[delivery.id].add((delivery.text, delivery.route, delivery.artifacts, delivery.kind))
        assert {1} >= {len(versions) for versions in said.values()}
        for task_id in self.tasks:
            told = self.agrees(task_id)
            events = self.house.timeline(task_id)
            assert sum(isinstance(event.data, DeliveryQueued) for event in events) == len(told)
            for each in told:
                self.ends_somewhere(each, said)
            if not any(each.is_open for each in told):
                with pytest.raises((Refused, NotFound)):
                    self.house.dismiss(task_id)

    def ends_somewhere(self, each: DeliveryRecord, said: dict[str, set[Any]]) -> None:
        stuck = (DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN)
        if each.status is DeliveryStatus.DELIVERED:
            assert each.route is None or (each.text, each.route, each.artifacts, each.kind.value) in said[each.id]
        elif each.status in stuck:
            assert each.due_at is None
        elif each.status is DeliveryStatus.DISMISSED:
            events = self.house.timeline(each.task_id)
            assert any(isinstance(event.data, DeliveryDismissed) for event in events)
        else:
            assert (DeliveryStatus.SESSION_QUEUED, None) == (each.status, each.route)


TestDelivering = pytest.mark.slow(Delivering.TestCase)
TestDelivering.settings = settings(max_examples=-(-settings().max_examples // 2), stateful_step_count=30, deadline=None)
