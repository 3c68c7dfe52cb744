"""The check of the index: the streams hold exactly the positions that the records say, in the order of their versions.

Both sides are summed up by windows of positions: an order-free sum of hashes that Python keys anew for each process.
It costs no memory for a million tasks, and only windows whose sums differ are looked at again.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tallystick.ledger.events import Event
from tallystick.ledger.ids import ID_BYTES, id_text
from tallystick.ledger.store.codec import read_records
from tallystick.ledger.store.port import EventLog
from tallystick.ledger.store.tree import TILE_WIDTH

WINDOW_POSITIONS = 1_024
WINDOWS_SEARCHED_MAX = 64  # the others are named, not searched

Place = tuple[bytes, int]
"""A stream and a version."""


class IndexCheck:
    """Takes the events of a log window by window, then tells where the index says something else."""

    def __init__(self, log: EventLog, size: int, index_rows: int) -> None:
        self._log = log
        self._size = size
        self._rows = index_rows
        self._sums: defaultdict[int, int] = defaultdict(int)
        self._unread: set[int] = set()

    def leave_out(self, first: int) -> None:
        """Ask nothing about the tile that begins at `first`: its records cannot be had, and say nothing."""
        self._unread.add((first - 1) // TILE_WIDTH)

    def add(self, first: int, events: Sequence[Event]) -> None:
        """Take the events of the window that begins at `first`."""
        places = [(event.stream, event.version, event.position) for event in events]
        self._sums[(first - 1) // WINDOW_POSITIONS] += sum(map(hash, places))

    def differences(self) -> Iterator[tuple[int, str]]:
        """Yield what the index says otherwise, by position."""
        rows = 0
        sums, size, unread = self._sums, self._size, self._unread
        for place in self._places():
            position = place[2]
            if 0 < position <= size:
                rows += 1
                if unread and (position - 1) // TILE_WIDTH in unread:
                    continue
                sums[(position - 1) // WINDOW_POSITIONS] -= hash(place)
        if rows < self._rows:
            yield 0, f"{self._rows - rows} positions in the index are not in the log"
        windows = sorted(number for number, rest in sums.items() if rest)
        if windows:
            yield from self._search(windows[:WINDOWS_SEARCHED_MAX])
        for window in windows[WINDOWS_SEARCHED_MAX:]:
            first = window * WINDOW_POSITIONS + 1
            yield first, f"somewhere in the {WINDOW_POSITIONS} positions from {first} the index says something else"

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

    def _search(self, windows: Sequence[int]) -> Iterator[tuple[int, str]]:
        told: defaultdict[int, list[Place]] = defaultdict(list)
        wanted = set(windows)
        for stream, version, position in self._places():
            if (position - 1) // WINDOW_POSITIONS in wanted:
                told[position].append((stream, version))
        for window in windows:
            first = window * WINDOW_POSITIONS + 1
            last = min(first + WINDOW_POSITIONS - 1, self._size)
            for record in read_records(first, self._log.records(first, last)):
                # A damaged record has been named already, and says nothing of its place.
                if isinstance(record, Event):
                    said = told[record.position]
                    if said != [(record.stream, record.version)]:
                        yield record.position, f"the index has it as {_words(said)}"


def _words(places: Sequence[Place]) -> str:
    return " and ".join(f"version {version} of {_name(stream)}" for stream, version in places) or "nobody's"


def _name(stream: bytes) -> str:
    return id_text(stream) if len(stream) == ID_BYTES else stream.hex()
