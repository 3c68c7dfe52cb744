"""The oversight: what an open ledger's supervisor begins with, before a gateway registers anything of its own."""

from collections.abc import Mapping

from tallystick.actors.keeping.upkeep import Upkeep
from tallystick.actors.system import System
from tallystick.actors.watching.leases import Leases
from tallystick.actors.watching.orders import Pace
from tallystick.actors.watching.supervision import Supervision
from tallystick.config import Config
from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.clock import Clock
from tallystick.ledger.limits import CLOSER_LIMIT_MS
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.redaction import Strip
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.verdict import Verdict
from tallystick.probes.cancel import ProcessCanceller
from tallystick.probes.process import ProcessProbe
from tallystick.projections.reader import Reader
from tallystick.projections.views import Views
from tallystick.readings import Readings

PROCESS = "process"
"""The kind of resource that every ledger can close."""


def oversight(
    settings: Config, clock: Clock, *, opened_at: int, before: Mapping[str, object], words: Strip
) -> Supervision:
    """Return the probes and cancellers that every ledger has: processes, leases, and the owner itself.

    `opened_at` is the log's head at opening, and `before` says who owned the ledger until then, as far as it is known.
    `words` takes what may not be kept out of what they say.
    """
    return Supervision(
        Leases(clock),
        process=ProcessProbe(),
        kill=ProcessCanceller(settings.cancel["kill"]),
        owner=OwnerProbe(opened_at, before),
        words=words,
    )


def take_care(system: System, reader: Reader, settings: Config, clock: Clock) -> None:
    """Let a system see to what runs leave behind: processes are closed as cancellers stop them, by the same rules."""
    how_often, kill_ms = pace(settings, clock), settings.cancel["kill"]
    system.care(
        reader,
        closers={PROCESS: ProcessCanceller(kill_ms).close},
        first_ms=how_often.first,
        limit_ms=CLOSER_LIMIT_MS + kill_ms,
        by_hand=how_often.by_hand,
    )


def keep_up(system: System, readings: Readings, settings: Config, clock: Clock) -> None:
    """Let a system do by itself what retention and evidence say, and archive what is sealed of a log on disk."""
    log, reader, rules, views = system.log, readings.reader, readings.rules, readings.views
    stores = [store.environment for store in (log, views) if isinstance(store, DiskLog | Views)]

    def tidy() -> None:
        for store in stores:
            store.clear_dead_readers()

    system.upkeep = Upkeep(
        reader,
        rules,
        clock,
        send=system.direct,
        foresee=system.foresee,
        tidy=tidy,
        pace=pace(settings, clock),
        sealing=Sealing(log) if isinstance(log, DiskLog) else None,
        archive_after_ms=settings.archive["after"],
    )


def pace(settings: Config, clock: Clock) -> Pace:
    """Return how often the supervisor looks: by the configuration, or by hand when the clock is one that is."""
    by_hand = bool(getattr(clock, "is_by_hand", False))
    return Pace(first=settings.sweep["first"], interval=settings.sweep["interval"], by_hand=by_hand)


class OwnerProbe:
    """Judges running tasks that name nothing that backs them: they live as long as the owner that heard of them.

    Nobody can look for a run that nobody described. But when the process that kept the ledger is gone, and nothing has
    been heard of the task since, its run is missing; a word from it, any word, and it is there.
    """

    def __init__(self, opened_at: int, before: Mapping[str, object]) -> None:
        self._opened_at, self._before = opened_at, dict(before)

    def __call__(self, task: TaskRecord) -> Verdict:
        """Judge one task; never blocks."""
        if task.backing_missed_at is None and task.position > self._opened_at:  # a word from it ends a miss
            return Verdict.alive({"heardAt": _heard_at(task)})
        detail = "nothing was heard of it since the process that kept the ledger went"
        return Verdict.missing({"detail": detail, "heardAt": _heard_at(task), **self._before})


def _heard_at(task: TaskRecord) -> int:
    """Return when the work itself was last heard of (ms): what the ledger inferred since is no word from it."""
    return max(task.created_at, task.started_at or 0, task.progress_at or 0)
