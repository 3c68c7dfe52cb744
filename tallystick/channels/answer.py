"""The answer: what a service said over HTTP, and what that means for the message."""

import math
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

from tallystick.channels.speech import Speech
from tallystick.ledger.delivery import Permanent, Retryable, Unconfirmed
from tallystick.ledger.errors import UNREADABLE
from tallystick.ledger.limits import PATIENCE_MS_MAX

# The server says that it did not look at the request, or not at all of it.
_NOT_TAKEN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


class Answer(Struct, frozen=True):
    """What came back: the status, the body as far as it came, and in how many milliseconds to ask again, if at all."""

    status: int
    body: bytes = b""
    after_ms: int | None = None

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004 - the class of statuses

    def json(self) -> dict[str, Any]:
        """Return the object in the body; an empty one for whatever else it is."""
        try:
            said = msgspec.json.decode(self.body)
        except UNREADABLE:
            return {}
        return said if isinstance(said, dict) else {}


def failure(
    speech: Speech, status: int, said: object, *, after_ms: int | None = None, again: frozenset[int] = frozenset()
) -> Exception:
    """Return what a status that is no success means. `again`: of which the service says that it did nothing.

    A 503 with a time to ask again says so itself. Any other 5xx may come from a proxy, which gave up waiting for
    somebody who has done the work.
    """
    text = speech(f"HTTP {status}: {said or _phrase(status)}")
    if status in _NOT_TAKEN or status in again:
        return Retryable(text, after_ms)
    if status == HTTPStatus.SERVICE_UNAVAILABLE and after_ms is not None:
        return Retryable(text, after_ms)
    if 300 <= status < 500:  # noqa: PLR2004 - redirects are not followed: the address is wrong
        return Permanent(text)
    return Unconfirmed(text)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "a status that nobody knows"


def seconds_ms(value: object) -> int | None:
    """Return seconds, as a number or as text, in whole milliseconds, rounded up; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(seconds) or seconds < 0:
        return None
    return math.ceil(min(seconds * 1_000, PATIENCE_MS_MAX))


def retry_after_ms(value: str | None, now_s: Callable[[], float]) -> int | None:
    """Return what the header Retry-After says, seconds or a date, in milliseconds from now; None for nonsense."""
    if value is None or (after := seconds_ms(value)) is not None:
        return None if value is None else after
    try:
        moment = parsedate_to_datetime(value)
    except (OverflowError, ValueError):
        return None
    return seconds_ms(max(0.0, moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now_s()))
