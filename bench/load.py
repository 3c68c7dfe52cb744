"""The load: everything that embedding programs do with one ledger, at once and without a pause."""

import asyncio
import itertools
import random
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tallystick.aio import AsyncLedger
from tallystick.bench import workload
from tallystick.house import House
from tallystick.ledger.errors import Closed
from tallystick.ledger.record import TaskRecord
from tallystick.projections.rebuild import rebuild
from tallystick.sync import Ledger

THREADS, COROUTINES = 8, 200
BATCH_LIVES = 500
PROGRESS_MAX = 4  # of which all but the first come too soon, and are held back
KEPT_ACKNOWLEDGEMENTS = 2_000
READ_EVERY_S, COMMAND_EVERY_S = 0.05, 5.0
PAGES_MAX = 5
COMMAND_S_MAX = 600
_COMMAND = "from tallystick.cli import main; main()"


class Load:
    """Threads, coroutines and batches that write, and readers and subscribers beside them, until they are stopped."""

    def __init__(self, house: House) -> None:
        self.house, self.ledger = house, Ledger(house)
        self.failures: list[str] = []
        self.acknowledged: deque[tuple[str, int]] = deque(maxlen=KEPT_ACKNOWLEDGEMENTS)
        """Ids and versions of records that somebody was answered with, the newest of them."""
        self.counts: dict[str, int] = {}
        self._stop = threading.Event()
        self._numbers = itertools.count()
        self._subscriptions = [self.ledger.subscribe()]
        parts: list[Callable[[], None]] = [self._wait_for_answers] * THREADS
        parts += [self._pipeline, self._await_answers, self._read, self._follow, self._look_from_outside]
        self._threads = [threading.Thread(target=self._guarded, args=(part,), name=part.__name__) for part in parts]

    def start(self) -> None:
        """Begin everything."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 120.0) -> None:
        """End everything, and wait until it has ended."""
        self._stop.set()
        for subscription in self._subscriptions:
            subscription.close()
        for thread in self._threads:
            thread.join(timeout_s)
            if thread.is_alive():
                self.failures.append(f"{thread.name} did not stop")

    def rebuild(self, name: str) -> None:
        """Rebuild a read model under the load, on the caller's thread."""
        views = self.house.readings.views
        assert views is not None
        rebuild(views, self.house.readings.log, name)

    def check(self, name: str) -> None:
        """Hold a read model to the log, in another process; a difference is a failure."""
        self._command("projections", "check", name)

    def _guarded(self, part: Callable[[], None]) -> None:
        try:
            while not self._stop.is_set():
                part()
        except Exception as error:  # noqa: BLE001 - whatever it is, the verdict names it
            if not (self._stop.is_set() and isinstance(error, Closed)):
                self.failures.append(f"{part.__name__}: {type(error).__name__}: {error}")

    def _count(self, what: str, count: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + count  # about: two threads may lose one

    def _take(self, record: TaskRecord) -> None:
        self.acknowledged.append((record.task_id, record.version))

    # Those who write.

    def _wait_for_answers(self) -> None:
        """One life, every answer awaited, with one of its ends."""
        number = next(self._numbers)
        task = self.ledger.create(**workload.creation(number, run_id=number % 2 == 0))
        task.start()
        for step in range(random.randint(0, PROGRESS_MAX)):
            task.progress(workload.MESSAGE, step=step, steps=PROGRESS_MAX, tool="read", usage={"inputTokens": 17})
        end = random.random()
        if end < 0.6:
            task.succeed(workload.SUMMARY, artifacts=["report.md"], usage={"outputTokens": 5})
        elif end < 0.8:
            task.fail("the repository is gone", exit_code=1)
        elif end < 0.9:
            task.time_out()
        else:
            task.cancel("nobody needs it", wait_ms=0)
            task.cancelled(stopped="the process")
        self._take(task.record)
        self._count("lives of waiting threads")

    def _pipeline(self) -> None:
        """Many lives in one batch."""
        with self.ledger.batch() as batch:
            for number in itertools.islice(self._numbers, BATCH_LIVES):
                task = batch.create(**workload.creation(number))
                task.start()
                task.progress(workload.MESSAGE)
                task.succeed(workload.SUMMARY)
        record = self.ledger.get(task.id).record
        assert record.status == "succeeded", record
        self._take(record)
        self._count("lives in batches", BATCH_LIVES)

    def _await_answers(self) -> None:
        """Coroutines until the load stops; their face shares the house with the threads' one."""
        asyncio.run(self._coroutines())

    async def _coroutines(self) -> None:
        face = AsyncLedger(lambda _loop: self.house)
        await face.__aenter__()  # and never left: the house is the load's
        following = asyncio.create_task(self._follow_async(face))
        await asyncio.gather(*(self._await_lives(face) for _ in range(COROUTINES)))
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following

    async def _await_lives(self, face: AsyncLedger) -> None:
        while not self._stop.is_set():
            task = await face.create(**workload.creation(next(self._numbers)))
            await task.start()
            await task.progress(workload.MESSAGE)
            self._take(await task.succeed(workload.SUMMARY))
            self._count("lives of coroutines")

    # Those who read.

    def _read(self) -> None:
        """Pages, counts and single tasks, as a dashboard asks for them."""
        page = self.ledger.list(status="succeeded", limit=50)
        for _ in range(PAGES_MAX):
            if page.next_cursor is None:
                break
            page = self.ledger.list(status="succeeded", limit=50, cursor=page.next_cursor)
        self.ledger.list(owner=f"agent:main:session-{random.randrange(workload.SESSIONS)}", limit=20)
        counts = self.ledger.counts()
        assert counts.total == counts.active + counts.terminal, counts
        for record in page.tasks[:3]:
            events = self.ledger.timeline(record.task_id)
            assert self.ledger.state_at(record.task_id, position=events[0].position).version == 1
        self._count("pages and timelines")
        self._stop.wait(READ_EVERY_S)

    def _follow(self) -> None:
        """A subscriber from the first event on, who misses nothing."""
        for expected, event in enumerate(self._subscriptions[0], 1):
            if event.position != expected:
                raise AssertionError(f"a subscriber got {event.position} after {expected - 1}")
            self.counts["events of a subscriber"] = expected

    async def _follow_async(self, face: AsyncLedger) -> None:
        """The same on the loop, from now on."""
        before = self.house.readings.log.head()
        async for event in face.subscribe(after=before):
            if event.position != before + 1:
                self.failures.append(f"an async subscriber got {event.position} after {before}")
                return
            before = event.position

    def _look_from_outside(self) -> None:
        """Another process that lists, every now and then."""
        self._command("list", "--limit", "20")
        self._count("commands from outside")
        self._stop.wait(COMMAND_EVERY_S)

    def _command(self, *arguments: str) -> None:
        command = [sys.executable, "-c", _COMMAND, "--ledger", self.house.path, *arguments]
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", check=False, timeout=COMMAND_S_MAX, cwd=Path.home()
        )
        if done.returncode:
            self.failures.append(f"tally {' '.join(arguments)}: {done.returncode} {done.stdout} {done.stderr}".strip())
