"""The check: a read model against the log, byte for byte."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.mapping import Database
from tallystick.ledger.store.port import EventLog
from tallystick.projections.catch_up import Progressed, nobody
from tallystick.projections.change import changes_of
from tallystick.projections.rows import pack, unpack
from tallystick.projections.views import Sight, Views

DIFFERENCES_SHOWN = 10
SLICE_EVENTS = 8_192


class Difference(Struct, frozen=True):
    """One key of a table whose value is not what the log says; None stands for no such key."""

    table: str
    key: bytes
    expected: bytes | None
    stored: bytes | None


class Checked(Struct, frozen=True):
    """What a check found: how far the read model is, how many entries it should have, and the first differences."""

    name: str
    position: int
    entries: int
    different: int
    differences: tuple[Difference, ...]

    @property
    def ok(self) -> bool:
        """Whether every byte is as it should be."""
        return not self.different


class _Fold:
    """Every task as the log tells it, as packed rows: a tenth of the memory that records take."""

    def __init__(self, log: EventLog, progressed: Progressed) -> None:
        self._log, self._progressed = log, progressed
        self._rows: dict[bytes, bytes] = {}
        self._position = 0

    def advance(self, position: int) -> None:
        """Fold on to a position."""
        while self._position < position:
            last = min(self._position + SLICE_EVENTS, position)
            folded = changes_of(self._log.read(self._position, last), self._known)
            self._rows.update((stream, pack(change.after)) for stream, change in folded.changes.items())
            self._position = last
            self._progressed(last, position)

    def records(self) -> Iterator[tuple[bytes, TaskRecord]]:
        """Yield every task, in the order of ids."""
        for stream in sorted(self._rows):
            yield stream, unpack(stream, self._rows[stream])

    def _known(self, stream: bytes) -> TaskRecord | None:
        row = self._rows.get(stream)
        return None if row is None else unpack(stream, row)


def check(views: Views, log: EventLog, name: str, *, progressed: Progressed = nobody) -> Checked:
    """Fold the log to where a read model stands and compare every byte. Reads only; the fold is in memory."""
    projection = next(each for each in views.projections if each.name == name)
    fold = _Fold(log, progressed)
    fold.advance(views.positions().get(name, 0))  # the long way without a transaction, what was written since within
    with views.read() as sight:
        assert sight is not None, "these views are another version's"
        fold.advance(sight.position(name))
        contents = projection.contents(fold.records())
        found: list[Difference] = []
        different = 0
        for table, database, expected in zip(projection.tables, sight.tables[name], contents, strict=True):
            for difference in _differences(sight, table, database, expected):
                different += 1
                if len(found) < DIFFERENCES_SHOWN:
                    found.append(difference)
        return Checked(name, sight.position(name), sum(map(len, contents)), different, tuple(found))


def _differences(sight: Sight, table: str, database: Database, expected: Mapping[bytes, bytes]) -> Iterator[Difference]:
    """Yield where a table is not as expected, in the order of keys."""
    wanted = iter(sorted(expected.items()))
    want = next(wanted, None)
    for key, value in sight.txn.cursor(database):
        while want is not None and want[0] < key:
            yield Difference(table, want[0], want[1], None)
            want = next(wanted, None)
        if want is None or want[0] != key:
            yield Difference(table, key, None, value)
            continue
        if want[1] != value:
            yield Difference(table, key, want[1], value)
        want = next(wanted, None)
    while want is not None:
        yield Difference(table, want[0], want[1], None)
        want = next(wanted, None)
