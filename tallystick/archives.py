"""The archives of a ledger: which segments it has, and how the oldest of them are deleted, by whoever decides so.

What is kept beside the records of a segment is in the log, where only its owner writes: another process that deletes
rings, and waits until that is gone, too.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tallystick.actors.log import logger
from tallystick.ledger import fields
from tallystick.ledger.archive import deletion
from tallystick.ledger.archive.manifest import Entry as Archived
from tallystick.ledger.errors import Closed, InvalidInput
from tallystick.ledger.limits import REASON_BYTES_MAX
from tallystick.ledger.redaction import Strip
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.port import EventLog
from tallystick.sharing.bell import FORGET
from tallystick.sharing.ownership import Ownership
from tallystick.sharing.request import Request, answered, send

if TYPE_CHECKING:
    from tallystick.house import House

__all__ = ["Archived", "archives", "attend", "delete", "delete_for"]

log = logger("face")

ANSWER_S_MAX = 10.0
"""How long whoever deletes waits for the owner; after that its next look at the archive, or the next owner, does it."""

_NOTE = b"forgotten"


def archives(event_log: EventLog) -> tuple[Archived, ...]:
    """Return the segments of a log's archive, deleted ones too, the oldest first."""
    return event_log.archive.entries() if isinstance(event_log, DiskLog) else ()


def delete_for(house: "House", *, before: int | None, recorded_before: int | None, reason: str) -> tuple[Archived, ...]:
    """Delete as `delete` does, with what is kept beside the records, whoever owns the ledger. Raises as `delete`."""

    def deleted(event_log: EventLog) -> tuple[Archived, ...]:
        return delete(
            event_log,
            before=before,
            recorded_before=recorded_before,
            reason=reason,
            words=house.outlets.words,
            by=house.actor,
            now=house.clock(),
        )

    with house.owning() as owner:
        if owner is not None:
            return deleted(owner.readings.log)
    gone, folder = deleted(house.readings.log), Path(house.path)
    request = send(folder, FORGET) if gone else None
    if request is not None:
        answered(folder, house.readings.log, _NOTE, request, ANSWER_S_MAX)
    return gone


def attend(owner: Ownership, message: bytes) -> None:
    """Delete what is kept of deleted records, for another process that deleted them, and note that. Never raises."""
    request, event_log = Request.heard(FORGET, message), owner.readings.log
    if request is None or not isinstance(event_log, DiskLog):
        return
    try:
        event_log.forget_deleted()
        owner.system.keep(*request.answer(_NOTE, b""))
    except Closed:
        pass  # the next owner does it when it opens the log
    except Exception:
        log.exception("upkeep_failed")


def delete(
    event_log: EventLog,
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
    if not isinstance(event_log, DiskLog):
        return ()
    event_log.forget_deleted()  # whoever deleted some before may have been killed in the middle
    wanted = deletion.wanted(event_log.archive, before=before, recorded_before=recorded_before)
    deletion.check(event_log, wanted)
    kept = fields.report("reason", words(text), bytes_max=REASON_BYTES_MAX) or ""
    return tuple(deletion.delete(event_log, entry, by=by, at=now, reason=kept) for entry in wanted)
