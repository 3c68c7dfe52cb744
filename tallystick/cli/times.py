"""Times in words: ages, durations and moments, as people write and read them. All numbers are UTC milliseconds."""

import time

from tallystick.config import DURATION_ALLOWED, duration_ms
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import TIME_MS_MAX

MS_PER_S = 1_000
S_PER_MINUTE = 60
S_PER_HOUR = 3_600
S_PER_DAY = 86_400

MOMENT_ALLOWED = (
    'a moment such as "2026-09-21T14:15" (local time unless it says otherwise), a duration until now such as "2h", '
    "or milliseconds since 1970"
)
_DIGITS_MAX = len(str(TIME_MS_MAX))
_DURATION_FORMS = f"{DURATION_ALLOWED}; a bare number is milliseconds"


def now_ms() -> int:
    """Return the machine's idea of now."""
    return time.time_ns() // 1_000_000


def age(ms: int) -> str:
    """Return a span in one or two units: 12s, 3m, 2h05m, 3d04h. Spans below zero are clocks that disagree: 0s."""
    seconds = max(ms, 0) // MS_PER_S
    if seconds < S_PER_MINUTE:
        return f"{seconds}s"
    if seconds < S_PER_HOUR:
        return f"{seconds // S_PER_MINUTE}m"
    if seconds < S_PER_DAY:
        return f"{seconds // S_PER_HOUR}h{seconds % S_PER_HOUR // S_PER_MINUTE:02}m"
    return f"{seconds // S_PER_DAY}d{seconds % S_PER_DAY // S_PER_HOUR:02}h"


def took(ms: int) -> str:
    """Return how long something took, finer than an age: 120ms, 3.2s, 4m05s, 2h05m, 3d04h."""
    if ms < 0:
        return f"-{took(-ms)}"
    if ms < MS_PER_S:
        return f"{ms}ms"
    seconds, rest = divmod(ms, MS_PER_S)
    if seconds < S_PER_MINUTE:
        return f"{seconds}.{rest // 100}s"
    if seconds < S_PER_HOUR:
        return f"{seconds // S_PER_MINUTE}m{seconds % S_PER_MINUTE:02}s"
    return age(ms)


def stamp(ms: int) -> str:
    """Return a moment in local time, to the millisecond, with its offset from UTC."""
    from datetime import UTC, datetime

    if not 0 <= ms <= TIME_MS_MAX:
        return f"{ms} ms"
    try:
        moment = datetime.fromtimestamp(ms // MS_PER_S, UTC).astimezone()
    except (OverflowError, ValueError):  # the last day of the year 9999, east of Greenwich
        moment = datetime.fromtimestamp(ms // MS_PER_S, UTC)
    return moment.replace(microsecond=ms % MS_PER_S * 1_000).isoformat(" ", "milliseconds")


def relative(ms: int, now: int) -> str:
    """Return how far a moment is from now: 3m ago, in 2h05m."""
    if ms > now:
        return f"in {age(ms - now)}"
    return f"{age(now - ms)} ago"


def moment(name: str, value: str, now: int) -> int:
    """Return the moment that a person means: milliseconds, ISO 8601, or a duration before now.

    Raises `InvalidInput` with what is allowed.
    """
    text = value.strip()
    if text.isascii() and text.isdecimal():
        at = _whole(text, name, value, MOMENT_ALLOWED)
    elif text[:4].isdecimal() and text[4:5] == "-":
        from datetime import datetime

        try:
            at = round(datetime.fromisoformat(text).astimezone().timestamp() * MS_PER_S)
        except (OverflowError, ValueError) as error:
            raise InvalidInput(name, value, MOMENT_ALLOWED) from error
    else:
        try:
            at = now - duration_ms(name, text)
        except InvalidInput as error:
            raise InvalidInput(name, value, MOMENT_ALLOWED) from error
    if not 0 <= at <= TIME_MS_MAX:
        raise InvalidInput(name, value, MOMENT_ALLOWED)
    return at


def duration(name: str, value: str) -> int:
    """Return a duration such as "5m" in milliseconds; a bare number is milliseconds. Raises `InvalidInput`."""
    text = value.strip()
    if text.isascii() and text.isdecimal():
        return _whole(text, name, value, _DURATION_FORMS)
    try:
        return duration_ms(name, text)
    except InvalidInput as error:
        raise InvalidInput(name, value, _DURATION_FORMS) from error


def _whole(text: str, name: str, value: str, allowed: str) -> int:
    """The number that a text of digits is. Python reads no number of any length."""
    if len(text) > _DIGITS_MAX:
        raise InvalidInput(name, value, allowed)
    return int(text)
