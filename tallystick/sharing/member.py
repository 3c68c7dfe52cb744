"""The member: a process that writes to a ledger beside others, through the owner, or as the owner if there is none."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from tallystick.actors.discretion import Discretion
from tallystick.actors.envelope import Reply
from tallystick.actors.log import logger
from tallystick.actors.stream import AwaitEnd
from tallystick.forks import leave_in_children
from tallystick.ledger.claims import may_exist
from tallystick.ledger.clock import Clock
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Busy, Closed, NotOwner, StoreError, TallystickError
from tallystick.ledger.events import OF_FLOWS
from tallystick.ledger.facts.flows import FlowCreated
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.lifecycle import Runtime
from tallystick.ledger.limits import INBOX_COMMANDS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import EventLog
from tallystick.owner import is_wanted
from tallystick.sharing.bell import DOOR_NAME, ring
from tallystick.sharing.door import lease_message
from tallystick.sharing.guest import NOT_KNOWN, Guest, Sending
from tallystick.sharing.lookout import Listener, Lookout, give
from tallystick.sharing.ownership import Ownership
from tallystick.sharing.recipient import Identified, Recipient

log = logger("face")

CLOSE_S_MAX = 5.0
BUSY_S_MAX = 5.0
"""How long a command waits for room in the inbox, or for an inbox at all."""

_IDLE_S = 60.0
_LOOK_S = 0.25  # how often who waits for an answer looks whether there still is an owner
_SOON_S = 0.02  # while there is something to do that nobody rings for
_AT_ONCE = 64  # commands that are handed on under one lock
_FOLLOW_S = 0.1  # how often who waits for an event of others looks at the log


class Member:
    """Takes commands at any time, and has them decided once, by this process or by the owner elsewhere.

    One thread does all that could wait for others. The commands of one caller are decided in the order in which they
    were sent, also when the owner changes in between.
    """

    def __init__(
        self,
        folder: Path,
        event_log: EventLog,
        own: Callable[[Callable[[], None]], Ownership],
        *,
        clock: Clock,
        discretion: Discretion,
        reach: Callable[[int, float], None],
        at_end: Callable[[], None],
    ) -> None:
        self._folder, self._own, self._reach_elsewhere, self._at_end = folder, own, reach, at_end
        self._guest, self._clock, self._discretion = Guest(folder), clock, discretion
        self._lock = threading.RLock()  # who is answered within may send again
        self._queue: deque[Sending] = deque()
        self._house: Ownership | None = None
        self._is_direct = False
        self._must_yield = False
        self._closed = False
        self._close_by = 0.0
        self._look_at = 0.0
        self._stuck_since: float | None = None
        self._lookout = Lookout(event_log)
        self._leased: dict[bytes, int] = {}
        self._thread = threading.Thread(target=self._run, name="tallystick-member", daemon=True)
        leave_in_children(self)

    def start(self) -> None:
        """Become the owner if there is none, and begin. Raises what opening a ledger as its owner raises."""
        self._try_to_own()
        if self._house is not None:
            self._go_direct()
        self._thread.start()

    @property
    def is_owner(self) -> bool:
        """Whether this process owns the ledger at the moment."""
        return self._house is not None

    # What the faces ask, on any thread.

    def newborn(self, stream: bytes) -> Recipient:
        """Return whom a creation under this fresh id is sent to."""
        return Recipient(stream, is_newborn=True)

    def actor(self, stream: bytes) -> Recipient:
        """Return whom commands for a task are sent to."""
        return Recipient(stream)

    def newborn_flow(self, stream: bytes) -> Recipient:
        """Return whom the creation of a flow under this fresh id is sent to."""
        return Recipient(stream, is_newborn=True, of_flow=True)

    def flow(self, stream: bytes) -> Recipient:
        """Return whom commands for a flow are sent to."""
        return Recipient(stream, of_flow=True)

    def send(self, actor: Recipient, message: Command | AwaitEnd, future: Reply) -> None:
        """Send a command; `future` gets the answer when it is durable. Raises `Busy` and `Closed`."""
        with self._lock:
            if self._closed:
                raise Closed
            if isinstance(message, AwaitEnd):
                self._lookout.await_end(actor.stream, future)
            elif actor.held is not None:
                if len(actor.held) >= INBOX_COMMANDS_MAX:
                    raise Busy("The inbox of one actor", depth=len(actor.held))
                actor.held.append((message, future))
                return
            elif isinstance(message.data, TaskCreated | FlowCreated) and may_exist(message.data):
                self._send(actor, message, Identified(actor, future, self._identified))
                actor.held = []
            else:
                self._send(actor, message, future)
        self._guest.bell.wake()

    def _send(self, actor: Recipient, command: Command, reply: Reply) -> None:
        if self._is_direct:
            self._forward(actor, command, reply)
        elif len(self._queue) >= INBOX_COMMANDS_MAX:
            raise Busy("The ledger", depth=len(self._queue))
        else:
            actor.is_newborn = False  # whoever gets it does not know
            self._queue.append(Sending(actor.stream, self._stamped(command), reply))

    def _stamped(self, command: Command) -> Command:
        """Say when it was sent: the owner may be slow, and what happened happened here."""
        return command if command.sent_at is not None else replace(command, sent_at=self._clock())

    def _identified(self, recipient: Recipient) -> None:
        """It is known now which task a creation led to: send what was sent to it since."""
        with self._lock:
            held, recipient.held = recipient.held, None
            for command, reply in held or ():
                if self._is_direct:
                    self._try_to_forward(recipient, command, reply)
                else:
                    stamped = self._stamped(command)
                    self._queue.append(Sending(recipient.stream, stamped, reply))  # it was admitted already
        if held:
            self._guest.bell.wake()

    def _forward(self, actor: Recipient, command: Command, reply: Reply) -> None:
        assert self._house is not None, "only an owner decides itself"
        facts = self._house.facts()
        if actor.of_flow:
            addressee = facts.newborn_flow(actor.stream) if actor.is_newborn else facts.flow(actor.stream)
        else:
            addressee = facts.newborn(actor.stream) if actor.is_newborn else facts.actor(actor.stream)
        actor.is_newborn = False
        facts.send(addressee, command, reply)

    def _try_to_forward(self, recipient: Recipient, command: Command, reply: Reply) -> None:
        try:
            self._forward(recipient, command, reply)
        except TallystickError as error:
            give(reply, error)

    def keep_alive(self, stream: bytes, ttl_ms: int) -> bool:
        """Take a sign of life; False when the log does not say yet that the task gives them, or nobody hears it."""
        with self._lock:
            if self._is_direct and self._house is not None:
                return self._house.keep_alive(stream, ttl_ms)
            if self._leased.get(stream) != ttl_ms:
                self._leased[stream] = ttl_ms
                return False
        return ring(self._folder / DOOR_NAME, lease_message(stream, ttl_ms))  # else it is told like any other word

    def promised(self, record: TaskRecord) -> None:
        """Take note of what the log says now: the work promised to be heard of again."""
        with self._lock:
            if self._is_direct and self._house is not None:
                self._house.promised(record)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(position)` when the log has grown, whoever wrote; returns what ends it."""
        leave = self._lookout.listen(listener)
        self._guest.bell.wake()
        return leave

    def reach(self, position: int, timeout_s: float) -> None:
        """Wait until the read models have seen a position, whoever keeps them up. Raises `pykka.Timeout`, `Closed`."""
        with self.owning() as house:
            if house is not None:
                house.facts().reach(position, timeout_s)
            else:
                self._reach_elsewhere(position, timeout_s)

    def sweep(self) -> None:
        """Do what is due now, if this process is the owner."""
        with self.owning() as house:
            if house is not None:
                house.sweep()

    @contextmanager
    def owning(self) -> Iterator[Ownership | None]:
        """What this process has as the owner, if it is; when somebody else becomes it meanwhile, it is theirs to do."""
        if self._closed:
            raise Closed
        try:
            yield self._house if self._is_direct else None
        except Closed:
            if self._closed:
                raise

    def follow(self, runtime: Runtime) -> None:
        """Nothing: who joined has no probes."""

    def ask_to_yield(self) -> None:
        """Let somebody else own the ledger, and go on beside it."""
        self._must_yield = True
        self._guest.bell.wake()

    def close(self) -> bool:
        """Take no more commands; have those answered that were accepted, at most CLOSE_S_MAX; whether they were."""
        with self._lock:
            self._closed = True
            self._close_by = self._close_by or time.monotonic() + CLOSE_S_MAX
        self._guest.bell.wake()
        if self._thread.ident is not None:
            self._thread.join(2 * CLOSE_S_MAX)
        else:
            self._end()
        return not self._thread.is_alive()

    def leave_to_parent(self) -> None:
        """In a forked child there is no thread that would do anything."""
        self._lock, self._closed, self._house, self._is_direct = threading.RLock(), True, None, False

    # The thread.

    def _run(self) -> None:
        while not self._is_over():
            try:
                self._step()
            except TallystickError as error:
                self._give_up(error)
            except Exception as error:
                log.exception("member_failed")
                self._give_up(StoreError(f"{type(error).__name__}: {error}"))
            if not self._is_over():
                self._guest.bell.hear(self._pause())
        self._end()

    def _is_over(self) -> bool:
        if not self._closed:
            return False
        return not (self._queue or self._guest.waiting) or time.monotonic() >= self._close_by

    def _step(self) -> None:
        guest = self._guest
        if self._must_yield:
            self._yield()
        guest.collect()
        if self._house is None:
            if self._queue:
                self._post()
            if (self._queue or guest.waiting) and time.monotonic() >= self._look_at:
                self._try_to_own()
        if self._house is not None and not self._is_direct and not guest.waiting:
            self._go_direct()
        if self._lookout.is_needed:
            self._lookout.look()

    def _pause(self) -> float:
        """How long to wait for the bell."""
        if self._queue or self._must_yield or (self._house is not None and not self._is_direct):
            return _SOON_S
        if self._guest.waiting:
            return _LOOK_S if self._guest.bell.is_hung else _SOON_S
        return _FOLLOW_S if self._lookout.is_needed else _IDLE_S

    def _post(self) -> None:
        """Put what is to be sent into the inbox of whoever owns the ledger."""
        with self._lock:
            sendings = list(self._queue)
        if self._discretion.hooks:
            sendings = self._discreet(sendings)
        try:
            sent = self._guest.send(sendings)
        except Busy as error:
            sent = 0
            if self._is_stuck():
                self._fail_queue(error)
                return
        except TallystickError as error:  # what waits already may be decided all the same
            self._fail_queue(error)
            return
        if not sent and self._is_stuck():
            self._fail_queue(StoreError(f"{self._folder}: the owner of the ledger has made no inbox ready."))
            return
        if sent:
            self._stuck_since = None
            with self._lock:
                for _ in range(sent):
                    self._queue.popleft()
            if self._guest.wake_owner():
                self._look_at = max(self._look_at, time.monotonic() + _LOOK_S)
            else:
                self._look_at = 0.0

    def _discreet(self, sendings: list[Sending]) -> list[Sending]:
        """Take secrets out of what is to be sent, for the inbox is on disk: once, also of what finds no room now."""
        sendings = [sending.discreet(self._discretion) for sending in sendings]  # hooks may take their time: no lock
        with self._lock:
            for place, sending in enumerate(sendings):  # only this thread takes any away; new ones come behind
                self._queue[place] = sending
        return sendings

    def _is_stuck(self) -> bool:
        now = time.monotonic()
        if self._stuck_since is None:
            self._stuck_since = now
        return now - self._stuck_since > BUSY_S_MAX

    def _try_to_own(self) -> None:
        self._look_at = time.monotonic() + _LOOK_S
        if is_wanted(self._folder):
            return
        try:
            self._house = self._own(self.ask_to_yield)
        except NotOwner:
            return
        self._must_yield = False  # whoever asked before asks again

    def _go_direct(self) -> None:
        """From now on what is sent is decided here: all that came before was."""
        assert self._house is not None, "this process is the owner"
        while not self._is_direct:
            with self._lock:  # not for long: an event loop may want to send
                for _ in range(min(_AT_ONCE, len(self._queue))):
                    sending = self._queue.popleft()
                    of_flow = sending.command.data.__class__ in OF_FLOWS
                    recipient = Recipient(sending.stream, of_flow=of_flow)
                    self._try_to_forward(recipient, sending.command, sending.reply)
                self._is_direct = not self._queue
        self._house.facts().listen(self._note_commit)

    def _note_commit(self, _position: int) -> None:
        if self._lookout.is_needed:
            self._guest.bell.wake()

    def _yield(self) -> None:
        """Commit and answer what was accepted, and leave the ledger to who wants it."""
        self._must_yield = False
        with self._lock:
            self._is_direct = False
            house, self._house = self._house, None
        if house is not None:
            house.close()
            self._look_at = time.monotonic() + _LOOK_S

    # The end.

    def _give_up(self, error: TallystickError) -> None:
        """Answer everybody: nobody can say what becomes of what is in the inbox."""
        if self._guest.waiting:
            self._guest.fail(StoreError(f"{error} {NOT_KNOWN}"))
        self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._guest.fail(error)
        while self._queue:  # what was held for one that fails joins it
            self._fail_queue(error)

    def _fail_queue(self, error: BaseException) -> None:
        self._stuck_since = None
        with self._lock:
            queue, self._queue = self._queue, deque()
        for sending in queue:
            give(sending.reply, error)

    def _end(self) -> None:
        with self._lock:
            house, self._house, self._is_direct = self._house, None, False
        try:
            if house is not None:
                house.close()
        except Exception:
            log.exception("member_failed")
        self._fail(Closed())
        self._lookout.end()
        self._guest.close()
        self._at_end()
