"""The courier: what it does when it was not told of something, and how much it keeps in memory."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tallystick.actors.courier.endpoint import Endpoint, Job
from tallystick.actors.courier.errands import Errand, Served, Settled
from tallystick.actors.courier.pacing import Pacing
from tallystick.actors.courier.shelf import Shelf
from tallystick.actors.envelope import Envelope
from tallystick.actors.future import LightFuture
from tallystick.actors.journal import Committed
from tallystick.actors.system import System
from tallystick.ledger import ids
from tallystick.ledger.delivery import Delivery, Permanent, Receipt, Retryable
from tallystick.ledger.errors import Closed, Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import DeliveryDismissed, DeliveryQueued
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import TaskSucceeded
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.ledger.limits import DELIVERIES_AT_ONCE, ENDPOINT_WINDOW, MEDIA_CONFIRM_MS, OUTCOMES_AT_ONCE
from tallystick.ledger.outbox import Waiting
from tallystick.projections.change import Change, Changes
from tallystick.projections.frozen import message_at
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
    streams = [post.ended() for _ in range(2 * ENDPOINT_WINDOW)]
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
    old = [post.ended() for _ in range(2 * ENDPOINT_WINDOW)]
    post.clock.advance(60_000)
    left = 200
    late: list[bytes] = []

    def more(_delivery: Delivery) -> Receipt:
        nonlocal left
        if left:
            left -= 1
            late.append(post.ended())
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
    streams = [post.ended() for _ in range(10)]
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

    streams = [post.ended() for _ in range(10)]
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
    added = post.ended()
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
    route, endpoint = Origin("chat", 1), Endpoint(b"heading", "chat", Pacing())
    for position in (queued.position + 1, 10**6):
        waiting = Waiting("x", position, DeliveryStatus.PENDING, 0, route, due_at=0)
        with pytest.raises(Permanent, match="cannot be read any more"):
            post.system.senders.send(Job(stream, waiting, 1, endpoint))


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


@pytest.mark.parametrize("chains", [2 * DELIVERIES_AT_ONCE, ENDPOINT_WINDOW + 2 * DELIVERIES_AT_ONCE])
def test_a_sweep_is_answered_however_many_messages_come_in_meanwhile(post: Post, chains: int) -> None:
    """Each message that is sent is followed by another, of another task."""
    over = threading.Event()

    def more(_delivery: Delivery) -> Receipt:
        if not over.is_set():
            post.ended(to=2)
        return ARRIVED

    post.answer = Retryable("down", after_ms=60_000)
    streams = [post.ended() for _ in range(chains)]
    post.settled()
    post.answer = more
    post.clock.advance(60_000)
    try:
        assert post.system.ask_courier(Errand(), PATIENCE_S)
        assert {"delivered"} == {post.status(stream) for stream in streams}
        assert post.system.ask_courier(Settled(), PATIENCE_S)
    finally:
        over.set()
    post.settled()


class SlowToRead(FullLog):
    """A log from which channels read slowly."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.gate = threading.Event(), threading.Event()

    def read(self, after: int = 0, until: int | None = None) -> Iterator[Any]:
        if threading.current_thread().name.startswith("tallystick-channel"):
            self.entered.set()
            assert self.gate.wait(PATIENCE_S)
        return super().read(after, until)


@pytest.mark.parametrize("hears_of_all", [True, False])
def test_what_is_dismissed_before_its_channel_is_called_is_not_sent(*, hears_of_all: bool) -> None:
    log = SlowToRead()
    post = Post(log)
    stream = post.ended()
    assert log.entered.wait(PATIENCE_S)
    real, post.system.courier = post.system.courier, None if not hears_of_all else post.system.courier
    record = post.tell(stream, DeliveryDismissed())
    heard = LightFuture()
    post.system.dispatcher.call_soon(heard.set)
    heard.get(timeout=PATIENCE_S)
    post.system.courier = real
    if not hears_of_all:
        head = log.head()
        post.courier.inbox.put_behind([Envelope(Committed(head, head, Changes({stream: Change(None, record)})))])
    handled = LightFuture()
    post.courier.inbox.put_behind([Envelope(Served("other"), handled)])
    handled.get(timeout=PATIENCE_S)
    log.gate.set()
    post.settled()

    assert [] == post.given
    assert "dismissed" == post.status(stream)
    fine = post.ended()
    post.settled()
    assert "delivered" == post.status(fine)
    assert 0 == post.jobs()
    assert post.system.close()


def test_while_nothing_can_be_written_few_media_are_given_up_and_all_are_sent_in_the_end(post: Post) -> None:
    count = OUTCOMES_AT_ONCE + 50
    for number in range(count):
        stream = ids.new_id()
        post.tell(stream, created(runtime="cli", kind="image_generation", origin=Origin("chat", number)))
        post.tell(stream, TaskSucceeded(artifacts=("file:///1.png",)))
    post.clock.advance(MEDIA_CONFIRM_MS)
    post.log.failures.extend(full() for _ in range(2 * count))
    for _ in range(3):
        post.settled()
        assert len(post.courier._recorder._unwritten) <= OUTCOMES_AT_ONCE  # noqa: SLF001 - memory is what is asked about
    post.log.failures.clear()
    post.system.sweep()
    post.system.sweep()
    assert count == len(post.given) == len({delivery.id for delivery in post.given})


def test_a_loop_that_was_closed_has_tried_nothing() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    post = Post(loop=loop)

    async def send(_delivery: Delivery) -> Receipt:
        return ARRIVED

    post.system.senders.register("chat", send)
    stream = post.ended()
    post.settled()
    [record] = post.deliveries(stream)
    assert ("pending", 0) == (record.status.value, record.attempts)
    post.register("chat")
    post.courier.inbox.put_behind([Envelope(Served("chat"))])
    post.settled()
    assert "delivered" == post.status(stream)
    assert post.system.close()


def test_what_nothing_can_be_done_about_hides_no_other_message_from_its_endpoint(post: Post) -> None:
    post.system.directory.telling.serve("mail")
    streams = [post.ended(channel="mail") for _ in range(ENDPOINT_WINDOW + 2 * DELIVERIES_AT_ONCE)]
    shelf = Shelf(Reader(post.log, None), Pacing())
    shelf.look()
    [endpoint] = shelf.endpoints()
    hopeless = set(sorted(streams)[: ENDPOINT_WINDOW + DELIVERIES_AT_ONCE])
    found, has_more = shelf.due(endpoint, post.clock(), lambda key: key[0] in hopeless)

    assert set(streams) - hopeless == {stream for stream, _ in found}
    assert not has_more
