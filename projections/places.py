"""Tables of places: under each heading the places of many tasks, sorted, as dense on disk as they can be.

A *place* is a moment (6 bytes, ms) and the id of a task (16 bytes). A heading is a few bytes, the key; its places are
LMDB's duplicates of one size, in a tree of their own, so that no key is repeated for each of them.
"""

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from msgspec import Struct

from tallystick.ledger.ids import ID_BYTES
from tallystick.ledger.store.mapping import Database, Transaction

MOMENT_BYTES = 6  # ends in the year 10889, after `TIME_MS_MAX`
PLACE_BYTES = MOMENT_BYTES + ID_BYTES

Groups: TypeAlias = dict[bytes, list[bytes]]
"""Places by heading."""

Entry: TypeAlias = tuple[bytes, bytes]
"""A heading and a place."""


def moment(at: int) -> bytes:
    """Return a time in ms as places have it; what they cannot have becomes the nearest that they can."""
    try:
        return at.to_bytes(MOMENT_BYTES)
    except OverflowError:
        return (b"\x00" if at < 0 else b"\xff") * MOMENT_BYTES


def moment_of(place: bytes) -> int:
    """Return the moment of a place."""
    return int.from_bytes(place[:MOMENT_BYTES])


def stream_of(place: bytes) -> bytes:
    """Return the id of the task that has this place."""
    return place[MOMENT_BYTES:]


def add(txn: Transaction, table: Database, groups: Groups, *, least: int = 1) -> None:
    """Put places under their headings.

    Those that come after the last one of their heading are appended, which fills pages to the brim; elsewhere they
    would be left half empty. Groups of fewer than `least` are put without looking for the last.
    """
    cursor = txn.cursor(table)
    others: list[Entry] = []
    for heading, places in sorted(groups.items()):
        places.sort()
        if len(places) < least:
            others.extend([(heading, place) for place in places])
            continue
        known = bisect_right(places, cursor.value()) if cursor.set_key(heading) and cursor.last_dup() else 0
        if known:
            cursor.putmulti([(heading, place) for place in places[:known]])
        if known < len(places):
            cursor.putmulti([(heading, place) for place in places[known:]], append=True)
    if others:
        cursor.putmulti(others)


def remove(txn: Transaction, table: Database, entries: Iterable[Entry]) -> None:
    """Delete the entries that are there."""
    for heading, place in sorted(entries):
        txn.delete(heading, place, db=table)


class Span(Struct, frozen=True):
    """A span of places: from the first, included, to the end, which is not; None: to the last."""

    first: bytes = b""
    end: bytes | None = None

    def __contains__(self, place: bytes) -> bool:
        return self.first <= place and (self.end is None or place < self.end)


def oldest_first(
    txn: Transaction, table: Database, heading: bytes, before: bytes, first: bytes = b""
) -> Iterator[bytes]:
    """Yield the places under a heading that are not less than `first` and less than `before`, the least first."""
    cursor = txn.cursor(table)
    if cursor.set_range_dup(heading, first) if first else cursor.set_key(heading):
        for place in cursor.iternext_dup():
            if place >= before:
                return
            yield place


def newest_first(txn: Transaction, table: Database, headings: Sequence[bytes], span: Span) -> Iterator[bytes]:
    """Yield the places in a span under every heading, the greatest first, each once."""
    if len(headings) == 1:
        return _descending(txn, table, headings[0], span)
    return _each_once(heapq.merge(*(_descending(txn, table, heading, span) for heading in headings), reverse=True))


def _descending(txn: Transaction, table: Database, heading: bytes, span: Span) -> Iterator[bytes]:
    cursor = txn.cursor(table)
    if span.end is not None and cursor.set_range_dup(heading, span.end):
        found = cursor.prev_dup()
    else:
        found = cursor.set_key(heading) and cursor.last_dup()
    if found:
        for place in cursor.iterprev_dup():
            if place < span.first:
                return
            yield place


def _each_once(places: Iterable[bytes]) -> Iterator[bytes]:
    """A session may be both the owner and the child of a task."""
    last = None
    for place in places:
        if place != last:
            yield place
        last = place
