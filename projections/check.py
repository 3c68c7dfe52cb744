"""The check: a read model against the log, byte for byte."""

from collections.abc import Iterator

from msgspec import Struct

from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.mapping import Database
from tallystick.ledger.store.port import EventLog
from tallystick.projections.catch_up import Progressed, nobody
from tallystick.projections.change import Changes, changes_of
from tallystick.projections.projection import Table, Whole
from tallystick.projections.quarantine import together
from tallystick.projections.rows import pack, unpack
from tallystick.projections.views import Sight, Views

DIFFERENCES_SHOWN = 10
SLICE_EVENTS = 8_192


class Difference(Struct, frozen=True):
    """One entry of a table that is not what the log says; None stands for none at all.

    The key of a place is its heading and itself.
    """

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
        self._flows: dict[bytes, FlowRecord] = {}
        self._flaws = Changes()
        self._position = 0

    def advance(self, position: int) -> None:
        """Fold on to a position."""
        while self._position < position:
            last = min(self._position + SLICE_EVENTS, position)
            folded = changes_of(self._log.read(self._position, last), self._known, flows=self._flows.get)
            self._rows.update((stream, pack(change.after)) for stream, change in folded.changes.tasks.items())
            self._flows.update((stream, change.after) for stream, change in folded.changes.flows.items())
            self._flaws = together(self._flaws, folded.changes)
            self._position = last
            self._progressed(last, position)

    def whole(self) -> Whole:
        """Return all that there is."""
        return Whole(self._records(), self._flows.items(), self._flaws.broken, self._flaws.damaged)

    def _records(self) -> Iterator[tuple[bytes, TaskRecord]]:
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
        contents = projection.contents(fold.whole())
        found: list[Difference] = []
        different = 0
        entries = 0
        for table, database, wanted in zip(projection.tables, sight.tables[name], contents, strict=True):
            expected = sorted(wanted)
            entries += len(expected)
            for difference in _differences(sight, table, database, expected):
                different += 1
                if len(found) < DIFFERENCES_SHOWN:
                    found.append(difference)
        return Checked(name, sight.position(name), entries, different, tuple(found))


def _differences(
    sight: Sight, table: Table, database: Database, expected: list[tuple[bytes, bytes]]
) -> Iterator[Difference]:
    """Yield where a table is not as expected, in the order of keys."""

    def key_of(entry: tuple[bytes, bytes]) -> bytes:
        return entry[0] + entry[1] if table.of_places else entry[0]

    def difference(want: tuple[bytes, bytes] | None, have: tuple[bytes, bytes] | None) -> Difference:
        [key, *_] = [key_of(entry) for entry in (want, have) if entry is not None]
        return Difference(table.name, key, want and want[1], have and have[1])

    wanted = iter(expected)
    want = next(wanted, None)
    for have in sight.txn.cursor(database):
        while want is not None and key_of(want) < key_of(have):
            yield difference(want, None)
            want = next(wanted, None)
        if want is None or key_of(want) != key_of(have):
            yield difference(None, have)
            continue
        if want != have:
            yield difference(want, have)
        want = next(wanted, None)
    while want is not None:
        yield difference(want, None)
        want = next(wanted, None)
