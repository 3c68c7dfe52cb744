"""The wheel against a dictionary: nobody comes early, nobody is forgotten, nobody comes twice."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tallystick.actors.watching.wheel import SLOT_MS, Wheel
from tests.actors.parts import STREAMS
from tests.story import BEGIN_MS

streams = st.sampled_from(STREAMS[:5])
moments = st.one_of(st.integers(0, 5_000), st.integers(BEGIN_MS, BEGIN_MS + 5_000))


class WheelAgainstDict(RuleBasedStateMachine):
    """Each task has one time at most: the last that was given to it."""

    @initialize()
    def make(self) -> None:
        self.wheel = Wheel()
        self.at: dict[bytes, int] = {}

    @rule(stream=streams, at=moments)
    def add(self, stream: bytes, at: int) -> None:
        self.wheel.add(stream, at)
        self.at[stream] = at

    @rule(stream=streams)
    def drop(self, stream: bytes) -> None:
        self.wheel.drop(stream)
        self.at.pop(stream, None)

    @rule(now=moments)
    def take(self, now: int) -> None:
        taken = self.wheel.take(now)
        assert len(taken) == len(set(taken))
        assert all(self.at[stream] <= now for stream in taken)
        for stream in taken:
            del self.at[stream]
        assert all(at > now - SLOT_MS for at in self.at.values())

    @rule()
    def take_all(self) -> None:
        assert sorted(self.at) == sorted(self.wheel.take())
        self.at.clear()

    @invariant()
    def knows_whom_it_has_and_when_the_next_is_due(self) -> None:
        assert len(self.at) == len(self.wheel)
        assert set(self.at) == {stream for stream in STREAMS if stream in self.wheel}
        first = min(self.at.values(), default=None)
        next_at = self.wheel.next_at()
        if first is None:
            assert next_at is None
        else:
            assert next_at is not None
            assert first <= next_at < first + SLOT_MS


TestWheelAgainstDict = WheelAgainstDict.TestCase


@given(st.lists(st.tuples(streams, moments), max_size=20))
def test_who_is_due_longest_comes_first_and_at_the_next_moment_somebody_comes(added: list[tuple[bytes, int]]) -> None:
    wheel = Wheel()
    at: dict[bytes, int] = {}
    for stream, moment in added:
        wheel.add(stream, moment)
        at[stream] = moment
    seconds: list[int] = []
    while (now := wheel.next_at()) is not None:
        taken = wheel.take(now)
        assert taken
        seconds.extend(-(-at[stream] // SLOT_MS) for stream in taken)
    assert seconds == sorted(seconds)
    assert len(at) == len(seconds)
