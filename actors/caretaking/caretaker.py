"""The caretaker: the actor that sees to what runs leave behind."""

import queue
from collections.abc import Callable, Sequence
from contextlib import suppress

from tallystick.actors.actor import DispatchedActor
from tallystick.actors.caretaking.cleaning import KEY, Cleaning, Closed
from tallystick.actors.caretaking.closers import Closers
from tallystick.actors.caretaking.orders import Care, Finish
from tallystick.actors.caretaking.pen import Pen, Send, Soon, Written
from tallystick.actors.caretaking.waits import Waits
from tallystick.actors.courier.alarm import Alarm
from tallystick.actors.dispatcher import Dispatcher
from tallystick.actors.envelope import Envelope, Reply
from tallystick.actors.journal import Committed
from tallystick.actors.log import logger
from tallystick.actors.watching.crew import Crew
from tallystick.ledger import errors
from tallystick.ledger.clock import Clock
from tallystick.ledger.events import TaskFact
from tallystick.ledger.facts.deliveries import DeliveryReleased
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import TIME_MS_MAX, VIEWS_LAG_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.withholding import Proposal, proposed
from tallystick.projections.change import Change, Changes
from tallystick.projections.due import DueKind
from tallystick.projections.keys import WITHHELD, outbox_heading
from tallystick.projections.reader import Reader

log = logger("actors")

SLICE = 32  # runs that are judged in one turn: others have mail, too
AGAIN_MS = 1_000  # until what could not be done is tried again

Output = Callable[[TaskRecord, DeliveryReleased, Sequence[str]], DeliveryReleased]
"""Puts the final outputs of several tasks into what releases the message about another."""


class Caretaker(DispatchedActor):
    """Releases messages that wait for the work below their task, and has closed what tasks leave open.

    It hears of commits, and looks into the index when it begins, when it could not be told, and when it is asked: so
    nothing depends on what it remembers. What it proposes the task's own actor decides.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        reader: Reader,
        *,
        record: Send,
        soon: Soon,
        output: Output,
        closers: Closers,
        crew: Crew,
        clock: Clock,
        first_ms: int,
        limit_ms: int,
        by_hand: bool,
    ) -> None:
        super().__init__(dispatcher, "urn:tallystick:caretaker")
        self._reader, self._output, self._clock = reader, output, clock
        self._pen = Pen(record, soon, self._put)
        self._cleaning = Cleaning(closers, crew, self._pen, self._put, limit_ms=limit_ms)
        self._waits = Waits()
        self._alarm = Alarm(dispatcher, clock, self._ring, by_hand=by_hand)
        self._todo: dict[bytes, None] = {}
        self._hopeless: set[bytes] = set()
        self._askers: list[Reply] = []
        self._leftovers_from = clock() + first_ms
        self._is_due = self._wants_leftovers = self._finishing = False
        self.is_blind = False
        """Set when it could not be told of a commit: then it has to look into the index."""

    def _put(self, message: object) -> None:
        self.inbox.put_behind([Envelope(message)])  # admitted already: a bound would lose an answer

    def begin(self) -> None:
        """Begin to look. Called once, on the dispatcher's thread."""
        self._alarm.by(self._leftovers_from)
        self._ring()

    def _ring(self) -> None:
        self._is_due = True
        self.inbox.wake()

    def _farewell(self) -> Exception:
        return errors.Closed()

    def concern(self, batch: Committed) -> Committed | None:
        """Return what of a commit is about withheld messages, about things left open, or about ends that it awaits."""
        told = {stream: change for stream, change in batch.changes.tasks.items() if self._concerns(stream, change)}
        return Committed(batch.first, batch.last, Changes(told)) if told else None

    def _concerns(self, stream: bytes, change: Change[TaskRecord]) -> bool:
        before, after = change.before, change.after
        if after.outbox and (before is None or after.outbox is not before.outbox):
            for waiting in after.outbox:
                if waiting.is_withheld:
                    return True
        return after.ended_at is not None and (bool(after.resources) or self._waits.is_awaited(stream))

    def handle(self, envelope: Envelope) -> None:
        """Take a message; whoever asks is answered when all of it is done."""
        if isinstance(envelope.message, Care | Finish) and envelope.reply_to is not None:
            self._askers.append(envelope.reply_to)
            envelope = Envelope(envelope.message)
        super().handle(envelope)

    def abandon(self) -> None:
        """Answer what waits: the dispatcher has ended."""
        super().abandon()
        self._answer(errors.Closed())

    def drain(self) -> None:
        """Handle what waits, then see to some of what there is to do."""
        super().drain()
        try:
            if self.is_blind:
                self.is_blind, self._is_due = False, True
                self._waits.clear()
            if self._is_due and self._is_ready():
                self._is_due = False
                self._cleaning.rewrite()
                self._look()
            self._judge_some()
        except Exception as error:  # the next turn may do better; who waits for this one hears it
            log.exception("caretaking_failed")
            self._again()
            self._answer(error)
        if not self._is_busy():
            self._answer()

    def on_receive(self, message: object) -> object:
        """Take note of commits, answers and orders."""
        match message:
            case Committed():
                for stream, change in message.changes.tasks.items():
                    self._note(stream, change)
            case Written():
                self._written(message)
            case Closed():
                self._cleaning.answered(message)
            case Care():
                self._is_due = True
                self._wants_leftovers |= message.leftovers
            case Finish():
                self._finishing = True
                self._cleaning.rewrite()
            case _:
                return super().on_receive(message)
        return None

    # What is heard of.

    def _note(self, stream: bytes, change: Change[TaskRecord]) -> None:
        after = change.after
        if after.is_active:
            self._note_withheld(after)  # progress
            return
        self._todo.update(dict.fromkeys(self._waits.over(stream)))
        self._note_withheld(after)
        self._clean(after)

    def _note_withheld(self, record: TaskRecord) -> None:
        if any(waiting.is_withheld for waiting in record.outbox) and not self._waits.is_waiting(record.stream):
            self._todo[record.stream] = None

    def _clean(self, record: TaskRecord) -> None:
        if not self._finishing and record.stream not in self._hopeless:
            self._cleaning.see_to(record)

    # What there is to do.

    def _is_ready(self) -> bool:
        """Whether the index can be asked now; else it is asked a while later, unless somebody waits for it."""
        if self._finishing:
            return False
        if self._askers or self._reader.lag("board", "outbox", "due") <= VIEWS_LAG_MAX:
            return True
        self._alarm.by(self._clock() + AGAIN_MS)
        return False

    def _look(self) -> None:
        """Take up what the index has: messages that are withheld, and what was left open."""
        now = self._clock()
        later: list[int] = []
        for due_at, stream in self._reader.slots(outbox_heading(WITHHELD), TIME_MS_MAX):
            if due_at <= now or not self._waits.is_waiting(stream):
                self._todo[stream] = None
            else:
                later.append(due_at)
        self._alarm.by(min(later, default=None))
        if self._wants_leftovers or now >= self._leftovers_from:
            self._wants_leftovers = False
            streams = [due.stream for due in self._reader.due(TIME_MS_MAX, kinds={DueKind.CLEANUP})]
            for record in self._reader.records(streams).values():
                self._clean(record)

    def _judge_some(self) -> None:
        if self._finishing:
            self._todo.clear()
        for _ in range(min(SLICE, len(self._todo))):
            stream = next(iter(self._todo))
            del self._todo[stream]
            if stream not in self._hopeless:
                self._judge(stream)
        if self._todo:
            self.inbox.wake()

    def _judge(self, stream: bytes) -> None:
        """Propose what becomes of a run's withheld messages; what has to wait is heard of when that is over."""
        self._waits.end(stream)
        family = self._reader.family(stream)
        if family is None:
            return
        now, has_to_wait = self._clock(), False
        for waiting in family.task.outbox:
            if not waiting.is_withheld or self._pen.is_writing(stream, waiting.delivery):
                continue
            proposal = proposed(family.task, waiting, family.below, now=now, as_of=family.head)
            if proposal is None:
                has_to_wait = True
                self._alarm.by(waiting.due_at)
            else:
                self._propose(family.task, proposal)
        if has_to_wait:
            self._wait(stream, [record.stream for record in family.below if record.is_active])

    def _wait(self, run: bytes, tasks: list[bytes]) -> None:
        """Hear of the ends of these tasks from now on; what has ended in between was not told of."""
        self._waits.begin(run, tasks)
        records = self._reader.records(tasks)
        for task in tasks:
            if task not in records or not records[task].is_active:
                self._todo.update(dict.fromkeys(self._waits.over(task)))

    def _propose(self, run: TaskRecord, proposal: Proposal) -> None:
        fact, outputs = proposal.fact, proposal.outputs
        assert fact.delivery is not None, "it is about one message"

        def made() -> TaskFact:
            if not outputs or not isinstance(fact, DeliveryReleased):
                return fact
            return self._output(run, fact, outputs)

        self._pen.write(run.stream, fact.delivery, made)

    def _written(self, written: Written) -> None:
        self._pen.written(written)
        if isinstance(written.error, errors.Corrupt):  # nothing is ever recorded of this task again
            self._hopeless.add(written.stream)
        if written.key == KEY:
            self._cleaning.written(written)
        elif written.record is not None:
            self._note_withheld(written.record)
        if not written.is_decided:
            log.error("caretaking_not_written", task=id_text(written.stream), error=str(written.error))
            self._again()

    def _again(self) -> None:
        """Look again in a while."""
        self._alarm.by(self._clock() + AGAIN_MS)

    # Who waits.

    def _is_busy(self) -> bool:
        if self._finishing:
            return bool(len(self._pen)) or self._cleaning.is_busy()
        return bool(self._todo) or self._is_due or bool(len(self._pen)) or self._cleaning.is_busy()

    def _answer(self, error: Exception | None = None) -> None:
        askers, self._askers = self._askers, []
        for reply in askers:
            with suppress(queue.Full):  # its owner has answered it: nobody waits
                reply.set(None) if error is None else reply.fail(error)
