"""The vigil: time in which the machine slept, or that somebody made up, is no time of watching."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.actors.watching.vigil import GAP_MS, Vigil
from tests.actors.parts import HandClock
from tests.story import BEGIN_MS

SILENCE_MS = 2_000_000  # longer than any look is apart that is not about silence


class Passing:
    """Seconds as they pass, whatever the clock says."""

    def __init__(self) -> None:
        self.ms = 5_000

    def __call__(self) -> float:
        return self.ms / 1_000


class World:
    """A clock, the time that passes, and who watches both."""

    def __init__(self) -> None:
        self.clock, self.passing = HandClock(), Passing()
        self.vigil = Vigil(self.clock, self.passing, silence_ms=SILENCE_MS)

    def go_on(self, passed_ms: int, shown_ms: int | None = None) -> int:
        """Let time pass, and the clock show as much, or something else."""
        self.passing.ms += passed_ms
        self.clock.advance(passed_ms if shown_ms is None else shown_ms)
        return self.vigil.look()


def test_it_begins_when_somebody_begins_to_watch() -> None:
    assert World().vigil.since == BEGIN_MS


@given(st.lists(st.tuples(st.integers(0, 100_000), st.integers(-GAP_MS, GAP_MS)), max_size=8))
def test_a_clock_that_goes_a_little_wrong_is_no_break(steps: list[tuple[int, int]]) -> None:
    world = World()
    for passed, wrong in steps:
        assert world.clock() + passed + wrong == world.go_on(passed, passed + wrong)
    assert world.vigil.since == BEGIN_MS


@pytest.mark.parametrize("jump", [GAP_MS + 1, 3_600_000, -GAP_MS - 1, -3_600_000])
@pytest.mark.parametrize("passed", [0, 1_000, 60_000])
def test_a_machine_that_slept_or_a_clock_that_was_set_begins_it_anew(jump: int, passed: int) -> None:
    world = World()
    world.go_on(10_000)
    woken = world.go_on(passed, passed + jump)
    assert world.vigil.since == woken == BEGIN_MS + 10_000 + passed + jump

    later = world.go_on(300_000)
    assert later - 300_000 == world.vigil.since


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(-(10**6), 10**6)), max_size=10))
def test_time_since_it_began_is_time_that_passed_but_for_a_little_at_each_look(steps: list[tuple[int, int]]) -> None:
    world = World()
    began_passing = world.passing.ms
    since = world.vigil.since
    looks = 0
    for passed, shown in steps:
        now = world.go_on(passed, shown)
        looks += 1
        if world.vigil.since != since or abs(shown - passed) > GAP_MS:
            assert now == world.vigil.since
            since, began_passing, looks = now, world.passing.ms, 0
        assert abs((now - since) - (world.passing.ms - began_passing)) <= looks * GAP_MS


@given(st.lists(st.integers(-(10**9), 10**9), max_size=10))
def test_a_clock_that_is_moved_by_hand_is_taken_at_its_word(jumps: list[int]) -> None:
    clock = HandClock()
    vigil = Vigil(clock)
    for jump in jumps:
        clock.advance(jump)
        assert clock() == vigil.look()
    assert vigil.since == BEGIN_MS


def test_looks_that_are_too_far_apart_are_a_break_though_the_clock_went_right() -> None:
    world = World()

    world.go_on(SILENCE_MS)
    assert BEGIN_MS == world.vigil.since
    assert world.go_on(SILENCE_MS + 1) == world.vigil.since


def test_a_clock_that_is_turned_by_hand_is_taken_at_its_word() -> None:
    clock = HandClock()
    vigil = Vigil(clock)
    clock.advance(10 * SILENCE_MS)

    vigil.look()

    assert vigil.since == BEGIN_MS
