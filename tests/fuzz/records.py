"""The records: what stands in the log and what waits in the inbox, when somebody else wrote it."""

import io
from contextlib import suppress
from functools import cache
from unicodedata import category

import msgspec

from tallystick.cli.screen import Screen
from tallystick.cli.stream import event_line as shown
from tallystick.cli.stream import log_data
from tallystick.exports.exporting import export, selection_of
from tallystick.exports.lines import Line, event_line, read_line, restored
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Corrupt, InvalidInput, NotFound
from tallystick.ledger.events import Event
from tallystick.ledger.folding import fold_stream
from tallystick.ledger.payloads import stripped
from tallystick.ledger.store import answers, codec
from tallystick.ledger.store.inbox import CommandInbox
from tallystick.ledger.store.keys import event_key
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.payloads import whole
from tallystick.ledger.store.port import Damaged
from tests.aside import marked
from tests.exports.parts import NOW_MS, Spoiled, read
from tests.fuzz.target import Target, place
from tests.projections.histories import told
from tests.story import Story, created

EVENTS = told()
MARKED, PAYLOADS = marked(EVENTS)
"""The same, with all content kept beside the log."""


_SCREEN = Screen(columns=80)
_FORMS = ("ndjson", "cloudevents", "csv", "xes", "ocel")


@cache
def bodies() -> list[bytes]:
    """Records that this version wrote."""
    return [codec.encode(event) for event in EVENTS]


def _record(data: bytes) -> None:
    event = codec.decode(data)
    found = codec.read_record(event.position, data)
    assert isinstance(found, Event)
    assert isinstance(codec.read_record(event.position + 1, data), Damaged)
    assert codec.encode(found) == codec.encode(event)
    line = read_line(event_line(event, data))
    assert isinstance(line, Line)
    assert data == restored(line).body
    msgspec.json.encode(log_data(event))
    assert "Cc" not in map(category, shown(_SCREEN, event))
    with suppress(Corrupt):  # most facts do not begin a history
        fold_stream([event])
    assert codec.first_after(event.position, [data], event.recorded_at) is None
    assert 1 == sum(len(codec.read_share(event.position, [data], number, 3)) for number in range(3))


def _history(data: bytes) -> None:
    """Records behind each other, each behind its length: what they tell together."""
    fold_stream([codec.decode(body) for body in cut(data)])


def cut(data: bytes) -> list[bytes]:
    """Return the pieces that stand behind their lengths, the last one perhaps cut off."""
    pieces: list[bytes] = []
    while data:
        size = int.from_bytes(data[:2])
        pieces.append(data[2 : 2 + size])
        data = data[2 + size :]
    return pieces


def joined(*pieces: bytes) -> bytes:
    """Return pieces, each behind its length."""
    return b"".join(len(piece).to_bytes(2) + piece for piece in pieces)


def _exported(data: bytes) -> None:
    position = data[0] % len(EVENTS) + 1
    readings = read(Spoiled(EVENTS, position, data[1:]))
    for form in _FORMS:
        out = io.BytesIO()
        export(readings, form, out, selection_of(form), now=NOW_MS)
        assert out.getvalue()


@cache
def _kept() -> list[tuple[Event, str, bytes]]:
    """What is kept beside the log: of which event, of which field, and the bytes."""
    return [
        (stripped(event), name, payload)
        for event in MARKED
        for name, payload in PAYLOADS.get(event.position, {}).items()
    ]


def _payload(data: bytes) -> None:
    event, name, _ = _kept()[data[0] % len(_kept())]
    found = whole(event, {name: data[1:]})
    assert shown(_SCREEN, found) if isinstance(found, Event) else found.detail
    log = MemoryLog()
    log.append(MARKED, {}, {}, {**PAYLOADS, event.position: {name: data[1:]}})
    out = io.BytesIO()
    export(read(log), "ndjson", out, selection_of("ndjson"), now=NOW_MS)


# The inbox.


@cache
def _inbox() -> CommandInbox:
    return CommandInbox.open_as_owner(place("post"))


@cache
def _letters() -> list[bytes]:
    commands = [Command(event.data, "me", event.occurred_at, 1) for event in EVENTS]
    return [
        msgspec.msgpack.encode((b"c" * 16, 0, event.stream, command))
        for event, command in zip(EVENTS, commands, strict=True)
    ]


def _letter(data: bytes) -> None:
    inbox = _inbox()
    database = inbox.environment.databases[b"commands"]
    inbox.environment.write_batch(lambda txn: txn.put(event_key(1), data, db=database))
    [letter] = inbox.waiting(2)
    assert 1 == letter.sequence
    if letter.command is not None:
        assert 16 == len(letter.stream)


def _fetched(data: bytes) -> None:
    """An answer on its way back: to whoever waits for it, and to the owner, who drops those that nobody fetches."""
    inbox = _inbox()
    database = inbox.environment.databases[b"answers"]
    inbox.environment.write_batch(lambda txn: txn.put(event_key(1), data, db=database))
    assert {1} == {*inbox.answered([1])}
    inbox.answer({2: (b"c" * 16, NotFound("x"))})
    inbox.forget([1, 2])


@cache
def _answers() -> list[bytes]:
    story = Story(created())
    said: list[answers.Answer] = [story.record, NotFound("x"), InvalidInput("a", 1, "b"), Corrupt("a", position=1)]
    return [*map(answers.encode, said)]


def _answer(data: bytes) -> None:
    found = answers.decode(data)
    assert str(found) is not None
    answers.encode(found)


TARGETS = (
    Target(name="record", seeds=bodies, read=_record, refusals=(Corrupt,)),
    Target(
        name="history",
        seeds=lambda: [joined(*(codec.encode(event) for event in EVENTS if event.stream == EVENTS[0].stream))],
        read=_history,
        refusals=(Corrupt,),
    ),
    Target(
        name="exported", seeds=lambda: [b"\x01" + body for body in bodies()], read=_exported, refusals=(IndexError,)
    ),
    Target(
        name="payload",
        seeds=lambda: [bytes([number]) + payload for number, (_, _, payload) in enumerate(_kept())],
        read=_payload,
        refusals=(IndexError,),
    ),
    Target(name="letter", seeds=_letters, read=_letter),
    Target(name="answer", seeds=_answers, read=_answer),
    Target(
        name="fetched",
        seeds=lambda: [msgspec.msgpack.encode((b"c" * 16, 1, answer)) for answer in _answers()],
        read=_fetched,
    ),
)
