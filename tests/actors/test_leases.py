"""The leases: a promise to be heard of again, from any thread, and what becomes of it when it is broken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.actors.watching.leases import Leases
from tallystick.ledger.facts.tasks import TaskLeased, TaskStarted
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.verdict import Finding
from tests.actors.parts import STREAMS, HandClock, at_once
from tests.story import BEGIN_MS, STREAM, Story, created

TTL_MS = 60_000


def leased(ttl_ms: int = TTL_MS) -> TaskRecord:
    return Story(created(), TaskStarted(), TaskLeased(ttl_ms=ttl_ms)).record


def test_a_sign_of_life_counts_only_when_the_log_says_that_the_task_gives_them_so_often() -> None:
    leases = Leases(HandClock())
    assert not leases.renew(STREAM, TTL_MS)
    assert leases.until(STREAM) is None

    assert BEGIN_MS + TTL_MS == leases.begin(STREAM, TTL_MS) == leases.until(STREAM)
    assert leases.renew(STREAM, TTL_MS)
    assert not leases.renew(STREAM, TTL_MS + 1)
    assert not leases.renew(STREAMS[0], TTL_MS)
    leases.end(STREAM)
    leases.end(STREAM)
    assert not leases.renew(STREAM, TTL_MS)


def test_each_sign_of_life_counts_from_its_own_moment_and_reading_the_log_is_none() -> None:
    clock = HandClock()
    leases = Leases(clock)
    leases.begin(STREAM, TTL_MS)
    clock.advance(10)
    leases.begin(STREAM, TTL_MS)
    assert BEGIN_MS + TTL_MS == leases.until(STREAM)
    leases.renew(STREAM, TTL_MS)
    assert BEGIN_MS + 10 + TTL_MS == leases.until(STREAM)
    leases.begin(STREAM, 1_000)
    assert BEGIN_MS + 10 + 1_000 == leases.until(STREAM)


@given(st.lists(st.tuples(st.integers(0, 2 * TTL_MS), st.booleans()), min_size=1, max_size=10))
def test_work_is_alive_as_long_as_it_keeps_its_promise_and_missing_after_that(looks: list[tuple[int, bool]]) -> None:
    clock = HandClock()
    leases = Leases(clock)
    record = leased()
    heard_at = clock()
    leases.begin(STREAM, TTL_MS)
    for passed, is_sign in looks:
        clock.advance(passed)
        if is_sign:
            leases.renew(STREAM, TTL_MS)
            heard_at = clock()
        verdict = leases.verdict(record)
        if clock() <= heard_at + TTL_MS:
            assert (Finding.ALIVE, heard_at + TTL_MS) == (verdict.finding, verdict.evidence["aliveUntil"])
        else:
            assert (Finding.MISSING, heard_at) == (verdict.finding, verdict.evidence["lastSignAt"])


def test_a_ledger_that_was_just_opened_listens_a_whole_promise_long() -> None:
    clock = HandClock(BEGIN_MS + 10**9)
    leases = Leases(clock)
    assert Finding.ALIVE is leases.verdict(leased()).finding
    clock.advance(TTL_MS)
    assert Finding.ALIVE is leases.verdict(leased()).finding
    clock.advance(1)
    assert Finding.MISSING is leases.verdict(leased()).finding


def test_to_hear_of_a_promise_is_no_sign_of_life_and_lets_the_next_one_count() -> None:
    clock = HandClock()
    leases = Leases(clock)
    leases.listen(STREAM, TTL_MS)
    assert (None, None) == (leases.until(STREAM), leases.alive_at(STREAM))
    clock.advance(10)

    assert leases.renew(STREAM, TTL_MS)

    assert (BEGIN_MS + 10 + TTL_MS, BEGIN_MS + 10) == (leases.until(STREAM), leases.alive_at(STREAM))
    leases.listen(STREAM, TTL_MS)
    assert BEGIN_MS + 10 + TTL_MS == leases.until(STREAM)


@pytest.mark.parametrize("again", ["begin", "verdict"])
def test_who_judges_listens_a_whole_promise_long_also_to_whom_it_has_heard_of(again: str) -> None:
    clock = HandClock()
    leases = Leases(clock)
    leases.listen(STREAM, TTL_MS)
    clock.advance(2 * TTL_MS)

    if again == "begin":
        leases.begin(STREAM, TTL_MS)
    else:
        assert Finding.ALIVE is leases.verdict(leased()).finding

    assert BEGIN_MS + 3 * TTL_MS == leases.until(STREAM)


def test_work_was_alive_now_while_it_keeps_its_promise_and_when_it_gave_it_after_that() -> None:
    clock = HandClock()
    leases = Leases(clock)
    assert None is leases.alive_at(STREAM)
    leases.begin(STREAM, TTL_MS)
    clock.advance(TTL_MS)
    assert BEGIN_MS + TTL_MS == leases.alive_at(STREAM)
    clock.advance(1)

    assert BEGIN_MS == leases.alive_at(STREAM)


def test_who_promised_nothing_cannot_be_judged_by_it() -> None:
    leases = Leases(HandClock())
    assert Finding.UNKNOWN is leases.verdict(Story(created(), TaskStarted()).record).finding
    assert leases.until(STREAM) is None


@pytest.mark.usefixtures("restless")
def test_a_sign_of_life_never_brings_back_an_ended_task_or_an_old_promise() -> None:
    clock = HandClock()
    leases = Leases(clock)

    def sign() -> None:
        for _ in range(50):
            for stream in STREAMS:
                leases.renew(stream, TTL_MS)

    def end() -> None:
        for stream in STREAMS[::2]:
            leases.end(stream)
        for stream in STREAMS[1::2]:
            leases.begin(stream, 1_000)

    for _ in range(20):
        for stream in STREAMS:
            leases.end(stream)
            leases.begin(stream, TTL_MS)
        at_once(sign, sign, end)
        expected = [None, BEGIN_MS + 1_000] * (len(STREAMS) // 2)
        assert expected == [leases.until(stream) for stream in STREAMS]
