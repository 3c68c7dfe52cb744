"""Settings: what a channel may be told, one value at a time. Looks, and reads nothing."""

from collections.abc import Callable, Iterable
from urllib.parse import SplitResult, urlsplit

from tallystick.channels.speech import HIDDEN
from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import CHANNEL_PATH_BYTES_MAX, CHANNEL_TIMEOUT_MS_MAX

Check = Callable[[str, object], object]

_TIMEOUT = f'a time from 1 ms to "{CHANNEL_TIMEOUT_MS_MAX // 1000}s"'
_BASE = 'an address such as "https://example.org/api", without user, query and fragment'
_URL = 'an address that begins with "https://" or "http://", without a fragment'
_PATH = f"the path of a file, at most {CHANNEL_PATH_BYTES_MAX} bytes in UTF-8"


def nearest(name: object, known: Iterable[str]) -> str:
    """Return what is allowed instead of a name that is not known: the nearest one, and all."""
    import difflib

    listed = sorted(known)
    close = difflib.get_close_matches(str(name), listed, n=1)
    return f'"{close[0]}", perhaps (known: {", ".join(listed)})' if close else f"one of {', '.join(listed)}"


def timeout(field: str, value: object) -> int:
    """Return how many milliseconds the receiver has to answer."""
    return fields.whole(field, value, least=1, most=CHANNEL_TIMEOUT_MS_MAX, allowed=_TIMEOUT)


def path(field: str, value: object) -> str:
    """Return the path of a file."""
    kept = fields.text(field, value, bytes_max=CHANNEL_PATH_BYTES_MAX, allowed=_PATH)
    if not kept.strip() or kept.endswith("/"):
        raise InvalidInput(field, value, _PATH)
    return kept


def base(field: str, value: object) -> str:
    """Return the address of a service, which is no secret."""
    parts = _split(value)
    if parts is None or parts.query or "@" in parts.netloc:
        raise InvalidInput(field, HIDDEN if "@" in str(value) else value, _BASE)
    return str(value).rstrip("/")


def url(field: str, value: object) -> str:
    """Return the address of an endpoint, which may have a secret in it and is not shown."""
    if _split(value) is None:
        raise InvalidInput(field, HIDDEN, _URL)
    return str(value)


def _split(value: object) -> SplitResult | None:
    """Return the parts of an address of the web; None for what is none."""
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
        fits = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # of a port that is no number, or half of an IPv6 address
        return None
    return parts if fits and "#" not in value else None
