"""Parts for the tests of delivering: channels that answer as told, and tasks that end."""

import threading
from collections.abc import Callable
from typing import Any

from tallystick.actors.system import System
from tallystick.ledger.delivery import Delivery, Receipt
from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import DeliveryQueued
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.told import DeliveryRecord
from tallystick.projections.pauses import Standing, paused
from tallystick.sync import Ledger
from tallystick.task import Task

PATIENCE_S = 20.0
"""How long a test waits for what must come. Only a failing test waits that long."""

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
DAY = 24 * HOUR

SESSION = "agent:main:main"
CHAT: dict[str, Any] = {"channel": "chat", "to": -100123, "account": None, "thread": 77}
"""Where a request came from: two parts of it are numbers."""

ARRIVED = Receipt()


class Channel:
    """A channel that answers as it is told, the same for every message or as `of` says for a task's."""

    def __init__(self, answer: Any = ARRIVED) -> None:
        self.answer = answer
        self.of: dict[str, Any] = {}
        self.given: list[Delivery] = []

    def send(self, delivery: Delivery) -> Any:
        self.given.append(delivery)
        answer = self.of.get(delivery.task_id, self.answer)
        if callable(answer):
            answer = answer(delivery)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def texts(self) -> list[str]:
        return [delivery.text for delivery in self.given]


class Gate:
    """An answer that comes when the gate is opened; says when somebody waits at it."""

    def __init__(self, answer: Any = ARRIVED) -> None:
        self.answer = answer
        self.entered, self.opened = threading.Event(), threading.Event()

    def __call__(self, _delivery: Delivery) -> Any:
        self.entered.set()
        assert self.opened.wait(PATIENCE_S)
        return self.answer


class Woken:
    """Notes which sessions were woken."""

    def __init__(self) -> None:
        self.sessions: list[str] = []
        self._more = threading.Condition()

    def __call__(self, session: str) -> None:
        with self._more:
            self.sessions.append(session)
            self._more.notify_all()

    def wait(self, count: int) -> list[str]:
        """Wait until so many wakes have come, and return all of them."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.sessions) >= count, PATIENCE_S), self.sessions
            return list(self.sessions)


def begun(ledger: Ledger, **more: Any) -> Task:
    """Return a task of the main session, as somebody asked for it in a chat."""
    asked: dict[str, Any] = {"runtime": "subagent", "task": "Count the tallies", "owner": SESSION, "origin": CHAT}
    return ledger.create(**{**asked, **more})


def ended(ledger: Ledger, summary: str | None = "3 counted", **more: Any) -> Task:
    """Return one that has ended well."""
    task = begun(ledger, **more)
    task.succeed(summary)
    return task


def told(ledger: Ledger, task: Task, number: int = 0) -> DeliveryRecord:
    """Return what became of one message of a task."""
    return ledger.deliveries(task.id)[number]


def record(ledger: Ledger, task: Task) -> TaskRecord:
    return ledger.get(task.id).record


def how(ledger: Ledger, task: Task) -> DeliveryStatus:
    """What became of telling the one who asked."""
    return record(ledger, task).delivery_status


def waiting_texts(ledger: Ledger, session: str = SESSION) -> list[str]:
    return [event.text for event in ledger.session(session).take(limit=1_000)]


def queued(ledger: Ledger, task: Task) -> list[DeliveryQueued]:
    """The messages of a task as they are frozen in the log."""
    return [event.data for event in ledger.timeline(task.id) if isinstance(event.data, DeliveryQueued)]


def types(ledger: Ledger, task: Task) -> list[str]:
    """What happened to the messages of a task, in order."""
    return [event.type for event in ledger.timeline(task.id) if event.type.startswith("delivery-")]


def moments(events: list[Event], type: str) -> list[int]:  # noqa: A002 - as the event calls it
    return [event.recorded_at for event in events if event.type == type]


def pauses(ledger: Ledger) -> list[Standing]:
    return paused(ledger._house.readings.log)  # noqa: SLF001 - the note is what other processes read


def system_of(ledger: Ledger) -> System:
    return ledger._house.system  # noqa: SLF001 - the bounds of memory are nobody's interface


def until_dealt_with(ledger: Ledger, holds: Callable[[], bool], advance: Callable[[], None], rounds: int = 400) -> None:
    """Let time pass, sweep by sweep, until this holds."""
    for _ in range(rounds):
        if holds():
            return
        advance()
        ledger.sweep()
    raise AssertionError("it never came to that")
