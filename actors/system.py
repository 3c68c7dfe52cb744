"""The system: the actors of one open ledger, how they start and in which order they stop."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from tallystick.actors.caretaking.caretaker import Caretaker
from tallystick.actors.caretaking.closers import Closer, Closers
from tallystick.actors.caretaking.orders import Care
from tallystick.actors.caretaking.orders import Finish as FinishClosing
from tallystick.actors.courier.courier import Courier
from tallystick.actors.courier.errands import Errand, Finish, Settled
from tallystick.actors.courier.pacing import Pacing
from tallystick.actors.courier.pauses import over, pause_note
from tallystick.actors.courier.senders import Senders
from tallystick.actors.courier.shelf import Shelf
from tallystick.actors.courier.waker import Waker
from tallystick.actors.dispatcher import MS_PER_S, Dispatcher
from tallystick.actors.envelope import Envelope, Reply
from tallystick.actors.errand import all_of, is_answered_within, is_done_within
from tallystick.actors.flow import FlowActor
from tallystick.actors.flows import Flows
from tallystick.actors.future import LightFuture
from tallystick.actors.journal import Committed, Journal
from tallystick.actors.keeping.upkeep import Upkeep
from tallystick.actors.log import logger
from tallystick.actors.news import Listener, Listeners, tell
from tallystick.actors.projector import ProjectorActor, ReadModel, Standing, reach
from tallystick.actors.steward import Steward, Tend
from tallystick.actors.stream import AwaitEnd
from tallystick.actors.task import TaskActor
from tallystick.actors.tasks import Tasks
from tallystick.actors.telling import Telling
from tallystick.actors.watching.crew import Crew
from tallystick.actors.watching.orders import Follow, Look, Pace, Settle, Sweep
from tallystick.actors.watching.supervision import Supervision
from tallystick.actors.watching.supervisor import Supervisor
from tallystick.ledger.clock import Clock
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Busy, Closed
from tallystick.ledger.events import OF_FLOWS
from tallystick.ledger.lifecycle import Runtime
from tallystick.ledger.limits import (
    ACTORS_LIVE_MAX,
    ACTORS_READY_MAX,
    BATCH_EVENTS_MAX,
    CLOSE_CLEANUPS_MS,
    CLOSE_DELIVERIES_MS,
    DELIVERIES_AT_ONCE,
)
from tallystick.ledger.store.port import EventLog
from tallystick.projections.due import DueRules
from tallystick.projections.reader import Reader
from tallystick.projections.watched import watched

if TYPE_CHECKING:
    import asyncio

log = logger("actors")

VIEWS_LINGER_S = 0.005
WATCH_LINGER_S = 0.01
CARRY_QUICK_S = 0.003  # who carries a message mostly waits, so more of them do more; but writers come first
CLOSE_S_MAX = 30.0


class System:
    """All actors of one ledger, on few threads: for facts, for the read models that follow them, for the supervisor.

    `start` begins, `close` ends: it takes no new commands, commits what was accepted, answers everybody, lets the
    read models catch up, and stops the threads. Nothing that was acknowledged is lost by either.
    """

    def __init__(
        self,
        event_log: EventLog,
        models: Sequence[ReadModel],
        clock: Clock,
        *,
        live_max: int = ACTORS_LIVE_MAX,
        batch_events_max: int = BATCH_EVENTS_MAX,
        telling: Telling | None = None,
    ) -> None:
        self.log, self._listeners = event_log, Listeners()
        self.journal = Journal(event_log, clock, self._committed, events_max=batch_events_max)
        self.dispatcher = Dispatcher(
            "facts", clock, end_turn=self._end_turn, is_full=self.journal.is_full, at_end=self._abandon
        )
        self.directory = Tasks(event_log, self.journal, self.dispatcher, live_max=live_max, telling=telling)
        self.flows = Flows(event_log, self.journal, self.dispatcher, live_max=live_max)
        self.directory.flows, self.flows.tasks = self.flows, self.directory
        self.followers = Dispatcher("views", clock, linger_s=VIEWS_LINGER_S)
        self.projectors = [ProjectorActor(self.followers, model, event_log) for model in models]
        self.watchers = Dispatcher("watch", clock, linger_s=WATCH_LINGER_S, at_end=self._abandon_watch)
        self.supervisor: Supervisor | None = None
        self.steward: Steward | None = None
        self.post = Dispatcher("post", clock, at_end=self._abandon_post)
        self.courier: Courier | None = None
        self.senders = Senders(event_log)
        self.caretaker: Caretaker | None = None
        self.upkeep: Upkeep | None = None
        self.closers = Closers()
        self._crew = self._carriers = Crew()
        self._clock, self._started, self._closed = clock, False, False

    def supervise(
        self,
        reader: Reader,
        supervision: Supervision,
        *,
        rules: DueRules,
        pace: Pace,
        judges: bool = True,
        loop: "asyncio.AbstractEventLoop | None" = None,
    ) -> None:
        """Watch over the work behind the tasks, from `start` on. Coroutine functions run on `loop`, else on our own."""
        self._crew = Crew(loop=loop)
        self.supervisor = Supervisor(
            self.watchers,
            self,
            reader,
            supervision,
            clock=self._clock,
            rules=rules,
            crew=self._crew,
            pace=pace,
            judges=judges,
            opened_at=self.log.head(),
            before=watched(self.log),
        )
        self.steward = Steward(self.watchers, reader, self.direct, self._clock, by_hand=pace.by_hand)

    def deliver(
        self,
        reader: Reader,
        *,
        pacing: Pacing,
        by_hand: bool = False,
        loop: "asyncio.AbstractEventLoop | None" = None,
    ) -> None:
        """Send what waits in outboxes, from `start` on. Coroutine functions run on `loop`, else on our own."""
        self._carriers = Crew(at_once=DELIVERIES_AT_ONCE, quick_s=CARRY_QUICK_S, loop=loop)
        self.courier = Courier(
            self.post,
            Shelf(reader, pacing),
            record=self._record,
            senders=self.senders,
            waker=Waker(self.post, self._clock, self._carriers, by_hand=by_hand),
            crew=self._carriers,
            clock=self._clock,
            pacing=pacing,
            by_hand=by_hand,
            tell_pause=lambda endpoint: self.keep(*pause_note(endpoint)),
            secrets=lambda: self.directory.telling.redaction.secrets,
            discreet=self.directory.telling.redaction.words,
        )

    def care(
        self, reader: Reader, *, closers: Mapping[str, Closer], first_ms: int, limit_ms: int, by_hand: bool = False
    ) -> None:
        """See to what runs leave behind, from `start` on. What these close nobody need register a closer for."""
        self.closers = Closers(closers)
        self.caretaker = Caretaker(
            self.post,
            reader,
            record=self._record,
            soon=self.dispatcher.call_soon,
            output=self.directory.with_output,
            closers=self.closers,
            crew=self._crew,
            clock=self._clock,
            first_ms=first_ms,
            limit_ms=limit_ms,
            by_hand=by_hand,
        )

    def start(self) -> None:
        """Start the threads and let the read models catch up."""
        self._started = True
        self.dispatcher.start()
        self.followers.start()
        if self.courier is not None:
            for name, value in over(self.log):
                self.keep(name, value)
            self.post.start()
            self.post.call_soon(self.courier.begin)
            if self.caretaker is not None:
                self.post.call_soon(self.caretaker.begin)
        if self.supervisor is not None:
            self.watchers.start()
            self.watchers.call_soon(self.supervisor.begin)
        if self.steward is not None:
            self.watchers.call_soon(self.steward.begin)
        if self.upkeep is not None:
            self.upkeep.start()
        head = self.log.head()
        for projector in self.projectors:
            reach(projector, head)

    def newborn(self, stream: bytes) -> TaskActor:
        """Return an actor for a task that is about to be created under a fresh id."""
        return self.directory.newborn(stream)

    def actor(self, stream: bytes) -> TaskActor:
        """Return the actor of a task."""
        return self.directory.actor(stream)

    def newborn_flow(self, stream: bytes) -> FlowActor:
        """Return an actor for a flow that is about to be created under a fresh id."""
        return self.flows.newborn(stream)

    def flow(self, stream: bytes) -> FlowActor:
        """Return the actor of a flow."""
        return self.flows.actor(stream)

    def send(self, actor: TaskActor | FlowActor, message: Command | AwaitEnd, future: Reply) -> None:
        """Put a command into the inbox of a task or a flow; `future` gets the answer when it is durable.

        Raises `Busy` when too much waits already and `Closed` after `close`: nothing was accepted then.
        """
        if self._closed:
            raise Closed
        if self.dispatcher.backlog() >= ACTORS_READY_MAX:
            raise Busy("The ledger", depth=self.dispatcher.backlog())
        # If the dispatcher ends in the meantime, what it did not decide is answered with `Closed`.
        actor.inbox.put(Envelope(message, future))

    def command(self, stream: bytes, command: Command, reply: Reply) -> None:
        """Send a command to the task, or about a flow to the flow, with this id. Raises as `send`."""
        self.send(self.addressee(stream, command), command, reply)

    def addressee(self, stream: bytes, command: Command) -> TaskActor | FlowActor:
        """Return the actor that decides a command: of the task or the flow with this id."""
        return self.flow(stream) if command.data.__class__ in OF_FLOWS else self.actor(stream)

    def direct(self, stream: bytes, command: Command, reply: Reply) -> None:
        """Send what follows from the log: also while the ledger closes, for as long as somebody decides."""
        self.addressee(stream, command).inbox.put(Envelope(command, reply))

    def _record(self, stream: bytes, command: Command, reply: Reply) -> None:
        """Send what became of a message to its task: also while the ledger closes, for it was sent before."""
        self.actor(stream).inbox.put(Envelope(command, reply))

    def follow(self, runtime: Runtime) -> None:
        """Let the supervisor follow what runs already of a runtime that has a probe now."""
        if self.supervisor is not None:
            self.supervisor.inbox.put_behind([Envelope(Follow(runtime))])

    def keep(self, name: bytes, value: bytes, future: Reply | None = None) -> None:
        """Write a note beside the events; `future` is answered when it is durable."""

        def refuse() -> None:
            if future is not None:
                future.fail(Closed())

        self.dispatcher.call_soon(lambda: self.journal.keep(name, value, future), otherwise=refuse)

    def foresee(self, streams: Sequence[bytes]) -> None:
        """Read what the log has of many tasks at once: commands for each of them follow."""
        self.dispatcher.call_soon(partial(self.directory.foresee, streams))

    def is_closed(self) -> bool:
        """Whether new commands are turned away."""
        return self._closed

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(position)` after each commit, on the dispatcher's thread; returns what ends it."""
        return self._listeners.listen(listener)

    def reach(self, position: int, timeout_s: float) -> None:
        """Wait until every read model that works has seen `position`, at most `timeout_s` seconds.

        Raises `pykka.Timeout` when that is not enough, and `Closed` after `close`.
        """
        if self._closed:
            raise Closed
        waiting = [reach(projector, position) for projector in self.projectors]
        self.followers.hurry()
        deadline = time.monotonic() + timeout_s
        for future in waiting:
            future.get(timeout=max(deadline - time.monotonic(), 0.001))

    def standings(self) -> list[Standing]:
        """Return how every read model stands."""
        head = self.log.head()
        return [projector.standing(head) for projector in self.projectors]

    def sweep(self) -> None:
        """Do what is due now, and wait until it is durable. Raises `Closed` after `close`.

        That is: write progress that was held back, look into every task that the supervisor follows, send what can be
        sent, and take the steps of upkeep. Raises `Full`, or why else something was not written, after all was tried.
        """
        all_of(
            lambda: self._written(held=True),  # and with it, the supervisor has been told of every commit until then
            lambda: self.ask_supervisor(Sweep(), None),
            lambda: self.ask_caretaker(Care(leftovers=True), None),
            lambda: self.ask_steward(None),
            lambda: self.ask_courier(Errand(), None),
            self._written,  # what the courier noted of endpoints
            lambda: self.upkeep is None or self.upkeep.ask(None),
            partial(self.journal.check, self.journal.failures),
        )

    def _written(self, timeout_s: float | None = None, *, held: bool = False) -> bool:
        done = LightFuture()

        def write() -> None:
            if held:
                self.directory.release_all()
            self.journal.answer(done, None)

        self.dispatcher.call_soon(write, otherwise=lambda: done.fail(Closed()))
        return is_answered_within(timeout_s, done)

    def settled(self, timeout_s: float) -> bool:
        """Wait until what can be done about messages now is done; whether it was within `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        if not self.ask_caretaker(Care(), timeout_s):  # first, for what it releases is sent then
            return False
        left_s = max(deadline - time.monotonic(), 0.001)
        return self.ask_courier(Settled(), left_s) and self._written(left_s)  # as in a sweep

    def ask_supervisor(self, message: Sweep | Look | Settle, timeout_s: float | None) -> bool:
        """Have the supervisor do what is due; whether it was done within `timeout_s` seconds (None: however long)."""
        return is_done_within(timeout_s, self.supervisor, message, lingering=self.watchers)

    def ask_steward(self, timeout_s: float | None) -> bool:
        """Have the steward do what is to be done; whether it was within `timeout_s` seconds (None: however long)."""
        return is_done_within(timeout_s, self.steward, Tend(), lingering=self.watchers)

    def ask_courier(self, message: Errand | Settled | Finish, timeout_s: float | None) -> bool:
        """Have the courier do what is due; whether it was done within `timeout_s` seconds (None: however long)."""
        return is_done_within(timeout_s, self.courier, message)

    def ask_caretaker(self, message: Care | FinishClosing, timeout_s: float | None) -> bool:
        """Have the caretaker do what is due; whether it was done within `timeout_s` seconds (None: however long)."""
        return is_done_within(timeout_s, self.caretaker, message)

    def hanging(self) -> dict[str, int]:
        """Return how many calls of each probe and canceller are over their limit and have not come back."""
        return self._crew.hanging()

    def close(self, timeout_s: float = CLOSE_S_MAX) -> bool:
        """End it all in order; whether everything came to rest within `timeout_s` seconds.

        Whoever closes again, or at the same time, waits for the same.
        """
        self._closed = True
        deadline = time.monotonic() + timeout_s
        rested = self.upkeep is None or self.upkeep.close(timeout_s / 6)
        if self._started:
            with suppress(Closed):
                self.ask_caretaker(FinishClosing(), min(CLOSE_CLEANUPS_MS / MS_PER_S, timeout_s / 4))
        self._crew.close()
        if self._started:
            with suppress(Closed):  # its thread has ended by itself
                self.ask_courier(Finish(), min(CLOSE_DELIVERIES_MS / MS_PER_S, timeout_s / 3))
        self._carriers.close()
        posted = self.post.stop(timeout_s / 3)
        watched = self.watchers.stop(timeout_s / 3)  # the facts have the rest
        self.dispatcher.call_soon(self.directory.hold_no_more)
        done = self.dispatcher.stop(max(deadline - time.monotonic(), 0.1)) and watched and posted and rested
        done &= self.followers.stop(max(deadline - time.monotonic(), 0.1))
        if not done:
            log.error("close_timed_out", timeout_s=timeout_s, backlog=self.dispatcher.backlog())
        return done

    def _end_turn(self) -> None:
        self.journal.end_turn()
        self.directory.end_turn()
        self.flows.end_turn()

    def _committed(self, batch: Committed) -> None:
        for projector in self.projectors:
            with suppress(Busy):  # it will see the gap, and read the log
                projector.inbox.put(Envelope(batch))
        for actor in (self.courier, self.caretaker, self.supervisor, self.steward):
            if actor is not None:
                tell(actor, batch)
        self._listeners.tell(batch.last)

    def _abandon(self) -> None:
        """A command that slipped in while the dispatcher stopped was not decided: its caller is told so."""
        self.directory.abandon()
        self.flows.abandon()

    def _abandon_post(self) -> None:
        """Nothing is sent any more: who waits for it is told so."""
        for actor in (self.courier, self.caretaker):
            if actor is not None:
                actor.abandon()

    def _abandon_watch(self) -> None:
        """Nobody looks any more: who waits for it is told so."""
        for actor in (self.supervisor, self.steward):
            if actor is not None:
                actor.abandon()
