"""The check of the index: the streams hold exactly the positions that the records say, in the order of their versions.

Every event is looked up as the index has it: the position at the place of its version in its stream. No two events
find the same row; so when all have found theirs, and there are as many rows as events, the index has nothing else.
Nothing is summed up that somebody could make to fit. What does not agree is looked up the other way round.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import TypeAlias

from tallystick.ledger.events import Event
from tallystick.ledger.ids import ID_BYTES, id_text
from tallystick.ledger.store.port import EventLog
from tallystick.ledger.store.tree import TILE_WIDTH

WINDOW_POSITIONS = TILE_WIDTH  # what is lost with its archive is whole windows
WINDOWS_SEARCHED_MAX = 64  # the others are named, not searched
WRONG_MAX = 65_536  # events that are named one by one; of those behind them, their windows
LONG_ROWS = 64  # of a stream: from here on its rows are not read again for each of its events

Place = tuple[bytes, int]
"""A stream and a version."""


class IndexCheck:
    """Takes the events of a log in their order, then tells where the index says something else."""

    def __init__(self, log: EventLog, size: int, index_rows: int) -> None:
        self._log = log
        self._size = size
        self._rows = index_rows
        self._seen = 0  # up to this position records were looked at
        self._agreed = 0  # of those, how many events the index has where they belong
        self._wrong = array("Q")  # the others
        self._more: set[int] = set()  # windows of what is beyond these
        self._lost: set[int] = set()
        # Of long streams: the version and the position of the newest event that agreed.
        self._reached: dict[bytes, tuple[int, int]] = {}

    def leave_out(self, first: int) -> None:
        """Ask for no more than the number of rows of the tile that begins at `first`: its records cannot be had."""
        self._lost.add((first - 1) // WINDOW_POSITIONS)

    def add(self, last: int, events: Sequence[Event]) -> None:
        """Take the events up to the position `last`; what is not among them could not be read, and says nothing."""
        self._seen = last
        newest = {event.stream: event for event in events}
        told = self._told(newest, events)
        try:
            rows = [told[event.stream][event.version - 1] for event in events]
        except LookupError:
            rows = []
        if rows == [event.position for event in events]:
            self._agreed += len(events)
            for stream, positions in told.items():
                if len(positions) >= LONG_ROWS:
                    self._reached[stream] = newest[stream].version, newest[stream].position
            return
        for event in events:
            if _is_at(told.get(event.stream, ()), event.version, event.position):
                self._agreed += 1
            elif len(self._wrong) < WRONG_MAX:
                self._wrong.append(event.position)
            else:
                self._more.add(_window(event.position))

    def _told(self, streams: Collection[bytes], events: Sequence[Event]) -> "dict[bytes, _Rows]":
        """The rows of these streams, as far as the events need them."""
        reached = self._reached
        told: dict[bytes, _Rows] = {**self._log.positions([stream for stream in streams if stream not in reached])}
        if len(told) < len(streams):
            newest: dict[bytes, int] = {}
            for event in events:
                if event.stream in reached:
                    newest[event.stream] = max(event.version, newest.get(event.stream, 0))
            for stream, wanted in newest.items():
                version, position = reached[stream]
                told[stream] = _Tail(version, self._log.positions_behind(stream, position, max(wanted - version, 0)))
        return told

    def differences(self) -> Iterator[tuple[int, str]]:
        """Yield what the index says otherwise, and the position that it is about; 0 for none."""
        if self._agreed == self._size == self._rows:
            return
        wrong = dict.fromkeys(self._wrong)
        counts: Counter[int] = Counter()
        places: defaultdict[int, list[Place]] = defaultdict(list)
        for stream, version, position in self._places():
            if 0 < position <= self._size:
                counts[_window(position)] += 1
                if position in wrong:
                    places[position].append((stream, version))
        rows = counts.total()
        if rows < self._rows:
            yield 0, f"{self._rows - rows} positions in the index are not in the log"
        for position in wrong:
            yield position, f"the index has it as {_words(places[position])}"
        uneven = [window for window in range(_window(self._seen) + 1) if counts[window] != self._width(window)]
        searched = [window for window in uneven if window not in self._lost][:WINDOWS_SEARCHED_MAX]
        for position, found in self._search(searched):
            if position not in wrong:
                yield position, f"the index has it as {_words(found)}"
        told = {_window(position) for position in wrong}.union(searched)
        for window in sorted(self._more.union(set(uneven) - told)):
            first = window * WINDOW_POSITIONS + 1
            last = first + self._width(window) - 1
            yield first, f"of the {counts[window]} rows for positions {first} to {last} not all are what they should be"

    def _width(self, window: int) -> int:
        return max(min(WINDOW_POSITIONS, self._size - window * WINDOW_POSITIONS), 0)

    def _places(self) -> Iterator[tuple[bytes, int, int]]:
        """Every row of the index: a stream, a version, which is the row's place in the stream, and a position."""
        last: bytes | None = None
        version = 0
        for rows in self._log.index():
            for stream, place in rows:
                if stream == last:
                    version += 1
                else:
                    last, version = stream, 1
                yield stream, version, int.from_bytes(place)

    def _search(self, windows: Sequence[int]) -> Iterator[tuple[int, list[Place]]]:
        """Yield the positions in these windows that have not exactly one row, and those that they have."""
        if not windows:
            return
        wanted = set(windows)
        found: defaultdict[int, list[Place]] = defaultdict(list)
        for stream, version, position in self._places():
            if _window(position) in wanted:
                found[position].append((stream, version))
        for window in windows:
            first = window * WINDOW_POSITIONS + 1
            for position in range(first, first + self._width(window)):
                if len(found[position]) != 1:
                    yield position, found[position]


class _Tail:
    """The positions of a long stream behind a version: as much of its rows as a slice of the log needs."""

    def __init__(self, before: int, positions: Sequence[int]) -> None:
        self._before = before
        self._positions = positions

    def __len__(self) -> int:
        return self._before + len(self._positions)

    def __getitem__(self, place: int) -> int:
        if place < self._before:
            raise IndexError(place)
        return self._positions[place - self._before]


_Rows: TypeAlias = Sequence[int] | _Tail


def _is_at(rows: _Rows, version: int, position: int) -> bool:
    try:
        return rows[version - 1] == position
    except IndexError:
        return False


def _window(position: int) -> int:
    return (position - 1) // WINDOW_POSITIONS


def _words(places: Sequence[Place]) -> str:
    return " and ".join(f"version {version} of {_name(stream)}" for stream, version in places) or "nobody's"


def _name(stream: bytes) -> str:
    return id_text(stream) if len(stream) == ID_BYTES else stream.hex()
