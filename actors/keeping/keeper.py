"""The keeper: the actor that does by itself what follows from evidence and from the configuration."""

import queue
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, TypeAlias

from msgspec import Struct

from tallystick.actors.actor import DispatchedActor
from tallystick.actors.courier.alarm import Alarm
from tallystick.actors.dispatcher import MS_PER_S, Dispatcher
from tallystick.actors.envelope import Envelope, ExcInfo, Reply
from tallystick.actors.keeping.archivist import Archivist
from tallystick.actors.keeping.looks import Looks
from tallystick.actors.keeping.orders import Archived, Keep
from tallystick.actors.log import logger
from tallystick.actors.watching.orders import Pace
from tallystick.ledger.clock import Clock
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import (
    Closed,
    Corrupt,
    NotFound,
    Refused,
    StoreError,
    TallystickError,
    WrongVersion,
)
from tallystick.ledger.ids import id_bytes
from tallystick.ledger.limits import UPKEEP_AT_ONCE, VIEWS_LAG_MAX
from tallystick.ledger.upkeep.deeds import command_of
from tallystick.ledger.upkeep.finding import Action, Kind
from tallystick.ledger.upkeep.plan import Step
from tallystick.projections.reader import Reader

log = logger("actors")

ACTOR = "keeper"
"""Who says so in the events."""

AT_ONCE = 8  # commands that wait for the disk: more would keep writers waiting behind them, and nobody waits for it
REST = 1  # times as long as it took until they were answered: where writers wait for each other, it takes less part
REST_MS_MIN, REST_MS_MAX = 5, 1_000
AGAIN_MS = 1_000  # until what could not be begun is tried again

Send: TypeAlias = Callable[[bytes, Command, Reply], None]
"""Sends a command to a task or a flow; raises what says that it was not accepted."""

Foresee: TypeAlias = Callable[[Sequence[bytes]], None]
"""Has the histories of many tasks read at once."""

Tidy: TypeAlias = Callable[[], None]
"""Frees what processes that are gone hold of the stores."""

_COUNTED = {
    (Kind.TASK, Action.PRUNE): "tasks_pruned",
    (Kind.FLOW, Action.PRUNE): "flows_pruned",
    (Kind.TASK, Action.STAMP): "tasks_stamped",
    (Kind.FLOW, Action.FINISH_CANCEL): "flows_cancelled",
}


class _Heard(Struct, frozen=True):
    """What became of a step."""

    step: Step
    error: BaseException | None = None


class _Hearing:
    """Takes the answer to one step."""

    __slots__ = ("_put", "_step")

    def __init__(self, put: Callable[[object], None], step: Step) -> None:
        self._put, self._step = put, step

    def set(self, value: Any = None) -> None:
        """It was taken."""
        del value
        self._put(_Heard(self._step))

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        """It was not taken."""
        self.fail((exc_info and exc_info[1]) or Closed())

    def fail(self, error: BaseException) -> None:
        """It was not taken."""
        self._put(_Heard(self._step, error))


class Keeper(DispatchedActor):
    """Takes the automatic steps of upkeep: now and then, and when it is asked.

    A round looks at what is due, a page at a time, has the actors of the tasks and flows decide it, rests, and looks on
    when all of them have answered. It decides nothing and remembers nothing that matters: what it is to do follows from
    what is written, so that the next owner goes on wherever this one is killed.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        reader: Reader,
        looks: Looks,
        *,
        send: Send,
        foresee: Foresee,
        tidy: Tidy,
        clock: Clock,
        pace: Pace,
    ) -> None:
        super().__init__(dispatcher, "urn:tallystick:keeper")
        self._dispatcher, self._reader, self._looks = dispatcher, reader, looks
        self._send, self._foresee, self._tidy = send, foresee, tidy
        self._clock, self._pace = clock, pace
        self._alarm = Alarm(dispatcher, clock, self._ring, by_hand=pace.by_hand)
        self.archivist: Archivist | None = None
        self._round: Iterator[Sequence[Step]] | None = None
        self._todo: deque[Step] = deque()
        self._under_way, self._began = 0, 0.0
        self._done: Counter[str] = Counter()
        self._trouble: BaseException | None = None
        self._failure: BaseException | None = None
        self._waiting: list[Reply] = []
        self._served: list[Reply] = []
        self._is_due = self._is_resting = self._is_archiving = False

    def begin(self) -> None:
        """Begin to look by the clock. Called once, on the dispatcher's thread."""
        self._alarm.by(self._clock() + self._pace.first)

    def archived(self, error: Exception | None = None) -> None:
        """The archivist is done, or says what kept it from that. Any thread may say so."""
        self._put(Archived(error))

    def _put(self, message: object) -> None:
        self.inbox.put_behind([Envelope(message)])  # admitted already: a bound would lose an answer

    def _ring(self) -> None:
        self._is_due = True
        self.inbox.wake()

    def _farewell(self) -> Exception:
        return Closed()

    def handle(self, envelope: Envelope) -> None:
        """Take a message; whoever asks is answered when all of it is done."""
        if isinstance(envelope.message, Keep) and envelope.reply_to is not None:
            self._waiting.append(envelope.reply_to)
            envelope = Envelope(envelope.message)
        super().handle(envelope)

    def abandon(self) -> None:
        """Answer what waits: the dispatcher has ended."""
        super().abandon()
        self._served += self._waiting
        self._waiting = []
        self._answer(Closed())

    def drain(self) -> None:
        """Handle what waits, then go on with the round."""
        super().drain()
        try:
            self._go_on()
        except Exception as error:  # the next round may do better; who waits for this one hears it
            log.exception("keeping_failed")
            self._served += self._waiting
            self._waiting = []
            self._over()
            self._answer(error)

    def on_receive(self, message: object) -> object:
        """Take note of answers and orders."""
        match message:
            case _Heard():
                self._heard(message)
            case Archived():
                self._is_archiving = False
                self._failure = self._failure or message.error
            case Keep():
                self._is_due = True
            case _:
                return super().on_receive(message)
        return None

    # A round.

    def _go_on(self) -> None:
        """Do the next of what there is to do, unless something has to be waited for."""
        if self._under_way or (self._is_resting and not self._is_hurried()):
            return
        if self._trouble is not None:
            self._report()
        if self._round is None and not self._is_archiving:
            failure, self._failure = self._failure, None
            self._answer(failure)
        if self._todo:
            self._ask_some()
        elif self._round is not None and not (self._waiting and not self._served):
            self._look()
        elif self._is_due and self._is_ready():
            self._begin()

    def _is_hurried(self) -> bool:
        return bool(self._served or self._waiting)

    def _is_ready(self) -> bool:
        """Whether the index can be asked now; else it is asked a while later, unless somebody waits for it."""
        if self._waiting or self._reader.lag("board", "due", "flows") <= VIEWS_LAG_MAX:
            return True
        self._is_due = False
        self._alarm.by(self._clock() + AGAIN_MS)
        return False

    def _begin(self) -> None:
        """Begin a round: of everything when somebody waits for it."""
        self._is_due = False
        self._served += self._waiting
        self._waiting = []
        self._round = self._looks.round(self._clock(), thorough=bool(self._served))
        try:
            self._tidy()
        except StoreError as error:  # what is due is due all the same
            log.error("readers_not_cleared", error=str(error))  # noqa: TRY400 - the sentence says it
        self._look()

    def _look(self) -> None:
        assert self._round is not None, "there is a round"
        self._began = monotonic()
        steps = next(self._round, None)
        if steps is None:
            self._over()
            self._archive()
        else:
            self._todo.extend(steps)
            self._rest() if not steps else self._ask_some()

    def _ask_some(self) -> None:
        """Have some of the steps taken. The histories of their tasks are read at once."""
        at_once = UPKEEP_AT_ONCE if self._is_hurried() else AT_ONCE
        some = [self._todo.popleft() for _ in range(min(at_once, len(self._todo)))]
        self._foresee([id_bytes(step.token) for step in some if step.kind is Kind.TASK])
        self._under_way += len(some)
        self._began = self._began or monotonic()
        for step in some:
            hearing = _Hearing(self._put, step)
            try:
                self._send(id_bytes(step.token), command_of(step, ACTOR, step.version), hearing)
            except TallystickError as error:  # too much waits already, or the ledger closes
                hearing.fail(error)

    def _heard(self, heard: _Heard) -> None:
        self._under_way -= 1
        step, error = heard.step, heard.error
        if error is None:
            self._done[_COUNTED[step.kind, step.action]] += 1
        elif isinstance(error, Refused | NotFound | WrongVersion):
            self._done["skipped"] += 1  # it has gone on since it was looked at
        elif isinstance(error, Corrupt):
            self._done["broken"] += 1
            self._looks.is_broken(id_bytes(step.token))
        else:
            self._trouble = error
        if not self._under_way:
            self._rest()

    def _rest(self) -> None:
        """Let others go first for a moment."""
        if self._is_hurried() or self._pace.by_hand:  # a clock that stands would never end the rest
            self.inbox.wake()
            return
        self._is_resting = True
        took_ms = int((monotonic() - self._began) * MS_PER_S)
        self._began = 0.0
        self._dispatcher.call_at(self._clock() + min(max(REST * took_ms, REST_MS_MIN), REST_MS_MAX), self._rested)

    def _rested(self) -> None:
        self._is_resting = False
        self.inbox.wake()

    def _report(self) -> None:
        """Give a round up in which something could not be written: a full disk must not be asked without end.

        Who waits for it hears that, when what is left of it has been tried.
        """
        trouble, self._trouble = self._trouble, None
        self._failure = self._failure or trouble
        if not isinstance(trouble, Closed):
            log.error("upkeep_not_written", error=str(trouble), kind=type(trouble).__name__, left=len(self._todo))
        self._over()
        if self._served:
            self._archive()

    def _over(self) -> None:
        """End a round, whether it came to its end or not; what is left of it is found at the next."""
        self._round = None
        self._todo.clear()
        done, self._done = self._done, Counter()
        if done:
            log.info(
                "upkeep_done",
                tasks_pruned=done["tasks_pruned"],
                flows_pruned=done["flows_pruned"],
                tasks_stamped=done["tasks_stamped"],
                flows_cancelled=done["flows_cancelled"],
                skipped=done["skipped"],
                broken=done["broken"],
            )
        self._alarm.by(self._clock() + self._pace.interval)
        self.inbox.wake()

    def _archive(self) -> None:
        """Have archived what is old enough; what is pruned is read in the log, if it can be, and not in the archive."""
        if self.archivist is None:
            return
        if not self._is_archiving:
            self._is_archiving = True
            self.archivist.look()
        if self._served:
            self.archivist.hurry()

    def _answer(self, error: BaseException | None = None) -> None:
        served, self._served = self._served, []
        for reply in served:
            with suppress(queue.Full):  # its owner has answered it: nobody waits
                reply.set(None) if error is None else reply.fail(error)
