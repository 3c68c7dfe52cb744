"""CloudEvents: every event in the structured JSON of CloudEvents 1.0, one a line.

Source of the format: https://github.com/cloudevents/spec, version 1.0.2, with its JSON event format. Names of
attributes have lower-case letters and digits alone; numbers there have 32 bits, so that positions are texts.
"""

from typing import BinaryIO
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from tallystick.exports.shape import fact_json, rfc3339
from tallystick.exports.source import Source
from tallystick.ledger.events import Event
from tallystick.ledger.payloads import lacking
from tallystick.ledger.store.port import Deleted, Stored

TYPES = "io.tallystick."
"""Comes before a fact's name on disk in the type of an event."""

DAMAGED = "record-damaged.1"
DELETED = "record-deleted.1"
"""What stands in the place of a record that cannot be had."""

_OF_URIS = "/:?@!$&'()*+,;="
"""What else a reference to a resource may have in its path, by RFC 3986; an origin is nearly any text."""

_JSON = "application/json"
_DIGITS = 20  # of the largest position: as text they sort as numbers do

_encode = msgspec.json.Encoder().encode


class CloudEvent(Struct, kw_only=True, omit_defaults=True):
    """The attributes of an event, and what it says. `sequence`, `recordedtime` and the rest below it are extensions."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str | None = None
    time: str | None = None
    sequence: str
    position: str
    entityversion: str | None = None
    recordedtime: str | None = None
    actor: str | None = None
    erased: str | None = None
    datacontenttype: str
    data: Raw


def write(source: Source, out: BinaryIO) -> None:
    """Write a line for each record."""
    identity = quote(source.identity, safe=_OF_URIS)
    out.writelines(_encode(_of(stored, identity)) + b"\n" for stored in source.events())


def _of(stored: Stored, identity: str) -> CloudEvent:
    position = str(stored.position)
    if not isinstance(stored, Event):
        return CloudEvent(
            specversion="1.0",
            id=position,
            source=identity,
            type=TYPES + (DELETED if isinstance(stored, Deleted) else DAMAGED),
            sequence=position.zfill(_DIGITS),
            position=position,
            datacontenttype=_JSON,
            data=Raw(_encode(stored)),
        )
    return CloudEvent(
        specversion="1.0",
        id=position,
        source=identity,
        type=TYPES + stored.type,
        subject=stored.task_id,
        time=rfc3339(stored.occurred_at),
        sequence=position.zfill(_DIGITS),
        position=position,
        entityversion=str(stored.version),
        recordedtime=rfc3339(stored.recorded_at),
        actor=stored.actor or None,
        erased=None if stored.data.aside is None else ",".join(lacking(stored.data)) or None,
        datacontenttype=_JSON,
        data=Raw(fact_json(stored.data)),
    )
