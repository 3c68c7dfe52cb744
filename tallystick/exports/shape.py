"""The shape: facts and moments as JSON has them, in every format the same. Pure."""

from datetime import UTC, datetime

import msgspec

from tallystick.ledger.events import AnyFact
from tallystick.ledger.limits import TIME_MS_MAX

MS_PER_S = 1_000

_encode = msgspec.json.Encoder().encode


def fact_json(fact: AnyFact) -> bytes:
    """Return what a fact says as JSON, by its names on disk and without its type; null if JSON cannot say it."""
    try:
        told = _encode(fact)  # its type comes first
    except (TypeError, ValueError, RecursionError):
        return b"null"
    comma = told.find(b",")
    return b"{}" if comma < 0 else b"{" + told[comma + 1 :]


def rfc3339(ms: int) -> str | None:
    """Return a moment in UTC, to the millisecond, as RFC 3339 has it; None for one that it cannot say."""
    if not 0 <= ms <= TIME_MS_MAX:
        return None
    moment = datetime.fromtimestamp(ms // MS_PER_S, UTC).replace(microsecond=ms % MS_PER_S * 1_000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
