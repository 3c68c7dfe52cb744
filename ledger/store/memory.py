"""The log in memory: the oracle that the log on disk is held to, and what tests and dry runs write to.

It keeps every promise of the port except that something is left when the process ends.
"""

import threading
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from tallystick.ledger.errors import Closed, Corrupt, InvalidInput, WrongVersion
from tallystick.ledger.events import ERASURES, Event
from tallystick.ledger.ids import ID_BYTES, id_text
from tallystick.ledger.payloads import Payloads, stripped
from tallystick.ledger.store.codec import encode_all, read_record
from tallystick.ledger.store.keys import event_key
from tallystick.ledger.store.payloads import whole
from tallystick.ledger.store.port import NO_CLAIMS, NO_NOTES, NO_PAYLOADS, NOBODY, Body, Outline, Row, Stored, TreeHead
from tallystick.ledger.store.tree import TILE_WIDTH, Tree, leaf_hashes


class MemoryLog:
    """An `EventLog` of lists and dicts: too simple to be wrong.

    An append happens at one moment for every other thread.
    """

    path = ":memory:"

    def __init__(self) -> None:
        self._bodies: list[bytes] = []
        self._streams: dict[bytes, list[int]] = {}  # the positions of each stream's events, by version - 1
        self._claims: dict[bytes, bytes] = {}
        self._notes: dict[bytes, bytes] = {}
        self._payloads: dict[int, dict[str, bytes]] = {}
        self._tree = Tree()
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._closed = False
        self._moment = threading.Lock()

    def head(self) -> int:
        self._check_open()
        return len(self._bodies)

    def append(
        self,
        events: Sequence[Event],
        claims: Mapping[bytes, bytes] = NO_CLAIMS,
        notes: Mapping[bytes, bytes] = NO_NOTES,
        payloads: Mapping[int, Payloads] = NO_PAYLOADS,
    ) -> None:
        self._check_open()
        bodies = encode_all(list(map(stripped, events)) if payloads else events)
        head = len(self._bodies)
        for position, event in enumerate(events, head + 1):
            if event.position != position:
                raise Corrupt(f"an event for position {event.position} cannot follow the head, {position - 1}")
            if len(event.stream) != ID_BYTES:
                raise InvalidInput("stream", event.stream, f"{ID_BYTES} bytes")
        versions: dict[bytes, int] = {}
        for event in events:
            actual = versions.get(event.stream, len(self._streams.get(event.stream, ())))
            if event.version != actual + 1:
                raise WrongVersion(id_text(event.stream), expected=event.version - 1, actual=actual)
            versions[event.stream] = event.version
        tree, tiles = self._tree.extend(leaf_hashes(bodies))
        with self._moment:
            for event in events:
                self._streams.setdefault(event.stream, []).append(event.position)
            self._claims.update(claims)
            self._claims = {claim: stream for claim, stream in self._claims.items() if stream != NOBODY}
            self._notes.update(notes)
            self._payloads.update((position, dict(fields)) for position, fields in payloads.items())
            for event in events:
                if event.data.__class__ in ERASURES:
                    for position in self._streams[event.stream][: event.version - 1]:
                        self._payloads.pop(position, None)
            self._tiles.update(((tile.level, tile.index), tile.hashes) for tile in tiles)
            self._tree = tree
            self._bodies.extend(bodies)

    def read(self, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        for position, body in self.bodies(after, until):
            yield whole(read_record(position, body), self._payloads.get(position))

    def stream(self, stream: bytes, after_version: int = 0) -> list[Stored]:
        self._check_open()
        with self._moment:
            bodies = [
                (position, self._bodies[position - 1]) for position in self._streams.get(stream, [])[after_version:]
            ]
            kept = {position: self._payloads.get(position) for position, _ in bodies}
        return [whole(read_record(position, body), kept[position]) for position, body in bodies]

    def histories(self, streams: Sequence[bytes]) -> dict[bytes, list[Stored]]:
        return {stream: history for stream in streams if (history := self.stream(stream))}

    def bodies(self, after: int = 0, until: int | None = None) -> Iterator[tuple[int, bytes]]:
        end = self.head() if until is None else min(until, self.head())
        for position in range(after + 1, end + 1):
            self._check_open()
            yield position, self._bodies[position - 1]

    def claimed(self, claim: bytes) -> bytes | None:
        self._check_open()
        return self._claims.get(claim)

    def note(self, name: bytes) -> bytes | None:
        self._check_open()
        return self._notes.get(name)

    def notes(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        self._check_open()
        with self._moment:
            return sorted(note for note in self._notes.items() if note[0].startswith(prefix))

    def tree_head(self) -> TreeHead:
        self._check_open()
        edge = self._tree.edge
        return TreeHead(edge.size, edge.root())

    def outline(self) -> Outline:
        self._check_open()
        with self._moment:
            return Outline(
                size=len(self._bodies),
                end=len(self._bodies),
                last=len(self._bodies),
                edge=self._tree.edge,
                partials=self._tree.partials,
                records=len(self._bodies),
                index_rows=sum(map(len, self._streams.values())),
            )

    def records(self, first: int, last: int) -> list[Body]:
        self._check_open()
        return [*self._bodies[first - 1 : last]]

    def payloads(self, first: int, last: int, limit: int | None = None) -> list[Row]:
        self._check_open()
        with self._moment:
            rows = (
                (position, name, payload)
                for position in range(first, min(last, len(self._bodies)) + 1)
                for name, payload in sorted(self._payloads.get(position, {}).items())
            )
            return list(islice(rows, limit))

    def tile(self, level: int, index: int) -> bytes:
        self._check_open()
        with self._moment:
            is_incomplete = level == 0 and index == len(self._bodies) // TILE_WIDTH and self._bodies
            return self._tree.partials[0] if is_incomplete else self._tiles.get((level, index), b"")

    def index(self) -> Iterator[list[tuple[bytes, bytes]]]:
        self._check_open()
        for stream in sorted(self._streams):
            yield [(stream, event_key(position)) for position in self._streams[stream]]

    def positions(self, streams: Sequence[bytes]) -> Mapping[bytes, Sequence[int]]:
        self._check_open()
        with self._moment:
            return {stream: self._streams[stream][:] for stream in streams if stream in self._streams}

    def positions_behind(self, stream: bytes, position: int, count: int) -> Sequence[int]:
        known = self.positions([stream]).get(stream, [])
        start = bisect_right(known, position)
        return known[start : start + count] if known[start - 1 : start] == [position] else ()

    def claims(self) -> Iterator[list[tuple[bytes, bytes]]]:
        self._check_open()
        yield sorted(self._claims.items())

    def claimed_all(self, claims: Sequence[bytes]) -> Mapping[bytes, bytes]:
        self._check_open()
        return {claim: self._claims[claim] for claim in claims if claim in self._claims}

    def known_streams(self, streams: Sequence[bytes]) -> set[bytes]:
        self._check_open()
        return self._streams.keys() & set(streams)

    def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("The log")
