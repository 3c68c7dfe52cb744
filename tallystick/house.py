"""The house: the parts of one open ledger, as its faces use them, and how they end."""

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from weakref import WeakMethod

from msgspec.structs import replace
from pykka import Timeout

from tallystick.actors.future import LightFuture
from tallystick.actors.log import logger
from tallystick.actors.system import System
from tallystick.actors.watching.supervision import Canceller, Probe, Supervision
from tallystick.config import Config
from tallystick.facts import Addressee, Facts
from tallystick.forks import leave_in_children
from tallystick.ledger import fields, ids
from tallystick.ledger.clock import Clock
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Closed, ForkedStore, InvalidInput, NotOwner
from tallystick.ledger.lifecycle import Runtime
from tallystick.ledger.limits import RECOVERED_AT_ONCE
from tallystick.ledger.record import TaskRecord
from tallystick.messages import Messages
from tallystick.outlets import Outlets
from tallystick.owner import OwnerLock, live_owner
from tallystick.projections.due import DueRules
from tallystick.readings import LedgerStatus, ProbeStanding, Readings
from tallystick.sharing.bell import FORGET, UPKEEP
from tallystick.sharing.door import Door
from tallystick.sharing.member import Member
from tallystick.sharing.ownership import Ownership
from tallystick.watch import Listen, Listener, Subscription

if TYPE_CHECKING:
    import asyncio

    from tallystick.actors.notary import Notary
    from tallystick.archives import Archived
    from tallystick.auditing import Audit
    from tallystick.backup import Backup
    from tallystick.explaining import Explanation
    from tallystick.exports.exporting import Exported
    from tallystick.gauges import Gauges
    from tallystick.imports.taking import Taken
    from tallystick.ledger.upkeep.finding import Code, Severity
    from tallystick.maintenance import Maintenance
    from tallystick.proving import Prover

log = logger("face")

NOTARY_S = 5.0  # that closing waits for a checkpoint that is being made


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
        self.settings = settings or Config()
        self.messages = Messages(readings.log, readings.reader)
        self.outlets = Outlets(
            readings.log,
            self.settings,
            folder=readings.folder,
            system=system,
            why_not=WeakMethod(self._why_not),  # a house that its own part holds would not be forgotten in time
            waiting=self.messages.sessions,
            loop=loop,
        )
        self.readings, self.clock, self.actor, self.new_id = readings, clock, actor, new_id
        self._system, self._lock, self._supervision = system, lock, supervision
        self._member = member
        self.gauges: Gauges | None = None
        """What somebody sees who keeps the numbers of this ledger."""
        self.notary: Notary | None = None
        """Who makes checkpoints, in an owner whose ledger has an origin."""
        self.prover: Prover | None = None
        """Who proves what the log has, as soon as somebody asked for a proof."""
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
        """Return what writes.

        Raises `NotOwner` for a read-only ledger, `ForkedStore` in a child, and as `Outlets.check_no_hook`.
        """
        facts = self._facts
        if facts is None:
            raise self._why_not()
        self.outlets.check_no_hook()
        return facts

    @property
    def system(self) -> System:
        """The actors of this process. Raises `NotOwner` when it is not the owner, and as `facts`."""
        if self._system is None:
            raise self._why_not()
        return self._system

    @contextmanager
    def owning(self) -> Iterator[Ownership | None]:
        """What owns the ledger in this process, None when another process does; or nobody, for one that reads."""
        if self._member is None:
            yield None if self._system is None else self
        else:
            with self._member.owning() as owner:
                yield owner

    def judging(self) -> DueRules | None:
        """Return the rules by which this process judges what is due by the clock; None when it may not."""
        supervisor = None if self._system is None else self._system.supervisor
        if supervisor is None or not supervisor.judges:
            return None
        return replace(self.readings.rules, watching_since=supervisor.vigil.since)

    def audit(
        self, severity: "Severity | str | None" = None, code: "Code | str | None" = None, limit: int | None = None
    ) -> "Audit":
        """Return what is amiss now. Raises `InvalidInput`."""
        from tallystick.auditing import audit

        return audit(self.readings, self.clock(), severity=severity, code=code, limit=limit)

    def maintain(self, *, apply: bool = False) -> "Maintenance":
        """Return what upkeep would do now, or do it. Raises as `maintenance.apply`."""
        from tallystick import maintenance

        if fields.flag("apply", apply):
            return maintenance.apply(self)
        with self.owning() as owner:
            archive_after_ms = None if owner is None else self.settings.archive["after"]
        return maintenance.preview(
            self.readings, self.clock(), judging=self.judging(), archive_after_ms=archive_after_ms
        )

    def explain(self, token: str) -> "Explanation":
        """Return why a task or a flow is kept. Raises `NotFound`, `Ambiguous`."""
        from tallystick.explaining import explain

        return explain(self.readings, self.clock(), token)

    def _attend(self, kind: bytes, message: bytes) -> None:
        """Do what another process asks its owner for, on a thread of its own."""
        if kind == UPKEEP:
            from tallystick.chores import attend
        elif kind == FORGET:
            from tallystick.archives import attend
        else:
            from tallystick.checkpoints import attend
        threading.Thread(target=attend, args=(self, message), name="tallystick-asked", daemon=True).start()

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
        attend = WeakMethod(self._attend)

        def chore(kind: bytes, message: bytes) -> None:
            do = attend()
            if do is not None:
                do(kind, message)

        self._door = Door(
            Path(self.path),
            self.system,
            keep_alive=leases.renew,
            heard=leases.hear,
            asked_to_yield=asked_to_yield,
            chore=chore,
        )
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
        if self.notary is not None:
            self.notary.sweep()

    def delete_archives(self, **which: Any) -> "tuple[Archived, ...]":
        """Delete segments of the archive. Raises `NotOwner` for a ledger that only reads, and as `archives.delete`."""
        self.facts()
        from tallystick.archives import delete_for

        return delete_for(self, **which)

    def export(self, format: str, out: "BinaryIO | str | os.PathLike[str]", **selected: Any) -> "Exported":
        """Write an export. Raises `Closed`, and as `exporting.export`."""
        self.readings.log.head()
        from tallystick.exports.exporting import export_for

        origin = self.settings.integrity.origin
        return export_for(self.readings, format, out, now=self.clock(), origin=origin, **selected)

    def import_openclaw(self, path: str | os.PathLike[str], **how: Any) -> "Taken":
        """Take over what OpenClaw has recorded. Raises `Closed`, and as `taking.take`."""
        self.readings.log.head()
        from tallystick.imports.taking import take

        return take(self, Path(path), **how)

    def backup(self, path: str | os.PathLike[str]) -> "Backup":
        """Make a backup. Raises `Closed`, and as `copyist.backup`."""
        self.readings.log.head()
        from tallystick.copyist import backup

        return backup(self.readings.folder, path, now=self.clock())

    def close(self) -> None:
        """Stop the actors in order, then let go of the files and the lock, and end the subscriptions.

        Closing twice is allowed; who comes second waits for the first.
        """
        with self._closing, ExitStack() as after:
            if self._lock is not None and not self._is_closed:
                after.callback(self._log_the_end)
            self._is_closed = True
            after.callback(self._tell_the_end)
            if self._lock is not None:
                after.callback(self._lock.release)
            after.callback(self.readings.close)
            if self.gauges is not None:
                after.callback(self.gauges.close)
            if self._door is not None:
                self._door.close()
            after.callback(self.outlets.close)
            notary, self.notary = self.notary, None
            has_ended = notary is None or notary.end(NOTARY_S)
            if self._facts is not None:
                has_ended &= bool(self._facts.close())
            if notary is not None and has_ended:
                notary.finish()

    def _log_the_end(self) -> None:
        log.info("ledger_closed", path=self.path)

    def _tell_the_end(self) -> None:
        for listener in tuple(self._listeners):
            listener(0)

    def leave_to_parent(self) -> None:
        """In a forked child there are no actors: what was sent to them would never be answered."""
        self._system = self._facts = self._member = self._door = self.notary = None
        self._is_forked = True
        self.outlets.leave_to_parent()
        self._closing = threading.Lock()  # another thread of the parent may have held it
