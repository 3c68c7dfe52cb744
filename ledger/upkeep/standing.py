"""The rules of an audit about what is folded and what cannot be read. Pure."""

from tallystick.ledger.limits import PROJECTION_STALLED_MS
from tallystick.ledger.upkeep.finding import Code, Finding, Kind
from tallystick.ledger.upkeep.spans import span
from tallystick.ledger.upkeep.treatment import found


def finding_of_projection(name: str, now: int, *, lag: int, waiting_since: int | None) -> Finding | None:
    """Return that a read model stands still at `now` (ms), None when it does not.

    `lag` is how many events it has not seen, `waiting_since` when the first of them was recorded (ms). Whoever asks has
    looked whether somebody keeps it, and whether it moves.
    """
    if not lag or waiting_since is None or now - waiting_since < PROJECTION_STALLED_MS:
        return None
    age = now - waiting_since
    detail = f"it is {lag} events behind the log and does not move, for {span(age)}"
    return found(Kind.PROJECTION, Code.PROJECTION_STALLED, detail, token=name, age_ms=age)


def finding_of_damage(token: str, detail: str, *, is_stream: bool) -> Finding:
    """Return that a part of the log cannot be read: a place, or the events of a task or flow from there on."""
    what = "its events cannot be read: it is as it was before" if is_stream else "no event can be read there"
    return found(Kind.STREAM, Code.RESTORE_FAILED, f"{what} ({detail})", token=token)
