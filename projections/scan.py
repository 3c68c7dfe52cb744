"""Scanning the board's indexes: the places of tasks, newest first, of many ranges as if they were one."""

import heapq
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.projections.keys import PLACE_BYTES, moment


class Span(Struct, frozen=True):
    """A span of places: from the first, included, to the second, which is not."""

    first: bytes = b""
    end: bytes = b"\xff" * (PLACE_BYTES + 1)

    def __contains__(self, place: bytes) -> bool:
        return self.first <= place < self.end


def span(since: int | None, until: int | None, after: bytes | None) -> Span:
    """Return the span of the tasks created from `since` on and before `until`, that stand after a place in a list."""
    first = b"" if since is None else moment(since)
    ends = [Span().end]
    if until is not None:
        ends.append(moment(until))
    if after is not None:
        ends.append(after)
    return Span(first, min(ends))


def newest_first(txn: Transaction, table: Database, prefixes: Sequence[bytes], span: Span) -> Iterator[bytes]:
    """Yield the places in a span under every prefix, the newest first, each once."""
    if len(prefixes) == 1:
        return _descending(txn, table, prefixes[0], span)
    return each_once(heapq.merge(*(_descending(txn, table, prefix, span) for prefix in prefixes), reverse=True))


def each_once(places: Iterable[bytes]) -> Iterator[bytes]:
    """Yield sorted places without repetition: a session may be both owner and child of a task."""
    last = None
    for place in places:
        if place != last:
            yield place
        last = place


def _descending(txn: Transaction, table: Database, prefix: bytes, span: Span) -> Iterator[bytes]:
    cursor = txn.cursor(table)
    found = cursor.prev() if cursor.set_range(prefix + span.end) else cursor.last()
    if not found:
        return
    start = len(prefix)
    floor = prefix + span.first
    for key in cursor.iterprev(values=False):
        if key < floor:
            return
        yield key[start:]
