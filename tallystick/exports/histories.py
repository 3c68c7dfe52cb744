"""Histories: the log by what its events are of, each task and each flow whole, in slices of the index of streams."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from msgspec import Struct

from tallystick.ledger.events import Event
from tallystick.ledger.facts.flows import FlowCreated
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import EXPORT_SLICE_EVENTS
from tallystick.ledger.store.port import EventLog, Stored

_TIME_BYTES = 6  # of a UUID of version 7, and of its mirror: milliseconds


class History(Struct, frozen=True):
    """All that the log has of one task or flow, in order; what cannot be had is `Damaged` or `Deleted` in its place."""

    stream: bytes
    records: Sequence[Stored]

    @property
    def id(self) -> str:
        """The id of the task or the flow."""
        return id_text(self.stream)

    @property
    def is_of_flow(self) -> bool:
        """Whether it is a flow's. One of which nothing can be read counts as a task's."""
        first = next((stored for stored in self.records if isinstance(stored, Event)), None)
        return first is not None and first.is_of_flow

    @property
    def created_at(self) -> int:
        """When it was created (ms), as reported; as its id says where the event is not there to be read."""
        first = self.records[0]
        if isinstance(first, Event) and isinstance(first.data, TaskCreated | FlowCreated):
            return first.occurred_at
        return int.from_bytes(self.stream[:_TIME_BYTES])


def all_histories(log: EventLog, until: int, told: Callable[[int, int], None]) -> Iterator[History]:
    """Yield every history up to a position, in the order of the ids; `told` hears how many of the events are done.

    What is in memory are the events of a slice, and all those of the task that has most.
    """
    done, streams, waiting = 0, list[bytes](), 0
    for stream, count in _counted(row for rows in log.index() for row in rows):
        streams.append(stream)
        waiting += count
        if waiting >= EXPORT_SLICE_EVENTS:
            yield from histories_of(log, streams, until)
            done, streams, waiting = done + waiting, [], 0
            told(min(done, until), until)
    yield from histories_of(log, streams, until)


def histories_of(log: EventLog, streams: Sequence[bytes], until: int) -> Iterator[History]:
    """Yield the histories of some streams up to a position, in their order; of those that have any."""
    found = log.histories(streams)
    for stream in streams:
        records = [stored for stored in found.get(stream, ()) if stored.position <= until]
        if records:
            yield History(stream, records)


def _counted(rows: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, int]]:
    for stream, of_stream in groupby(rows, key=itemgetter(0)):
        yield stream, sum(1 for _ in of_stream)
