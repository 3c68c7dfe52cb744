"""The read model "outbox": what is to be sent on each endpoint and when, what waits in each session, what is stuck.

A place under an endpoint is a task that has a message to send there, by the moment in which that is due. A place under
a session is a message that waits there, by its position in the log.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from msgspec import Struct

from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.outbox import Waiting, endpoint_of, sendable
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.projections.change import Changes
from tallystick.projections.keys import ENDPOINT, SESSION, STUCK, UNCONFIRMED, WITHHELD, outbox_heading
from tallystick.projections.places import (
    Entry,
    Groups,
    add,
    moment,
    moment_of,
    oldest_first,
    remove,
    stream_of,
)
from tallystick.projections.projection import Contents, Table, Whole

NAME = "outbox"


class OutboxCounts(Struct, frozen=True):
    """How many tasks have messages to be sent, stuck ones, and withheld ones; how many messages wait in sessions."""

    pending: int = 0
    failed: int = 0
    queued: int = 0
    withheld: int = 0


Slot: TypeAlias = tuple[int, bytes]
"""A moment (ms) or a position, and a task."""


class Outbox:
    """A place for every message of every task that is not done with."""

    name = NAME
    tables = (Table("places", of_places=True),)

    def apply(self, txn: Transaction, tables: Sequence[Database], changes: Changes) -> None:
        gone: list[Entry] = []
        new: Groups = {}
        for stream, change in changes.tasks.items():
            before = () if change.before is None else open_of(change.before)
            after = open_of(change.after)
            if after is before or not (after or before):
                continue
            entries, known = set(places_of(stream, after)), set(places_of(stream, before))
            gone.extend(known - entries)
            for heading, place in entries - known:
                new.setdefault(heading, []).append(place)
        remove(txn, tables[0], gone)
        add(txn, tables[0], new)

    def contents(self, whole: Whole) -> Contents:
        return ([entry for stream, record in whole.tasks for entry in set(places_of(stream, open_of(record)))],)


def open_of(record: TaskRecord) -> tuple[Waiting, ...]:
    """Return the messages that something may still be done with: none of a task that was pruned."""
    return record.outbox if record.pruned_at is None else ()


def places_of(stream: bytes, outbox: tuple[Waiting, ...]) -> Iterator[Entry]:
    """Yield where a task with these messages stands."""
    for waiting in sendable(outbox):
        assert waiting.route is not None, "what is sent has a route"
        assert waiting.due_at is not None, "and a moment"
        yield endpoint_heading(waiting.route), moment(waiting.due_at) + stream
    for waiting in outbox:
        if waiting.is_withheld:
            due_at = waiting.queued_at if waiting.due_at is None else waiting.due_at
            yield outbox_heading(WITHHELD), moment(due_at) + stream
        elif waiting.is_stuck:
            yield outbox_heading(STUCK), moment(waiting.queued_at) + stream
        elif waiting.session is not None:
            yield session_heading(waiting.session), moment(waiting.position) + stream
            if waiting.due_at is not None:
                yield outbox_heading(UNCONFIRMED), moment(waiting.due_at) + stream


def endpoint_heading(route: Origin) -> bytes:
    """Return the heading of the endpoint of a route."""
    return outbox_heading(ENDPOINT, endpoint_of(route))


def session_heading(session: str) -> bytes:
    """Return the heading of what waits in a session."""
    return outbox_heading(SESSION, session)


def headings(txn: Transaction, table: Database, kind: bytes) -> Iterator[bytes]:
    """Yield the headings of a kind under which something stands."""
    cursor = txn.cursor(table)
    if cursor.set_range(kind):
        for heading in cursor.iternext_nodup(keys=True, values=False):
            if not heading.startswith(kind):
                return
            yield heading


def slots(txn: Transaction, table: Database, heading: bytes, before: int, first: int = 0) -> Iterator[Slot]:
    """Yield what stands under a heading from a moment or a position on and before another, the first first."""
    for place in oldest_first(txn, table, heading, moment(before), moment(first) if first else b""):
        yield moment_of(place), stream_of(place)


def count(txn: Transaction, table: Database, kind: bytes) -> int:
    """Return how much stands under the headings of a kind."""
    cursor = txn.cursor(table)
    return sum(cursor.count() for heading in list(headings(txn, table, kind)) if cursor.set_key(heading))
