"""The lacks: what one of two logs has erased beside the records that both have, and what of that is not as written.

The trees say nothing of it, for they are of the records alone; the records have the digests that it is held to.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from msgspec import Struct

from tallystick.ledger.events import ERASURES, Event
from tallystick.ledger.payloads import put, strange
from tallystick.ledger.store.codec import read_body
from tallystick.ledger.store.port import Body, EventLog, Row


class Lack(Struct, frozen=True, kw_only=True):
    """How many fields, of how many events, one of two logs has erased while the other still has them."""

    side: str
    events: int
    fields: int


class Lacks:
    """Takes the records that two logs share, slice by slice. `fault` is told what is damaged: of which, where, what."""

    def __init__(self, logs: Mapping[str, EventLog], fault: Callable[[str, int, str], None]) -> None:
        self._logs, self._fault = logs, fault
        self._events = dict.fromkeys(logs, 0)
        self._fields = dict.fromkeys(logs, 0)

    def found(self) -> tuple[Lack, ...]:
        """Return what each of them lacks, if it lacks anything."""
        return tuple(
            Lack(side=side, events=self._events[side], fields=fields) for side, fields in self._fields.items() if fields
        )

    def look(self, first: int, last: int, bodies: Mapping[str, Sequence[Body]]) -> None:
        """Compare what is kept beside the records from `first` to `last`, which are the same as far as they are."""
        rows = {side: log.payloads(first, last) for side, log in self._logs.items()}
        one, two = rows.values()
        if one == two:  # which they are where nothing is kept
            return
        same = {(position, name) for position, name, _ in set(one) & set(two)}
        erased_at = cache(self._erased_at)
        for side, other in zip(rows, reversed(rows), strict=True):
            places: dict[int, list[Row]] = {}
            for row in rows[side]:
                if row[:2] not in same:
                    places.setdefault(row[0], []).append(row)
            theirs = {(position, name) for position, name, _ in rows[other]}
            for position, found in places.items():
                event = read_body(position, bodies[side][position - first])
                if isinstance(event, Event):
                    is_there = isinstance(bodies[other][position - first], bytes)
                    missing = [name for _, name, _ in found if is_there and (position, name) not in theirs]
                    self._hold(side, event, found, erased_at)
                    self._miss(other, event, missing, erased_at)

    def _hold(self, side: str, event: Event, rows: list[Row], erased_at: Callable[[str, bytes], int]) -> None:
        """Say what of these rows should not be there, or should be other."""
        if erased_at(side, event.stream) > event.position:
            names = ", ".join(name for _, name, _ in rows)
            self._fault(side, event.position, f"what is kept of {names} was erased, and is still there")
            return
        for name in strange(event.data, {name: payload for _, name, payload in rows}):
            self._fault(side, event.position, f"what is kept of {name} is not what its record names")

    def _miss(self, side: str, event: Event, names: list[str], erased_at: Callable[[str, bytes], int]) -> None:
        """Count what one of them does not have, or say that nobody erased it."""
        named = [name for name in names if name in put(event.data)]
        if not named:
            return
        if erased_at(side, event.stream) > event.position:
            self._events[side] += 1
            self._fields[side] += len(named)
        else:
            self._fault(side, event.position, f"what was kept of {', '.join(named)} is gone, and nobody erased it")

    def _erased_at(self, side: str, stream: bytes) -> int:
        """The position of the last erasure of a task or flow, 0 if there is none."""
        history = self._logs[side].stream(stream)
        places = (each.position for each in history if isinstance(each, Event) and each.data.__class__ in ERASURES)
        return max(places, default=0)
