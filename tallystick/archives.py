"""The archives of a ledger: which segments it has, and how the oldest of them are deleted, by whoever decides so."""

from tallystick.ledger import fields
from tallystick.ledger.archive import deletion
from tallystick.ledger.archive.manifest import Entry as Archived
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import REASON_BYTES_MAX
from tallystick.ledger.redaction import Strip
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.port import EventLog

__all__ = ["Archived", "archives", "delete"]


def archives(log: EventLog) -> tuple[Archived, ...]:
    """Return the segments of a log's archive, deleted ones too, the oldest first."""
    return log.archive.entries() if isinstance(log, DiskLog) else ()


def delete(
    log: EventLog,
    *,
    before: int | None,
    recorded_before: int | None,
    reason: str,
    words: Strip,
    by: str,
    now: int,
) -> tuple[Archived, ...]:
    """Delete the segments that lie wholly before a position or a moment (ms), and return them; what is gone stays gone.

    `words` takes out of the reason what may not be kept.
    Raises `InvalidInput`, `Refused` when one of them has an event of a task or flow that is not pruned (then none is
    deleted), `Corrupt` when one lacks the hashes that must remain, `Full`.
    """
    text = fields.report("reason", reason, bytes_max=REASON_BYTES_MAX)
    if text is None:
        raise InvalidInput("reason", reason, "why they are deleted: it is all that will be left of them")
    if (before is None) == (recorded_before is None):
        raise InvalidInput("before", before, "a position, or a moment as recorded_before; one of them")
    if before is not None:
        fields.whole("before", before, least=1)
    if recorded_before is not None:
        fields.moment("recorded_before", recorded_before)
    if not isinstance(log, DiskLog):
        return ()
    log.forget_deleted()  # whoever deleted some before may have been killed in the middle
    wanted = deletion.wanted(log.archive, before=before, recorded_before=recorded_before)
    deletion.check(log, wanted)
    kept = fields.report("reason", words(text), bytes_max=REASON_BYTES_MAX) or ""
    return tuple(deletion.delete(log, entry, by=by, at=now, reason=kept) for entry in wanted)
