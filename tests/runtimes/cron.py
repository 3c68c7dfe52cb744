"""Parts for the tests of the recorded scheduler: moments to wait for, and schedulers that end with their test."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

from apscheduler.events import EVENT_ALL, SchedulerEvent
from apscheduler.schedulers.background import BackgroundScheduler

from tallystick.facts import Facts
from tallystick.ledger.record import TaskRecord
from tallystick.sync import Ledger
from tests.face.parts import PATIENCE_S


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test that is a coroutine, within bounded time."""

    @wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(asyncio.wait_for(test(**fixtures), PATIENCE_S))

    return run


def ago(seconds: float = 0) -> datetime:
    """Return the moment that was so many seconds ago."""
    return datetime.now(UTC) - timedelta(seconds=seconds)


class Long:
    """A job that is at work until the test lets it end."""

    def __init__(self) -> None:
        self.began, self.may_end = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.began.set()
        assert self.may_end.wait(PATIENCE_S)
        return "at last"


class Told:
    """Counts what a scheduler tells, so that a test can wait for it."""

    def __init__(self, scheduler: Any) -> None:
        self._counting = threading.Condition()
        self.events: list[Any] = []
        scheduler.add_listener(self._hear, EVENT_ALL)

    def _hear(self, event: SchedulerEvent) -> None:
        with self._counting:
            self.events.append(event)
            self._counting.notify_all()

    def count(self, code: int) -> int:
        return sum(event.code == code for event in self.events)

    def wait(self, code: int, count: int = 1) -> None:
        """Wait until this was told so many times."""
        with self._counting:
            assert self._counting.wait_for(lambda: self.count(code) >= count, PATIENCE_S), self.events


def tell(scheduler: BackgroundScheduler, event: SchedulerEvent) -> None:
    """Let a scheduler tell this, as it tells what happens."""
    scheduler._dispatch_event(event)  # noqa: SLF001 - nothing public tells the same thing twice


@contextmanager
def background(**options: Any) -> Iterator[BackgroundScheduler]:
    """A scheduler with threads, started by the test, shut down behind it."""
    scheduler = BackgroundScheduler(timezone=UTC, **options)
    try:
        yield scheduler
    finally:
        if scheduler.running:
            scheduler.shutdown()


def stand_still(facts: Facts, until: threading.Event) -> None:
    """Let a ledger stand still behind its next commit, until the test lets it go on."""

    def wait(_position: int) -> None:
        until.wait(PATIENCE_S)

    facts.listen(wait)


def runs(ledger: Ledger) -> list[TaskRecord]:
    """Every cron run that a ledger has, oldest first."""
    return list(reversed(ledger.list(runtime="cron", limit=1_000).tasks))


def story(ledger: Ledger, record: TaskRecord) -> list[str]:
    """What happened to a task, in short."""
    return [event.type.removeprefix("task-").removesuffix(".1") for event in ledger.timeline(record.task_id)]
