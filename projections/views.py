"""The views: one LMDB environment with the tables of every read model, and how far each has followed the log.

Owns what is written together: the rows of a read model and its position, always in one transaction. The views are
disposable. Whatever is wrong with them (another format, another log, a crash of the machine), they begin anew.
"""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import lmdb
import msgspec
from msgspec import Struct

from tallystick.ledger.errors import UNREADABLE, Corrupt, ForkedStore, InvalidInput, NewerFormat, StoreError
from tallystick.ledger.limits import MAP_BYTES_FIRST
from tallystick.ledger.store.environment import Environment
from tallystick.ledger.store.folder import DATA_NAME, LOCK_NAME, life_of_the_machine
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.ledger.store.port import Damaged, EventLog
from tallystick.projections import trust
from tallystick.projections.board import Board
from tallystick.projections.change import Changes, last_of
from tallystick.projections.counts import Counting
from tallystick.projections.due import DueMarks
from tallystick.projections.flows import FlowBoard
from tallystick.projections.outbox import Outbox
from tallystick.projections.projection import Projection, Table
from tallystick.projections.quarantine import Quarantine
from tallystick.projections.rows import shape_hash

VIEWS_FORMAT = 3

PROJECTIONS: tuple[Projection, ...] = (Board(), Counting(), DueMarks(), Outbox(), FlowBoard(), Quarantine())

_META = b"meta"
_FORMAT = VIEWS_FORMAT.to_bytes(4) + bytes.fromhex(shape_hash())  # a record with another field has other rows
_FORMAT_KEY = b"format"
_FORMAT_BYTES = 4  # of the number; the rest tells the shape of the rows
_PROGRESS_KEY = b"progress"
_SLOTS = 2  # for each table: one is read, the other is where a rebuilt one grows


class Progress(Struct, frozen=True, array_like=True):
    """How far a read model has followed the log, and which generation of its tables is the present one.

    `last_position` and `last_stream` are of the newest event that changed something: by them the views know their log.
    """

    generation: int = 0
    position: int = 0
    last_position: int = 0
    last_stream: bytes = b""

    def moved(self, until: int, last: tuple[int, bytes] | None) -> "Progress":
        """Return the progress after a run of the log, in which the newest event that changed something is `last`."""
        position, stream = last or (self.last_position, self.last_stream)
        return Progress(self.generation, until, position, stream)


_pack_progress = msgspec.msgpack.Encoder().encode
_read_progress = msgspec.msgpack.Decoder(dict[str, Progress]).decode
_NO_PROGRESS = _pack_progress({})


class Sight(Struct, frozen=True):
    """What one transaction sees of the views."""

    txn: Transaction
    progress: Mapping[str, Progress]
    tables: Mapping[str, Sequence[Database]]

    def position(self, name: str) -> int:
        """Return how far a read model has followed the log."""
        return self.progress[name].position


class Views:
    """The read models of one log. One process writes them, any number read."""

    def __init__(self, environment: Environment, path: Path, projections: Sequence[Projection]) -> None:
        self.environment = environment
        self.path = path
        self.projections = tuple(projections)
        self.parked: dict[str, Exception] = {}
        """The read models that failed, and why. They stay where they are until they are rebuilt."""
        self.writing = threading.RLock()
        """Held while something is written, and while what is written decides about `parked`."""
        self.rebuilding = threading.Lock()
        """Held by the one rebuild that may be under way."""
        self._closed = False
        databases = environment.databases
        self._meta = databases[_META]
        self._tables = {
            projection.name: tuple(
                tuple(databases[_table_name(projection, table, slot)] for table in projection.tables)
                for slot in range(_SLOTS)
            )
            for projection in projections
        }

    @classmethod
    def open(
        cls,
        path: Path,
        log: EventLog,
        *,
        projections: Sequence[Projection] = PROJECTIONS,
        map_bytes: int = MAP_BYTES_FIRST,
        life: str | None = None,
    ) -> Self:
        """Open the views for writing, empty ones if there are none of this format and this log that can be believed."""
        life = life_of_the_machine() if life is None else life
        if not trust.is_believable(path, life):
            _remove(path)
        try:
            views = cls._opened(path, projections, map_bytes=map_bytes)
        except (Corrupt, NewerFormat):
            _remove(path)
            views = cls._opened(path, projections, map_bytes=map_bytes)
        if not views.belong_to(log):
            views.environment.close()
            _remove(path)
            views = cls._opened(path, projections, map_bytes=map_bytes)
        trust.expect_writes(path, life)
        views.environment.write_batch(lambda txn: txn.put(_FORMAT_KEY, _FORMAT, db=views.environment.databases[_META]))
        views.clear_shadows()
        while 2 * views.environment.info().used_bytes > views.environment.info().map_bytes:
            views.environment.grow()  # now, when nobody reads
        return views

    @classmethod
    def open_readonly(
        cls,
        path: Path,
        log: EventLog,
        *,
        projections: Sequence[Projection] = PROJECTIONS,
        map_bytes: int = MAP_BYTES_FIRST,
        life: str | None = None,
    ) -> Self | None:
        """Open the views for reading; None if there are none of this format and this log that can be believed."""
        if not trust.is_believable(path, life_of_the_machine() if life is None else life):
            return None
        try:
            views = cls._opened(path, projections, map_bytes=map_bytes, readonly=True)
        except (InvalidInput, StoreError):
            return None
        if views.belong_to(log):
            return views
        views.environment.close()
        return None

    @classmethod
    def _opened(cls, path: Path, projections: Sequence[Projection], *, map_bytes: int, readonly: bool = False) -> Self:
        tables = {
            _table_name(projection, table, slot): table
            for projection in projections
            for table in projection.tables
            for slot in range(_SLOTS)
        }

        def opened(names: Sequence[bytes]) -> Environment:
            return Environment.open(path, map_bytes=map_bytes, readonly=readonly, sync=False, databases=names)

        with opened([_META]) as store:
            if not readonly:
                store.write_batch(lambda txn: _make_tables(store, txn, tables))
            environment = opened([_META, *tables])
        return cls(environment, path, projections)

    def close(self) -> None:
        """Bring everything to the disk and close. Closing twice is allowed."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self.environment.readonly:
                self.environment.flush()
                trust.all_is_flushed(self.path)
        except ForkedStore:
            pass  # it is the parent's to flush
        finally:
            self.environment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Reading.

    @contextmanager
    def read(self) -> Iterator[Sight | None]:
        """A snapshot of all read models at once; None if they have become another version's. Keep it short."""
        with self.environment.read() as txn:
            yield self.seen(txn)

    def positions(self) -> dict[str, int]:
        """Return how far each read model has followed the log."""
        with self.read() as sight:
            return {} if sight is None else {name: progress.position for name, progress in sight.progress.items()}

    def belong_to(self, log: EventLog) -> bool:
        """Return whether the views are of this format, can be read, and follow this log and no other.

        Empty ones that may be written belong to any log.
        """
        try:
            with self.environment.read() as txn:
                if not self.environment.readonly and not txn.stat(self._meta)["entries"]:
                    return True
                sight = self.seen(txn)
        except Corrupt:
            return False
        head = log.head()
        return sight is not None and all(_follows(progress, log, head) for progress in sight.progress.values())

    def seen(self, txn: Transaction) -> Sight | None:
        """Return what a transaction sees; None if the views are another version's, or say nothing."""
        if txn.get(_FORMAT_KEY, db=self._meta) != _FORMAT:
            return None
        try:
            told = _read_progress(txn.get(_PROGRESS_KEY, _NO_PROGRESS, db=self._meta))
        except UNREADABLE:
            return None
        progress = {name: told.get(name, Progress()) for name in self._tables}
        return Sight(txn, progress, {name: self.tables(name, progress[name].generation) for name in progress})

    def tables(self, name: str, generation: int) -> Sequence[Database]:
        """Return the tables that a generation of a read model has."""
        return self._tables[name][generation % _SLOTS]

    # Writing.

    def moving(self, names: Collection[str] | None = None) -> dict[str, int]:
        """Return the positions of the read models, all or those with these names, that are not parked."""
        return {
            name: position
            for name, position in self.positions().items()
            if name not in self.parked and (names is None or name in names)
        }

    def apply(self, changes: Changes, *, after: int, until: int, names: Collection[str] | None = None) -> None:
        """Write what the log's events at `after` + 1 … `until` changed, rows and positions in one transaction.

        All read models follow, or those with these names.
        A read model that has seen these events already is left as it is; so is one that is parked.
        One that has not seen what comes before them is the caller's mistake: who is behind catches up from the log.
        One that fails is parked, and the others go on; errors of the store are raised, and nothing is written.
        """
        with self.writing:
            while True:
                try:
                    self.environment.write_batch(lambda txn: self._apply(txn, changes, after, until, names))
                except _ProjectionFailedError as failure:
                    self.parked[failure.name] = failure.cause
                else:
                    return

    def _apply(self, txn: Transaction, changes: Changes, after: int, until: int, names: Collection[str] | None) -> None:
        sight = self.seen(txn)
        assert sight is not None, "somebody else writes these views"
        progress = dict(sight.progress)
        last = last_of(changes, until)
        for projection in self.projections:
            name = projection.name
            position = progress[name].position
            if position >= until or name in self.parked or (names is not None and name not in names):
                continue
            assert position == after, f"{name} is at {position} and cannot go on from {after}"
            try:
                projection.apply(txn, sight.tables[name], changes)
            except lmdb.Error:
                raise
            except Exception as error:
                raise _ProjectionFailedError(name, error) from error
            progress[name] = progress[name].moved(until, last)
        self.write_progress(txn, progress)

    def clear_shadows(self) -> None:
        """Empty the tables that nobody reads: what is left of a rebuild, finished or not."""
        with self.writing:
            self.environment.write_batch(self._clear_shadows)

    def _clear_shadows(self, txn: Transaction) -> None:
        sight = self.seen(txn)
        assert sight is not None, "somebody else writes these views"
        for name, progress in sight.progress.items():
            for table in self.tables(name, progress.generation + 1):
                if txn.stat(table)["entries"]:
                    txn.drop(table, delete=False)

    def write_progress(self, txn: Transaction, progress: Mapping[str, Progress]) -> None:
        """Write how far the read models are, in the transaction that brought them there."""
        txn.put(_PROGRESS_KEY, _pack_progress(progress), db=self._meta)


class _ProjectionFailedError(Exception):
    """A read model has an error; it must not leave half of its rows."""

    def __init__(self, name: str, cause: Exception) -> None:
        super().__init__(name)
        self.name, self.cause = name, cause


def _table_name(projection: Projection, table: Table, slot: int) -> bytes:
    return f"{projection.name}.{table.name}.{slot}".encode()


def _make_tables(environment: Environment, txn: Transaction, tables: Mapping[bytes, Table]) -> None:
    """Make the tables that are missing; what kind of table one is, LMDB remembers."""
    env = environment._mapping.env()  # noqa: SLF001 - an environment opens databases of one kind only
    for name, table in tables.items():
        env.open_db(name, txn=txn, dupsort=table.of_places, dupfixed=table.of_places)


def _follows(progress: Progress, log: EventLog, head: int) -> bool:
    """Whether the newest event that a read model knows stands in the log where it stood."""
    if progress.position > head:
        return False
    last = progress.last_position
    known = log.read(last - 1, last) if last else ()
    return all(isinstance(event, Damaged) or event.stream == progress.last_stream for event in known)


def _remove(path: Path) -> None:
    """Remove the files of the views, and nothing else."""
    for name in (DATA_NAME, LOCK_NAME):
        with suppress(FileNotFoundError, NotADirectoryError):
            (path / name).unlink()
    trust.all_is_flushed(path)


def format_in(path: Path) -> int | None:
    """Return the format of the views in a folder, whatever version they are of; None if they say none."""
    try:
        with (
            Environment.open(path, map_bytes=MAP_BYTES_FIRST, readonly=True, databases=[_META]) as store,
            store.read() as txn,
        ):
            stored = txn.get(_FORMAT_KEY, db=store.databases[_META])
    except (InvalidInput, StoreError):
        return None
    return None if stored is None else int.from_bytes(stored[:_FORMAT_BYTES])
