"""The child: one run of a child session as a task, told to the ledger without waiting but for its end."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from tallystick.actors.log import logger
from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput, Refused, TallystickError
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.tasks import TaskCreated, TaskProgressed
from tallystick.ledger.verdict import Outcome, Verdict
from tallystick.runtimes.reporter import Reported, Reporter
from tallystick.runtimes.turn import End, Progress, Turn

log = logger("runtimes")

WAITING_MAX = 1_000  # progress that waits for the ledger: tools that are counted one by one
CREATED, ENDED = "created", "ended"  # the answers that somebody waits for


class Child:
    """One run in a child session: created, started when it is prompted, ended when the agent has answered.

    For one event loop. Nothing here raises what the ledger refuses: it is logged and counted by `refused`, and how the
    run ended is kept for the probe until the ledger has it.
    """

    def __init__(
        self, reporter: Reporter, refused: Callable[[BaseException], None], session_id: str, given: Mapping[str, Any]
    ) -> None:
        self.session_id = session_id
        self.given = dict(given)
        self.turn = Turn()
        self.working: asyncio.Task[Any] | None = None
        """What waits for the agent's answer, once the session was prompted."""
        self.end: End | None = None
        self.ended_at: int | None = None
        self.is_recorded = False
        """Whether the ledger has the end, or knows of another."""
        self._reporter, self._refused = reporter, refused
        self._reported: Reported | None = None
        self._started_at: int | None = None
        self._is_over = self._is_telling = self._is_told_off = False
        self._waiting: deque[Progress] = deque(maxlen=WAITING_MAX)
        self._loop = asyncio.get_running_loop()
        self._answers: dict[str, asyncio.Future[None]] = {}

    @property
    def run_id(self) -> str:
        """The run's id, which no other run has."""
        return str(self.given["run_id"])

    @property
    def key(self) -> tuple[str, str]:
        """The run and the session, as the task's record has them."""
        return self.run_id.strip(), self.session_id.strip()

    async def create(self) -> None:
        """Create the task, and wait until the ledger has it or has refused it."""
        self._create()
        await self._answered(CREATED)

    def start(self) -> None:
        """Say that the agent is at work now."""
        self._started_at = self._reporter.now()
        if self._is_there():
            self._tell(lambda reported: reported.start(occurred_at=self._started_at))

    def progress(self, progress: Progress) -> None:
        """Say how far it is, unless the task has ended: what an agent says after a cancel is no news.

        One report is on its way at a time, so that a task that ends is not told a burst of them in vain. What comes
        meanwhile is said in one, but for tools: each is counted.
        """
        if self._is_over or self.end is not None:
            return
        waiting = self._waiting
        if waiting and waiting[-1].tool is None:
            progress = waiting.pop().then(progress)
        waiting.append(progress)
        if not self._is_telling:
            self._tell_progress()

    def _tell_progress(self) -> None:
        if self._waiting and not self._is_over and self._is_there():
            progress = self._waiting.popleft()
            self._is_telling = self._tell(
                lambda reported: reported.progress(
                    progress.message, step=progress.step, steps=progress.steps, tool=progress.tool
                )
            )

    async def finish(self, end: End) -> None:
        """Say how it ended, and wait until the ledger has that or has refused it. What it has not yet, it gets now."""
        if self.end is not None:
            return
        self.end, self.ended_at = end, self._reporter.now()
        if not self._is_there():
            self._create()
            if self._is_there() and self._started_at is not None:
                self._tell(lambda reported: reported.start(occurred_at=self._started_at))
        while self._waiting and self._is_there() and not self._is_over:
            self._tell_progress()
        if self._is_there():
            self._tell(lambda reported: _report(reported, end, self.ended_at))
            await self._answered(ENDED)

    def verdict(self, evidence: dict[str, object]) -> Verdict | None:
        """Return how it ended, if it has."""
        if self.end is None:
            return None
        error = fields.report("error", self.end.error, bytes_max=4_096)
        return Verdict.ended(self.end.status, evidence, summary=self.end.summary, error=error, ended_at=self.ended_at)

    def _is_there(self) -> bool:
        return self._reported is not None and not self._reported.is_refused

    def _create(self) -> None:
        try:
            self._reported = self._reporter.create(self._heard, **self.given)
        except TallystickError as error:
            self._hear(None, error)

    def _tell(self, verb: Callable[[Reported], None]) -> bool:
        """Send a report; whether it is on its way."""
        assert self._reported is not None, "whoever tells has looked"
        try:
            verb(self._reported)
        except InvalidInput as error:
            self._hear(None, error)
            return False
        return True

    def _heard(self, fact: AnyFact, error: BaseException | None) -> None:
        """Hear an answer, on the ledger's thread."""
        self._is_over |= isinstance(error, Refused)
        if error is None and not isinstance(fact, TaskCreated | TaskProgressed | Outcome):
            return
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._hear, fact, error)

    def _hear(self, fact: AnyFact | None, error: BaseException | None) -> None:
        """Hear an answer, on the loop. That the task has ended in another way is no loss: the ledger knows its end."""
        if error is None or isinstance(error, Refused):
            self.is_recorded |= isinstance(fact, Outcome)
            self._is_told_off = False
        else:
            self._refused(error)
            if not (self._is_told_off and isinstance(fact, TaskProgressed)):  # one line for a stream of them
                log.error("session_unrecorded", session=self.session_id, run=self.run_id, error=str(error))
            self._is_told_off = True
        if isinstance(fact, TaskProgressed):
            self._is_telling = False
            self._tell_progress()
        if not isinstance(fact, TaskCreated | Outcome):
            return
        waiting = self._answers.pop(CREATED if isinstance(fact, TaskCreated) else ENDED, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def _answered(self, what: str) -> None:
        if self._is_there():
            waiting = self._answers.setdefault(what, self._loop.create_future())
            await waiting


def _report(reported: Reported, end: End, ended_at: int | None) -> None:
    match end.status:
        case "succeeded":
            reported.succeed(end.summary, outcome=end.outcome, usage=end.usage, occurred_at=ended_at)
        case "cancelled":
            # To the letter what the canceller answers, so that whichever comes second says nothing new.
            reported.cancelled(end.error or None, confirmed=end.confirmed, stopped=end.summary, usage=end.usage)
        case "failed":
            reported.fail(
                end.error,
                summary=end.summary,
                exit_code=end.exit_code,
                signal=end.signal,
                usage=end.usage,
                occurred_at=ended_at,
            )
