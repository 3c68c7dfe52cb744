"""The cursor: where the next page of a list begins, in a text that fits the very query and no other. Pure."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from hashlib import blake2b
from typing import Any

import msgspec

from tallystick.ledger.errors import InvalidInput
from tallystick.projections.places import PLACE_BYTES

_ALLOWED = "the next_cursor of a page of this very query"
_VERSION = b"\x01"
_DIGEST_BYTES = 7  # makes thirty bytes of a cursor: base64 without padding

_to_json = msgspec.json.Encoder(order="deterministic").encode


class Cursor:
    """Makes and reads the cursors of one query, which is told by its filters."""

    def __init__(self, filters: list[Any]) -> None:
        self._told = _to_json(filters)

    def at(self, place: bytes) -> str:
        """Return the cursor of the page after what stands at a place."""
        digest = blake2b(self._told + place, digest_size=_DIGEST_BYTES).digest()
        return urlsafe_b64encode(_VERSION + place + digest).decode()

    def place_in(self, cursor: Any) -> bytes | None:
        """Return the place of the last one of the page before, None for no cursor. Raises `InvalidInput`."""
        if cursor is None:
            return None
        if not isinstance(cursor, str) or not cursor.isascii():
            raise InvalidInput("cursor", cursor, _ALLOWED)
        try:
            raw = urlsafe_b64decode(cursor)
        except (NotBase64, ValueError):
            raw = b""
        place = raw[len(_VERSION) : -_DIGEST_BYTES]
        if len(place) != PLACE_BYTES or self.at(place) != cursor:
            raise InvalidInput("cursor", cursor, _ALLOWED)
        return place
