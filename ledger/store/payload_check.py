"""The check of the payloads: beside the log is kept what its events name and nobody erased, as it was put there.

What is kept is held to the digest in the record. What is not there must have been erased, by a later event of the same
task or flow: so whoever lacks something waits for that. What an erasure has left behind is looked for when it is read.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import ERASURES, Event
from tallystick.ledger.payloads import Payloads, digest, filled, put
from tallystick.ledger.store import keys
from tallystick.ledger.store.findings import Findings, Kind
from tallystick.ledger.store.payloads import by_position
from tallystick.ledger.store.port import Body, EventLog, Lost, Row

WAITING_MAX = 65_536  # fields that wait; when there are more, the histories of their streams are read
ERASED_MAX = 65_536  # streams of which it is known up to where they were looked at
SLICE_ROWS = 1_024  # that are read at a time where any number may be

_Lacking: TypeAlias = tuple[int, int, str]
"""A position, the version there, and the name of a field."""


def kept_at(log: EventLog, position: int) -> Payloads:
    """Return what is kept at a position; nothing where something is that is no payload."""
    try:
        return by_position(log.payloads(position, position)).get(position, {})
    except Corrupt:
        return {}


def fitted(event: Event, kept: Payloads) -> Event:
    """Return an event with that of what is kept of it which is what it names, and can be read."""
    try:
        return filled(event, _fitting(event, kept))
    except Corrupt:
        return event


def _fitting(event: Event, kept: Payloads) -> dict[str, bytes]:
    aside = event.data.aside or {}
    return {name: kept[name] for name, wanted in aside.items() if name in kept and digest(kept[name]) == wanted}


class PayloadCheck:
    """Takes the events of a log in their order, then tells what is kept of them otherwise than they say."""

    def __init__(self, log: EventLog, findings: Findings) -> None:
        self._log = log
        self._findings = findings
        self._seen = 0  # up to this position records were looked at
        self._is_used = False  # whether anything is kept so far, or was
        self._waiting: dict[bytes, list[_Lacking]] = {}
        self._waits = 0
        self._erased: dict[bytes, int] = {}  # where streams were erased last

    def add(self, first: int, bodies: Sequence[Body], events: Sequence[Event]) -> Sequence[Event]:
        """Take what stands from the position `first` on, and the events that can be believed of it.

        Returns these with what is kept of them, as far as it is what they name.
        """
        self._seen = first + len(bodies) - 1
        rows = self._rows(first, self._seen)
        touched = [event for event in events if event.data.aside is not None]
        self._is_used = self._is_used or bool(rows or touched)
        if not self._is_used:  # then there was nothing to erase either
            return events
        touched = [event for event in events if event.data.aside is not None or event.data.__class__ in ERASURES]
        kept = by_position(rows)
        whole = {event.position: self._hold(event, kept.pop(event.position, {})) for event in touched}
        if kept:
            self._strangers(first, bodies, events, kept)
        if self._waits >= WAITING_MAX:
            self.missing()
        return [whole.get(event.position, event) for event in events]

    def _hold(self, event: Event, kept: Payloads) -> Event:
        """Hold what is kept of an event to what it names."""
        if event.data.__class__ in ERASURES:
            self._erase(event)
        aside = event.data.aside or {}
        for name in kept.keys() - aside.keys():
            self._tell(event.position, name, "is kept beside it, and the record does not name that: it was added")
        fitting = _fitting(event, kept)
        for name in fitting.keys() - put(event.data):
            self._tell(event.position, name, "is kept beside it, and is no content of such an event")
        for name in aside.keys() - fitting.keys():
            if name in kept:
                self._tell(event.position, name, "is kept otherwise than the record names it: it was changed")
            else:
                self._wait(event, name)
        try:
            return filled(event, fitting) if fitting else event
        except Corrupt as error:
            self._findings.add(event.position, Kind.PAYLOAD, f"{error.detail}; it is kept as it was put aside")
            return event

    def _strangers(
        self, first: int, bodies: Sequence[Body], events: Sequence[Event], kept: Mapping[int, Payloads]
    ) -> None:
        """Name what is kept of events that name nothing, and of those that were deleted; the others are not known."""
        known = {event.position for event in events}
        for position, payloads in kept.items():
            body = bodies[position - first]
            if position in known:
                what = "is kept beside it, and the record does not name that: it was added"
            elif isinstance(body, Lost) and body.is_deleted:
                what = "is still kept, though the record was deleted: whoever writes next deletes it"
            else:
                continue
            for name in payloads:
                self._tell(position, name, what)

    # What was erased.

    def _wait(self, event: Event, name: str) -> None:
        self._waiting.setdefault(event.stream, []).append((event.position, event.version, name))
        self._waits += 1

    def _erase(self, event: Event) -> None:
        """Take an erasure: what its stream lacks until here was erased, and nothing of it may be left."""
        self._waits -= len(self._waiting.pop(event.stream, ()))
        before = self._erased.get(event.stream, 0)  # what was left behind that erasure has been told
        for position in self._log.positions([event.stream]).get(event.stream, ()):
            if before < position < event.position:
                for _, name, _ in self._rows(position, position):
                    self._tell(position, name, f"is still kept, though the event at {event.position} erased it")
        if len(self._erased) >= ERASED_MAX:
            self._erased.clear()
        self._erased[event.stream] = event.position

    def missing(self) -> None:
        """Name what events lack that nothing has erased, here or behind what has been looked at so far."""
        for stream, lacking in self._waiting.items():
            erased_at = self._erased_behind(stream, lacking[0][1])
            for position, version, name in lacking:
                if version > erased_at and not self._is_deleted(position):
                    self._tell(position, name, "is not kept any more, and no later event says that it was erased")
        self._waiting.clear()
        self._waits = 0

    def _erased_behind(self, stream: bytes, version: int) -> int:
        """The version of the last erasure of a stream behind what has been looked at; 0 for none."""
        try:
            later = self._log.stream(stream, version)
        except Corrupt:  # its index has what is no position
            return 0
        erasures = (stored for stored in later if isinstance(stored, Event) and stored.data.__class__ in ERASURES)
        return max((event.version for event in erasures if event.position > self._seen), default=0)

    def _is_deleted(self, position: int) -> bool:
        """Whether a record was deleted since it was read, and with it what is kept of it."""
        [body] = self._log.records(position, position)
        return isinstance(body, Lost) and body.is_deleted

    # The ends.

    def beyond(self, end: int) -> None:
        """Name what is kept of records that the log does not have: it ended there, and may have gone on meanwhile."""
        for rows in (self._rows(0, 0), *self._slices(max(end, self._log.head()) + 1)):
            head = self._log.head() if rows else end
            for position, name, _ in rows:
                if not 0 < position <= head:
                    self._tell(position, name, "is kept of a record that the log does not have")

    def _slices(self, first: int) -> Iterator[list[Row]]:
        """Yield what is kept from a position on: it may be any number of rows, and stand anywhere."""
        while first <= keys.POSITION_MAX:
            try:
                rows = self._log.payloads(first, keys.POSITION_MAX, SLICE_ROWS)
            except Corrupt as error:  # nobody can tell at how many positions
                self._findings.add(first, Kind.PAYLOAD, f"what is kept from here on is nobody's: {error.detail}")
                return
            if not rows:
                return
            yield rows
            last = rows[-1][0]
            if len(rows) == SLICE_ROWS:
                yield list(set(self._rows(last, last)).difference(rows))
            first = last + 1

    def _rows(self, first: int, last: int) -> list[Row]:
        """What is kept at these positions; what is no payload of a field is named."""
        try:
            return self._log.payloads(first, last)
        except Corrupt as error:
            if first == last:
                self._findings.add(first, Kind.PAYLOAD, f"what is kept beside it is nobody's: {error.detail}")
                return []
        middle = (first + last) // 2
        return [*self._rows(first, middle), *self._rows(middle + 1, last)]

    def _tell(self, position: int, name: str, what: str) -> None:
        self._findings.add(position, Kind.PAYLOAD, f"{name} {what}")
