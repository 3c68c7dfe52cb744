"""The courier: what it does when it was not told of something, and how much it keeps in memory."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tallystick.actors.courier.errands import Errand, Served, Settled
from tallystick.actors.courier.pacing import Pacing
from tallystick.actors.envelope import Envelope
from tallystick.actors.future import LightFuture
from tallystick.actors.system import System
from tallystick.actors.telling import message_at
from tallystick.ledger import ids
from tallystick.ledger.delivery import Delivery, Receipt, Retryable
from tallystick.ledger.errors import Closed, Corrupt
from tallystick.ledger.events import (
    DeliveryDismissed,
    DeliveryQueued,
    Event,
    Origin,
    TaskSucceeded,
)
from tallystick.ledger.limits import DELIVERIES_AT_ONCE, ENDPOINT_WINDOW, MEDIA_CONFIRM_MS
from tallystick.projections.reader import Reader
from tests.actors.parts import PATIENCE_S, FullLog, HandClock, full, history
from tests.actors.posts import ARRIVED, Post
from tests.story import created


@pytest.fixture
def post() -> Iterator[Post]:
    made = Post()
    yield made
    assert made.system.close()


def test_what_does_not_fit_a_queue_waits_in_the_index_and_memory_has_a_bound(post: Post) -> None:
    post.answer = Retryable("down", after_ms=60_000)
    post.ended()
    post.settled()
    streams = [post.ended(to=number) for number in range(2 * ENDPOINT_WINDOW)]
    post.settled()
    assert post.jobs() <= ENDPOINT_WINDOW + DELIVERIES_AT_ONCE
    most = 0

    def arrive(_delivery: Delivery) -> Receipt:
        nonlocal most
        most = max(most, post.jobs())
        return ARRIVED

    post.answer = arrive
    post.given.clear()
    post.clock.advance(60_000)
    post.system.sweep()
    assert ENDPOINT_WINDOW <= most <= ENDPOINT_WINDOW + DELIVERIES_AT_ONCE
    assert {"delivered"} == {post.status(stream) for stream in streams}
    assert len(streams) + 1 == len(post.given)
    assert 0 == post.jobs()


def test_those_that_waited_longest_are_not_overtaken_by_all_that_come_after(post: Post) -> None:
    """While new messages come in, what waits in the index is sent in its turn."""
    post.answer = Retryable("down", after_ms=60_000)
    old = [post.ended(to=number) for number in range(2 * ENDPOINT_WINDOW)]
    post.clock.advance(60_000)
    left = 200
    late: list[bytes] = []

    def more(_delivery: Delivery) -> Receipt:
        nonlocal left
        if left:
            left -= 1
            late.append(post.ended(to=10_000 + left))
        return ARRIVED

    post.answer = more
    post.given.clear()
    post.system.sweep()
    post.settled()

    order = [delivery.task_id for delivery in post.given]
    last_old = max(order.index(ids.id_text(stream)) for stream in old)
    assert last_old < len(old) + 3 * DELIVERIES_AT_ONCE
    assert {"delivered"} == {post.status(stream) for stream in [*old, *late]}


def test_what_is_dismissed_while_it_stands_in_a_queue_is_not_sent(post: Post) -> None:
    post.answer = Retryable("down", after_ms=60_000)
    post.ended()
    post.settled()
    streams = [post.ended(to=number) for number in range(10)]
    post.settled()
    gate, entered = threading.Event(), threading.Event()

    def wait(_delivery: Delivery) -> Receipt:
        entered.set()
        assert gate.wait(PATIENCE_S)
        return ARRIVED

    post.answer = wait
    post.given.clear()
    post.clock.advance(60_000)
    post.courier.inbox.put_behind([Envelope(Errand())])
    assert entered.wait(PATIENCE_S)
    under_way = {delivery.task_id for delivery in post.given}
    dismissed = [stream for stream in streams if ids.id_text(stream) not in under_way][:5]
    for stream in dismissed:
        post.tell(stream, DeliveryDismissed())
    told = LightFuture()  # behind what the courier hears of the commits
    post.system.dispatcher.call_soon(told.set)
    told.get(timeout=PATIENCE_S)
    gate.set()
    post.settled()

    assert not {delivery.task_id for delivery in post.given} & {ids.id_text(stream) for stream in dismissed}
    assert {"delivered"} == {post.status(stream) for stream in set(streams) - set(dismissed)}


def test_who_asks_whether_all_is_sent_need_not_wait_until_the_courier_has_heard_of_it(post: Post) -> None:
    """A commit is answered a moment before the courier is told of it."""
    real, post.system.courier = post.system.courier, None
    stream = post.ended()
    post.system.courier = real
    post.settled()
    assert "delivered" == post.status(stream)


def test_what_cannot_be_written_is_kept_once_however_often_it_is_looked_at(post: Post) -> None:
    stream = ids.new_id()
    media = {"runtime": "cli", "kind": "image_generation", "origin": Origin("chat", 1)}
    post.tell(stream, created(**media))
    post.tell(stream, TaskSucceeded(artifacts=("file:///1.png",)))
    post.clock.advance(MEDIA_CONFIRM_MS)
    post.log.failures.extend(full() for _ in range(6))
    for _ in range(6):
        post.settled()
    assert 1 == len(post.courier._recorder._unwritten)  # noqa: SLF001 - memory is what is asked about
    post.log.failures.clear()
    post.settled()
    post.settled()
    assert 1 == len(post.given)


def test_who_was_not_told_of_a_commit_looks_into_the_index_and_sends_nothing_that_was_dismissed(post: Post) -> None:
    post.answer = Retryable("down", after_ms=60_000)
    post.ended()
    post.settled()
    gate, entered = threading.Event(), threading.Event()

    def wait(_delivery: Delivery) -> Receipt:
        entered.set()
        assert gate.wait(PATIENCE_S)
        return ARRIVED

    streams = [post.ended(to=number) for number in range(10)]
    post.answer = wait
    post.clock.advance(60_000)
    post.courier.inbox.put_behind([Envelope(Errand())])
    assert entered.wait(PATIENCE_S)
    real, post.system.courier = post.system.courier, None  # nobody is told
    post.given.clear()
    waiting = [stream for stream in streams if "pending" == post.status(stream)]
    dismissed = waiting[3:]
    for stream in dismissed:
        post.tell(stream, DeliveryDismissed())
    added = post.ended(to=99)
    post.system.courier = real
    post.courier.is_blind = True
    gate.set()
    post.settled()

    sent = {delivery.task_id for delivery in post.given}
    assert not sent & {ids.id_text(stream) for stream in dismissed[1:]}
    assert {"dismissed"} == {post.status(stream) for stream in dismissed}
    assert "delivered" == post.status(added)


class Unreadable(FullLog):
    """A log that cannot read one message, or one task, any more."""

    def __init__(self) -> None:
        super().__init__()
        self.damaged: bytes | None = None

    def stream(self, stream: bytes, after_version: int = 0) -> Any:
        if stream == self.damaged:
            raise Corrupt("it is not as it was written", position=1)
        return super().stream(stream, after_version)


def test_a_task_of_which_nothing_can_be_recorded_is_told_once_and_no_other_waits_for_it() -> None:
    log = Unreadable()
    post = Post(log)
    entered, gate = threading.Event(), threading.Event()

    def wait(_delivery: Delivery) -> Receipt:
        entered.set()
        assert gate.wait(PATIENCE_S)
        return ARRIVED

    post.answer = wait
    damaged = post.ended()
    assert entered.wait(PATIENCE_S)
    log.damaged = damaged
    post.system.directory.actor(damaged).inbox.put(Envelope(Forget()))
    gate.set()
    post.settled()
    for _ in range(3):
        post.clock.advance(3_600_000)
        post.system.sweep()
        fine = post.ended()
        post.settled()
        assert "delivered" == post.status(fine)
    assert 1 == [delivery.task_id for delivery in post.given].count(ids.id_text(damaged))
    assert post.system.close()


class Forget:
    """What no actor understands."""


def test_a_message_that_cannot_be_read_is_given_up_and_not_in_doubt(post: Post) -> None:
    stream = post.ended()
    post.settled()
    [queued] = [event for event in history(post.log, stream) if isinstance(event.data, DeliveryQueued)]
    assert isinstance(queued, Event)
    assert message_at(post.log, queued.position) == queued.data
    assert message_at(post.log, queued.position + 1) is None
    assert message_at(post.log, 10**6) is None


def test_a_sweep_is_answered_when_all_that_it_began_is_durable(post: Post) -> None:
    post.answer = Retryable("busy")
    streams = [post.ended(to=number) for number in range(3)]
    post.settled()
    post.clock.advance(6_000)
    post.answer = ARRIVED
    post.system.sweep()
    assert ["delivered"] * 3 == [post.status(stream) for stream in streams]


def test_a_channel_that_is_registered_again_is_tried_at_once_whatever_its_pause(post: Post) -> None:
    post.answer = Retryable("the token is wrong", after_ms=9 * 60_000)
    post.ended()
    post.settled()
    second = post.ended()
    post.settled()
    assert "pending" == post.status(second)
    post.answer = ARRIVED
    post.courier.inbox.put_behind([Envelope(Served("chat"))])
    post.settled()
    assert "delivered" == post.status(second)


def test_after_the_end_nobody_waits_for_the_courier() -> None:
    post = Post()
    assert post.system.close()
    with pytest.raises(Closed):
        post.system.ask_courier(Settled(), PATIENCE_S)


def test_a_system_that_was_never_started_closes_without_waiting_for_its_courier() -> None:
    log = FullLog()
    system = System(log, [], HandClock())
    system.deliver(Reader(log, None), pacing=Pacing(), by_hand=True)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(system.close).result(2)
