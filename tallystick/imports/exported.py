"""The exported: an NDJSON export of a whole log, read and held to what it says of itself."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Self

from msgspec import Struct

from tallystick.exports.lines import (
    FIRST,
    FORMAT,
    VERSION,
    End,
    Header,
    Line,
    NoLine,
    Restored,
    read_header,
    read_line,
    restored,
)
from tallystick.exports.source import Told, nobody
from tallystick.ledger.errors import InvalidInput, NewerFormat, Shown
from tallystick.ledger.limits import EXPORT_SLICE_EVENTS, IMPORT_LINE_BYTES_MAX
from tallystick.ledger.payloads import Payloads
from tallystick.ledger.store.tree import Tree, leaf_hashes

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

_FILE = 'a file that "tally export --format ndjson" wrote'
_AS_WRITTEN = f"{_FILE}, as it was written"
_WHOLE = "an export of a whole log: without LOOKUP, --since, --until, --after and --until-position"
_NO_GAPS = "an export of a log that can be read as a whole; a backup carries what is damaged or deleted as it is"
_WINDOW_BYTES_MAX = 1 << 27


class Slice(Struct, frozen=True):
    """Some records of an export, one behind the other, and what is kept beside them, by position."""

    bodies: list[bytes]
    payloads: dict[int, Payloads]


class ExportFile(Struct, frozen=True):
    """An export that can be made a log: where it is, and what its first line says."""

    path: Path
    header: Header

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the first line. Raises `InvalidInput` for what is no export of a whole log, `NewerFormat`."""
        with _lines_of(path) as lines:
            header = _header(path, next(lines, (1, b""))[1])
        if not header.whole or header.selection:
            said = ", ".join(f"{name} {value}" for name, value in (header.selection or {"whole": False}).items())
            raise unfit(path, _WHOLE, f"it has a part: {said}")
        if header.root_hash is None:
            raise unfit(path, _NO_GAPS, "it has no root hash: the tree of its log was damaged")
        return cls(path, header)

    def verify(self, told: Told = nobody) -> None:
        """Read all of it, and compute its tree. Raises `InvalidInput`, with the line, unless it is what it says."""
        tree = Tree()
        for some in self.slices(told):
            tree = tree.extend(leaf_hashes(some.bodies)).tree
        root = tree.edge.root()
        if root != self.header.root_hash:
            said = (self.header.root_hash or b"").hex()
            raise unfit(self.path, _AS_WRITTEN, f"its events have the root {root.hex()}, and not {said}")

    def slices(self, told: Told = nobody) -> Iterator[Slice]:
        """Yield the records, so many at a time. Raises `InvalidInput` for a line that cannot be one, or is missing."""
        some = Slice([], {})
        position, size, end = 0, self.header.size, False
        with _lines_of(self.path) as lines:
            next(lines, None)
            for number, raw in lines:
                if end:
                    raise _wrong(self.path, number, "there is more behind the last line")
                line = _read(self.path, number, raw)
                if isinstance(line, End):
                    self._check_end(number, line, position)
                    end = True
                    continue
                position += 1
                found = self._restored(number, line, position)
                some.bodies.append(found.body)
                if found.payloads:
                    some.payloads[position] = found.payloads
                if len(some.bodies) == EXPORT_SLICE_EVENTS:
                    yield some
                    told(position, max(size, position))
                    some = Slice([], {})
        if not end:
            raise unfit(self.path, _AS_WRITTEN, f"it was cut off behind event {position:,} of {size:,}")
        if some.bodies:
            yield some
            told(position, max(size, position))

    def _restored(self, number: int, line: Line, position: int) -> Restored:
        if line.position != position:
            raise _wrong(self.path, number, f"position {line.position:,} stands where {position:,} should")
        if line.is_gap:
            why = line.damaged if line.deleted is None else f"deleted by {line.deleted.by}: {line.deleted.reason}"
            raise unfit(self.path, _NO_GAPS, f"line {number:,}, position {position:,}: {why}")
        if self.header.version == FIRST and not (line.salts is None and line.payloads is None):
            raise _wrong(self.path, number, f"a file of version {FIRST} of the format has no salts and no payloads")
        try:
            return restored(line)
        except NoLine as error:
            raise _wrong(self.path, number, str(error)) from error

    def _check_end(self, number: int, line: End, position: int) -> None:
        if (position, line.root_hash) != (self.header.size, self.header.root_hash) or line.events != position:
            said = f"it counts {line.events:,} events, the first line {self.header.size:,}, and there are {position:,}"
            raise _wrong(self.path, number, said)


def _header(path: Path, raw: bytes) -> Header:
    try:
        header = read_header(raw)
    except NoLine as error:
        raise unfit(path, f'{_FILE}, or the state database of OpenClaw, "openclaw.sqlite"', str(error)) from error
    if header.format != FORMAT:
        raise unfit(path, _FILE, f"its format is {header.format!r}")
    if header.version > VERSION:
        raise NewerFormat(str(path), found=header.version, known=VERSION)
    if header.version < FIRST:
        raise unfit(path, _AS_WRITTEN, f"line 1: there is no version {header.version} of the format")
    return header


def _read(path: Path, number: int, raw: bytes) -> Line | End:
    try:
        return read_line(raw)
    except NoLine as error:
        raise _wrong(path, number, str(error)) from error


def _wrong(path: Path, number: int, why: str) -> InvalidInput:
    return unfit(path, _AS_WRITTEN, f"line {number:,}: {why}")


def unfit(path: Path, allowed: str, why: str) -> InvalidInput:
    """Return the error for a file that cannot be imported: what could be, and why this one is not."""
    return InvalidInput("file", Shown(path.name), f"{allowed} ({why})")


@contextmanager
def _lines_of(path: Path) -> Iterator[Iterator[tuple[int, bytes]]]:
    """Yield the lines of a file with their numbers, decompressed when it is compressed."""
    try:
        with path.open("rb") as file, _plain(path, file) as stream:
            yield _numbered(path, stream)
    except OSError as error:
        raise unfit(path, "the path of a file that can be read", error.strerror or str(error)) from error


def _numbered(path: Path, stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while raw := _line(path, number + 1, stream):
        number += 1
        if not raw.endswith(b"\n") and len(raw) > IMPORT_LINE_BYTES_MAX:
            raise _wrong(path, number, f"it is longer than {IMPORT_LINE_BYTES_MAX:,} bytes")
        yield number, raw


def _line(path: Path, number: int, stream: BinaryIO) -> bytes:
    from zstandard import ZstdError

    try:
        return stream.readline(IMPORT_LINE_BYTES_MAX + 1)
    except ZstdError as error:
        raise _wrong(path, number, f"it cannot be decompressed: {error}") from error


@contextmanager
def _plain(_path: Path, file: BinaryIO) -> Iterator[BinaryIO]:
    is_compressed = file.read(len(ZSTD_MAGIC)) == ZSTD_MAGIC
    file.seek(0)
    if not is_compressed:
        yield file
        return
    from zstandard import ZstdDecompressor

    unpacked = ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX).stream_reader(file, read_across_frames=True)
    with io.BufferedReader(unpacked) as stream:
        yield stream
