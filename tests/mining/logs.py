"""Logs to be mined: histories whose events are in turn, as several at work write them, and what is exported of them."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from tallystick.config import Config
from tallystick.exports.exporting import export, selection_of
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.ids import id_bytes
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import EventLog
from tallystick.readings import Readings, due_rules
from tests.story import BEGIN_MS, STREAM

FIRST_ID = id_bytes("0198c2f0-7b7e-7000-8000-000000000000")


def stream_of(number: int) -> bytes:
    """Return the id of the task with this number: ids sort as numbers do."""
    return (int.from_bytes(FIRST_ID) + number).to_bytes(len(FIRST_ID))


def as_stream(facts: Sequence[AnyFact], stream: bytes = STREAM, *, every_ms: int = 1_000) -> list[Event]:
    """Return the events that these facts would be, whether they can follow each other or not."""
    return [
        Event(number, stream, number, at, at, "somebody", fact)
        for number, fact in enumerate(facts, 1)
        for at in (BEGIN_MS + number * every_ms,)
    ]


def log_of(histories: Iterable[Sequence[Event]]) -> MemoryLog:
    """Return a log with these histories, each that of a task of its own, and their events in turn, numbered anew."""
    numbered = [
        [replace(event, stream=stream_of(number), version=version) for version, event in enumerate(history, 1)]
        for number, history in enumerate(histories)
    ]
    longest = max(map(len, numbered), default=0)
    turns = [history[turn] for turn in range(longest) for history in numbered if turn < len(history)]
    log = MemoryLog()
    log.append([replace(event, position=position) for position, event in enumerate(turns, 1)])
    return log


def copied(events: Iterable[Event]) -> MemoryLog:
    """Return a log with the events of another one, from its first on."""
    log = MemoryLog()
    log.append(list(events))
    return log


def readings_of(log: EventLog) -> Readings:
    """Return what can be asked of a log without views."""
    return Readings(log, None, rules=due_rules(Config()))


def exported(log: EventLog, form: str, *, origin: str | None = None, **selected: Any) -> bytes:
    """Return what a log is in a format."""
    out = io.BytesIO()
    export(readings_of(log), form, out, selection_of(form, **selected), now=BEGIN_MS, origin=origin)
    return out.getvalue()
