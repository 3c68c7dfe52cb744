"""The house: the parts of one open ledger, chosen and put together in one place."""

import getpass
import os
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakMethod

from msgspec.structs import replace
from pykka import Timeout

from tallystick.actors.courier.pacing import Pacing
from tallystick.actors.future import LightFuture
from tallystick.actors.projector import ReadModel
from tallystick.actors.redaction import Redact
from tallystick.actors.system import System
from tallystick.actors.watching.orders import Settle
from tallystick.actors.watching.supervision import Canceller, Probe, Supervision
from tallystick.config import Config, load
from tallystick.facts import Addressee, Facts
from tallystick.forks import leave_in_children
from tallystick.ledger import fields, ids
from tallystick.ledger.clock import Clock, system_clock
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Closed, ForkedStore, InvalidInput, NotOwner
from tallystick.ledger.lifecycle import Runtime
from tallystick.ledger.limits import KEY_BYTES_MAX, RECOVERED_AT_ONCE, TIME_MS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import EventLog
from tallystick.messages import Messages
from tallystick.outlets import Outlets, hook_of, telling_of
from tallystick.oversight import oversight, pace, take_care
from tallystick.owner import OwnerLock, kept_by, live_owner, owner_note, this_process
from tallystick.readings import LedgerStatus, ProbeStanding, Readings, due_rules
from tallystick.sharing.door import Door
from tallystick.sharing.member import Member
from tallystick.watch import Listen, Listener, Subscription

if TYPE_CHECKING:
    import asyncio

SETTLE_S = 0.75  # that opening waits for the dead to be settled


class House:
    """The log, its read models, the actors that write (none when read-only), and the lock of the live owner.

    It belongs to the process that opened it: a forked child can neither write nor read through it, only close it.
    """

    def __init__(
        self,
        readings: Readings,
        *,
        clock: Clock,
        actor: str,
        system: System | None = None,
        member: Member | None = None,
        lock: OwnerLock | None = None,
        supervision: Supervision | None = None,
        settings: Config | None = None,
        new_id: Callable[[], bytes] = ids.new_id,
        loop: "asyncio.AbstractEventLoop | None" = None,
    ) -> None:
        self.messages = Messages(readings.log, readings.reader)
        self.outlets = Outlets(
            readings.log,
            settings or Config(),
            folder=readings.folder,
            system=system,
            why_not=WeakMethod(self._why_not),  # a house that its own part holds would not be forgotten in time
            waiting=self.messages.sessions,
            loop=loop,
        )
        self.readings, self.clock, self.actor, self.new_id = readings, clock, actor, new_id
        self._system, self._lock, self._supervision = system, lock, supervision
        self._member = member
        self._door: Door | None = None
        self._facts: Facts | None = system if member is None else member
        self._opened_by = os.getpid()
        self._is_closed = self._is_forked = False
        self._closing = threading.Lock()
        self._listeners: list[Listener] = []
        leave_in_children(self)

    def __del__(self) -> None:
        if not (self._is_closed or self._is_forked):
            warnings.warn(f"{self.path} was never closed", ResourceWarning, source=self, stacklevel=2)
            if self._facts is None:  # threads may still write to the others
                self.readings.close()

    @property
    def path(self) -> str:
        """The ledger's folder."""
        return self.readings.path

    def facts(self) -> Facts:
        """Return what writes. Raises `NotOwner` for a read-only ledger and `ForkedStore` in a child."""
        facts = self._facts
        if facts is None:
            raise self._why_not()
        return facts

    @property
    def system(self) -> System:
        """The actors of this process. Raises `NotOwner` when it is not the owner, and as `facts`."""
        if self._system is None:
            raise self._why_not()
        return self._system

    def _why_not(self) -> Exception:
        if self._is_forked:
            return ForkedStore(self.path, opened_by=self._opened_by, used_by=os.getpid())
        owner = live_owner(Path(self.path))
        who = None if owner is None else str(owner)
        return NotOwner(self.path, who=who, read_only=self._member is None, joined=self._member is not None)

    def stream(self, task_id: str) -> bytes:
        """Return the sixteen bytes of a task's id. Raises `InvalidInput` when it is not one."""
        return ids.id_bytes(fields.required_key("task_id", task_id))

    def create(self, stream: bytes, command: Command, future: LightFuture) -> Addressee:
        """Send a creation under a fresh id; returns the actor that has that id, or in the end the one it stands for."""
        facts = self.facts()
        actor = facts.newborn(stream)
        facts.send(actor, command, future)
        return actor

    def named(self, tokens: Sequence[str]) -> list[TaskRecord]:
        """Return one to RECOVERED_AT_ONCE tasks by what names them, each once. Raises `InvalidInput`, `NotFound`."""
        if not 1 <= len(tokens) <= RECOVERED_AT_ONCE:
            raise InvalidInput("tasks", f"{len(tokens)} of them", f"1 to {RECOVERED_AT_ONCE} at a time")
        return list({record.task_id: record for record in map(self.readings.find, tokens)}.values())

    def subscribe(self, after: int) -> Subscription:
        """Return a blocking subscription to the log. Raises `Closed`."""
        self.readings.log.head()
        return Subscription(self.readings.log, after, None if self._facts is None else self._listen)

    def listener(self) -> Listen | None:
        """Return how somebody listens to commits; None when nobody here makes any. Raises `Closed`."""
        if self._is_closed:
            raise Closed
        return None if self._facts is None else self._listen

    def _listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after each commit and once more when the log is closed; returns what ends it."""
        leave = self.facts().listen(listener)
        self._listeners.append(listener)

        def left() -> None:
            self._listeners.remove(listener)
            leave()

        return left

    def settled(self, timeout_s: float) -> None:
        """Wait until the read models have seen the log's head, and what can be sent now was sent.

        Raises `TimeoutError` when that takes too long.
        """
        deadline = time.monotonic() + timeout_s
        head = self.readings.log.head()
        if self._facts is not None:
            try:
                self._facts.reach(head, timeout_s)
            except Timeout as error:
                raise TimeoutError(f"The read models have not seen position {head} in {timeout_s} s.") from error
        if self._system is not None and not self._system.ask_steward(max(deadline - time.monotonic(), 0.001)):
            raise TimeoutError(f"Flows that are being cancelled were not dealt with in {timeout_s} s.")
        left_s = max(deadline - time.monotonic(), 0.001)
        if self._system is not None and not self._system.settled(left_s):
            raise TimeoutError(f"What waits to be sent was not dealt with in {timeout_s} s.")

    def set_probe(self, runtime: Runtime | str, probe: Probe) -> None:
        """Ask this probe about the runtime's tasks from now on. Raises `InvalidInput`, `NotOwner`."""
        if not callable(probe):
            raise InvalidInput("probe", probe, "a function of a task that returns a Verdict")
        known = fields.runtime("runtime", runtime)
        self._supervised().set_probe(known, probe)
        self.facts().follow(known)

    def set_canceller(self, runtime: Runtime | str, canceller: Canceller) -> None:
        """Let this canceller stop the runtime's tasks from now on. Raises `InvalidInput`, `NotOwner`."""
        if not callable(canceller):
            raise InvalidInput("canceller", canceller, "a function of a task that returns Stopped")
        self._supervised().set_canceller(fields.runtime("runtime", runtime), canceller)

    def keep_alive(self, stream: bytes, ttl_ms: int) -> bool:
        """Take a sign of life; False when the log does not say yet that the task gives them, so that it must."""
        if self._member is not None:
            return self._member.keep_alive(stream, ttl_ms)
        return self._supervised().leases.renew(stream, ttl_ms)

    def promised(self, record: TaskRecord) -> None:
        """Take note of what the log says now: the work promised to be heard of again."""
        if self._member is not None:
            self._member.promised(record)
        elif record.lease_ms is not None and record.is_active:
            self._supervised().leases.begin(record.stream, record.lease_ms)

    def _supervised(self) -> Supervision:
        if self._supervision is None:
            raise self._why_not()
        return self._supervision

    def open_door(self, asked_to_yield: Callable[[], None] | None = None) -> None:
        """Serve other processes: theirs are the commands in the inbox. `asked_to_yield` hears who wants the ledger."""
        leases = self._supervised().leases  # not this house: it would never be forgotten
        self._door = Door(Path(self.path), self.system, keep_alive=leases.renew, asked_to_yield=asked_to_yield)
        self._door.open()

    def status(self) -> LedgerStatus:
        """Return how the ledger is, and how its probes do."""
        status = self.readings.status()
        supervision = self._supervision
        if supervision is None or self._system is None:
            return status
        hanging = self._system.hanging()
        probes = tuple(
            ProbeStanding(name, asked, supervision.failed[name], hanging.get(name, 0))
            for name, asked in sorted(supervision.asked.copy().items())
        )
        return replace(status, probes=probes)

    def sweep(self) -> None:
        """Do what is due now."""
        self.facts().sweep()

    def close(self) -> None:
        """Stop the actors in order, then let go of the files and the lock, and end the subscriptions.

        Closing twice is allowed; who comes second waits for the first.
        """
        with self._closing, ExitStack() as after:
            self._is_closed = True
            after.callback(self._tell_the_end)
            if self._lock is not None:
                after.callback(self._lock.release)
            after.callback(self.readings.close)
            if self._door is not None:
                self._door.close()
            after.callback(self.outlets.close)
            if self._facts is not None:
                self._facts.close()

    def _tell_the_end(self) -> None:
        for listener in tuple(self._listeners):
            listener(0)

    def leave_to_parent(self) -> None:
        """In a forked child there are no actors: what was sent to them would never be answered."""
        self._system = self._facts = self._member = self._door = None
        self._is_forked = True
        self.outlets.leave_to_parent()
        self._closing = threading.Lock()  # another thread of the parent may have held it


def default_actor() -> str:
    """Return who speaks when nobody says so: the user and the process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    # The name may come from the environment, which may say anything.
    return fields.report("actor", f"{user}:{os.getpid()}", bytes_max=KEY_BYTES_MAX, controls=False) or "unknown"


def build(
    path: str | os.PathLike[str],
    *,
    config: Config | None = None,
    clock: Clock | None = None,
    read_only: bool = False,
    actor: str | None = None,
    redact: Redact | None = None,
    loop: "asyncio.AbstractEventLoop | None" = None,
) -> House:
    """Open the folder and put a house together. Raises what `tallystick.open` documents."""
    folder = folder_of(path)
    clock = clock or system_clock
    now = now_of(clock)
    speaker = default_actor() if actor is None else fields.required_key("actor", actor)
    settings = settings_of(config, folder, channels=not read_only)
    if redact is not None:
        hook_of(redact)
    if read_only:
        readings = Readings.open(folder, rules=due_rules(settings))
        return House(readings, clock=clock, actor=speaker, settings=settings, loop=loop)
    Readings.prepare(folder)
    lock = OwnerLock.take_over(folder, this_process(now))
    return own(folder, settings, clock=clock, actor=speaker, lock=lock, redact=redact, loop=loop)


def own(
    folder: Path,
    settings: Config,
    *,
    clock: Clock,
    actor: str,
    lock: OwnerLock,
    judges: bool = True,
    redact: Redact | None = None,
    loop: "asyncio.AbstractEventLoop | None" = None,
    asked_to_yield: Callable[[], None] | None = None,
) -> House:
    """Open the folder as its owner, whose lock this is, and serve others. If that fails the lock is let go."""
    with ExitStack() as undo:
        undo.callback(lock.release)
        readings = Readings.open(folder, rules=due_rules(settings), writable=True)
        undo.callback(readings.close)
        models = readings.followers()
        house = assemble(
            readings, models, settings, clock=clock, actor=actor, lock=lock, judges=judges, redact=redact, loop=loop
        )
        undo.pop_all()
    try:
        house.open_door(asked_to_yield)
    except BaseException:
        house.close()
        raise
    return house


def folder_of(path: object) -> Path:
    """Return the path of a ledger's folder. An empty one is refused: it is a variable that was not set."""
    try:
        folder = os.fspath(path)  # type: ignore[call-overload]  # whatever it is
    except TypeError:
        folder = None
    if not isinstance(folder, str) or not folder or "\0" in folder:
        raise InvalidInput("path", path, "the path of a folder: text that is not empty, without NUL")
    return Path(folder)


def now_of(clock: Clock) -> int:
    """Return the time by a clock. Raises `InvalidInput` when it is none."""
    allowed = "a function that returns whole milliseconds since 1970 (UTC)"
    if not callable(clock):
        raise InvalidInput("clock", clock, allowed)
    return fields.whole("clock", clock(), most=TIME_MS_MAX, allowed=allowed)


def settings_of(config: Config | None, folder: Path, *, channels: bool = True) -> Config:
    """Return the configuration that was given, else the folder's own, as `load` reads it. Raises `InvalidInput`."""
    if config is None:
        return load(folder, channels=channels)
    if not isinstance(config, Config):
        raise InvalidInput("config", config, "a tallystick.Config")
    return config


def assemble(
    readings: Readings,
    models: Sequence[ReadModel],
    settings: Config,
    *,
    clock: Clock,
    actor: str,
    lock: OwnerLock | None = None,
    judges: bool = True,
    redact: Redact | None = None,
    loop: "asyncio.AbstractEventLoop | None" = None,
) -> House:
    """Start the actors of an opened ledger. Tasks whose processes are provably dead are settled first.

    When there are so many that it takes longer than SETTLE_S, the rest is settled while the ledger is open. An owner
    that does not judge stops processes that somebody wants stopped, and leaves everything else to one that does.
    """
    log: EventLog = readings.log
    telling = telling_of(log, settings, redact)
    system = System(log, models, clock, live_max=settings.actors.live, telling=telling)
    if lock is not None:
        system.journal.note_first(owner_note(lock.who))
    supervision = oversight(settings, clock, opened_at=log.head(), before=kept_by(log))
    system.supervise(
        readings.reader, supervision, rules=readings.rules, pace=pace(settings, clock), judges=judges, loop=loop
    )
    if judges:
        by_hand = pace(settings, clock).by_hand
        system.deliver(readings.reader, pacing=Pacing(**settings.outbox), by_hand=by_hand, loop=loop)
        take_care(system, readings.reader, settings, clock)
    house = House(
        readings, clock=clock, actor=actor, system=system, lock=lock, supervision=supervision, settings=settings
    )
    if judges:
        try:
            house.outlets.open()
        except BaseException:
            house.close()
            raise
    system.start()
    system.ask_supervisor(Settle(), SETTLE_S)
    return house
