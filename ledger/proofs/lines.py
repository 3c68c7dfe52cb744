"""What the lines of notes, keys and proofs are made of: base64, decimal numbers, names.

Each value has exactly one text: what is read here and written again has the same bytes.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Final

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import PROOF_HASHES_MAX, TREE_SIZE_MAX
from tallystick.ledger.store.tree import HASH_BYTES

_DIGITS_MAX: Final = len(str(TREE_SIZE_MAX))
_CONTROLS: Final = re.compile(r"[\x00-\x1f]")


def base64_text(data: bytes) -> str:
    """Return bytes in the standard alphabet of RFC 4648, padded."""
    return b64encode(data).decode("ascii")


def base64_bytes(field: str, text: str) -> bytes:
    """Return what `base64_text` was given. Raises `InvalidInput` for any other text, also for one that decodes.

    Bits behind the last byte MUST be zero: else many texts would be one signature, and a flipped bit no difference.
    """
    try:
        data = b64decode(text, validate=True)
    except ValueError:  # no base64, or no ASCII
        data = None
    if data is None or base64_text(data) != text:
        raise InvalidInput(field, f"{len(text)} characters", "padded standard base64 (RFC 4648)")  # it may be a secret
    return data


def hash_bytes(field: str, text: str) -> bytes:
    """Return the hash that a line has in base64. Raises `InvalidInput`."""
    data = base64_bytes(field, text)
    if len(data) != HASH_BYTES:
        raise InvalidInput(field, f"{len(data)} bytes", f"a SHA-256 hash of {HASH_BYTES} bytes in base64")
    return data


def hashes_of(field: str, lines: Sequence[str]) -> tuple[bytes, ...]:
    """Return the hashes of a proof, one a line. Raises `InvalidInput`."""
    if len(lines) > PROOF_HASHES_MAX:
        raise InvalidInput(field, f"{len(lines)} lines", f"at most {PROOF_HASHES_MAX} hashes, one a line")
    return tuple(hash_bytes(field, line) for line in lines)


def number(field: str, text: str) -> int:
    """Return a decimal number without a sign or a leading zero, as a tree has sizes. Raises `InvalidInput`."""
    is_decimal = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX and text[:1] != "0"
    value = int(text) if is_decimal else 0
    if not (is_decimal or text == "0") or value > TREE_SIZE_MAX:
        raise InvalidInput(field, text, f"a decimal number from 0 to {TREE_SIZE_MAX} without leading zeros")
    return value


def key_name(field: str, text: str) -> str:
    """Return the name of a key: not empty, without white space, control characters and `+`. Raises `InvalidInput`."""
    if not text or "+" in text or any(map(str.isspace, text)) or not is_plain(text):
        raise InvalidInput(field, text, "a name without spaces, control characters or '+', like example.org/ledger")
    return text


def is_plain(text: str, besides: str = "") -> bool:
    """Whether text can stand in a note: UTF-8, and no control character of ASCII but those in `besides`."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return all(character in besides for character in _CONTROLS.findall(text))
