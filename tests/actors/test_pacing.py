"""Pacing: how attempts follow each other."""

from hypothesis import given
from hypothesis import strategies as st

from tallystick.actors.courier.pacing import JITTER, Pacing
from tallystick.ledger.limits import PATIENCE_MS_MAX

SPANS = st.integers(1, 10**9)
PACINGS = st.builds(Pacing, first=SPANS, ceiling=SPANS, window=SPANS)
ATTEMPTS = st.integers(1, 10_000)
NAMES = st.text(max_size=40)


@given(PACINGS, ATTEMPTS, NAMES)
def test_a_pause_is_what_doubling_says_and_a_little_longer(pacing: Pacing, attempt: int, name: str) -> None:
    span = pacing.after(attempt, name)
    plain = min(pacing.first * 2 ** (attempt - 1), pacing.ceiling)

    assert plain <= span <= plain * (1 + JITTER)
    assert span <= max(pacing.ceiling, pacing.first)
    assert span == pacing.after(attempt, name)


def test_pauses_by_default_are_from_five_seconds_to_ten_minutes_for_a_day() -> None:
    pacing = Pacing()
    spans = [pacing.after(attempt, "x") for attempt in range(1, 20)]

    assert 5_000 <= spans[0] <= 6_000
    assert sorted(spans) == spans
    assert 600_000 == spans[-1]
    assert [False, True] == [pacing.is_over(now, 0) for now in (24 * 3_600_000 - 1, 24 * 3_600_000)]


def test_what_failed_together_does_not_come_back_together() -> None:
    spans = {Pacing().after(3, f"message {number}") for number in range(100)}
    assert len(spans) > 90
    assert max(spans) - min(spans) > 3_000


@given(
    PACINGS,
    ATTEMPTS,
    NAMES,
    st.tuples(st.integers(0, 2**41), st.integers(0, 10**9)),
    st.none() | st.integers(0, 2**53 - 1),
)
def test_the_next_attempt_is_in_the_window_and_not_before_the_receiver_wants_it(
    pacing: Pacing, attempt: int, name: str, times: tuple[int, int], after_ms: int | None
) -> None:
    queued_at, now = times[0], sum(times)
    at = pacing.next_attempt(now, attempt, name, queued_at=queued_at, after_ms=after_ms)
    wanted = now + max(pacing.after(attempt, name), min(after_ms or 0, PATIENCE_MS_MAX))

    assert at == (wanted if wanted < queued_at + pacing.window else None)
    if at is not None:
        assert not pacing.is_over(at, queued_at)


def test_a_receiver_that_asks_for_eternity_is_tried_again_after_a_day() -> None:
    patient = Pacing(window=10 * PATIENCE_MS_MAX)
    assert PATIENCE_MS_MAX == patient.next_attempt(0, 1, "x", queued_at=0, after_ms=2**53 - 1)
