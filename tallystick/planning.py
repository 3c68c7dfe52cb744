"""Planning: what maintenance would do to an opened ledger now, in whichever process. Never writes."""

from contextlib import suppress

from msgspec.structs import replace

from tallystick.auditing import process_is_alive, stalled
from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.errors import StoreError
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.port import EventLog
from tallystick.ledger.upkeep.finding import Action, Kind
from tallystick.ledger.upkeep.plan import Step
from tallystick.ledger.upkeep.spans import span
from tallystick.projections.agenda import Agenda, agenda
from tallystick.projections.due import DueRules
from tallystick.readings import Readings


def planned(
    readings: Readings, now: int, *, judging: DueRules | None = None, archive_after_ms: int | None = None
) -> Agenda:
    """Return every step that is to be taken at `now` (ms).

    `judging` are the rules of whoever may judge here. With `archive_after_ms` all ranges of the log are among them that
    are archived by then: not when a live owner elsewhere does so by itself.
    """
    plan = agenda(
        readings.reader,
        readings.log,
        now,
        readings.rules,
        judging=judging,
        more=stalled(readings, now),
        is_alive=process_is_alive,
    )
    if archive_after_ms is None:
        return plan
    return replace(plan, steps=[*plan.steps, *_archiving(readings.log, now, archive_after_ms)])


def ranges_due(log: EventLog, now: int, after_ms: int) -> list[range]:
    """Return the positions that move into the archive now, range by range; none where that cannot be told."""
    if isinstance(log, DiskLog):
        with suppress(StoreError):  # "tally verify" names it
            return Sealing(log).all_due(now, after_ms)
    return []


def _archiving(log: EventLog, now: int, after_ms: int) -> list[Step]:
    reason = f"all of it was recorded {span(after_ms)} ago or longer"
    return [
        Step(kind=Kind.LOG, token=f"{wanted[0]}-{wanted[-1]}", action=Action.ARCHIVE, reason=reason)
        for wanted in ranges_due(log, now, after_ms)
    ]
