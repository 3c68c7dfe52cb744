"""The manifest: which files the archive has, what is in each, and which were deleted.

It is replaced as a whole. Where it is missing or cannot be read, the files say the same of themselves.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from tallystick.ledger.archive import files
from tallystick.ledger.errors import UNREADABLE, Corrupt, NewerFormat

FORMAT = 1


class State(StrEnum):
    """What became of a segment."""

    KEPT = "kept"
    DELETED = "deleted"


class Entry(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A segment: the positions that it has, its file, and when its first and last event were recorded (ms).

    `bytes`, `sha256` and `root_hash` are those of the file as it was sealed, the last over its records alone.
    Of a deleted one it says when, by whom and why.
    """

    first: int
    last: int
    file: str
    bytes: int
    sha256: str
    root_hash: str
    recorded_first: int
    recorded_last: int
    state: State
    deleted_at: int | None = None
    deleted_by: str | None = None
    reason: str | None = None

    @property
    def is_deleted(self) -> bool:
        """Whether the records are gone, and only their hashes remain."""
        return self.state is State.DELETED

    @property
    def events(self) -> int:
        """How many positions it has."""
        return self.last - self.first + 1


class Manifest(Struct, frozen=True, kw_only=True):
    """All segments, in the order of their positions."""

    format: int = FORMAT
    segments: tuple[Entry, ...] = ()


def read(folder: Path) -> tuple[Entry, ...] | None:
    """Return the segments of the manifest in a folder; None if there is no manifest.

    Raises `Corrupt`, `NewerFormat`, `OSError`.
    """
    try:
        stored = (folder / files.MANIFEST).read_bytes()
    except FileNotFoundError:
        return None
    try:
        found = msgspec.json.decode(stored, type=Manifest)
    except UNREADABLE as error:
        raise Corrupt(f"{files.MANIFEST} cannot be read: {error}") from error
    if found.format > FORMAT:
        raise NewerFormat(files.MANIFEST, found=found.format, known=FORMAT)
    _check(found.segments)
    return found.segments


def write(folder: Path, segments: Sequence[Entry]) -> None:
    """Replace the manifest; durable on return. Raises `Full`, `StoreError`, and then the old one stands."""
    said = msgspec.json.format(msgspec.json.encode(Manifest(segments=tuple(segments))), indent=2)
    with files.whole(folder / files.MANIFEST) as file:
        files.write_all(file, said + b"\n")


def _check(segments: Iterable[Entry]) -> None:
    end = 0
    for entry in segments:
        kind = files.range_of(entry.file)
        if entry.first != end + 1 or entry.last < entry.first or kind != (entry.first, entry.last):
            raise Corrupt(f"{files.MANIFEST} has {entry.file} where position {end + 1} should be")
        end = entry.last
