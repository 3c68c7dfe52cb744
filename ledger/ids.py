"""Identities: time-ordered task ids, as text for people and as sixteen bytes for keys."""

import uuid_utils

from tallystick.ledger.errors import InvalidInput

ID_BYTES = 16
ID_CHARACTERS = 36


def new_id() -> bytes:
    """Return a fresh UUIDv7 (RFC 9562), greater than every id that this process made before.

    Time-ordered, so that new rows land at the right edge of every B-tree.
    """
    return uuid_utils.uuid7().bytes


def id_text(raw: bytes) -> str:
    """Return the canonical text, 36 characters, of the sixteen bytes of an id."""
    return str(uuid_utils.UUID(bytes=raw))


def id_bytes(text: str) -> bytes:
    """Return the sixteen bytes of a canonical id.

    Raises `InvalidInput` when the text is not one.
    """
    raw = id_bytes_or_none(text)
    if raw is None:
        raise InvalidInput("id", text, "a task id such as 0198c2f0-7b7e-7cc3-8a53-1f0a9d8e4b21")
    return raw


def id_bytes_or_none(text: str) -> bytes | None:
    """Return the sixteen bytes of a canonical id, or None when the text is something else.

    Only the canonical form counts (36 characters, lower case), so that one id has one spelling.
    """
    if len(text) != ID_CHARACTERS:
        return None
    try:
        raw = uuid_utils.UUID(text).bytes
    except ValueError:
        return None
    return raw if id_text(raw) == text else None
