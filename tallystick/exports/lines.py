"""The lines of an NDJSON export, both ways: what is written of an event, and the bytes that a line stands for. Pure.

header   what the file is: format, version, when and by whom it was made, which ledger, its size and root
event    an event as `tally timeline --json` has it, and whose it is
gap      a record that could not be had: damaged, or deleted with its archive
end      how many lines there were, so that a file that was cut off is known
"""

from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from tallystick.exports.shape import fact_json
from tallystick.ledger.errors import TallystickError
from tallystick.ledger.events import BY_NAME, OF_FLOWS, AnyFact, Event
from tallystick.ledger.ids import id_bytes, id_text
from tallystick.ledger.store.codec import decode, encode

FORMAT = "tallystick.ndjson"
VERSION = 1

_NO_DATA = Raw(b"")
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)  # what may be said of bytes that may be anything
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
    """An event, or a gap. `body` are the bytes that are stored, where the rest of the line does not lead to them."""

    position: int
    task_id: str | None = None
    flow_id: str | None = None
    version: int | None = None
    type: str | None = None
    occurred_at: int | None = None
    recorded_at: int | None = None
    actor: str | None = None
    data: Raw = _NO_DATA
    damaged: str | None = None
    deleted: Gone | None = None
    leaf_hash: bytes | None = None
    body: bytes | None = None

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


def event_line(event: Event, body: bytes) -> bytes:
    """Return the line of an event. It leads back to `body`, which is in it only where nothing else would."""
    line = _told(event)
    plain = _encode(line)
    try:
        is_enough = body_of(_read_line(plain)) == body
    except (NoLine, *_UNREADABLE):
        is_enough = False
    if is_enough:
        return plain
    line.body = body
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
    if event.is_of_flow:
        line.flow_id = id_text(event.stream)
    else:
        line.task_id = id_text(event.stream)
    return line


def read_header(raw: bytes) -> Header:
    """Read the first line. Raises `NoLine`."""
    try:
        return _read_header(raw)
    except _UNREADABLE as error:
        raise NoLine(_words(error)) from error


def read_line(raw: bytes) -> Line | End:
    """Read any other line. Raises `NoLine`."""
    try:
        return _read_line(raw)
    except _UNREADABLE as error:
        reason = error
    try:
        return _read_end(raw)
    except _UNREADABLE:
        raise NoLine(_words(reason)) from reason


def body_of(line: Line) -> bytes:
    """Return the bytes of the record that a line of an event stands for. Raises `NoLine`."""
    if line.body is not None:
        _check_said(line, line.body)
        return line.body
    try:
        return encode(_event_of(line))
    except TallystickError as error:
        raise NoLine(str(error)[:_DETAIL_CHARACTERS_MAX]) from error


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
    fact = _fact_of(str(line.type), bytes(data))
    return Event(line.position, id_bytes(whose), version, occurred_at, recorded_at, actor, fact)


def _fact_of(name: str, data: bytes) -> AnyFact:
    """Read what a fact says: it is stored with its type among its fields, and written without."""
    inner = data.strip()
    if not inner.startswith(b"{"):
        raise NoLine("its data are no object")
    rest = inner[1:].lstrip()
    typed = b'{"type":' + _encode(name) + (b"" if rest.startswith(b"}") else b",") + rest
    try:
        fact: AnyFact = _read_fact(typed)
    except _UNREADABLE as error:
        raise NoLine(f"its data: {_words(error)}") from error
    return fact


def _check_said(line: Line, body: bytes) -> None:
    """Raise `NoLine` unless a line says what its bytes say: people read the one, and programs the other."""
    try:
        event = decode(body)
    except TallystickError as error:
        raise NoLine(f"its body: {error}"[:_DETAIL_CHARACTERS_MAX]) from error
    told = _told(event)
    told.body = body
    if _read_any(_encode(told)) != _read_any(_encode(line)):
        raise NoLine("its body says something else than the line")


def _words(error: BaseException) -> str:
    return str(error)[:_DETAIL_CHARACTERS_MAX] or type(error).__name__
