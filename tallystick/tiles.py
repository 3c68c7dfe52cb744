"""The tiles of a log in a folder that any static web server can serve (C2SP tlog-tiles).

Owns what is written in which order: a reader who sees a checkpoint finds every tile that it needs.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from tallystick.ledger.archive.files import telling, write_all
from tallystick.ledger.errors import Corrupt, InvalidInput, NotProved, StoreError
from tallystick.ledger.proofs import merkle, tiles
from tallystick.ledger.proofs.checkpoint import Checkpoint, parse_checkpoint
from tallystick.ledger.proofs.note import parse_note
from tallystick.ledger.proofs.tiles import Place
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.folder import sync_folder
from tallystick.ledger.store.nodes import StoredNodes
from tallystick.ledger.store.port import Lost
from tallystick.ledger.store.tree import HASH_BYTES, TILE_WIDTH, Tree, leaf_hashes, split

UNFINISHED = ".unfinished"
"""What follows the name of a file as long as it is not whole."""

_SYNCED_TOGETHER = 512  # files: the first one of them to be made durable takes most of the others with it

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many records stand in the folder, of how many."""


class TilesWritten(Struct, frozen=True, kw_only=True):
    """What stands in the folder now, and what was done for it.

    `size` records and their `root_hash` are those of the checkpoint. `tiles` of hashes and `bundles` of records were
    written, with `bytes` in all, and `kept` files were there already. Of the records before `minimum_index`, as
    tlog-tiles calls it, only the hashes are there: they were deleted with their archive. It is 0 when none were;
    `removed` bundles of them were there until now.
    """

    path: str
    origin: str
    size: int
    root_hash: bytes
    tiles: int
    bundles: int
    kept: int
    removed: int
    bytes: int
    minimum_index: int


def write_tiles(log: DiskLog, folder: Path, checkpoint: bytes, *, progress: Progress | None = None) -> TilesWritten:
    """Write the tree and the records of a checkpoint, a signed note, as files for readers; durable on return.

    What an earlier export left is kept: whole tiles that its checkpoint has are not written again, incomplete ones go
    once the whole one is there. Every file is whole whenever it can be seen, and the checkpoint is replaced last.
    Nothing is written that does not lead to the checkpoint's root. Its signatures are the caller's business.

    Raises `InvalidInput` when it is no checkpoint, larger than the log, or the folder has a newer one or that of
    another log; `NotProved` when what was published in the folder is not the beginning of this log; `Corrupt` when the
    log is not what the checkpoint says, or a record not what was written; `StoreError`, also when somebody else is
    writing there; `Full`.
    """
    tree = parse_checkpoint(parse_note(checkpoint).text)
    head = log.head()
    if tree.size > head:
        raise InvalidInput("checkpoint", f"{tree.size} records", f"one of at most {head} records, as the log has")
    nodes = StoredNodes(log)
    if merkle.root(nodes, tree.size) != tree.root_hash:
        raise Corrupt(f"what is stored of the tree does not lead to the checkpoint's root over {tree.size} records")
    with _alone(folder):
        published = _published(folder, tree)
        if published is not None and merkle.root(nodes, published.size) != published.root_hash:
            raise NotProved(
                "root",
                f"the log does not go on from the {published.size} records that are published in {folder};"
                " nothing was changed there.",
            )
        export = _Export(log, folder, tree, 0 if published is None else published.size)
        return export.run(checkpoint, progress)


class _Export:
    """One export under way."""

    def __init__(self, log: DiskLog, folder: Path, tree: Checkpoint, published: int) -> None:
        self.log, self.folder, self.tree = log, folder, tree
        self.published = published
        self.tiles = self.bundles = self.kept = self.removed = self.bytes = 0
        self.written: list[Path] = []
        deleted = [entry.last for entry in log.archive.entries() if entry.is_deleted]  # always the oldest
        self.minimum_index = min(max(deleted, default=0), tree.size)

    def run(self, checkpoint: bytes, progress: Progress | None) -> TilesWritten:
        superseded = []
        for place in tiles.places(self.tree.size):
            self._tile(place)
            if place.level == 0:
                self._bundle(place)
                if progress is not None:
                    progress(place.end, self.tree.size)
            if place.is_whole and place.end > self.published:
                superseded.append(place)
        self._sync()
        self._write(tiles.CHECKPOINT, checkpoint)
        self._sync()
        self._drop_incomplete(superseded)
        return TilesWritten(
            path=str(self.folder),
            origin=self.tree.origin,
            size=self.tree.size,
            root_hash=self.tree.root_hash,
            tiles=self.tiles,
            bundles=self.bundles,
            kept=self.kept,
            removed=self.removed,
            bytes=self.bytes,
            minimum_index=self.minimum_index,
        )

    def _is_there(self, place: Place, path: str) -> bool:
        """Whether a file was made durable under the checkpoint of an earlier export, and is still there."""
        if place.end > self.published or not (self.folder / path).exists():
            return False
        self.kept += 1
        return True

    def _tile(self, place: Place) -> None:
        if not self._is_there(place, place.path):
            self._write(place.path, self._hashes(place))
            self.tiles += 1

    def _hashes(self, place: Place) -> bytes:
        """The hashes of a tile, which are those that the tree was built from: the tile above has their root."""
        stored = self.log.tile(place.level, place.index)[: place.width * HASH_BYTES]
        position = place.end - place.width * TILE_WIDTH**place.level + 1
        if len(stored) != place.width * HASH_BYTES:
            raise Corrupt(f"tile {place.level}/{place.index} has {len(stored)} bytes", position=position)
        if place.is_whole:  # the checkpoint's root was made from all hashes of the others
            above, at = divmod(place.index, TILE_WIDTH)
            root = self.log.tile(place.level + 1, above)[at * HASH_BYTES :][:HASH_BYTES]
            if Tree().extend(split(stored)).tree.edge.hashes != (root,):
                detail = f"tile {place.level}/{place.index} is another than the tree was built from"
                raise Corrupt(detail, position=position)
        return stored

    def _bundle(self, place: Place) -> None:
        first = place.index * TILE_WIDTH + 1
        if first <= self.minimum_index:
            self._remove(Place(0, place.index).bundle_path)
            return
        if self._is_there(place, place.bundle_path):
            return
        bodies = self.log.records(first, place.end)
        for position, body in enumerate(bodies, first):
            if isinstance(body, Lost) and body.is_deleted:
                raise StoreError(f"the record at position {position} was deleted meanwhile; write the tiles again.")
            if not isinstance(body, bytes):
                detail = body.detail if isinstance(body, Lost) else "there is no record"
                raise Corrupt(detail, position=position)
        records = [body for body in bodies if isinstance(body, bytes)]
        wanted = split(self.log.tile(0, place.index))
        for position, (found, written) in enumerate(zip(leaf_hashes(records), wanted, strict=False), first):
            if found != written:
                raise Corrupt("the record has other bytes than those that were written", position=position)
        self._write(place.bundle_path, tiles.bundle(records))
        self.bundles += 1

    def _write(self, path: str, content: bytes) -> None:
        """Write a file: it is seen when it is whole."""
        target = self.folder / path
        unfinished = target.with_name(target.name + UNFINISHED)
        with telling(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)  # as the umask says
            try:
                try:
                    write_all(file, content)
                    if path == tiles.CHECKPOINT:
                        os.fsync(file)  # it is replaced: there MUST be the bytes of one or the other
                finally:
                    os.close(file)
                unfinished.replace(target)
            except BaseException:
                with suppress(OSError):
                    unfinished.unlink()
                raise
        self.bytes += len(content)
        self.written.append(target)
        if len(self.written) >= _SYNCED_TOGETHER:
            self._sync()

    def _sync(self) -> None:
        """Make what was written durable, names included."""
        for path in self.written:
            with telling(path):
                file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(file)
                finally:
                    os.close(file)
        for folder in sorted({parent for path in self.written for parent in self._folders(path)}):
            with telling(folder):
                sync_folder(folder)
        self.written = []

    def _folders(self, path: Path) -> Iterator[Path]:
        for parent in path.parents:
            yield parent
            if parent == self.folder:
                return

    def _remove(self, path: str) -> None:
        """Remove a bundle, whole or not."""
        whole = self.folder / path
        for each in (whole, *_incomplete(whole).glob("*")):
            with telling(each), suppress(FileNotFoundError):
                each.unlink()
                self.removed += 1

    def _drop_incomplete(self, places: Iterable[Place]) -> None:
        """Remove the incomplete tiles of places that have a whole one by now, as tlog-tiles allows."""
        for place in places:
            paths = (place.path,) if place.level else (place.path, place.bundle_path)
            for path in paths:  # those that stay do no harm
                shutil.rmtree(_incomplete(self.folder / path), ignore_errors=True)


def _incomplete(path: Path) -> Path:
    """Where the states of a tile or a bundle are that came before the whole one."""
    return path.with_name(f"{path.name}.p")


def _published(folder: Path, tree: Checkpoint) -> Checkpoint | None:
    """The checkpoint that an earlier export left, which this one may replace."""
    path = folder / tiles.CHECKPOINT
    try:
        with telling(path):
            found = parse_checkpoint(parse_note(path.read_bytes()).text)
    except StoreError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
    if found.origin != tree.origin:
        raise InvalidInput("folder", str(folder), f"a folder without the tiles of {found.origin}")
    if found.size > tree.size:
        raise InvalidInput("checkpoint", f"{tree.size} records", f"one of at least {found.size}, as is published there")
    return found


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let nobody else write there meanwhile. Whoever is killed lets go of it."""
    with telling(folder):
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for each in missing:
            sync_folder(each.parent)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"{folder}: somebody else is writing tiles there; wait for them.") from None
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)
