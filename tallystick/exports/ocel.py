"""OCEL 2.0: tasks, flows, sessions, agents and messages, the events that they share, and how they are related.

Source of the format: OCEL 2.0, https://www.ocel-standard.org, in JSON. Of the three forms it is the one that can be
written as a stream and has a way to say every text. Values are texts, as its schema asks for; the types say what they
stand for.
"""

from collections.abc import Iterator
from typing import BinaryIO

import msgspec
from msgspec import Struct

from tallystick.exports.activities import activity
from tallystick.exports.histories import History
from tallystick.exports.ocel_objects import Cast, Object, Objects, Related
from tallystick.exports.ocel_types import AGENT, FLOW, SESSION, TASK, Of, event_types, object_types
from tallystick.exports.source import Source
from tallystick.exports.spool import Spool
from tallystick.exports.unfolding import Step, moment, unfolded
from tallystick.exports.values import Value, said, text_of
from tallystick.ledger.flows.mirror import mirror_of, mirror_stream
from tallystick.ledger.ids import id_bytes_or_none
from tallystick.ledger.store.port import Damaged

_GAP = b",\n"

_encode = msgspec.json.Encoder().encode


class Attribute(Struct, frozen=True):
    """What an attribute of an event is."""

    name: str
    value: str


class Happening(Struct, frozen=True):
    """An event: what happened when, and to which objects."""

    id: str
    type: str
    time: str
    attributes: list[Attribute]
    relationships: list[Related]


def write(source: Source, out: BinaryIO) -> None:
    """Write the log. The objects stand behind the events, and until then in a file that has no name.

    As much is in memory as a slice of the events, or the longest history, and the names of all sessions and agents; of
    a selection also the ids of its tasks and flows. Raises `Full`, `StoreError` also for that file.
    """
    out.write(b'{"objectTypes":' + _encode(object_types()) + b',\n"eventTypes":' + _encode(event_types()))
    out.write(b',\n"events":[\n')
    with Spool() as spool:
        objects = _Objects(source, spool)
        gap = b""
        for history in source.histories(flows=True):
            for happening in objects.of(history):
                out.write(gap + _encode(happening))
                gap = _GAP
        objects.close()
        out.write(b'\n],\n"objects":[\n')
        spool.pour(out)
        out.write(b"\n]}\n")


class _Objects:
    """The objects that were seen: those of which all is known are written, and each once."""

    def __init__(self, source: Source, spool: Spool) -> None:
        self._log = source.readings.log
        self._is_whole = not source.selection.said()
        self._spool = spool
        self._gap = b""
        self._shared: set[str] = set()
        self._written: set[str] = set()
        self._elsewhere: dict[str, Of] = {}

    def of(self, history: History) -> Iterator[Happening]:
        """Yield the events of a history, and keep what they are about."""
        cast = Cast(history.id, of=FLOW if history.is_of_flow else TASK)
        task = flow = None
        for step in unfolded(history.records, history.created_at):
            task, flow = step.task or task, step.flow or flow
            yield _happening(step, cast.see(step))
        cast.close(task, flow)
        mirror = mirror_of(history.id)
        if task is not None and mirror in cast.elsewhere and not self._has_history(mirror):
            cast.mirror(task)
        self._keep(cast.objects)
        for id, of in cast.elsewhere.items():
            if id not in cast.objects and not (self._is_whole and self._is_told(id)):
                self._elsewhere[id] = of

    def close(self) -> None:
        """Keep also what is only named, so that no relation leads nowhere."""
        for id, of in sorted(self._elsewhere.items()):
            if id not in self._written:
                self._put(Object(id, of, [], []))

    def _has_history(self, id: str) -> bool:
        raw = id_bytes_or_none(id)
        return raw is not None and bool(self._log.known_streams([raw]))

    def _is_told(self, id: str) -> bool:
        """Whether a whole export has it: it has a history, or it mirrors a task that has one."""
        raw = id_bytes_or_none(id)
        if raw is None or self._has_history(id):
            return raw is not None
        steps = unfolded(self._log.stream(mirror_stream(raw)), 0)
        return any(step.task is not None and step.task.parent_flow_id == id for step in steps)

    def _keep(self, objects: Objects) -> None:
        for each in objects.values():
            if each.type in (SESSION, AGENT):
                if each.id in self._shared:
                    continue
                self._shared.add(each.id)
            elif not self._is_whole and each.type in (TASK, FLOW):
                self._written.add(each.id)
            self._put(each)

    def _put(self, each: Object) -> None:
        self._spool.put(self._gap + _encode(each))
        self._gap = _GAP


def _happening(step: Step, related: list[Related]) -> Happening:
    stored = step.stored
    told: list[tuple[str, Value | None]] = [("position", stored.position)]
    if isinstance(stored, Damaged):
        told.append(("detail", stored.detail))
    else:
        told += [
            ("version", stored.version),
            ("fact", stored.type),
            ("occurredAt", moment(stored.occurred_at)),
            ("recordedAt", moment(stored.recorded_at)),
            ("actor", stored.actor or None),
            *((field.name, value) for field, value in said(stored.data)),
        ]
    attributes = [Attribute(name, text_of(value)) for name, value in told if value is not None]
    return Happening(str(stored.position), activity(stored), moment(step.at) or "", attributes, related)
