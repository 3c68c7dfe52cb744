"""Handles on LMDB environments: one environment per inode and process, however often it is opened.

Owns who has what open, and that a forked child has nothing open; the transactions are the mapping's.
The layout of keys and records is above it, the meaning of a transaction too.
"""

from __future__ import annotations

import os
import threading
import warnings
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Self, TypeVar

from tallystick.ledger.errors import Closed, InvalidInput, StoreError
from tallystick.ledger.limits import MAP_BYTES_MAX, READERS_MAX
from tallystick.ledger.store import folder
from tallystick.ledger.store.mapping import Database, Info, Mapping, Reading, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_T = TypeVar("_T")

COPIED_ROWS = 1_024  # in one transaction of a copy: of the longest ones 64 MB


class Environment:
    """A handle on an LMDB environment. Handles on the same files in one process share it; close each.

    After a fork every handle raises `ForkedStore` in the child, which may open the folder anew.
    """

    def __init__(self, mapping: Mapping, *, readonly: bool) -> None:
        self._mapping = mapping
        self._closed = False
        self.readonly = readonly

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        map_bytes: int,
        map_bytes_max: int = MAP_BYTES_MAX,
        readonly: bool = False,
        sync: bool = True,
        databases: Sequence[bytes] = (),
        sets: Sequence[bytes] = (),
        max_readers: int = READERS_MAX,
        create: bool = True,
    ) -> Environment:
        """Open the environment in a folder, and its databases; slots of dead readers are cleared.

        `sets` are databases too; a key of theirs has a sorted set of values, all of one length.
        What is missing is made, for this user only, unless `readonly` or not `create`: then it is `InvalidInput`.
        The first handle on the files decides about sizes and `sync`.
        """
        with _REGISTRY.lock:
            mapping = _REGISTRY.find(path)
            if mapping is None:
                mapping = Mapping(path, map_bytes_max=map_bytes_max, readonly=readonly, sync=sync)
                mapping.start(map_bytes=map_bytes, max_readers=max_readers, create=create)
            elif mapping.readonly and not readonly:
                raise StoreError(f"{path} is open for reading in this process: close that before writing.")
            try:
                mapping.open_databases(databases, sets, create=create and not readonly)
                mapping.clear_dead_readers()
            except BaseException:
                if not mapping.handles:
                    mapping.stop()
                raise
            _REGISTRY.add(mapping)
            mapping.handles += 1
        return cls(mapping, readonly=readonly)

    def close(self) -> None:
        """Give the handle up; the last one closes the environment. Closing twice is closing once."""
        if self._closed:
            return
        self._closed = True
        if self._mapping.forked:
            return
        with _REGISTRY.lock:
            self._mapping.handles -= 1
            if not self._mapping.handles:
                _REGISTRY.remove(self._mapping)
                self._mapping.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._closed and not self._mapping.forked:
            warnings.warn(f"{self._mapping.path} was never closed", ResourceWarning, source=self, stacklevel=2)

    @property
    def databases(self) -> dict[bytes, Database]:
        """The open databases, by name; they stay valid while the map grows."""
        return self._live().databases

    def find(self, name: bytes) -> Database | None:
        """Return a database that was not opened with the environment; None if there is none of this name."""
        mapping = self._live()
        with _REGISTRY.lock, suppress(InvalidInput):
            mapping.open_databases([name], create=False)
        return mapping.databases.get(name)

    def rows(self, database: Database, *, are_sets: bool) -> Iterator[list[tuple[bytes, bytes]]]:
        """Yield the rows of a database in slices, each of which goes on behind the last row of the one before."""
        rows: list[tuple[bytes, bytes]] = []
        while True:
            with self.read() as txn:
                cursor = txn.cursor(database)
                if rows:
                    last, value = rows[-1]
                    found = cursor.set_key_dup(last, value) if are_sets else cursor.set_key(last)
                    if not found or not cursor.next():
                        return
                rows = list(islice(cursor.iternext(), COPIED_ROWS))
            if not rows:
                return
            yield rows

    def read(self) -> Reading:
        """Return a context that is a read transaction: a snapshot of the last commit.

        Keep it short: as long as it lasts, what it sees keeps its space, and this process cannot grow the map.
        """
        return Reading(self._live())

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A write transaction: committed, and durable if `sync`, when its block ends; gone if it raises.

        `Full` when the map or the disk is; only `write_batch` makes the map grow.
        """
        mapping = self._live_for_writing()
        with mapping.telling(), mapping.write() as txn:
            yield txn

    def write_batch(self, work: Callable[[Transaction], _T]) -> _T:
        """Run `work` in a write transaction and return its result after the commit.

        When the map is full it grows, and `work` runs again from the start, in a new transaction:
        it must have no effect but on the transaction. `Full`, and nothing written, when nothing can grow.
        """
        return self._live_for_writing().write_batch(work)

    def recover(self) -> None:
        """See what a writer committed that was killed in the middle of saying so.

        As long as any process has the environment open, LMDB tells the newest commit by a number beside the data, which
        is written last; only the next writer sets it right. Whoever is to write, and reads first, begins with this.
        """
        self._live_for_writing().write_batch(lambda _txn: None)

    def grow(self) -> int:
        """Double the map, up to its bound, and return its new size. `Full` when it is there already."""
        return self._live_for_writing().grow()

    def flush(self) -> None:
        """Make every commit so far durable: for an environment without `sync`."""
        self._live().flush()

    def copy(self, path: Path) -> None:
        """Make a store of the last commit in the folder `path`, which has none: without free pages, and durable.

        It has the databases that are open here. Row by row: LMDB's own copy without free pages kills the process when
        a set of values has more than a page. Until this returns, all that it sees keeps its space, and this process
        cannot make the map grow: do it in a process that does not write. Raises `Full`, and then leaves what was
        written to whoever owns the folder.
        """
        (path / folder.DATA_NAME).touch(0o600, exist_ok=False)
        mapping = self._live()
        with self.read() as txn:
            databases = dict(mapping.databases)
            sets = [name for name, database in databases.items() if database.flags()["dupsort"]]
            with Environment.open(
                path,
                map_bytes=mapping.info().used_bytes,
                map_bytes_max=mapping.map_bytes_max,
                sync=False,
                databases=[name for name in databases if name not in sets],
                sets=sets,
            ) as copy:
                for name, database in databases.items():
                    rows = txn.cursor(database).iternext()
                    while some := list(islice(rows, COPIED_ROWS)):
                        copy.write_batch(partial(_put, copy.databases[name], some))
                copy.flush()

    def clear_dead_readers(self) -> int:
        """Free the slots of readers whose process is gone, and return how many there were."""
        return self._live().clear_dead_readers()

    def info(self) -> Info:
        """Return sizes and readers as they are now."""
        return self._live().info()

    def _live(self) -> Mapping:
        if self._closed:
            raise Closed(str(self._mapping.path))
        return self._mapping

    def _live_for_writing(self) -> Mapping:
        if self.readonly:
            raise StoreError(f"{self._mapping.path} was opened for reading.")
        return self._live()


def _put(database: Database, rows: Sequence[tuple[bytes, bytes]], txn: Transaction) -> None:
    """Put rows behind those that a database has."""
    txn.cursor(database).putmulti(rows, append=True)


class _Registry:
    """The environments that this process has open, by the inode of their data.

    LMDB's locks belong to a process and a file: a second environment on it would share those of the first,
    and drop them.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._open: dict[tuple[int, int], Mapping] = {}
        self._told_of_forks = False

    def find(self, path: Path) -> Mapping | None:
        try:
            return self._open.get(self._key(path))
        except OSError:
            return None

    def add(self, mapping: Mapping) -> None:
        if not self._told_of_forks:
            os.register_at_fork(after_in_child=self._forget)
            self._told_of_forks = True
        self._open[self._key(mapping.path)] = mapping

    def remove(self, mapping: Mapping) -> None:
        self._open = {key: kept for key, kept in self._open.items() if kept is not mapping}

    def _forget(self) -> None:
        self.lock = threading.Lock()  # another thread of the parent may have held it
        for mapping in self._open.values():
            mapping.forget()
        self._open = {}

    @staticmethod
    def _key(path: Path) -> tuple[int, int]:
        data = (path / folder.DATA_NAME).stat()
        return data.st_dev, data.st_ino


_REGISTRY = _Registry()
