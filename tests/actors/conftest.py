"""What the tests of actors share: threads that run dispatchers, an interpreter that switches often, a desk."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tallystick.actors.dispatcher import Dispatcher
from tests.actors.flow_parts import FlowDesk
from tests.actors.parts import PATIENCE_S, HandClock, restlessly

CAUGHT = {
    "abandoning_failed",
    "callback_failed",
    "dispatcher_died",
    "end_failed",
    "end_of_turn_failed",
    "listener_failed",
    "release_failed",
    "timer_failed",
    "turn_failed",
}

StartDispatcher = Callable[..., Dispatcher]


@pytest.fixture
def start_dispatcher() -> Iterator[StartDispatcher]:
    """Start dispatchers; those that still run are stopped in the end."""
    started: list[Dispatcher] = []

    def start(**options: Any) -> Dispatcher:
        dispatcher = Dispatcher(f"test-{len(started)}", options.pop("clock", HandClock()), **options)
        started.append(dispatcher)
        dispatcher.start()
        return dispatcher

    yield start
    assert [] == [dispatcher.name for dispatcher in started if not dispatcher.stop(PATIENCE_S)]


@pytest.fixture
def dispatcher(start_dispatcher: StartDispatcher) -> Dispatcher:
    """A dispatcher that runs."""
    return start_dispatcher()


@pytest.fixture(autouse=True)
def nothing_goes_wrong(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What a dispatcher catches so that it goes on must not be there to catch, unless the test asks for `trouble`."""
    yield
    if "trouble" not in request.fixturenames:
        records = [*caplog.get_records("setup"), *caplog.get_records("call"), *caplog.records]
        assert [] == [record.getMessage() for record in records if record.getMessage() in CAUGHT]


@pytest.fixture
def trouble() -> None:
    """Something goes wrong on purpose."""


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads are switched as often as can be, so that races come up."""
    with restlessly():
        yield


@pytest.fixture
def desk() -> FlowDesk:
    """A desk with one flow."""
    desk = FlowDesk()
    desk.begin()
    return desk
