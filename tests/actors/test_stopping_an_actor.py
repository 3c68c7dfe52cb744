"""Stopping: as Pykka documents it, and whoever asks a stopping actor something is answered, whatever the moment."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pykka
import pytest
from pykka import ActorDeadError, ActorRegistry

from tallystick.actors.actor import DispatchedActor
from tallystick.actors.dispatcher import Dispatcher
from tests.actors.conftest import StartDispatcher
from tests.actors.parts import PATIENCE_S, at_once


class Sleeper:
    """What the actors of these tests do: note what they are told, and wait when told to."""

    def __init__(self, *context: Any, told: list[object] | None = None) -> None:
        super().__init__(*context)
        self.told: list[object] = [] if told is None else told

    def on_stop(self) -> None:
        self.told.append("stopped")

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, threading.Event):
            assert message.wait(PATIENCE_S)
            return None
        if message == "stop yourself":
            self.stop()  # type: ignore[attr-defined]
        self.told.append(message)
        return message


class ThreadedSleeper(Sleeper, pykka.ThreadingActor):
    """The sleeper in Pykka's own runtime."""


class DispatchedSleeper(Sleeper, DispatchedActor):
    """The sleeper on a dispatcher."""


Start = Callable[..., "pykka.ActorRef[Any]"]


@pytest.fixture(params=["dispatched", "threading"])
def start(request: pytest.FixtureRequest, dispatcher: Dispatcher) -> Iterator[Start]:
    def start(**given: Any) -> "pykka.ActorRef[Any]":
        if request.param == "threading":
            return ThreadedSleeper.start(**given)
        return DispatchedSleeper.start(dispatcher, **given)

    yield start
    ActorRegistry.stop_all(timeout=PATIENCE_S)


def fate(future: "pykka.Future[Any]") -> object:
    """Return what was answered, or the class of the error; a wait that nobody answers fails the test."""
    try:
        return future.get(timeout=PATIENCE_S)
    except ActorDeadError:
        return ActorDeadError


def test_stopping_waits_until_the_actor_has_stopped(start: Start) -> None:
    told: list[object] = []
    sleeper = start(told=told)

    assert sleeper.stop(timeout=PATIENCE_S) is True
    assert ["stopped"] == told
    assert not sleeper.is_alive()


def test_stopping_may_give_a_future_instead(start: Start) -> None:
    sleeper, gate = start(), threading.Event()
    sleeper.tell(gate)
    stopped = sleeper.stop(block=False)
    with pytest.raises(pykka.Timeout):
        stopped.get(timeout=0)
    gate.set()

    assert stopped.get(timeout=PATIENCE_S) is True


def test_stopping_times_out_while_the_actor_is_busy(start: Start) -> None:
    sleeper, gate = start(), threading.Event()
    sleeper.tell(gate)
    with pytest.raises(pykka.Timeout):
        sleeper.stop(timeout=0.001)
    gate.set()

    assert fate(sleeper.stop(block=False)) in (True, False)


def test_stopping_what_is_dead_says_that_it_was_dead(start: Start) -> None:
    sleeper = start()
    sleeper.stop(timeout=PATIENCE_S)

    assert [False, False] == [sleeper.stop(timeout=PATIENCE_S), sleeper.stop(block=False).get(timeout=PATIENCE_S)]


def test_what_came_before_the_stop_is_handled_and_what_came_behind_is_told_that_the_actor_is_dead(start: Start) -> None:
    told: list[object] = []
    sleeper, gate = start(told=told), threading.Event()
    sleeper.tell(gate)
    before = sleeper.ask("before", block=False)
    stopped = sleeper.stop(block=False)
    behind, again = sleeper.ask("behind", block=False), sleeper.stop(block=False)
    sleeper.tell("nobody hears this")
    gate.set()

    assert ["before", True, ActorDeadError, True] == [fate(future) for future in (before, stopped, behind, again)]
    assert ["before", "stopped"] == told


def test_an_actor_may_stop_itself(start: Start) -> None:
    told: list[object] = []
    sleeper, gate = start(told=told), threading.Event()
    sleeper.tell(gate)
    asked = sleeper.ask("stop yourself", block=False)
    behind = sleeper.ask("in time", block=False)
    gate.set()

    assert ["stop yourself", "in time"] == [fate(asked), fate(behind)]
    assert fate(sleeper.stop(block=False)) in (True, False)
    assert ["stop yourself", "in time", "stopped"] == told


def test_a_dead_actor_is_not_to_be_spoken_to(start: Start) -> None:
    sleeper = start()
    sleeper.stop(timeout=PATIENCE_S)

    with pytest.raises(ActorDeadError):
        sleeper.tell("hello")
    with pytest.raises(ActorDeadError):
        sleeper.ask("hello", timeout=PATIENCE_S)
    with pytest.raises(ActorDeadError):
        sleeper.proxy()
    assert ActorDeadError == fate(sleeper.ask("hello", block=False))


def test_stopping_all_actors_stops_these_too(start: Start) -> None:
    refs = [start() for _ in range(3)]

    assert [True] * 3 == ActorRegistry.stop_all(timeout=PATIENCE_S)
    assert [False] * 3 == [ref.is_alive() for ref in refs]


@pytest.mark.usefixtures("restless")
def test_no_ask_and_no_stop_is_left_unanswered_in_the_race_between_them(dispatcher: Dispatcher) -> None:
    """Each round asks from two threads while a third stops; whoever is let in is answered."""
    rounds = 40
    told: list[list[object]] = [[] for _ in range(rounds)]
    sleepers = [DispatchedSleeper.start(dispatcher, told=told[number]) for number in range(rounds)]
    meeting = threading.Barrier(3)

    def ask(speaker: int) -> list[object]:
        asked: list[pykka.Future[Any]] = []
        for sleeper in sleepers:
            meeting.wait(PATIENCE_S)
            asked += [sleeper.ask((speaker, number), block=False) for number in range(10)]
        return [fate(future) for future in asked]

    def stop() -> list[object]:
        stopped: list[pykka.Future[Any]] = []
        for sleeper in sleepers:
            meeting.wait(PATIENCE_S)
            stopped += [sleeper.stop(block=False), sleeper.stop(block=False)]
        return [fate(future) for future in stopped]

    first, second, stops = at_once(lambda: ask(1), lambda: ask(2), stop)

    assert {True} == set(stops[::2])
    heard = [answer for answers in told for answer in answers if answer != "stopped"]
    assert sorted(map(repr, heard)) == sorted(repr(answer) for answer in first + second if answer != ActorDeadError)
    assert ["stopped"] * rounds == [answers[-1] for answers in told]


def test_when_the_dispatcher_has_ended_its_actors_are_dead_and_say_so(start_dispatcher: StartDispatcher) -> None:
    dispatcher = start_dispatcher()
    sleeper = DispatchedSleeper.start(dispatcher)
    idle = DispatchedSleeper(dispatcher).actor_ref
    assert "here" == sleeper.ask("here", timeout=PATIENCE_S)
    assert dispatcher.stop(PATIENCE_S)
    asked = [sleeper.ask("hello", block=False), sleeper.ask("hello", block=False)]

    assert [ActorDeadError] * 2 == [fate(future) for future in asked]
    assert [False, True] == [sleeper.stop(timeout=PATIENCE_S), idle.stop(timeout=PATIENCE_S)]
    idle_tells = DispatchedSleeper(dispatcher).actor_ref
    idle_tells.tell("nobody hears this")
    assert [False, False, False] == [ref.is_alive() for ref in (sleeper, idle, idle_tells)]
    assert [] == ActorRegistry.get_all()


@pytest.mark.usefixtures("restless")
def test_no_ask_is_left_unanswered_in_the_race_with_the_end_of_the_dispatcher(
    start_dispatcher: StartDispatcher,
) -> None:
    for _ in range(25):
        dispatcher = start_dispatcher()
        refs = [DispatchedSleeper(dispatcher).actor_ref for _ in range(4)]

        def ask(refs: "list[pykka.ActorRef[Any]]" = refs) -> list[object]:
            asked = [ref.ask(number, block=False) for number in range(10) for ref in refs]
            return [fate(future) for future in asked]

        def stop(dispatcher: Dispatcher = dispatcher) -> list[object]:
            return [dispatcher.stop(PATIENCE_S)]

        *answers, stopped = at_once(ask, ask, ask, stop)

        assert [True] == stopped
        expected = [number for number in range(10) for _ in refs]
        for answer in answers:
            assert [] == [
                pair for pair in zip(expected, answer, strict=True) if pair[1] not in (pair[0], ActorDeadError)
            ]
