"""The lines of an NDJSON export, both ways: what is written of an event, and the bytes that a line stands for. Pure.

header   what the file is: format, version, when and by whom it was made, which ledger, its size and root
event    an event as `tally timeline --json` has it, whose it is, and the salts of what of it is kept beside the log
gap      a record that could not be had: damaged, or deleted with its archive
end      how many lines there were, so that a file that was cut off is known
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from tallystick.exports.shape import fact_json
from tallystick.ledger.errors import UNREADABLE, TallystickError
from tallystick.ledger.events import BY_NAME, OF_FLOWS, AnyFact, Event, Position, Version
from tallystick.ledger.ids import ID_CHARACTERS, id_bytes_or_none, id_text
from tallystick.ledger.limits import SALT_BYTES
from tallystick.ledger.payloads import (
    NOTHING_KEPT,
    Payloads,
    filled,
    kept,
    lacking,
    payload_of,
    put,
    salt_of,
    strange,
    stripped,
)
from tallystick.ledger.store.codec import decode, encode

FORMAT = "tallystick.ndjson"
FIRST = 1
VERSION = 2
"""Of a file whose lines have salts, which older programs know nothing of; one without any is still of the `FIRST`."""

_NO_DATA = Raw(b"")
_DETAIL_CHARACTERS_MAX = 200  # of what a decoder says about bytes that may be anything


class _Shape(Struct, kw_only=True, omit_defaults=True, rename="camel", forbid_unknown_fields=True):
    """What all lines have in common: an unknown field may mean anything, so it is refused."""


class Header(_Shape):
    """The first line. Of a whole log it has the root hash of its tree; else what was selected."""

    format: str
    version: int
    made_at: int
    made_by: str
    ledger: str
    size: int
    whole: bool
    root_hash: bytes | None = None
    selection: dict[str, Any] | None = None


class Gone(_Shape):
    """Who deleted a record with its archive, when (ms) and why."""

    by: str
    at: int
    reason: str


class Line(_Shape):
    """An event, or a gap. `body` are the bytes that are stored, where the rest of the line does not lead to them.

    Of a field that is kept beside the log `data` has the value and `salts` the salt: both lead to the digest that the
    record has instead of it. Of a field that was `erased` there is no salt, and the value is blank. Beside a `body`
    stand `payloads`, which are salt and value as they are stored.
    """

    position: Position
    task_id: str | None = None
    flow_id: str | None = None
    version: Version | None = None
    type: str | None = None
    occurred_at: int | None = None
    recorded_at: int | None = None
    actor: str | None = None
    data: Raw = _NO_DATA
    erased: list[str] | None = None
    salts: dict[str, bytes] | None = None
    damaged: str | None = None
    deleted: Gone | None = None
    leaf_hash: bytes | None = None
    body: bytes | None = None
    payloads: dict[str, bytes] | None = None

    @property
    def is_gap(self) -> bool:
        """Whether it stands for a record that could not be had."""
        return self.damaged is not None or self.deleted is not None


class End(_Shape):
    """The last line. Of a whole log it has the root hash over all lines."""

    end: Literal[True]
    events: int
    damaged: int
    deleted: int
    root_hash: bytes | None = None


AnyLine: TypeAlias = Header | Line | End


class Restored(Struct, frozen=True):
    """What a line of an event stands for: the bytes of its record, and what is kept beside that."""

    body: bytes
    payloads: Payloads


_encode = msgspec.json.Encoder().encode
_read_line = msgspec.json.Decoder(Line).decode
_read_header = msgspec.json.Decoder(Header).decode
_read_end = msgspec.json.Decoder(End).decode
_read_fact = msgspec.json.Decoder(AnyFact).decode
_read_any = msgspec.json.Decoder().decode


class NoLine(ValueError):
    """A line is not one of such a file, or contradicts itself: what is wrong with it."""


def written(line: AnyLine) -> bytes:
    """Return the bytes of a line, without the line break."""
    return _encode(line)


def event_line(event: Event, body: bytes, payloads: Payloads = NOTHING_KEPT) -> bytes:
    """Return the line of an event. It leads back to `body` and to what is kept beside that.

    Both are in it as they are only where nothing else would lead to them.
    """
    line = _told(event)
    if payloads:
        line.salts = {name: salt_of(payload) for name, payload in payloads.items()}
    plain = _encode(line)
    try:
        found = restored(_read_line(plain))
        is_enough = found.body == body and found.payloads == payloads
    except (NoLine, *UNREADABLE):
        is_enough = False
    if is_enough:
        return plain
    line.salts, line.body, line.payloads = None, body, dict(payloads) or None
    return _encode(line)


def _told(event: Event) -> Line:
    line = Line(
        position=event.position,
        version=event.version,
        type=event.type,
        occurred_at=event.occurred_at,
        recorded_at=event.recorded_at,
        actor=event.actor,
        data=Raw(fact_json(event.data)),
    )
    line.erased = _erased(event.data)
    if event.is_of_flow:
        line.flow_id = id_text(event.stream)
    else:
        line.task_id = id_text(event.stream)
    return line


def read_header(raw: bytes) -> Header:
    """Read the first line. Raises `NoLine`."""
    try:
        return _read_header(raw)
    except UNREADABLE as error:
        raise NoLine(_words(error)) from error


def read_line(raw: bytes) -> Line | End:
    """Read any other line. Raises `NoLine`."""
    try:
        return _read_line(raw)
    except UNREADABLE as error:
        reason = error
    try:
        return _read_end(raw)
    except UNREADABLE:
        raise NoLine(_words(reason)) from reason


def restored(line: Line) -> Restored:
    """Return what a line of an event stands for; its payloads are what its record names. Raises `NoLine`."""
    if line.body is not None:
        return Restored(line.body, _held(line, line.body))
    if line.payloads is not None:
        raise NoLine("payloads stand beside a body alone; beside data stand salts")
    event = _event_of(line)
    payloads = NOTHING_KEPT
    if event.data.aside is not None or line.salts is not None or line.erased is not None:
        if line.erased != _erased(event.data):
            raise NoLine("it names other fields as erased than those that are")
        payloads = _salted(event.data, line.salts or {})
        event = stripped(event)
    try:
        return Restored(encode(event), payloads)
    except TallystickError as error:
        raise NoLine(str(error)[:_DETAIL_CHARACTERS_MAX]) from error


def _erased(fact: AnyFact) -> list[str] | None:
    """Return what of a fact was erased, None where nothing was."""
    return None if fact.aside is None else list(lacking(fact)) or None


def _salted(fact: AnyFact, salts: Mapping[str, bytes]) -> Payloads:
    """Return what of a fact is kept beside the log, by its values and their salts."""
    payloads: dict[str, bytes] = {}
    for name, salt in salts.items():
        if name not in put(fact):
            raise NoLine(f"it has a salt of {name}, which its record does not name")
        if len(salt) != SALT_BYTES:
            raise NoLine(f"the salt of {name} has {len(salt)} bytes, and not {SALT_BYTES}")
        try:
            payloads[name] = payload_of(getattr(fact, name), salt)
        except (OverflowError, TypeError, ValueError) as error:
            raise NoLine(f"{name}: {_words(error)}") from error
    for name in kept(fact):
        if name not in salts:
            raise NoLine(f"it says {name}, which is kept beside the log, and has no salt of it")
    return _fitting(fact, payloads)


def _fitting(fact: AnyFact, payloads: Payloads) -> Payloads:
    """Return payloads that have the digests of their record."""
    for name in strange(fact, payloads):
        raise NoLine(f"{name} and its salt have not the digest that the record has")
    return payloads


def _event_of(line: Line) -> Event:
    kind = BY_NAME.get(line.type or "")
    if kind is None:
        raise NoLine(f"type {line.type!r} is not known")
    whose = line.flow_id if kind in OF_FLOWS else line.task_id
    other = line.task_id if kind in OF_FLOWS else line.flow_id
    if whose is None or other is not None:
        raise NoLine(f"a {line.type} has {'a flowId' if kind in OF_FLOWS else 'a taskId'}, and no other id")
    version, occurred_at, recorded_at, actor, data = (
        line.version,
        line.occurred_at,
        line.recorded_at,
        line.actor,
        line.data,
    )
    if version is None or occurred_at is None or recorded_at is None or actor is None or data is _NO_DATA:
        raise NoLine("it lacks one of version, occurredAt, recordedAt, actor and data")
    stream = id_bytes_or_none(whose)
    if stream is None:
        raise NoLine(f"{whose[:ID_CHARACTERS]!r} is no id")
    fact = _fact_of(str(line.type), bytes(data))
    return Event(line.position, stream, version, occurred_at, recorded_at, actor, fact)


def _fact_of(name: str, data: bytes) -> AnyFact:
    """Read what a fact says: it is stored with its type among its fields, and written without."""
    inner = data.strip()
    if not inner.startswith(b"{"):
        raise NoLine("its data are no object")
    rest = inner[1:].lstrip()
    typed = b'{"type":' + _encode(name) + (b"" if rest.startswith(b"}") else b",") + rest
    try:
        fact: AnyFact = _read_fact(typed)
    except UNREADABLE as error:
        raise NoLine(f"its data: {_words(error)}") from error
    return fact


def _held(line: Line, body: bytes) -> Payloads:
    """Return what is kept beside a record that a line has as it is; the line MUST say what that says."""
    if line.salts is not None:
        raise NoLine("salts stand beside data alone; beside a body stand payloads")
    payloads = line.payloads or NOTHING_KEPT
    try:
        event = decode(body)
        event = filled(event, _fitting(event.data, payloads)) if payloads else event
    except TallystickError as error:
        raise NoLine(f"its body: {error}"[:_DETAIL_CHARACTERS_MAX]) from error
    told = _told(event)
    told.body, told.payloads = body, line.payloads
    if _read_any(_encode(told)) != _read_any(_encode(line)):  # people read the one, and programs the other
        raise NoLine("its body says something else than the line")
    return payloads


def _words(error: BaseException) -> str:
    return str(error)[:_DETAIL_CHARACTERS_MAX] or type(error).__name__
