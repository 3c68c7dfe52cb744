"""The segment: one immutable file of the archive, read block by block. What cannot be read is told, never raised."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from tallystick.ledger.archive import block, directory, files
from tallystick.ledger.archive.directory import BLOCK_RECORDS, Directory
from tallystick.ledger.errors import Corrupt, NewerFormat
from tallystick.ledger.store.port import Body, Lost
from tallystick.ledger.store.tree import TILE_BYTES


class Segment:
    """A file that has the records at `first` … `last`, opened for each reading and closed again.

    No descriptor is kept: a file that is deleted gives its space back, and a fork has nothing of its parent's.
    """

    def __init__(self, path: Path, first: int, last: int) -> None:
        self.path, self.first, self.last = path, first, last
        self.blocks = directory.blocks_of(first, last)
        self._known: Directory | None = None

    def records(self, first: int, last: int) -> list[Body]:
        """Return what is stored at positions of this segment."""
        bodies: list[Body] = []
        with self._opened() as file:
            for number in range(self._number(first), self._number(last) + 1):
                bodies += self._block(file, number)
        start = first - self._first_of(self._number(first))
        return bodies[start : start + last - first + 1]

    def hashes(self, number: int) -> bytes:
        """Return the leaf hashes of the records of a block; none when they cannot be read."""
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            files.pass_on(error, self.path)
            return b""
        try:
            # Where they stand, the name of the file says, too: for this its directory may be damaged.
            return os.pread(file, TILE_BYTES, directory.hashes_offset(self.blocks, number))
        except OSError:
            return b""
        finally:
            os.close(file)

    def directory(self) -> Directory:
        """Return what it says of itself. Raises `Corrupt` when neither copy can be read, `NewerFormat`, `OSError`."""
        file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return self._directory(file)
        finally:
            os.close(file)

    def content(self, number: int) -> bytes:
        """Return what a block has inside its frame. Raises `Corrupt`, `NewerFormat`, `OSError`."""
        file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return self._content(file, number)
        finally:
            os.close(file)

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the parts that no record and no hash of the tree shows."""
        size = directory.directory_bytes(self.blocks)
        file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            end = os.fstat(file).st_size
            for name, offset in (("first", 0), ("second", max(end - size, 0))):
                try:
                    said = directory.from_bytes(os.pread(file, size, offset), self.first, self.last)
                except (Corrupt, NewerFormat) as error:
                    yield f"{self.path.name}: the {name} of its directories: {_words(error)}"
                else:
                    if said.file_bytes != end:
                        yield f"{self.path.name} has {end} bytes instead of {said.file_bytes}"
                        return
        finally:
            os.close(file)

    # What is inside.

    @contextmanager
    def _opened(self) -> Iterator[int | str]:
        """Give the descriptor of the file, or say why no record of it can be had."""
        name = f"{self.path.name}, which has positions {self.first} to {self.last}"
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            yield f"{name}, is missing"
            return
        except OSError as error:
            files.pass_on(error, self.path)
            yield f"{name}, cannot be read: {error.strerror}"
            return
        try:
            try:
                self._directory(file)
            except (Corrupt, NewerFormat, OSError) as error:
                yield f"{name}, cannot be read: {_words(error)}"
            else:
                yield file
        finally:
            os.close(file)

    def _block(self, file: int | str, number: int) -> list[Body]:
        if isinstance(file, str):
            return [Lost(file)] * BLOCK_RECORDS
        try:
            return [*block.records_of(self._content(file, number))]
        except (Corrupt, NewerFormat, OSError) as error:
            first = self._first_of(number)
            where = f"{self.path.name}: block {number}, which has positions {first} to {first + BLOCK_RECORDS - 1}"
            return [Lost(f"{where}: {_words(error)}")] * BLOCK_RECORDS

    def _content(self, file: int, number: int) -> bytes:
        place = self._directory(file).place(number)
        if place.offset + place.size > os.fstat(file).st_size:  # who writes a directory can have it say any numbers
            raise Corrupt("it is cut off")
        stored = os.pread(file, place.size, place.offset)
        if sha256(stored).digest() != place.digest:
            raise Corrupt("it has other bytes than those that were written")
        return block.unpacked(stored)

    def _directory(self, file: int) -> Directory:
        known = self._known
        if known is None:
            size = directory.directory_bytes(self.blocks)
            try:
                known = directory.from_bytes(os.pread(file, size, 0), self.first, self.last)
            except Corrupt:
                end = os.fstat(file).st_size
                known = directory.from_bytes(os.pread(file, size, max(end - size, 0)), self.first, self.last)
            self._known = known
        return known

    def _number(self, position: int) -> int:
        return (position - self.first) // BLOCK_RECORDS

    def _first_of(self, number: int) -> int:
        return self.first + number * BLOCK_RECORDS


def _words(error: Exception) -> str:
    """What is wrong, without what an error adds to it for people."""
    if isinstance(error, Corrupt):
        return error.detail
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
