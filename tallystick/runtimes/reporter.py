"""The reporter: tells a ledger of either face what happened, without waiting for it; whoever asks hears the answer."""

import threading
from collections.abc import Callable
from typing import Any, TypeAlias, Unpack

from msgspec import Struct

from tallystick.actors.envelope import ExcInfo
from tallystick.actors.log import logger
from tallystick.aio import AsyncLedger
from tallystick.facts import Addressee
from tallystick.ledger import intake
from tallystick.ledger.commands import Command
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.intake import Creation
from tallystick.sync import Ledger
from tallystick.verbs import TaskVerbs

log = logger("runtimes")

Heard: TypeAlias = Callable[[AnyFact, BaseException | None], None]
"""Hears the answer to each report: the fact, and why it was not recorded, or None when it is durable.

Called on the ledger's thread, or within the report itself when the ledger refuses it at once.
"""


class Reporter:
    """Sends reports to a ledger. Any thread may, an event loop's too: nothing here waits for a disk.

    What bounds the reports on their way is the ledger: it refuses with `Busy` when too many wait.
    """

    def __init__(self, ledger: Ledger | AsyncLedger) -> None:
        # Both faces stand on one house, and only the one for asyncio shows it.
        self._house = ledger.house if isinstance(ledger, AsyncLedger) else ledger._house  # noqa: SLF001
        self._house.facts()  # which raises when this ledger cannot write
        self._awaited = 0
        self._answered = threading.Condition()

    def now(self) -> int:
        """Return the moment by the ledger's clock."""
        return self._house.clock()

    def words(self, text: str) -> str:
        """Return a text as the ledger would keep it: without what its hooks name."""
        return self._house.outlets.words(text)

    def create(self, heard: Heard, *, occurred_at: int | None = None, **given: Unpack[Creation]) -> "Reported":
        """Report that somebody asked for work. Raises `InvalidInput`, and `Closed` and the like; `heard` has the rest.

        The same run gives the same task, as ever: reporting one again is safe.
        """
        fact = intake.created(**given)
        command = Command(fact, self.speaker, intake.moment(occurred_at))
        reported = Reported(self, self._house.facts().newborn(self._house.new_id()), heard)
        reported.report(command)
        return reported

    def expect(self) -> None:
        """A report will follow, on another thread: `quiet` waits for it, too. Say `answered` when it was sent."""
        with self._answered:
            self._awaited += 1

    def quiet(self, timeout_s: float) -> bool:
        """Wait until every report was answered, at most `timeout_s` seconds; whether that is so."""
        with self._answered:
            return self._answered.wait_for(lambda: self._awaited == 0, timeout_s)

    @property
    def speaker(self) -> str:
        """Who speaks in the events."""
        return self._house.actor

    def send(self, actor: Addressee, command: Command, heard: Heard) -> None:
        """Send one report. A ledger that refuses it at once is heard, not raised."""
        self.expect()
        answer = _Answer(self, command.data, heard)
        try:
            self._house.facts().send(actor, command, answer)
        except Exception as error:  # noqa: BLE001 - Busy, Closed, a fork: who reports has other work to do
            answer.fail(error)

    def answered(self) -> None:
        """One more of what is expected has come."""
        with self._answered:
            self._awaited -= 1
            if not self._awaited:
                self._answered.notify_all()


class Reported(TaskVerbs[None]):
    """A task that is reported of: its verbs return at once. They are decided in the order of the calls."""

    def __init__(self, reporter: Reporter, actor: Addressee, heard: Heard) -> None:
        self._reporter, self._actor, self._heard = reporter, actor, heard
        self.is_refused = False
        """Whether the ledger did not take the creation: there is no such task."""

    def _actor_name(self) -> str:
        return self._reporter.speaker

    def _send(self, command: Command) -> None:
        self.report(command)

    def report(self, command: Command) -> None:
        """Send one report of this task; none of one that the ledger did not take."""
        if not self.is_refused:
            self._reporter.send(self._actor, command, self._hear)

    def _hear(self, fact: AnyFact, error: BaseException | None) -> None:
        if error is not None and isinstance(fact, TaskCreated):
            self.is_refused = True
        self._heard(fact, error)


class _Answer(Struct, gc=False):
    """Where the answer to one report goes."""

    reporter: Reporter
    fact: AnyFact
    heard: Heard

    def set(self, _value: Any | None = None) -> None:
        """It is durable."""
        self._tell(None)

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        """It was refused."""
        error = None if exc_info is None else exc_info[1]
        assert error is not None, "who answers says what"
        self._tell(error)

    def fail(self, error: BaseException) -> None:
        """It was refused."""
        self._tell(error)

    def _tell(self, error: BaseException | None) -> None:
        try:
            self.heard(self.fact, error)
        except Exception:  # the thread that answers has others to answer
            log.exception("callback_failed")
        finally:
            self.reporter.answered()
