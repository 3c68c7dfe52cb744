"""The steward: the process manager that brings flows which somebody wants cancelled to their end."""

import queue
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Protocol, TypeAlias

from msgspec import Struct

from tallystick.actors.actor import DispatchedActor
from tallystick.actors.courier.alarm import Alarm
from tallystick.actors.dispatcher import Dispatcher
from tallystick.actors.envelope import Envelope, ExcInfo, Reply
from tallystick.actors.journal import Committed
from tallystick.actors.log import logger
from tallystick.ledger import intake
from tallystick.ledger.clock import Clock
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Closed, Corrupt, NotFound, Refused
from tallystick.ledger.events import Event
from tallystick.ledger.facts.flows import FlowCancelled, FlowCancelRequested
from tallystick.ledger.facts.tasks import TaskCancelRequested
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import id_bytes, id_text
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.redaction import marked
from tallystick.projections.change import Changes
from tallystick.projections.flow_list import FlowList
from tallystick.projections.reader import Reader
from tallystick.projections.seen import Seen
from tallystick.projections.tree import below

log = logger("actors")

STEWARD_ACTOR = "steward"
"""Who says that a flow is cancelled, and wants its tasks cancelled."""

AGAIN_MS = 1_000  # until what could not be written is written again
LOOKED_AT_ONCE = 256  # flows, in one snapshot: none is to be kept for long

Tasks: TypeAlias = list[TaskRecord]


class Send(Protocol):
    """Sends a command to a task or a flow. Raises `Busy` and `Closed`."""

    def __call__(self, stream: bytes, command: Command, reply: Reply) -> None: ...


class Tend(Struct, frozen=True):
    """Asks the steward to do all that there is to do now."""


class _Work(Struct, eq=False):
    """What is known of one flow: which of its tasks are at work, and how many commands are not answered yet."""

    flow: bytes
    active: set[bytes]
    unanswered: int = 0
    is_ending: bool = False


class _Heard(Struct, frozen=True):
    """A command was answered; `failed` when it has to be sent again."""

    work: _Work
    failed: bool


class _Hearing:
    """Takes the answer to one command."""

    __slots__ = ("_steward", "_work")

    def __init__(self, steward: "Steward", work: _Work) -> None:
        self._steward, self._work = steward, work

    def set(self, value: object = None) -> None:
        """It was done."""
        del value
        self._steward.hear(self._work, failed=False)

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        """It was not done."""
        self.fail(None if exc_info is None else exc_info[1])

    def fail(self, error: BaseException | None) -> None:
        """Whoever ended meanwhile, is gone or damaged, needs nothing more; everything else is tried again soon."""
        self._steward.hear(self._work, failed=not isinstance(error, Refused | NotFound | Corrupt | Closed))


class Steward(DispatchedActor):
    """Cancels the tasks of a flow that somebody wants cancelled, and ends the flow when the last of them has ended.

    It is driven by the log alone: what it is to do follows from what is written, so a restart begins where the last
    owner stopped, and replaying a log has no effect. It decides nothing: flows and tasks do, and a command that comes
    twice changes nothing. While a flow is being cancelled no task joins it, so that its tasks at work only get fewer.
    """

    def __init__(self, dispatcher: Dispatcher, reader: Reader, send: Send, clock: Clock, *, by_hand: bool) -> None:
        super().__init__(dispatcher, "urn:tallystick:steward")
        self._reader, self._send, self._clock = reader, send, clock
        self._alarm = Alarm(dispatcher, clock, self._ring, by_hand=by_hand)
        self._works: dict[bytes, _Work] = {}
        self._again: set[bytes] = set()
        self._askers: list[Envelope] = []
        self.watched: set[str] = set()
        """The flows that it brings to their end, by id: only the ends of their tasks need be told."""
        self._due: dict[bytes, FlowRecord] = {}
        """The flows that it has to look at."""
        self.is_blind = True
        """Set when it could not be told of a commit, and at first: then it looks at everything."""

    def begin(self) -> None:
        """Take up what was left. Called once, on the dispatcher's thread."""
        self.inbox.wake()

    def _farewell(self) -> Exception:
        return Closed()

    def handle(self, envelope: Envelope) -> None:
        """Take a message; who asks is answered when all of it is done."""
        if isinstance(envelope.message, Tend) and envelope.reply_to is not None:
            self._askers.append(Envelope(envelope.message, envelope.reply_to))
            envelope = Envelope(envelope.message)
        super().handle(envelope)

    def drain(self) -> None:
        """Handle what waits, and answer who asked when nothing is left to do."""
        super().drain()
        try:
            self._look()
        except Exception as error:  # the next look may do better
            log.exception("steward_failed")
            self.is_blind = True
            self._alarm.by(self._clock() + AGAIN_MS)
            self._answer_askers(error)
        if self._askers and not any(work.unanswered for work in self._works.values()):
            self._answer_askers(None)

    def _answer_askers(self, error: Exception | None) -> None:
        askers, self._askers = self._askers, []
        for asker in askers:
            assert asker.reply_to is not None, "who asks hears"
            with suppress(queue.Full):  # it has been answered: nobody waits
                if error is None:
                    asker.reply_to.set(None)
                else:
                    asker.reply_to.fail(error)

    def abandon(self) -> None:
        """Answer who asked: the dispatcher has ended."""
        super().abandon()
        self._answer_askers(Closed())

    def concern(self, batch: Committed) -> Committed | None:
        """Return what of a commit is about flows, and the ends of tasks of flows that are being cancelled."""
        tasks, flows, watched = batch.changes.tasks, batch.changes.flows, self.watched
        if not (flows or watched):
            return None
        ended = {
            stream: change
            for stream, change in tasks.items()
            if change.after.parent_flow_id in watched and not change.after.is_active
        }
        return Committed(batch.first, batch.last, Changes(ended, flows)) if ended or flows else None

    def on_receive(self, message: object) -> object:
        """Take note of commits, answers and orders."""
        match message:
            case Committed():
                self._note(message)
            case _Heard():
                self._heard(message)
            case Tend():
                self.is_blind = True
            case _:
                return super().on_receive(message)
        return None

    def hear(self, work: _Work, *, failed: bool) -> None:
        """A command was answered. Any thread may say so."""
        self.inbox.put_behind([Envelope(_Heard(work, failed))])

    # What is heard of.

    def _note(self, batch: Committed) -> None:
        for stream, change in batch.changes.flows.items():
            record = change.after
            if not record.is_active:
                self._forget(stream)
            elif record.cancel_requested_at is not None and stream not in self._works:
                self._take_up(record)
        for stream, ended in batch.changes.tasks.items():
            flow_id = ended.after.parent_flow_id
            work = None if flow_id is None else self._works.get(id_bytes(flow_id))
            if work is not None and flow_id is not None:
                work.active.discard(stream)
                self._end_if_done(id_bytes(flow_id), work)

    def _heard(self, message: _Heard) -> None:
        work = message.work
        work.unanswered -= 1
        if message.failed:
            self._again.add(work.flow)
            self._alarm.by(self._clock() + AGAIN_MS)

    def _ring(self) -> None:
        again, self._again = self._again, set()
        for stream in again:
            work = self._works.get(stream)
            if work is not None and work.unanswered:
                self._again.add(stream)  # it is looked at anew when all that was sent has been answered
                self._alarm.by(self._clock() + AGAIN_MS)
            else:
                self._forget(stream)
        self.is_blind = True
        self.inbox.wake()

    # What is done.

    def _look_at_all(self) -> None:
        found = {record.stream: record for record in self._reader.answer(lambda seen: FlowList(seen).cancelling())}
        for stream in self._works.keys() - found.keys():  # they have ended, and it was not told
            self._forget(stream)
        for record in found.values():
            work = self._works.get(record.stream)
            if work is None or not work.unanswered:
                self._take_up(record)

    def _take_up(self, record: FlowRecord) -> None:
        """Look at a flow soon. From now on it is told of what ends; what has ended is read when it looks."""
        self.watched.add(record.flow_id)
        self._due[record.stream] = record

    def _look(self) -> None:
        """Look at what is due, many flows in one snapshot: to make one costs more the more has just been written."""
        if self.is_blind:
            self.is_blind = False
            self._look_at_all()
        while self._due:
            due = dict(islice(self._due.items(), LOOKED_AT_ONCE))
            for stream, (own, others) in self._seen_of(list(due)).items():
                self._bring_on(stream, due[stream], own, others)
            for stream in due:
                self._due.pop(stream, None)

    def _seen_of(self, streams: list[bytes]) -> dict[bytes, tuple[Tasks, Tasks]]:
        """Return what is at work of flows. One that cannot be looked at keeps no other from it, and waits a while."""
        try:
            return self._reader.answer(partial(_all_at_work, streams=streams))
        except Corrupt:
            if len(streams) > 1:
                return {stream: each for one in streams for stream, each in self._seen_of([one]).items()}
            log.exception("steward_failed")
            self._again.update(streams)
            self._alarm.by(self._clock() + AGAIN_MS)
            return {}

    def _bring_on(self, stream: bytes, record: FlowRecord, own: Tasks, others: Tasks) -> None:
        """Cancel what is at work of a flow, or end it."""
        work = self._works[stream] = _Work(stream, {task.stream for task in own})
        command = Command(self._request(stream, record), STEWARD_ACTOR, inferred=True)
        for task in (*own, *others):
            if task.cancel_requested_at is None:
                self._ask(work, task.stream, command)
        self._end_if_done(stream, work)

    def _request(self, stream: bytes, record: FlowRecord) -> TaskCancelRequested:
        """Return what the tasks of a flow are asked, marked where it repeats what the flow was told, with marks."""
        request = intake.cancel_requested(_reason(record))
        if record.cancel_reason is None:
            return request
        history = self._reader.answer(lambda seen: seen.history(stream))
        told = (stored.data for stored in history if isinstance(stored, Event))
        had_one = any(isinstance(each, FlowCancelRequested) and "reason" in each.redacted for each in told)
        return marked(request, ("reason",) if had_one else ())  # whatever it says: it may be erased by now

    def _end_if_done(self, stream: bytes, work: _Work) -> None:
        if not work.active and not work.is_ending:
            work.is_ending = True
            self._ask(work, stream, Command(FlowCancelled(), STEWARD_ACTOR, inferred=True))

    def _ask(self, work: _Work, stream: bytes, command: Command) -> None:
        work.unanswered += 1
        hearing = _Hearing(self, work)
        try:
            self._send(stream, command, hearing)
        except Exception as error:  # noqa: BLE001 - Busy, Closed: as an answer
            hearing.fail(error)

    def _forget(self, stream: bytes) -> None:
        self._works.pop(stream, None)
        self._due.pop(stream, None)
        self.watched.discard(id_text(stream))


def _all_at_work(seen: Seen, streams: Iterable[bytes]) -> dict[bytes, tuple[Tasks, Tasks]]:
    return {stream: _at_work(seen, stream) for stream in streams}


def _at_work(seen: Seen, stream: bytes) -> tuple[Tasks, Tasks]:
    """Return the tasks of a flow that are at work, and those that are at work below any of its tasks."""
    own = FlowList(seen).tasks_of(stream)
    reached: dict[bytes, TaskRecord] = {}
    for task in reversed(own):  # the oldest first: what is below others is reached from there, once
        if task.stream not in reached:
            reached.update((each.stream, each) for each in below(seen.children, task.task_id))
    for task in own:
        reached.pop(task.stream, None)
    return [task for task in own if task.is_active], [task for task in reached.values() if task.is_active]


def _reason(record: FlowRecord) -> str:
    """Return why the tasks of a flow are cancelled."""
    why = f"with its flow {record.flow_id}"
    return why if record.cancel_reason is None else f"{why}: {record.cancel_reason}"
