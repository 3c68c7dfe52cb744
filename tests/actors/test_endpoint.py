"""The endpoint: whether it makes sense to send to a place now."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tallystick.actors.courier.endpoint import Endpoint, Job
from tallystick.actors.courier.pacing import Pacing
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.ledger.limits import DELIVERIES_AT_ONCE, ENDPOINT_FAILURES_MAX, ENDPOINT_WINDOW, PATIENCE_MS_MAX
from tallystick.ledger.outbox import Waiting
from tests.actors.parts import STREAMS

PACING = Pacing()
NOW = 1_000_000


def endpoint() -> Endpoint:
    return Endpoint(b"heading", "chat/work", PACING)


def failing(times: int, now: int = NOW, **more: Any) -> Endpoint:
    made = endpoint()
    for _ in range(times):
        made.failed(now, "down", **more)
    return made


def test_an_endpoint_is_named_by_channel_and_account() -> None:
    assert ("chat", "chat/work") == (endpoint().channel, endpoint().name)


def test_five_failures_in_a_row_begin_a_pause_and_a_success_ends_it() -> None:
    made = failing(ENDPOINT_FAILURES_MAX - 1)
    assert made.may_send(NOW)
    assert made.failed(NOW, "down")
    assert (True, False) == (made.is_paused(NOW), made.may_send(NOW))
    assert made.worked()
    assert (False, True) == (made.is_paused(NOW), made.may_send(NOW))
    assert not made.worked()
    assert not made.failed(NOW, "down"), "the count begins anew"


def test_when_the_pause_is_over_one_is_tried_and_nobody_beside_it() -> None:
    made = failing(ENDPOINT_FAILURES_MAX)
    assert made.paused_until is not None
    assert made.may_send(made.paused_until)
    made.under_way += 1
    assert not made.may_send(made.paused_until)


def test_what_was_under_way_when_the_pause_began_does_not_lengthen_it() -> None:
    made = failing(ENDPOINT_FAILURES_MAX)
    until = made.paused_until
    for _ in range(DELIVERIES_AT_ONCE):
        assert not made.failed(NOW, "down")
    assert until == made.paused_until


def test_each_pause_is_longer_than_the_last_up_to_the_ceiling() -> None:
    made, now, spans = failing(ENDPOINT_FAILURES_MAX), NOW, []
    for _ in range(12):
        assert made.paused_until is not None
        spans.append(made.paused_until - now)
        now = made.paused_until
        assert made.failed(now, "down")
    assert sorted(spans) == spans
    assert 5_000 <= spans[0] <= 6_000
    assert PACING.ceiling == spans[-1]
    assert NOW == made.standing().since


def test_patience_that_is_asked_for_is_a_pause_at_once_and_told_in_full() -> None:
    made = failing(1, after_ms=3_600_000)

    assert (True, 1, NOW + 3_600_000, "down") == (
        made.is_paused(NOW),
        made.standing().failures,
        made.standing().until,
        made.standing().error,
    )
    assert made.paused_until == NOW + PACING.ceiling, "then it is seen to what is over"
    assert (True, False) == (made.is_quiet(NOW + 3_600_000 - 1), made.is_quiet(NOW + 3_600_000))


def test_patience_has_an_end_however_much_is_asked_for() -> None:
    made = failing(1, after_ms=2**53 - 1)
    assert (True, False) == (made.is_quiet(NOW + PATIENCE_MS_MAX - 1), made.is_quiet(NOW + PATIENCE_MS_MAX))
    assert NOW + PATIENCE_MS_MAX == made.standing().until


def test_patience_of_a_moment_does_not_keep_the_breaker_from_tripping() -> None:
    made = failing(ENDPOINT_FAILURES_MAX - 1, after_ms=1)
    made.failed(NOW + 10, "down", after_ms=1)
    assert made.paused_until is not None
    assert made.paused_until >= NOW + 5_000


@given(st.lists(st.tuples(st.sampled_from(["failed", "worked", "hold"]), st.integers(-(10**7), 10**7)), max_size=30))
def test_whatever_happens_a_pause_ends_in_time(steps: list[tuple[str, int]]) -> None:
    made, now = endpoint(), 10**9
    for step, later in steps:
        now += later
        if step == "failed":
            made.failed(now, "down", after_ms=abs(later) or None)
        elif step == "hold":
            made.hold(now, now + PACING.ceiling, "nobody serves it")
        else:
            made.worked()
        assert made.may_send(now + PACING.ceiling + 1)


def test_a_queue_has_a_bound() -> None:
    made = endpoint()
    waiting = Waiting("terminal", 1, DeliveryStatus.PENDING, 0, Origin("chat", 1), due_at=0)
    for _ in range(ENDPOINT_WINDOW):
        assert made.has_room()
        made.queue.append(Job(STREAMS[0], waiting, 1, made))
    assert not made.has_room()
    assert (STREAMS[0], "terminal") == made.queue[0].key
