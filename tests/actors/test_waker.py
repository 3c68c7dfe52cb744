"""The waker: who is told that something waits in a session, when, and how often."""

import itertools
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.actors.courier import waker as module
from tallystick.actors.courier.waker import Waker
from tallystick.actors.watching.crew import Crew
from tallystick.ledger.limits import PROBES_AT_ONCE, WAKE_COALESCED_MS
from tests.actors.parts import PATIENCE_S, HandClock, HandDispatcher
from tests.face.parts import wait_until

MOMENT = WAKE_COALESCED_MS


class Hall:
    """A waker on the test's thread, and what its callback heard."""

    def __init__(self, *, by_hand: bool = False) -> None:
        self.clock = HandClock()
        self.dispatcher = HandDispatcher("hand", self.clock)
        self.crew = Crew()
        self.waker = Waker(self.dispatcher, self.clock, self.crew, by_hand=by_hand)
        self.heard: SimpleQueue[str] = SimpleQueue()
        self.done = 0

    def listen(self, callback: Callable[[str], None] | None = None) -> None:
        self.waker.listen(callback or self.heard.put)

    def hear(self) -> str:
        """Wait for the next wake, and for the waker to know that it was heard."""
        said = self.heard.get(timeout=PATIENCE_S)
        self.until_idle()
        return said

    def until_idle(self) -> None:
        while self.waker._busy:  # noqa: SLF001 - what is under way is nobody else's business
            self.dispatcher.run()

    def later(self, ms: int) -> None:
        self.clock.advance(ms)
        self.dispatcher.run()


@pytest.fixture
def hall() -> Iterator[Hall]:
    made = Hall()
    yield made
    made.crew.close()


def test_the_first_wake_is_told_at_once_and_those_of_the_next_moment_as_one(hall: Hall) -> None:
    hall.listen()
    for _ in range(5):
        hall.waker.wake("a")
    assert "a" == hall.hear()
    hall.later(MOMENT - 1)
    assert hall.heard.empty()
    hall.later(1)
    assert "a" == hall.hear()
    hall.later(10 * MOMENT)
    assert hall.heard.empty()


def test_sessions_do_not_wait_for_each_other(hall: Hall) -> None:
    hall.listen()
    for session in "abc":
        hall.waker.wake(session)
    assert {"a", "b", "c"} == {hall.hear() for _ in range(3)}


def test_by_hand_wakes_come_when_they_are_asked_for() -> None:
    hall = Hall(by_hand=True)
    hall.listen()
    hall.waker.wake("a")
    hall.hear()
    hall.waker.wake("a")
    hall.later(MOMENT)
    assert hall.heard.empty()
    hall.waker.tell_due()
    assert "a" == hall.hear()
    hall.crew.close()


def test_a_clock_that_is_set_back_loses_no_wake(hall: Hall) -> None:
    hall.listen()
    hall.waker.wake("a")
    hall.hear()
    hall.waker.wake("a")
    hall.later(-3_600_000)
    assert "a" == hall.hear()
    hall.waker.wake("a")
    hall.later(MOMENT)
    assert "a" == hall.hear()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 8)), max_size=12))
def test_every_wake_is_followed_by_a_call_within_a_moment(wakes: list[tuple[str, int]]) -> None:
    hall = Hall()
    told: list[tuple[str, int]] = []
    asked: list[tuple[str, int]] = []
    hall.listen(lambda session: told.append((session, hall.clock())))

    def pass_by(steps: int) -> None:
        for _ in range(steps):
            hall.later(MOMENT // 5)
            hall.until_idle()

    for session, steps in wakes:
        pass_by(steps)
        asked.append((session, hall.clock()))
        hall.waker.wake(session)
        hall.until_idle()
    pass_by(5)
    hall.crew.close()

    for session, at in asked:
        assert any(who == session and at <= when <= at + MOMENT for who, when in told)
    for session in "ab":
        moments = [when for who, when in told if who == session]
        assert all(second - first >= MOMENT for first, second in itertools.pairwise(moments))


def test_who_is_busy_is_called_again_and_by_nobody_twice_at_once(hall: Hall) -> None:
    entered, opened = threading.Semaphore(0), threading.Semaphore(0)
    inside, most = list[str](), list[int]()

    def callback(session: str) -> None:
        inside.append(session)
        most.append(len(inside))
        entered.release()
        assert opened.acquire(timeout=PATIENCE_S)
        inside.remove(session)
        hall.heard.put(session)

    hall.listen(callback)
    hall.waker.wake("a")
    assert entered.acquire(timeout=PATIENCE_S)
    for _ in range(3):
        hall.later(MOMENT)
        hall.waker.wake("a")
    opened.release()
    opened.release()
    assert ["a", "a"] == [hall.hear(), hall.hear()]
    assert [1, 1] == most


def test_a_callback_that_hangs_keeps_no_other_from_being_called(hall: Hall) -> None:
    gate = threading.Event()

    def hang(_session: str) -> None:
        assert gate.wait(PATIENCE_S)

    hall.listen(hang)
    hall.listen()
    for number in range(30):
        hall.waker.wake(f"session {number}")
    assert {f"session {number}" for number in range(30)} == {hall.heard.get(timeout=PATIENCE_S) for _ in range(30)}
    gate.set()


class Rude(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("error", [ValueError("bug"), SystemExit(1), Rude()], ids=["bug", "exit", "rude"])
def test_a_callback_that_raises_is_called_the_next_time(
    hall: Hall, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def callback(session: str) -> None:
        hall.heard.put(session)
        raise error

    hall.listen(callback)
    for _ in range(2):
        hall.waker.wake("a")
        assert "a" == hall.hear()
        hall.later(MOMENT)
    assert 2 == caplog.text.count("wake_failed")


def test_what_is_known_of_sessions_is_bounded(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SESSIONS_KEPT", 10)
    for number in range(100):
        hall.waker.wake(f"session {number}")
        hall.later(MOMENT)
    assert len(hall.waker._woken) <= 10  # noqa: SLF001 - memory is what is asked about


def test_who_could_not_be_called_is_called_when_one_that_hangs_comes_back(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DELIVERY_LIMIT_MS", 20)
    gate = threading.Event()

    def hang(session: str) -> None:
        if session.startswith("slow"):
            assert gate.wait(PATIENCE_S)
        hall.heard.put(session)

    hall.listen(hang)
    for number in range(PROBES_AT_ONCE):
        hall.waker.wake(f"slow {number}")
    wait_until(lambda: hall.crew.hanging() == {"wake 0": PROBES_AT_ONCE})
    hall.waker.wake("late")
    hall.until_idle()
    gate.set()
    assert {f"slow {number}" for number in range(PROBES_AT_ONCE)} == {hall.hear() for _ in range(PROBES_AT_ONCE)}
    wait_until(lambda: not hall.crew.hanging())
    hall.later(0)
    hall.later(MOMENT)
    assert "late" == hall.hear()
    hall.later(10 * MOMENT)
    assert hall.heard.empty()


def test_sessions_that_could_not_be_named_are_roused_later(hall: Hall) -> None:
    hall.listen()
    errors = [OSError("the disk is slow")]

    def sessions() -> Iterator[str]:
        if errors:
            raise errors.pop()
        yield from ("a", "b")

    hall.waker.rouse(sessions)
    with pytest.raises(OSError, match="slow"):
        hall.waker.rouse_some()
    assert hall.waker.rouse_some()
    assert {"a", "b"} == {hall.hear() for _ in range(2)}
    assert not hall.waker.rouse_some()
