"""The house: the parts of one open ledger, chosen and put together in one place."""

import getpass
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tallystick.actors.future import LightFuture
from tallystick.actors.projector import ReadModel
from tallystick.actors.system import System
from tallystick.actors.task import TaskActor
from tallystick.config import Config, load
from tallystick.ledger import fields, ids
from tallystick.ledger.clock import Clock, system_clock
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import NotOwner
from tallystick.ledger.store.port import EventLog
from tallystick.owner import OwnerLock, this_process
from tallystick.readings import Readings, due_rules
from tallystick.watch import Subscription


class House:
    """The log, its read models, the actors that write (none when read-only), and the lock of the live owner."""

    def __init__(
        self,
        readings: Readings,
        *,
        clock: Clock,
        actor: str,
        system: System | None = None,
        lock: OwnerLock | None = None,
        new_id: Callable[[], bytes] = ids.new_id,
    ) -> None:
        self.readings, self.clock, self.actor, self.new_id = readings, clock, actor, new_id
        self._system, self._lock = system, lock

    @property
    def path(self) -> str:
        """The ledger's folder."""
        return self.readings.path

    def facts(self) -> System:
        """Return the actors that write. Raises `NotOwner` when the ledger was opened read-only."""
        if self._system is None:
            raise NotOwner(self.path, who="nobody here, it was opened read-only")
        return self._system

    def stream(self, task_id: str) -> bytes:
        """Return the sixteen bytes of a task's id. Raises `InvalidInput` when it is not one."""
        return ids.id_bytes(task_id)

    def create(self, command: Command, future: LightFuture) -> TaskActor:
        """Send a creation under a fresh id; returns the actor that has that id."""
        facts = self.facts()
        actor = facts.newborn(self.new_id())
        facts.send(actor, command, future)
        return actor

    def subscribe(self, after: int) -> Subscription:
        """Return a blocking subscription to the log."""
        return Subscription(self.readings.log, after, None if self._system is None else self._system.listen)

    def settled(self, timeout_s: float) -> None:
        """Wait until the read models have seen the log's head."""
        if self._system is not None:
            self._system.reach(self.readings.log.head(), timeout_s)

    def sweep(self) -> None:
        """Do what is due now."""
        self.facts().sweep()

    def close(self) -> None:
        """Stop the actors in order, then let go of the files and the lock."""
        try:
            if self._system is not None:
                self._system.close()
        finally:
            self.readings.close()
            if self._lock is not None:
                self._lock.release()


def default_actor() -> str:
    """Return who speaks when nobody says so: the user and the process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}:{os.getpid()}"


def build(
    path: str | os.PathLike[str],
    *,
    config: Config | None = None,
    clock: Clock | None = None,
    read_only: bool = False,
    actor: str | None = None,
) -> House:
    """Open the folder and put a house together. Raises what `tallystick.open` documents."""
    folder = Path(path)
    clock = clock or system_clock
    speaker = default_actor() if actor is None else fields.required_key("actor", actor)
    if read_only:
        settings = config or load(folder)
        return House(Readings.open(folder, rules=due_rules(settings)), clock=clock, actor=speaker)
    Readings.prepare(folder)
    lock = OwnerLock.take(folder, this_process(clock()))
    try:
        settings = config or load(folder)
        readings = Readings.open(folder, rules=due_rules(settings), writable=True)
    except BaseException:
        lock.release()
        raise
    return assemble(readings, readings.followers(), settings, clock=clock, actor=speaker, lock=lock)


def assemble(
    readings: Readings,
    models: Sequence[ReadModel],
    settings: Config,
    *,
    clock: Clock,
    actor: str,
    lock: OwnerLock | None = None,
) -> House:
    """Start the actors of an opened ledger."""
    log: EventLog = readings.log
    system = System(log, models, clock, live_max=settings.actors.live)
    system.start()
    return House(readings, clock=clock, actor=actor, system=system, lock=lock)
