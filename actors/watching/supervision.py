"""Supervision: who is asked whether the work behind a task is still there, and who can stop it."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct

from tallystick.actors.watching.leases import Leases
from tallystick.ledger.lifecycle import Runtime, Status
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.redaction import Strip
from tallystick.ledger.stopped import Stopped
from tallystick.ledger.verdict import Finding, Verdict

Probe: TypeAlias = Callable[[TaskRecord], Verdict | Awaitable[Verdict]]
"""Answers one question about one task: is what backs it still there?

It may be a coroutine function. What it raises, and what is not a verdict, counts as `Verdict.unknown`. With a true
attribute `recovers` it is also asked about lost tasks, of which it may know how they really ended.
"""

Canceller: TypeAlias = Callable[[TaskRecord], Stopped | Awaitable[Stopped]]
"""Stops the work behind one task, and says what was stopped. It may be a coroutine function."""

PROBE_KEY = "probe"
BY_PROCESS = "process"
BY_LEASE = "lease"
BY_OWNER = "owner"


class Question(Struct, frozen=True):
    """Who is to be asked about a task. What is `quick` never blocks, and is asked at once."""

    kind: str
    ask: Callable[[TaskRecord], object]
    quick: bool = False


class Supervision:
    """The probes and cancellers of one open ledger, and what stands in where a runtime has none.

    `process` judges tasks that name a process, `kill` stops it; `owner` judges those that name nothing at all, by
    whether the process that kept the ledger when they were last heard of is still the one that does. What was imported
    never ran there: of that it says nothing. `words` takes what may not be kept out of what they say.
    """

    def __init__(
        self,
        leases: Leases,
        *,
        process: Probe | None = None,
        kill: Canceller | None = None,
        owner: Probe | None = None,
        words: Strip = str,
    ) -> None:
        self.leases = leases
        self.words = words
        self._process, self._kill, self._owner = process, kill, owner
        self._probes: dict[Runtime, Probe] = {}
        self._cancellers: dict[Runtime, Canceller] = {}
        self.asked: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    def set_probe(self, runtime: Runtime, probe: Probe) -> None:
        """Ask this probe about the runtime's tasks from now on."""
        self._probes[runtime] = probe

    def set_canceller(self, runtime: Runtime, canceller: Canceller) -> None:
        """Let this canceller stop the runtime's tasks from now on."""
        self._cancellers[runtime] = canceller

    def probed(self) -> frozenset[Runtime]:
        """Return the runtimes that have a probe."""
        return frozenset(self._probes)

    def concerns(self, record: TaskRecord) -> bool:
        """Whether a change of this task is of interest to whoever supervises. Asked for every task of every commit."""
        return (
            record.backing is not None
            or record.deadline_at is not None
            or record.cancel_requested_at is not None
            or record.lease_ms is not None
            or record.runtime in self._probes
        )

    def recovers(self, runtime: Runtime) -> bool:
        """Whether the runtime's probe is also asked about lost tasks."""
        return bool(getattr(self._probes.get(runtime), "recovers", False))

    def question(self, record: TaskRecord) -> Question | None:
        """Return who is asked about a task; None when nobody can tell.

        What its backing says comes first: a task that is only a process is judged by that alone. Then the runtime's
        probe, though a process that is proved dead is dead whatever that says; then process, lease, owner.
        """
        backing = record.backing or {}
        process = self._process if "pid" in backing else None
        registered = None if backing.get(PROBE_KEY) == BY_PROCESS else self._probes.get(record.runtime)
        if registered is not None and record.status is not Status.QUEUED:
            if process is not None and record.is_active:
                return Question(record.runtime.value, _first(process, registered))
            return Question(record.runtime.value, registered)
        if process is not None:
            return Question(BY_PROCESS, process, quick=True)
        if record.lease_ms is not None:
            return Question(BY_LEASE, self.leases.verdict, quick=True)
        if self._owner is not None and record.status is Status.RUNNING and record.imported is None:
            return Question(BY_OWNER, self._owner, quick=True)
        return None

    def canceller(self, record: TaskRecord) -> Canceller | None:
        """Return who can stop the work behind a task; None when nobody can."""
        backing = record.backing or {}
        by_process = self._kill if "pid" in backing else None
        registered = self._cancellers.get(record.runtime)
        if backing.get(PROBE_KEY) == BY_PROCESS:
            return by_process
        return registered or by_process

    def verdict(self, kind: str, answer: object) -> Verdict:
        """Return what a probe's answer counts as: one that is no verdict tells nothing."""
        self.asked[kind] += 1
        if isinstance(answer, Verdict):
            return answer
        self.failed[kind] += 1
        if isinstance(answer, BaseException):
            return Verdict.unknown(f"the probe failed: {in_words(answer)}")
        return Verdict.unknown(f"the probe answered {type(answer).__name__}, not a Verdict")


def in_words(error: BaseException) -> str:
    """Return what an error says of itself. Others wrote it: even that may fail."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - as it says
        return type(error).__name__


def _first(process: Probe, registered: Probe) -> Probe:
    """Return a probe that asks the process first: if it is proved dead, nobody else need be asked."""

    def asked(record: TaskRecord) -> Verdict | Awaitable[Verdict]:
        verdict = process(record)
        if isinstance(verdict, Verdict) and verdict.finding is Finding.DEAD:
            return verdict
        return registered(record)

    return asked
