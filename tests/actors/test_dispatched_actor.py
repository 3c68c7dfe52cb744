"""Dispatched actors are Pykka actors: every test with both casts holds for a `ThreadingActor` just as well."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pykka
import pytest
from pykka import ActorDeadError, ActorRegistry
from pykka.messages import ProxyCall

from tallystick.actors.actor import DispatchedActor
from tallystick.actors.dispatcher import Dispatcher
from tallystick.ledger.errors import Busy
from tallystick.ledger.limits import INBOX_DEPTH_MAX
from tests.actors.parts import PATIENCE_S


class BoomError(Exception):
    """Something that an actor raises."""


class Parrot:
    """What the actors of these tests do: repeat, count, raise, and note what happens to them."""

    greeting = "hello"

    def __init__(
        self, *context: Any, told: list[object] | None = None, broken: dict[str, BaseException] | None = None
    ) -> None:
        super().__init__(*context)
        self.told: list[object] = [] if told is None else told
        self.broken = broken or {}
        self.count = 0

    def on_start(self) -> None:
        self._note("start")

    def on_stop(self) -> None:
        self._note("stop")

    def on_failure(self, kind: object, error: object, trace: object) -> None:
        assert trace is not None
        self._note("failure", (kind, error))

    def _note(self, hook: str, *more: object) -> None:
        self.told.append((hook, *more) if more else hook)
        if hook in self.broken:
            raise self.broken[hook]

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, BaseException):
            raise message
        if isinstance(message, tuple):  # what to wait for, and what to say afterwards
            arrived, gate = message
            arrived.set()
            assert gate.wait(PATIENCE_S)
        self.told.append(message)
        return message

    def add(self, number: int, *, twice: bool = False) -> int:
        """Add a number, and return the sum."""
        self.count += number * (1 + twice)
        return self.count

    def fail(self) -> None:
        """Raise."""
        raise BoomError("by proxy")


class ThreadedParrot(Parrot, pykka.ThreadingActor):
    """The parrot in Pykka's own runtime."""


class DispatchedParrot(Parrot, DispatchedActor):
    """The parrot on a dispatcher."""


class SilentParrot(DispatchedActor):
    """An actor that leaves everything as Pykka has it."""


Start = Callable[..., "pykka.ActorRef[Any]"]


@pytest.fixture(params=["dispatched", "threading"])
def start(request: pytest.FixtureRequest, dispatcher: Dispatcher) -> Iterator[Start]:
    """Start a parrot, as Pykka starts actors."""

    def start(**given: Any) -> "pykka.ActorRef[Any]":
        if request.param == "threading":
            return ThreadedParrot.start(**given)
        return DispatchedParrot.start(dispatcher, **given)

    yield start
    ActorRegistry.stop_all(timeout=PATIENCE_S)


@pytest.fixture
def parrot(start: Start) -> "pykka.ActorRef[Any]":
    return start()


@pytest.fixture
def ours(dispatcher: Dispatcher) -> Iterator["pykka.ActorRef[Any]"]:
    """A parrot on a dispatcher."""
    ref = DispatchedParrot.start(dispatcher)
    yield ref
    ref.stop(timeout=PATIENCE_S)


def test_an_ask_waits_for_the_answer(parrot: "pykka.ActorRef[Any]") -> None:
    assert "polly" == parrot.ask("polly", timeout=PATIENCE_S)


def test_an_ask_that_does_not_wait_gives_a_future(parrot: "pykka.ActorRef[Any]") -> None:
    futures = [parrot.ask(number, block=False) for number in range(3)]

    assert [0, 1, 2] == pykka.get_all(futures, timeout=PATIENCE_S)


def test_an_ask_times_out_while_the_actor_is_busy(parrot: "pykka.ActorRef[Any]") -> None:
    arrived, gate = threading.Event(), threading.Event()
    busy = parrot.ask((arrived, gate), block=False)
    assert arrived.wait(PATIENCE_S)

    with pytest.raises(pykka.Timeout):
        parrot.ask("late", timeout=0.001)
    gate.set()
    assert (arrived, gate) == busy.get(timeout=PATIENCE_S)


def test_messages_are_handled_one_by_one_in_their_order(start: Start) -> None:
    told: list[object] = []
    parrot = start(told=told)
    for number in range(100):
        parrot.tell(number)
    parrot.ask("done", timeout=PATIENCE_S)

    assert ["start", *range(100), "done"] == told


def test_an_actor_starts_before_its_first_message_even_when_none_comes(start: Start) -> None:
    told: list[object] = []
    started = threading.Event()

    class Note(list[object]):
        def append(self, item: object) -> None:
            told.append(item)
            started.set()

    start(told=Note())

    assert started.wait(PATIENCE_S)
    assert ["start"] == told


def test_a_proxy_calls_methods_and_reads_and_writes_attributes(parrot: "pykka.ActorRef[Any]") -> None:
    proxy: Any = parrot.proxy()
    sums = [proxy.add(2), proxy.add(3, twice=True), proxy.count]
    proxy.greeting = "good morning"

    assert [2, 8, 8] == pykka.get_all(sums, timeout=PATIENCE_S)
    assert "good morning" == proxy.greeting.get(timeout=PATIENCE_S)
    assert 9 == parrot.ask(ProxyCall(("add",), (1,), {}), timeout=PATIENCE_S)


def test_a_proxy_can_leave_the_answer_alone(parrot: "pykka.ActorRef[Any]") -> None:
    proxy: Any = parrot.proxy()
    proxy.add.defer(5)

    assert 5 == proxy.count.get(timeout=PATIENCE_S)


def test_an_error_in_an_ask_goes_to_the_caller_and_the_actor_lives(start: Start) -> None:
    told: list[object] = []
    parrot = start(told=told)

    with pytest.raises(BoomError, match="in an ask"):
        parrot.ask(BoomError("in an ask"), timeout=PATIENCE_S)
    with pytest.raises(BoomError, match="by proxy"):
        parrot.proxy().fail().get(timeout=PATIENCE_S)
    assert ["still here", True] == [parrot.ask("still here", timeout=PATIENCE_S), parrot.is_alive()]
    assert ["start", "still here"] == told


def test_the_trace_of_an_error_shows_where_the_actor_raised_it(parrot: "pykka.ActorRef[Any]") -> None:
    with pytest.raises(BoomError) as caught:
        parrot.ask(BoomError(), timeout=PATIENCE_S)

    assert "on_receive" in [frame.name for frame in caught.traceback]


def test_an_error_in_a_tell_stops_that_actor_alone_and_tells_it(start: Start) -> None:
    told: list[object] = []
    failing, other = start(told=told), start()
    error = BoomError("in a tell")
    failing.tell(error)
    behind = failing.ask("behind", block=False)

    with pytest.raises(ActorDeadError):
        behind.get(timeout=PATIENCE_S)
    assert ["start", ("failure", (BoomError, error))] == told
    assert [False, True] == [failing.is_alive(), other.is_alive()]
    assert [other] == ActorRegistry.get_all()
    assert "here" == other.ask("here", timeout=PATIENCE_S)


def test_an_error_in_the_hook_for_errors_is_only_logged(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    failing, other = start(broken={"failure": BoomError("second")}), start()
    failing.tell(BoomError("first"))
    behind = failing.ask("behind", block=False)

    with pytest.raises(ActorDeadError):
        behind.get(timeout=PATIENCE_S)
    assert "here" == other.ask("here", timeout=PATIENCE_S)
    assert ["first", "second"] == [str(record.exc_info[1]) for record in caplog.records if record.exc_info]


def test_an_actor_that_cannot_start_is_dead_and_answers_what_waits(start: Start) -> None:
    told: list[object] = []
    parrot = start(told=told, broken={"start": BoomError()})
    waiting = parrot.ask("polly", block=False)

    with pytest.raises(ActorDeadError):
        waiting.get(timeout=PATIENCE_S)
    assert [False, []] == [parrot.is_alive(), ActorRegistry.get_all()]
    assert ["start"] == told


def test_starting_registers_an_actor_and_stopping_removes_it(start: Start) -> None:
    parrot = start()
    registered = ActorRegistry.get_all(), ActorRegistry.get_by_urn(parrot.actor_urn)
    parrot.stop(timeout=PATIENCE_S)

    assert ([parrot], parrot) == registered
    assert [] == ActorRegistry.get_all()


def test_every_actor_has_a_urn_of_its_own(start: Start) -> None:
    first, second = start(), start()

    assert first.actor_urn != second.actor_urn
    assert first.actor_urn.startswith("urn:uuid:")
    assert f"({first.actor_urn})" in str(first)


def test_an_unexpected_message_is_a_warning(dispatcher: Dispatcher, caplog: pytest.LogCaptureFixture) -> None:
    silent = SilentParrot.start(dispatcher)

    assert silent.ask("what?", timeout=PATIENCE_S) is None
    assert ["WARNING"] == [record.levelname for record in caplog.records]
    silent.stop(timeout=PATIENCE_S)


def test_an_actor_may_have_a_name_and_live_unregistered(dispatcher: Dispatcher) -> None:
    actor = DispatchedParrot(dispatcher, "urn:test:polly")
    ref = actor.actor_ref

    assert "polly" == ref.ask("polly", timeout=PATIENCE_S)
    assert ["start", "polly"] == actor.told
    assert ("urn:test:polly", []) == (ref.actor_urn, ActorRegistry.get_all())
    assert ref is actor.actor_ref
    assert ref.stop(timeout=PATIENCE_S)


def test_an_actor_has_no_inbox_without_a_dispatcher() -> None:
    with pytest.raises(NotImplementedError):
        DispatchedActor._create_actor_inbox()  # noqa: SLF001 - Pykka calls it so


def test_a_full_inbox_says_busy_and_the_actor_goes_on_when_it_was_emptied(ours: "pykka.ActorRef[Any]") -> None:
    arrived, gate = threading.Event(), threading.Event()
    ours.tell((arrived, gate))
    assert arrived.wait(PATIENCE_S)
    waiting = [ours.ask(number, block=False) for number in range(INBOX_DEPTH_MAX)]

    with pytest.raises(Busy):
        ours.tell("too much")
    with pytest.raises(Busy):
        ours.ask("too much", timeout=0)
    gate.set()
    assert list(range(INBOX_DEPTH_MAX)) == pykka.get_all(waiting, timeout=PATIENCE_S)
    assert "again" == ours.ask("again", timeout=PATIENCE_S)


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), BaseException("bare"), GeneratorExit()])
def test_whatever_an_actor_raises_reaches_no_other_actor(
    error: BaseException, ours: "pykka.ActorRef[Any]", dispatcher: Dispatcher
) -> None:
    told, dying = DispatchedParrot.start(dispatcher), DispatchedParrot.start(dispatcher)
    threaded = ThreadedParrot.start()
    dying.tell(error)
    answer = told.ask(error, block=False)

    with pytest.raises(type(error)) as caught:
        answer.get(timeout=PATIENCE_S)
    assert caught.value is error
    assert ["here"] * 3 == [ref.ask("here", timeout=PATIENCE_S) for ref in (told, ours, threaded)]
    assert [told, threaded] == [ref for ref in ActorRegistry.get_all() if ref is not ours]
    assert not dying.is_alive()
    ActorRegistry.stop_all(timeout=PATIENCE_S)


@pytest.mark.parametrize("hook", ["start", "stop", "failure"])
def test_whatever_a_hook_raises_stops_that_actor_alone(
    hook: str, ours: "pykka.ActorRef[Any]", dispatcher: Dispatcher
) -> None:
    leaving = DispatchedParrot.start(dispatcher, broken={hook: SystemExit()})
    waiting = leaving.ask("polly", block=False)
    if hook == "failure":
        leaving.tell(BoomError())
    stopped = leaving.stop(block=False)
    behind = leaving.ask("behind", block=False)

    assert stopped.get(timeout=PATIENCE_S)
    if hook == "start":
        with pytest.raises(ActorDeadError):
            waiting.get(timeout=PATIENCE_S)
    else:
        assert "polly" == waiting.get(timeout=PATIENCE_S)
    with pytest.raises(ActorDeadError):
        behind.get(timeout=PATIENCE_S)
    assert "here" == ours.ask("here", timeout=PATIENCE_S)
    assert [ours] == ActorRegistry.get_all()


def test_an_error_that_was_answered_does_not_stay_in_memory(ours: "pykka.ActorRef[Any]") -> None:
    def ask() -> "weakref.ref[pykka.Future[Any]]":
        asked = ours.ask(BoomError(), block=False)
        with pytest.raises(BoomError):
            asked.get(timeout=PATIENCE_S)
        return weakref.ref(asked)

    asked = ask()
    ours.ask("the turn is over", timeout=PATIENCE_S)
    gc.collect()

    assert asked() is None


def test_an_answer_that_the_caller_gave_itself_hurts_nobody(ours: "pykka.ActorRef[Any]") -> None:
    arrived, gate = threading.Event(), threading.Event()
    ours.tell((arrived, gate))
    assert arrived.wait(PATIENCE_S)
    answered, failed = ours.ask("unasked", block=False), ours.ask(BoomError(), block=False)
    answered.set("mine")
    failed.set("mine")
    behind = ours.ask("behind", block=False)
    gate.set()

    assert ["mine", "mine", "behind"] == pykka.get_all([answered, failed, behind], timeout=PATIENCE_S)
