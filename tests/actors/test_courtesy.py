"""A thread that works pauses once in a millisecond; one that waits for others has let them go already."""

import pytest

from tallystick.actors.courtesy import HOLD_S, Courtesy


class Clock:
    """The clocks of a machine on which one thread runs: that of all, and the thread's own."""

    def __init__(self) -> None:
        self._now, self._worked = 1_000.0, 7.0
        self.pauses = 0

    def monotonic(self) -> float:
        return self._now

    def thread_time(self) -> float:
        return self._worked

    def sleep(self, seconds: float) -> None:
        self.pauses += 1
        self._now += seconds

    def wait(self, seconds: float) -> None:
        self._now += seconds

    def work(self, seconds: float) -> None:
        self._now += seconds
        self._worked += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tallystick.actors.courtesy.time", clock)
    return clock


def test_who_works_pauses_once_in_a_millisecond(clock: Clock) -> None:
    courtesy = Courtesy()
    for _ in range(1_000):
        clock.work(HOLD_S / 10)
        courtesy.pause()

    assert 85 <= clock.pauses <= 101


def test_who_waits_for_others_goes_on_at_once(clock: Clock) -> None:
    courtesy = Courtesy()
    for _ in range(100):
        clock.wait(HOLD_S * 3)
        clock.work(HOLD_S / 100)
        courtesy.pause()

    assert clock.pauses <= 2


def test_who_has_waited_pauses_as_soon_as_he_has_worked_for_a_millisecond(clock: Clock) -> None:
    courtesy = Courtesy()
    courtesy.pause()
    pauses = clock.pauses
    clock.wait(1.0)
    courtesy.pause()
    clock.work(HOLD_S * 1.01)
    courtesy.pause()

    assert pauses + 1 == clock.pauses
