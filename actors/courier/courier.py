"""The courier: the actor that sends what waits in outboxes, and has recorded what became of it."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from tallystick.actors.actor import DispatchedActor
from tallystick.actors.courier.alarm import Alarm
from tallystick.actors.courier.askers import Askers
from tallystick.actors.courier.backlog import AGAIN_MS, Backlog
from tallystick.actors.courier.endpoint import Endpoint, Job
from tallystick.actors.courier.errands import Errand, Finish, Heard, Served, Settled
from tallystick.actors.courier.outcomes import Arrived, Doubtful, Outcome, fact_of, understood, why_not_tried
from tallystick.actors.courier.pacing import Pacing
from tallystick.actors.courier.recorder import Key, Recorder, Send, Written
from tallystick.actors.courier.senders import Dropped, Senders
from tallystick.actors.courier.shelf import Shelf
from tallystick.actors.courier.waker import Waker
from tallystick.actors.dispatcher import Dispatcher
from tallystick.actors.envelope import Envelope
from tallystick.actors.journal import Committed
from tallystick.actors.log import logger
from tallystick.actors.watching.crew import Crew, Unanswered
from tallystick.ledger.clock import Clock
from tallystick.ledger.delivery import Permanent
from tallystick.ledger.errors import Closed
from tallystick.ledger.events import TaskFact
from tallystick.ledger.facts.deliveries import DeliveryDismissed, DeliveryFailed
from tallystick.ledger.outbox import Waiting, sendable
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.redaction import Strip
from tallystick.ledger.withholding import STALE
from tallystick.projections.change import Change, Changes

log = logger("actors")

MS_PER_S = 1_000

Secrets = Callable[[], tuple[str, ...]]
"""Says what no error may have in it."""

Attempted = Callable[[str, TaskFact], None]
"""Told of every attempt: the name of the channel, and what is recorded of it."""


class _Sent(Struct, frozen=True):
    """A channel has answered, or something took its answer's place."""

    job: Job
    answer: Any


class Courier(DispatchedActor):
    """Sends messages when they are due, each at least once, those of one task and route in their order.

    Whatever takes time happens on the crew. Endpoints do not wait for each other: each has a queue of its own, a bound
    of its own, and a breaker. What does not fit a queue waits in the index. An attempt that was under way when the
    process ended is made again, with the same id and the same text.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        shelf: Shelf,
        *,
        record: Send,
        senders: Senders,
        waker: Waker,
        crew: Crew,
        clock: Clock,
        pacing: Pacing,
        by_hand: bool,
        tell_pause: Callable[[Endpoint], None],
        secrets: Secrets = tuple,
        discreet: Strip = str,
    ) -> None:
        super().__init__(dispatcher, "urn:tallystick:courier")
        self._shelf, self._senders, self._secrets, self._discreet = shelf, senders, secrets, discreet
        self._waker, self._crew, self._clock, self._pacing = waker, crew, clock, pacing
        self._tell_pause = tell_pause
        self._alarm = Alarm(dispatcher, clock, self._tick, by_hand=by_hand)
        self._recorder = Recorder(record, self._put)
        self.is_blind = False
        """Set when it could not be told of a commit: then it has to look into the index."""
        self._askers = Askers()
        self._backlog = Backlog(
            shelf, self._askers, pacing=pacing, clock=clock, is_recorded=self._recorder.holds, look_by=self._alarm.by
        )
        self._jobs = self._backlog.jobs
        self.attempted: Attempted | None = None
        self._opened_at = clock()
        self._finishing = self._is_due = self._has_unconfirmed = False

    def _put(self, message: object) -> None:
        self.inbox.put_behind([Envelope(message)])  # admitted already: a bound would lose an answer

    def concern(self, batch: Committed) -> Committed | None:
        """Return what of a commit is about messages."""
        told = {stream: change for stream, change in batch.changes.tasks.items() if _is_about_messages(change)}
        return Committed(batch.first, batch.last, Changes(told)) if told else None

    def begin(self) -> None:
        """Begin to send. Called once, on the dispatcher's thread."""
        self._is_due = True
        self.inbox.wake()

    def _farewell(self) -> Exception:
        return Closed()

    def handle(self, envelope: Envelope) -> None:
        """Take a message; a sweep is answered when all of it is done."""
        if isinstance(envelope.message, Errand | Settled | Finish) and envelope.reply_to is not None:
            self._askers.add(envelope.reply_to)
            envelope = Envelope(envelope.message)
        super().handle(envelope)

    def abandon(self) -> None:
        """Answer what waits: the dispatcher has ended."""
        super().abandon()
        self._askers.fail(Closed())

    def drain(self) -> None:
        """Handle what waits, then send what may be sent."""
        super().drain()
        try:
            if self.is_blind:
                self.is_blind = False
                self._see_again()
            if self._is_due and self._backlog.is_ready():
                self._recorder.rewrite()
                self._look(self._clock())
                self._is_due = False
            elif self._has_unconfirmed and not self._finishing and self._recorder.has_room():
                self._see_to_unconfirmed(self._clock())
            self._pump()
            if not self._finishing and self._waker.rouse_some():
                self.inbox.wake()
        except Exception:  # the next turn may do better
            log.exception("courier_failed")
            self._is_due = True
            self._alarm.by(self._clock() + AGAIN_MS)
        self._answer_askers()

    def on_receive(self, message: object) -> object:
        """Take note of commits, answers and orders."""
        match message:
            case Committed():
                for stream, change in message.changes.tasks.items():
                    self._note(stream, change)
            case _Sent():
                self._sent(message)
            case Written():
                self._written(message)
            case Served():
                for endpoint in self._shelf.endpoints():
                    if endpoint.channel == message.channel and endpoint.worked():
                        endpoint.has_more = True
                        self._tell_pause(endpoint)
                self._is_due = True
            case Heard():
                self._waker.listen(message.callback)
                self._waker.rouse(self._shelf.sessions)
            case Errand():
                self._waker.tell_due()
                self._is_due = True
            case Settled():  # who asks may have heard of a commit before it was told here
                self._is_due = True
            case Finish():
                self._finishing = True
                self._recorder.rewrite()
            case _:
                return super().on_receive(message)
        return None

    # What is heard of.

    def _note(self, stream: bytes, change: Change[TaskRecord]) -> None:
        before = () if change.before is None else change.before.outbox
        now = self._clock()
        if _is_erased(change):
            self._unsay(stream)
        self._backlog.heard(stream, list(sendable(change.after.outbox)), now)
        for waiting in change.after.outbox:
            if waiting.session is not None and waiting not in before:
                self._waker.wake(waiting.session)
                if waiting.due_at is not None:
                    self._alarm.by(waiting.due_at)

    def _unsay(self, stream: bytes) -> None:
        """Have no endpoint tell any more why it did not take what was erased."""
        for endpoint in self._shelf.endpoints():
            if endpoint.error_of == stream:
                endpoint.unsay()
                self._tell_pause(endpoint)

    def _see_again(self) -> None:
        """Something was not heard of: what stands in the queues may not be true any more."""
        for endpoint in self._shelf.endpoints():
            self._backlog.put_back(endpoint)
        self._waker.rouse(self._shelf.sessions)
        self._is_due = True

    # What is due.

    def _look(self, now: int) -> None:
        """Take up what is due by the index: messages of every endpoint, and media that no session has confirmed."""
        self._backlog.look(now)
        self._opened_at = min(self._opened_at, now)  # the clock may have been set back
        self._see_to_unconfirmed(now)
        self._alarm.by(self._shelf.next_unconfirmed(now))

    def _see_to_unconfirmed(self, now: int) -> None:
        """Give up as many waits for sessions as there is room for; the others when there is room again."""
        self._has_unconfirmed = True
        for stream, waiting in self._shelf.unconfirmed(now, self._recorder.holds):
            if not self._recorder.has_room():
                return
            error = f"the session did not confirm it within {(now - waiting.queued_at) // MS_PER_S} s"
            self._give_up(stream, waiting, error)
        self._has_unconfirmed = False

    def _give_up(self, stream: bytes, waiting: Waiting, error: str) -> None:
        self._askers.took((stream, waiting.delivery), waiting)
        self._recorder.write(stream, DeliveryFailed(delivery=waiting.delivery, attempt=waiting.attempts, error=error))

    def _tick(self) -> None:
        self._is_due = True
        self.inbox.wake()

    # Sending.

    def _pump(self) -> None:
        """Hand out what may be sent now, of every endpoint as much as it may have under way."""
        if self._finishing or self._crew.is_closed():
            return
        now = self._clock()
        for endpoint in self._shelf.endpoints():
            while self._recorder.has_room() and endpoint.may_send(now) and self._next(endpoint, now):
                self._shelf.put_last(endpoint)
            if endpoint.paused_until is not None and (endpoint.queue or endpoint.has_more):
                self._alarm.by(max(endpoint.paused_until, now))

    def _next(self, endpoint: Endpoint, now: int) -> bool:
        """Do something about the endpoint's next message; whether there was one."""
        while not endpoint.queue:
            if not endpoint.has_more or not self._backlog.is_ready() or not self._backlog.fill(endpoint, now):
                return False
        job = endpoint.queue.popleft()
        if job.is_dropped:
            self._jobs.remove(job)
            self._backlog.reconsider(job.stream, now)
        elif job.waiting.until is not None and now >= job.waiting.until:
            self._jobs.remove(job)
            self._recorder.write(job.stream, DeliveryDismissed(delivery=job.waiting.delivery, reason=STALE))
        elif self._is_over(job, now):
            span = self._pacing.window // MS_PER_S
            error = f"not delivered within {span} s" + (f": {endpoint.error}" if endpoint.error else "")
            self._jobs.remove(job)
            self._give_up(job.stream, job.waiting, error)
        elif not self._senders.serves(endpoint.channel):
            endpoint.hold(now, now + self._pacing.ceiling, f"nobody serves the channel {endpoint.channel}")
            self._leave(job)
            return False
        elif endpoint.is_quiet(now):
            endpoint.hold(now, min(now + self._pacing.ceiling, endpoint.quiet_until), endpoint.error)
            self._leave(job)
            return False
        else:
            self._hand_out(job)
        return True

    def _is_over(self, job: Job, now: int) -> bool:
        """Whether to give up: not before somebody has tried, or nobody has come to do so while the ledger was open."""
        waiting = job.waiting
        if waiting.due_at != waiting.queued_at:  # it was tried since it was queued, or since it was to be sent again
            return self._pacing.is_over(now, waiting.queued_at)
        is_served = self._senders.serves(job.endpoint.channel)
        return not is_served and self._pacing.is_over(now, max(waiting.queued_at, self._opened_at))

    def _leave(self, job: Job) -> None:
        """Leave a message, and those behind it, to the index until its endpoint may be tried again."""
        self._jobs.remove(job)
        self._backlog.put_back(job.endpoint)
        self._tell_pause(job.endpoint)

    def _hand_out(self, job: Job) -> None:
        job.endpoint.begin()
        job.is_handed_out = True
        self._crew.call(
            f"channel {job.endpoint.line.name}",
            job.stream + job.waiting.delivery.encode(),
            self._senders.send,
            job,
            limit_s=self._pacing.limit / MS_PER_S,
            done=lambda answer: self._put(_Sent(job, answer)),
        )

    def _sent(self, message: _Sent) -> None:
        job, now = message.job, self._clock()
        endpoint, answer = job.endpoint, message.answer
        endpoint.end()
        if isinstance(answer, Unanswered) and answer.hangs:  # it alone has to wait: others can be sent
            self._jobs.remove(job)
            self._record(job, Doubtful(str(answer)), now)
        elif isinstance(answer, Dropped) and not job.has_begun:
            self._jobs.remove(job)
            self._backlog.reconsider(job.stream, now)
        elif not job.has_begun and isinstance(answer, BaseException) and not isinstance(answer, Permanent):
            if not self._crew.is_closed():  # nobody has tried
                endpoint.hold(now, now + self._pacing.first, why_not_tried(answer))
            self._leave(job)
        else:
            self._jobs.remove(job)
            outcome = understood(answer, self._secrets())
            self._judge(job, outcome, now)
            self._record(job, outcome, now)

    def _record(self, job: Job, outcome: Outcome, now: int) -> None:
        fact = fact_of(job, outcome, now, self._pacing)
        if self.attempted is not None:
            self.attempted(job.endpoint.channel, fact)
        self._recorder.write(job.stream, fact)

    def _judge(self, job: Job, outcome: Outcome, now: int) -> None:
        """Take note of what an outcome says about the endpoint: one that rejects for good does work.

        That one did not take what nobody waits for any more is no reason for a pause: that would tell of it.
        """
        endpoint = job.endpoint
        if isinstance(outcome, Arrived) or (not isinstance(outcome, Doubtful) and not outcome.again):
            changed = endpoint.worked()
            if changed:
                endpoint.has_more = True
        elif job.is_dropped:
            return
        else:
            error = self._discreet(outcome.error)  # no event has this, of which the hooks take care
            changed = endpoint.failed(now, error, of=job.stream, after_ms=outcome.after_ms)
            if changed:
                log.error("endpoint_paused", endpoint=endpoint.name, until=endpoint.paused_until, error=error)
        if changed:
            self._tell_pause(endpoint)

    def _written(self, written: Written) -> None:
        self._askers.recorded(written)
        if self._recorder.written(written):
            known = None if written.record is None else list(sendable(written.record.outbox))
            self._backlog.reconsider(written.stream, self._clock(), known)
        elif self._recorder.is_behind():
            self._alarm.by(self._clock() + AGAIN_MS)

    # Who waits.

    def _answer_askers(self) -> None:
        if not self._askers:
            return
        now, endpoints = self._clock(), self._shelf.endpoints()
        if self._askers.are_new():
            keys = {*self._jobs.keys(), *self._recorder.keys()}
            self._askers.begin(keys, {each for each in endpoints if each.has_more}, self._shelf.head(), now)
        can_write = self._recorder.has_room() or self._recorder.is_writing()
        may_begin = can_write and not self._finishing and not self._crew.is_closed()

        def is_busy(key: Key) -> bool:
            job = self._jobs.get(key)
            if job is None:
                return self._recorder.is_writing_of(key)
            return job.is_handed_out or (may_begin and job.endpoint.goes_on(now))

        if not (self._has_unconfirmed and may_begin):
            self._askers.answer(is_busy, lambda each: each.has_more and may_begin and each.goes_on(now))


def _is_about_messages(change: Change[TaskRecord]) -> bool:
    after = change.after.outbox
    return bool(after) if change.before is None else after is not change.before.outbox or _is_erased(change)


def _is_erased(change: Change[TaskRecord]) -> bool:
    before = None if change.before is None else change.before.erased
    return change.after.erased is not None and change.after.erased is not before
