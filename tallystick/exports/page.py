"""The page of an evidence bundle: HTML that a person reads without a network and without scripts. Pure.

It follows from the manifest, the records and the checkpoints alone, so that whoever verifies a bundle makes it anew and
compares. Every text that somebody could choose goes through `_text`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

import msgspec
from msgspec import Struct

from tallystick.exports.absent import Absent, absent_of, on_disk, streams_of
from tallystick.exports.activities import activity
from tallystick.exports.manifest import FIRST, About, version_for
from tallystick.exports.shape import rfc3339
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.ids import id_text
from tallystick.ledger.payloads import kept, lacking
from tallystick.ledger.proofs.checkpoint import Checkpoint, parse_checkpoint
from tallystick.ledger.proofs.keys import cosigned_at
from tallystick.ledger.proofs.note import parse_note
from tallystick.ledger.reasons.history import reasons_of_task, silence
from tallystick.ledger.reasons.reason import SENTENCES, Reason
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.steps import steps_of_task
from tallystick.ledger.store.port import Deleted, Stored
from tallystick.ledger.told import DeliveryRecord, deliveries_of
from tallystick.plain import plain_lines

_MS_PER_S = 1_000
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222;background:#fff}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3em .6em;"
    "border-bottom:1px solid #ccc;overflow-wrap:anywhere}code,pre{font-family:monospace;overflow-wrap:anywhere}"
    "pre{background:#f4f4f4;padding:.6em;white-space:pre-wrap}small{color:#555}"
)
_HEAD = (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    f"<title>Evidence of a task ledger</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
)
_COMMANDS = """tally verify --bundle BUNDLE --key VKEY
tally verify --bundle BUNDLE --key VKEY --witness WITNESS-VKEY
tally verify --bundle BUNDLE --key VKEY --tsa-cert AUTHORITY.pem
openssl ts -verify -in attested/token.tsr -data attested/checkpoint -CAfile AUTHORITY.pem"""


class Attested(Struct, frozen=True):
    """A checkpoint that others saw: how many records it has, who says that they saw it, and whether there is a token.

    `seen` are the names of keys and when (s), which nobody has verified here.
    """

    size: int
    seen: tuple[tuple[str, int], ...]
    has_token: bool


def attested_of(data: bytes, *, has_token: bool) -> Attested:
    """Return what a checkpoint that others saw says of them, which nobody has verified. Raises `InvalidInput`."""
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    seen: list[tuple[str, int]] = []
    for signature in note.signatures:
        at = cosigned_at(signature.signature)
        if signature.name != checkpoint.origin and at is not None:
            seen.append((f"{signature.name}+{signature.key_id.hex()}", at))
    return Attested(checkpoint.size, tuple(seen), has_token)


def page(about: About, checkpoint: Checkpoint, attested: Attested | None, records: Sequence[Stored]) -> Iterator[str]:
    """Yield the page, piece by piece."""
    yield _HEAD
    yield "<h1>Evidence of a task ledger</h1>\n"
    yield from _table(
        (
            ("ledger", about.ledger),
            ("events here", f"{about.events}; damaged {about.damaged}, deleted {about.deleted}"),
            ("selected", "all of the ledger" if not about.selection else _json(about.selection)),
            ("made", f"{_at(about.made_at)} by {about.by}, with {about.made_by}"),
            ("checkpoint", f"{checkpoint.origin}, {checkpoint.size} records, root hash {about.root_hash}"),
        )
    )
    yield "<p>This page is for reading. It proves nothing until the bundle is verified as the last section says.</p>\n"
    for stream, events in streams_of(records).items():
        yield from _history(stream, events)
    yield from _gaps(records)
    yield from _what_is_proved(about, attested, is_marked=version_for(records) > FIRST)
    yield from _how_to_check()
    yield "</body>\n</html>\n"


def is_from_its_beginning(events: Sequence[Event]) -> bool:
    """Whether these events of one task or flow are its first ones, and none between them is missing."""
    return [event.version for event in events] == list(range(1, len(events) + 1))


def _history(stream: bytes, events: Sequence[Event]) -> Iterator[str]:
    kind = "Flow" if events[0].is_of_flow else "Task"
    yield f"<h2>{kind} <code>{_text(id_text(stream))}</code></h2>\n"
    if not is_from_its_beginning(events):
        versions = ", ".join(str(event.version) for event in events)
        yield f"<p>Only a part of its history is here: the events with the versions {versions}.</p>\n"
    elif not events[0].is_of_flow:
        yield from _story(events)
    absent = absent_of(events)
    yield "<h3>Timeline</h3>\n<table>\n<tr><th>Position</th><th>Recorded</th><th>What</th><th>By</th></tr>\n"
    for event in events:
        late = "" if event.occurred_at == event.recorded_at else f"<br><small>happened {_at(event.occurred_at)}</small>"
        said = "".join(f"<br><b>{_text(name)}</b> {_text(_json(value))}" for name, value in _fields(event).items())
        yield (
            f"<tr><td>{event.position}</td><td>{_at(event.recorded_at)}{late}</td>"
            f"<td>{_text(activity(event))}{said}{_marks(event, absent)}</td><td>{_text(event.actor)}</td></tr>\n"
        )
    yield "</table>\n"


def _story(events: Sequence[Event]) -> Iterator[str]:
    """What the task was, why it is what it is, and who was told; nothing where the history does not follow."""
    try:
        steps = list(steps_of_task(events))
        reasons = list(reasons_of_task(steps))
    except Corrupt as error:
        yield f"<p>Its history does not follow: {_text(str(error))}</p>\n"
        return
    record = steps[-1].after
    assert isinstance(record, TaskRecord), "every event of a task leaves a record"
    gone = record.erased
    yield from _table(
        (
            ("task", record.task),
            ("label", record.label or ""),
            ("asked for by", record.owner_key or ""),
            ("runtime", record.runtime.value),
            ("status", f"{record.shown_status}, as of position {events[-1].position}"),
            ("erased", "" if gone is None else f"{_at(gone.at)} by {gone.by}: {gone.reason}"),
        )
    )
    yield "<h3>Why</h3>\n<ol>\n"
    yield from map(_because, reasons)
    yield "</ol>\n<h3>Who was told</h3>\n"
    told, absent = deliveries_of(events), absent_of(events)
    why_not = silence(record, told)
    if told:
        yield "<ul>\n"
        yield from (_message(message, absent.get(message.position)) for message in told)
        yield "</ul>\n"
    elif why_not is None:
        yield "<p>Nobody, by these events.</p>\n"
    if why_not is not None:
        yield f"<p>Nobody was told of its end: {_text(why_not)}.</p>\n"


def _because(reason: Reason) -> str:
    moved = "" if reason.after is None else f" ({_text(reason.before or 'nothing')} → {_text(reason.after)})"
    ignored = " Ignored." if reason.is_ignored else ""
    stands = f" It stands on position {', '.join(map(str, reason.because))}." if reason.because else ""
    rule = _text(SENTENCES[reason.rule])
    return (
        f"<li>{_text(reason.said)}{moved}{ignored}<br><small>{rule}{stands} Position {reason.position}.</small></li>\n"
    )


def _message(message: DeliveryRecord, absent: Absent | None) -> str:
    route = message.route
    to = f"session {message.session}" if route is None else _json(msgspec.to_builtins(route))
    error = "" if message.error is None else f" {message.error}"
    text = _text(message.text) if absent is None else f"{_text(message.text)}{_not_here(absent, ('its text',))}"
    return f"<li>{_text(message.status.value)}: {_text(to)}<br>{text}{_text(error)}</li>\n"


def _gaps(records: Iterable[Stored]) -> Iterator[str]:
    gaps = [record for record in records if not isinstance(record, Event)]
    if not gaps:
        return
    yield "<h2>Records that cannot be had</h2>\n<ul>\n"
    for gap in gaps:
        why = f"deleted by {gap.by} at {_at(gap.at)}: {gap.reason}" if isinstance(gap, Deleted) else gap.detail
        yield f"<li>Position {gap.position}: {_text(why)}</li>\n"
    yield "</ul>\n"


def _what_is_proved(about: About, attested: Attested | None, *, is_marked: bool) -> Iterator[str]:
    yield "<h2>What is proved, and what is not</h2>\n<ul>\n"
    yield (
        "<li>Proved, once verified: each event above is, to the byte, in the log whose checkpoint the key signed, at"
        " its position.</li>\n"
        "<li>Not proved by that alone: that the log was not written anew before it was signed. Whoever has the signing"
        " key can do that.</li>\n"
    )
    if is_marked:
        yield (
            "<li>Proved likewise: what is kept beside the log is what was written then, for its record has a digest of"
            " it. What was erased, or is not here, is not shown by anything; nor is what was taken out before it was"
            " stored. What stands in italics is of this page, and no text of a task.</li>\n"
        )
    if attested is None:
        yield "<li>Nobody else is known to have seen a checkpoint: there is only the ledger's own signature.</li>\n"
    else:
        names = ", ".join(f"{name} at {_at(at * _MS_PER_S)}" for name, at in attested.seen) or "no witness"
        token = "there is a token of a timestamp authority" if attested.has_token else "there is no timestamp token"
        yield (
            f"<li>A checkpoint of {attested.size} records was shown to others. It says that it was seen by"
            f" {_text(names)}; {token}. Verified with their keys, it shows that its records were there at that moment,"
            " and were not changed since.</li>\n"
        )
    if about.deleted:
        yield "<li>Of deleted records only the hashes are left: what they said is not shown by anything.</li>\n"
    yield (
        "<li>Never proved: that what was reported is true, who really reported it, that nothing was left unreported,"
        " and that nothing happened after the newest event here.</li>\n"
        "<li>Claims of whoever made this bundle: its name, the time, and that the selection is what it says.</li>\n"
        "</ul>\n"
    )


def _how_to_check() -> Iterator[str]:
    yield (
        "<h2>How to check it</h2>\n<p>Get the verifier key of the ledger by another way than this bundle: it is not in"
        " it, and a key that comes with what it signed says nothing. The same holds for keys of witnesses and"
        f" certificates of an authority.</p>\n<pre>{_text(_COMMANDS, breaks=True)}</pre>\n"
        "<p>The exit code is 0 when everything holds, and 4 when anything does not. Each file below proofs is a C2SP"
        " tlog-proof, which other tools verify, too.</p>\n"
    )


def _fields(event: Event) -> dict[str, Any]:
    """What a fact says; what it says of how it is kept are marks."""
    said: dict[str, Any] = msgspec.to_builtins(event.data)
    for name in ("type", *Fact.__struct_fields__, *on_disk(event.data, lacking(event.data))):
        said.pop(name, None)
    return said


def _marks(event: Event, absent: Mapping[int, Absent]) -> str:
    """What is to be known of how an event is kept."""
    marks = ""
    if here := ", ".join(on_disk(event.data, kept(event.data))):
        marks += f"<br><em>kept beside the log: {here}</em>"
    if (gone := absent.get(event.position)) is not None:
        marks += f"<br>{_not_here(gone, on_disk(event.data, gone.fields))}"
    if redacted := ", ".join(event.data.redacted):
        marks += f"<br><em>something was taken out of it before it was stored: {_text(redacted)}</em>"
    return marks


def _not_here(absent: Absent, names: Iterable[str]) -> str:
    what, erasure = ", ".join(names), absent.erasure
    if erasure is None:
        return f"<em>not here: {what}. It was erased later, or left out.</em>"
    return f"<em>erased by {_text(erasure.actor)} at position {erasure.position}: {what}</em>"


def _table(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield "<table>\n"
    yield from (f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>\n" for name, value in rows if value)
    yield "</table>\n"


def _json(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _at(ms: int) -> str:
    return rfc3339(ms) or f"{ms} ms"


def _text(text: str, *, breaks: bool = False) -> str:
    """Return a text as HTML that is nothing but text: no tag, no entity, no control, no change of direction."""
    return ("\n" if breaks else "<br>").join(escape(line, quote=True) for line in plain_lines(text))
