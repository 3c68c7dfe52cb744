"""The port of the log: what every store of events promises."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec import Struct

from tallystick.ledger.events import Event
from tallystick.ledger.store.tree import Edge

if TYPE_CHECKING:  # loaded where anything is kept beside a log
    from tallystick.ledger.payloads import Payloads


class Damaged(Struct, frozen=True):
    """A stored record that cannot be read: where it stands, and why. Everything else stays readable."""

    position: int
    detail: str


class Deleted(Damaged, frozen=True):
    """A record that is gone on purpose, with its archive: who deleted it, when (ms) and why. Its hash is kept."""

    by: str
    at: int
    reason: str


Stored: TypeAlias = Event | Damaged


class Lost(Struct, frozen=True):
    """Why the bytes of an archived record cannot be had: what is wrong with its file, or who deleted it."""

    detail: str
    by: str | None = None  # of a deleted one
    at: int = 0
    reason: str = ""

    @property
    def is_deleted(self) -> bool:
        """Whether they are gone on purpose."""
        return self.by is not None

    def stored(self, position: int) -> Damaged:
        """Return what a reader gets in the place of the record."""
        if self.by is None:
            return Damaged(position, self.detail)
        return Deleted(position, self.detail, by=self.by, at=self.at, reason=self.reason)


Body: TypeAlias = bytes | Lost | None
"""The stored bytes of a record, or why they cannot be had; None where there is no record."""


class TreeHead(Struct, frozen=True):
    """The size of the Merkle tree and its root hash (RFC 6962)."""

    size: int
    root_hash: bytes


NO_CLAIMS: Mapping[bytes, bytes] = {}
NOBODY = b""
"""In place of a stream: a claim that nobody has any more."""
NO_NOTES: Mapping[bytes, bytes] = {}
NO_PAYLOADS: "Mapping[int, Payloads]" = {}

Row: TypeAlias = tuple[int, str, bytes]
"""A position, the name of a field, and what is kept of it beside the record there."""


class Outline(Struct, frozen=True, kw_only=True):
    """What a log says of itself at one moment: where it ends, its tree, and how many of everything there are."""

    size: int
    end: int  # the size, if by what is stored there can be as many; else the last position that can have a record
    last: int  # the last position that has a record
    edge: Edge | None  # None when what is stored is no edge
    partials: tuple[bytes, ...]  # what is stored of the incomplete tiles up to the end, lowest level first
    records: int
    index_rows: int
    beyond: tuple[int, ...] = ()  # the first positions behind the end that have records
    archived: int = 0  # up to this position the archive has the records, and their leaf hashes
    planted: tuple[int, ...] = ()  # the first positions up to there that have records beside those of the archive
    faults: tuple[tuple[int, str], ...] = ()  # what is wrong with its files beside the records, by position
    tiles: int | None = None  # how many are stored, if there is a number of its own


class Stats(Struct, frozen=True):
    """What a handle has written since it was opened, and how large the log is."""

    commits: int
    fsyncs: int
    events: int
    record_bytes: int
    used_bytes: int
    map_bytes: int


class EventLog(Protocol):
    """An append-only log of events: positions from 1 without gaps, versions of each stream from 1 without gaps.

    One writer at a time; any number of readers. Readers never block the writer.
    """

    @property
    def path(self) -> str:
        """Where the log is, for messages."""
        ...

    def head(self) -> int:
        """Return the position of the newest event that is durable; 0 when there is none.

        What can be read does not depend on the tree: without it, this is the last position that has a record.
        """
        ...

    def append(
        self,
        events: Sequence[Event],
        claims: Mapping[bytes, bytes] = NO_CLAIMS,
        notes: Mapping[bytes, bytes] = NO_NOTES,
        payloads: "Mapping[int, Payloads]" = NO_PAYLOADS,
    ) -> None:
        """Write the events, of any number of streams, in one transaction with one fsync; all or none of them.

        They MUST be durable when this returns, and their leaves be in the tree. `claims` maps the digest of an
        identity (a run, an idempotency key) to the stream that has it from now on, or to `NOBODY`, written in the same
        transaction; so are the `notes`, small values by name that are no part of what is hashed: a later note replaces
        one of its name.
        `payloads` are kept beside the records, by position: what an event says under `aside` MUST be their digests, and
        its record is written without these fields. Where an event is an erasure, what is kept of the events of its
        stream before it is deleted in the same transaction.
        Raises `WrongVersion` when an event is not the next of its stream (its version tells what was expected),
        `Corrupt` when the positions do not follow the head, `Full` when there is no space, `Closed`.
        """
        ...

    def read(self, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        """Yield the log in order: the records at positions `after` + 1 … `until` (the head when it began).

        Damaged records come as `Damaged`, in their place, and those that were deleted with their archive as `Deleted`.
        Events come with what is kept beside them; what was erased is blank.
        Reads in slices: no transaction outlives a step.
        """
        ...

    def stream(self, stream: bytes, after_version: int = 0) -> list[Stored]:
        """Return the events of one stream in order, those with a greater version than `after_version`."""
        ...

    def histories(self, streams: Sequence[bytes]) -> dict[bytes, list[Stored]]:
        """Return the events of many streams, each in order; those that have none are left out."""
        ...

    def bodies(self, after: int = 0, until: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield positions and stored bytes, exactly as they are: the leaves of the tree."""
        ...

    def claimed(self, claim: bytes) -> bytes | None:
        """Return the stream that has this claim, or None."""
        ...

    def note(self, name: bytes) -> bytes | None:
        """Return the newest note of this name, or None."""
        ...

    def notes(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """Return the notes whose names begin so, with their names, in the order of these."""
        ...

    def tree_head(self) -> TreeHead:
        """Return the tree's size and root as stored with the newest event. `Corrupt` when there is no tree."""
        ...

    # What `verify` looks at: everything that is stored beside the records, as it is.

    def outline(self) -> Outline:
        """Return the end, the tree and the counts."""
        ...

    def records(self, first: int, last: int) -> list[Body]:
        """Return the stored bytes at positions `first` … `last`, wherever they are; None where there are none."""
        ...

    def payloads(self, first: int, last: int, limit: int | None = None) -> list[Row]:
        """Return what is kept beside the records at positions `first` … `last`, in their order; the first `limit`."""
        ...

    def tile(self, level: int, index: int) -> bytes:
        """Return the hashes of a stored tile, wherever it is; none if it is missing.

        An incomplete one has those that it has at the moment.
        """
        ...

    def index(self) -> Iterator[list[tuple[bytes, bytes]]]:
        """Yield slices of the index of the streams, in order: a stream, and the key of the position of an event."""
        ...

    def positions(self, streams: Sequence[bytes]) -> Mapping[bytes, Sequence[int]]:
        """Return where the index has the events of these streams, in order; those that have none are left out."""
        ...

    def positions_behind(self, stream: bytes, position: int, count: int) -> Sequence[int]:
        """Return so many positions of a stream behind one that it has, as the index has them; fewer at its end."""
        ...

    def claims(self) -> Iterator[list[tuple[bytes, bytes]]]:
        """Yield slices of the claims, in order: a claim, and the stream that has it."""
        ...

    def claimed_all(self, claims: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the streams of those of the claims that somebody has."""
        ...

    def known_streams(self, streams: Sequence[bytes]) -> set[bytes]:
        """Return those of the streams that have events."""
        ...

    def close(self) -> None:
        """Release what is held. Closing twice is allowed."""
        ...
