"""The mapping of one store's files into this process: its transactions, its size, and what is shared of both.

Owns what LMDB leaves to its callers: no transaction while the map changes, other processes that grow it, forks,
and what LMDB's errors mean. Which handles use it is the environment's business.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import lmdb
import msgspec

from tallystick.ledger.errors import Closed, Corrupt, ForkedStore, Full, InvalidInput, StoreError
from tallystick.ledger.store import folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    Transaction: TypeAlias = lmdb.Transaction[bytes]
    Database: TypeAlias = lmdb._Database  # noqa: SLF001 - the binding's stub has no other name for it
else:
    Transaction = lmdb.Transaction
    Database = lmdb._Database  # noqa: SLF001

_T = TypeVar("_T")

DATABASES_MAX = 32
READS_END_S_MAX = 5.0  # how long a growing map waits for the read transactions of this process


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """What LMDB says of an environment without reading any of its data."""

    used_bytes: int  # pages in use, or free to be used again
    map_bytes: int
    map_bytes_max: int
    file_bytes: int
    readers: int  # read transactions that are open now, in all processes
    readers_max: int
    oldest_reader_lag: int  # commits since the oldest of them began: their pages cannot be used again
    oldest_reader_pid: int | None  # the process that it is in
    dead_readers: int  # slots of processes that are gone, freed since this process opened the environment


class Mapping:
    """One LMDB environment: what all handles of this process on the same files have in common.

    LMDB may change its map only while this process has no transaction.
    Writers hold `writing`; readers are in `reading`; `_alone` keeps both out.
    """

    def __init__(self, path: Path, *, map_bytes_max: int, readonly: bool, sync: bool) -> None:
        self.path = path
        self.map_bytes_max = map_bytes_max
        self.readonly = readonly
        self.sync = sync
        self.pid = os.getpid()
        self.forked = False
        self.handles = 0
        self.dead_readers = 0
        self.databases: dict[bytes, Database] = {}
        self.writing = threading.RLock()
        # The thread of every open read transaction. A dict, because setting and deleting an item is
        # atomic: readers take no lock as long as nobody wants to be alone.
        self.reading: dict[Reading, int] = {}
        self.closed_to_readers = False
        self.reads_changed = threading.Condition()
        self._env: lmdb.Environment | None = None
        self._page_bytes = 0

    def start(self, *, map_bytes: int, max_readers: int, create: bool) -> None:
        try:
            if self.readonly or not create:
                folder.require_store(self.path)
            if self.readonly:
                folder.make_lock_file(self.path, readers_max=max_readers)
            else:
                folder.make_store_files(self.path, readers_max=max_readers)
            self._env = lmdb.Environment(
                os.fspath(self.path),
                map_size=min(map_bytes, self.map_bytes_max),
                readonly=self.readonly,
                sync=self.sync,
                metasync=self.sync,
                mode=0o600,
                create=False,
                max_readers=max_readers,
                max_dbs=DATABASES_MAX,
                # A kept transaction would begin in 0.1 instead of 0.3 microseconds, and hold a slot across forks.
                max_spare_txns=0,
                lib_version=0,  # else a variable of the process's environment decides the format
            )
        except lmdb.InvalidError as error:
            raise folder.not_a_store(self.path) from error
        except lmdb.Error as error:
            raise folder.not_opened(self.path, error.code, str(error)) from error
        except OSError as error:
            raise folder.not_opened(self.path, error.errno or 0, str(error)) from error
        except UnicodeEncodeError as error:
            raise InvalidInput("path", os.fspath(self.path), "a path in UTF-8: LMDB opens no other") from error
        self._page_bytes = self._env.stat()["psize"]
        try:
            self._check_whole()
        except BaseException:
            self._close()
            raise

    def _check_whole(self) -> None:
        """Raise `Corrupt` for a file that was cut off, before anything of it is read: LMDB would end this process."""
        used, data = self._used(), self.path / folder.DATA_NAME
        there = folder.file_bytes(self.path)
        if there >= used:
            return
        from tallystick.ledger.store.extent import is_cut_off  # noqa: PLC0415 - nearly every file has all its pages

        if is_cut_off(data, self._page_bytes):
            said = f"it has {there} bytes, and its pages reach to {used}"
            raise Corrupt(f"{data} was cut off: {said}; put a backup in its place")

    def stop(self) -> None:
        with self.writing, self._without_readers():
            self._close()  # a read that did not end in time becomes unusable, which the binding makes sure of

    def _close(self) -> None:
        env, self._env, self.databases = self._env, None, {}
        if env is not None:
            env.close()

    def forget(self) -> None:
        """Drop everything in a forked child. Closing would free slots that are the parent's."""
        self.forked, self._env, self.databases, self.reading = True, None, {}, {}
        # Threads that the child does not have may have held these.
        self.writing, self.reads_changed, self.closed_to_readers = threading.RLock(), threading.Condition(), False

    def env(self) -> lmdb.Environment:
        env = self._env
        if env is None:
            if self.forked:
                raise ForkedStore(os.fspath(self.path), opened_by=self.pid, used_by=os.getpid())
            raise Closed(os.fspath(self.path))
        return env

    def open_databases(self, names: Sequence[bytes], sets: Sequence[bytes] = (), *, create: bool) -> None:
        missing = {name: name in sets for name in (*names, *sets) if name not in self.databases}
        if not missing:
            return

        def opened(txn: Transaction | None) -> dict[bytes, Database]:
            try:
                return {
                    name: self.env().open_db(name, txn=txn, dupsort=is_set, dupfixed=is_set, create=create)
                    for name, is_set in missing.items()
                }
            except lmdb.NotFoundError as error:
                raise folder.no_store(self.path) from error

        if self.readonly:
            with self.telling():
                self.databases |= opened(None)
        else:
            self.databases |= self.write_batch(opened)

    # Transactions.

    def begin_read(self, reading: Reading) -> Transaction:
        while True:
            try:
                return self._try_to_read(reading)
            except lmdb.MapResizedError:
                self._follow()
            except lmdb.Error as error:
                if not (isinstance(error, lmdb.ReadersFullError) and self.clear_dead_readers()):
                    raise self.failure(error) from error

    def _try_to_read(self, reading: Reading) -> Transaction:
        self._enter(reading)
        try:
            return self.env().begin()
        except BaseException:
            self.leave(reading)
            raise

    def _enter(self, reading: Reading) -> None:
        me = threading.get_ident()
        while True:
            self.reading[reading] = me
            # Looked at after the reader can be seen: whoever wants to be alone looks the other way round.
            # A thread that reads already must not wait for somebody who waits for it.
            if not self.closed_to_readers or list(self.reading.values()).count(me) > 1:
                return
            self.leave(reading)
            with self.reads_changed:
                self.reads_changed.wait_for(lambda: not self.closed_to_readers)

    def leave(self, reading: Reading) -> None:
        self.reading.pop(reading, None)
        if self.closed_to_readers and not self.forked:
            with self.reads_changed:
                self.reads_changed.notify_all()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self.writing:
            txn = self._begin_write()
            try:
                yield txn
            except BaseException:
                if not self.forked:
                    # The binding aborts at a moment at which no thread is inside the environment.
                    # Among busy readers there is none, ever.
                    with self._without_readers():
                        txn.abort()
                raise
            self.env()  # a forked child must not commit
            txn.commit()

    def write_batch(self, work: Callable[[Transaction], _T]) -> _T:
        with self.telling():
            while True:
                try:
                    with self.write() as txn:
                        result = work(txn)
                except lmdb.MapFullError as error:
                    self.grow(error)
                else:
                    return result

    def _begin_write(self) -> Transaction:
        while True:
            try:
                return self.env().begin(write=True)
            except lmdb.MapResizedError:
                self._follow()

    # The map.

    @contextmanager
    def _without_readers(self) -> Iterator[bool]:
        """Let the reads of other threads end, and none begin; False if one does not end in time.

        For whoever holds `writing`.
        """
        me = threading.get_ident()
        self.closed_to_readers = True
        try:
            with self.reads_changed:
                ended = self.reads_changed.wait_for(
                    lambda: all(thread == me for thread in list(self.reading.values())), READS_END_S_MAX
                )
            yield ended
        finally:
            self.closed_to_readers = False
            with self.reads_changed:
                self.reads_changed.notify_all()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No transaction in this process; `StoreError` if a read does not end in time."""
        with self.writing, self._without_readers() as ended:
            if not ended:
                raise StoreError(f"{self.path}: a read transaction has been open for {READS_END_S_MAX} s.")
            if self.reading:
                raise StoreError(f"{self.path}: a thread that reads cannot make the map grow; end its read first.")
            yield

    def grow(self, cause: lmdb.Error | None = None) -> int:
        with self._alone():
            now = self.env().info()["map_size"]
            wanted = min(2 * now, self.map_bytes_max)
            if wanted <= now:
                raise Full(f"the map of {self.path} has reached its bound", bytes=self._used()) from cause
            self._resize(wanted)
            return wanted

    def _follow(self) -> None:
        """Another process has written beyond our map: make it as large as what is there."""
        with self._alone():
            # Not `set_mapsize(0)`, which takes the size of whoever wrote last: that may be less than ours.
            now = wanted = self.env().info()["map_size"]
            while wanted < self._used():
                wanted *= 2
            if wanted > now:
                self._resize(wanted)

    def _resize(self, wanted: int) -> None:
        more = wanted - self.env().info()["map_size"]
        try:
            # An environment whose map cannot be made is lost. So ask for the addresses first.
            mmap.mmap(-1, more, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ).close()
        except OSError as error:
            raise Full(f"this process may not map {wanted} bytes of {self.path}", bytes=self._used()) from error
        self.env().set_mapsize(wanted)
        mapped = self.env().info()["map_size"]
        if mapped < wanted:
            raise StoreError(f"{self.path}: the map has {mapped} bytes after growing to {wanted}.")

    # Facts.

    def _used(self) -> int:
        return (self.env().info()["last_pgno"] + 1) * self._page_bytes

    def flush(self) -> None:
        with self.telling(), self.writing:  # the map must not move meanwhile
            self.env().sync(force=True)

    def clear_dead_readers(self) -> int:
        with self.telling():
            freed = self.env().reader_check()
        self.dead_readers += freed
        return freed

    def info(self) -> Info:
        facts = self.env().info()
        # One line a slot: process, thread, and the commit that it reads, or "-" for none.
        slots = [line.split() for line in self.env().readers().splitlines()]
        snapshots = [(int(slot[-1]), int(slot[0])) for slot in slots if slot[-1].isdigit()]
        oldest, pid = min(snapshots, default=(facts["last_txnid"], None))
        return Info(
            used_bytes=self._used(),
            map_bytes=facts["map_size"],
            map_bytes_max=self.map_bytes_max,
            file_bytes=folder.file_bytes(self.path),
            readers=len(snapshots),
            readers_max=facts["max_readers"],
            oldest_reader_lag=facts["last_txnid"] - oldest,
            oldest_reader_pid=pid,
            dead_readers=self.dead_readers,
        )

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Say in this project's errors what LMDB says in its own."""
        try:
            yield
        except lmdb.Error as error:
            raise self.failure(error) from error

    def failure(self, error: lmdb.Error) -> StoreError:
        """What an error of LMDB means to whoever uses the store."""
        if isinstance(error, lmdb.MapFullError):
            return Full(f"the map of {self.path} is full", bytes=self._used())
        # LMDB calls a write that the disk took only a part of an input/output error.
        if error.code in folder.NO_ROOM or (error.code == errno.EIO and not folder.has_room(self.path)):
            return Full(f"the disk of {self.path} is full", bytes=folder.file_bytes(self.path))
        if isinstance(error, lmdb.InvalidError | lmdb.CorruptedError | lmdb.PageNotFoundError):
            return Corrupt(f"{self.path}: {error}")
        return StoreError(f"{self.path}: {error}")


class Reading:
    """One read transaction, from `Environment.read`; to be entered once."""

    __slots__ = ("_mapping", "_txn")

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._txn: Transaction | None = None

    def __enter__(self) -> Transaction:
        self._txn = self._mapping.begin_read(self)
        return self._txn

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._txn is not None and not self._mapping.forked:
            # In a forked child this would free the parent's slot, and with it the pages that it reads.
            self._txn.abort()
            self._mapping.leave(self)
        self._txn = None
        if isinstance(error, lmdb.Error):
            raise self._mapping.failure(error) from error
