"""Verification: the whole log recomputed from its records, and the first of them that is not what was written.

The records are held to the leaf hashes that were stored with them, these to the tree, and the tree to its edge; the
index of the streams and the claims to what the records say. What is wrong is named, and the rest is looked at too.
Whoever can write to the folder can write a whole history anew: only a root hash that is kept elsewhere shows that.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum

from msgspec import Struct

from tallystick.ledger.claims import claims_in
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.ids import ID_BYTES
from tallystick.ledger.limits import PROBLEMS_KEPT_MAX
from tallystick.ledger.store.codec import MISSING, decode, read_records
from tallystick.ledger.store.index_check import IndexCheck
from tallystick.ledger.store.port import Body, Damaged, EventLog, Lost, Outline, Stored
from tallystick.ledger.store.tree import (
    HASH_BYTES,
    TILE_WIDTH,
    Tree,
    leaf_hash,
    leaf_hashes,
    partial_tiles,
    split,
)

_NO_HASH = bytes(HASH_BYTES)  # stands for the leaf of a record that is missing
SLICE_RECORDS = 4 * TILE_WIDTH  # whole tiles of the lowest level

Progress = Callable[[int, int], None]
"""Told how many records have been verified, of how many."""


class Kind(StrEnum):
    """What is wrong."""

    MISSING = "missing"  # there is no record
    CHANGED = "changed"  # the record has other bytes than those that were written
    MOVED = "moved"  # the record says that it stands elsewhere
    UNREADABLE = "unreadable"  # the record is as it was written, and cannot be read
    ADDED = "added"  # a record that the tree does not have
    TILE = "tile"  # the record is as it was written, and a stored hash is not
    TREE = "tree"  # the edge of the tree is not that of the stored hashes
    INDEX = "index"  # the index of the streams does not say what the record says
    CLAIM = "claim"  # the claims do not say what the record says
    ARCHIVE = "archive"  # a file of the archive is missing, or not as it was written


class Problem(Struct, frozen=True):
    """One thing that is wrong: the first position that it concerns, or 0 for none; what; and in words."""

    position: int
    kind: Kind
    detail: str


class Verification(Struct, frozen=True):
    """What a verification found. `problems` has the first of them; `problem_count` counts all.

    `events` counts the records that are as they were written and can be read, `deleted` those that were deleted with
    their archive, which is no problem. `root_hash` is the root over what was written: where a record was changed or is
    gone, over the hash that was stored with it.
    """

    ok: bool
    events: int
    head: int
    root_hash: bytes
    first_bad: int | None
    problem_count: int
    problems: tuple[Problem, ...]
    deleted: int = 0


def verify(log: EventLog, *, progress: Progress | None = None) -> Verification:
    """Verify the log as it is now; what is appended meanwhile is left out. Changes nothing."""
    return _Audit(log, log.outline()).run(progress)


class _Audit:
    """One verification under way."""

    def __init__(self, log: EventLog, outline: Outline) -> None:
        self.log = log
        self.outline = outline
        self.size = outline.size
        self.tree = Tree()
        self.index = IndexCheck(log, self.size, outline.index_rows)
        self.sound = 0
        self.missing = 0  # of those that should be in the log itself
        self.deleted = 0
        self.lost = ""  # what was last said of one that the archive cannot give
        self.problem_count = 0
        self.problems: list[Problem] = []
        self.first_bad: int | None = None

    def run(self, progress: Progress | None) -> Verification:
        for first in range(1, min(self.size, self.outline.last) + 1, SLICE_RECORDS):
            last = min(first + SLICE_RECORDS - 1, self.size)
            self._slice(first, last)
            if progress is not None:
                progress(last, self.size)
        self._edge()
        self._counts()
        for position, detail in self.outline.faults:
            self._add(position, Kind.ARCHIVE, detail)
        for position, detail in self.index.differences():
            self._add(position, Kind.INDEX, detail)
        self._claims()
        return Verification(
            ok=not self.problem_count,
            events=self.sound,
            head=self.size,
            root_hash=self.tree.edge.root(),
            first_bad=self.first_bad,
            problem_count=self.problem_count,
            problems=tuple(sorted(self.problems, key=lambda problem: problem.position)),
            deleted=self.deleted,
        )

    def _add(self, position: int, kind: Kind, detail: str) -> None:
        self.problem_count += 1
        if position and (self.first_bad is None or position < self.first_bad):
            self.first_bad = position
        if len(self.problems) < PROBLEMS_KEPT_MAX:
            self.problems.append(Problem(position, kind, detail))

    # Records and their hashes.

    def _slice(self, first: int, last: int) -> None:
        bodies = self.log.records(first, last)
        tiles = self._stored_tiles(first, last)
        changed: set[int] = set()
        try:
            leaves = leaf_hashes(bodies)  # type: ignore[arg-type] # what are no bytes is a TypeError
            same = b"".join(leaves) == b"".join(tiles)
        except TypeError:
            same = False
        if same:
            self._grow(leaves)
        else:
            for number, stored in enumerate(tiles):
                start = number * TILE_WIDTH
                self._tile(first + start, bodies[start : start + TILE_WIDTH], stored, changed)
        self._read(first, bodies, changed)

    def _tile(self, first: int, bodies: Sequence[Body], stored: bytes, changed: set[int]) -> None:
        """Go on with a tile whose records are not all as they were written."""
        if isinstance(bodies[0], Lost):
            self.index.leave_out(first)
            above = self._above((first - 1) // TILE_WIDTH)
            if Tree().extend(split(stored)).tree.edge.hashes != (above,):  # the tree goes on with what it was built of
                if len(stored) == TILE_WIDTH * HASH_BYTES:
                    self._add(first, Kind.TILE, f"the kept hashes of the records from {first} on are others")
                self._grow([above], tile_level=1)
                return
        self._grow(self._leaves_of_tile(first, bodies, stored, changed))

    def _stored_tiles(self, first: int, last: int) -> list[bytes]:
        """The leaf hashes that were stored with the records; the last tile may be incomplete."""
        tiles = [self.log.tile(0, index) for index in range((first - 1) // TILE_WIDTH, last // TILE_WIDTH)]
        if last % TILE_WIDTH:
            tiles.append(self.outline.partials[0])
        return tiles

    def _leaves_of_tile(self, first: int, bodies: Sequence[Body], stored: bytes, changed: set[int]) -> list[bytes]:
        """The leaf hashes as they were when the records were written; note the records that are others now."""
        now = [leaf_hash(body) if isinstance(body, bytes) else _NO_HASH for body in bodies]
        if len(stored) != len(now) * HASH_BYTES:
            self._add(first, Kind.TILE, f"the stored hashes of the records from {first} on are missing")
            return now
        written = split(stored)
        places = [place for place in range(len(now)) if now[place] != written[place]]
        index = (first - 1) // TILE_WIDTH
        if places and self._fits(index, now):
            for place in places:
                self._add(first + place, Kind.TILE, "the stored hash is not that of the record")
            return now
        changed.update(first + place for place in places)
        return written

    def _fits(self, index: int, leaves: Sequence[bytes]) -> bool:
        """Whether the tree above a tile of the lowest level was built from these leaves."""
        roots = Tree().extend(leaves).tree.edge.hashes
        if index == self.size // TILE_WIDTH:
            return self.outline.edge is not None and roots == self.outline.edge.hashes[-len(roots) :]
        return list(roots) == [self._above(index)]

    def _above(self, index: int) -> bytes:
        """The stored root of a whole tile of the lowest level."""
        above, place = divmod(index, TILE_WIDTH)
        return self.log.tile(1, above)[place * HASH_BYTES : (place + 1) * HASH_BYTES] or _NO_HASH

    def _grow(self, hashes: Sequence[bytes], *, tile_level: int = 0) -> None:
        """Go on with the tree, and hold every tile that is now complete to the stored one."""
        self.tree, tiles = self.tree.extend(hashes, tile_level=tile_level)
        for tile in tiles:
            if tile.level and len(tile.hashes) == TILE_WIDTH * HASH_BYTES:
                self._hold(tile.level, tile.index, tile.hashes, self.log.tile(tile.level, tile.index))

    def _edge(self) -> None:
        """Hold the incomplete tiles and the edge to what the records made of them."""
        seen = self.tree.edge.size
        if seen < self.size:
            self.missing += self.size - seen
            self._add(seen + 1, Kind.MISSING, f"{MISSING}, nor at any position behind it, up to {self.size}")
            return
        for place in partial_tiles(self.size)[1:]:
            computed, stored = self.tree.partials[place.level], self.outline.partials[place.level]
            self._hold(place.level, place.index, computed, stored)
        if self.tree.edge != self.outline.edge:
            self._add(0, Kind.TREE, "the stored edge is not that of the stored hashes")

    def _hold(self, level: int, index: int, computed: bytes, stored: bytes) -> None:
        if computed == stored:
            return
        span = TILE_WIDTH**level
        first = index * TILE_WIDTH * span + 1
        if len(computed) != len(stored):
            self._add(first, Kind.TILE, f"tile {level}/{index} has {len(stored)} bytes instead of {len(computed)}")
            return
        for place, (one, other) in enumerate(zip(split(computed), split(stored), strict=True)):
            if one != other:
                self._add(first + place * span, Kind.TILE, f"hash {place} of tile {level}/{index} is another")

    # What the records say.

    def _read(self, first: int, bodies: Sequence[Body], changed: set[int]) -> None:
        records = read_records(first, bodies)
        events = [record for record in records if isinstance(record, Event)]
        if changed or len(events) < len(records):
            for record, body in zip(records, bodies, strict=True):
                if isinstance(body, Lost):
                    self._lost(record.position, body)
                elif isinstance(record, Damaged) or record.position in changed:
                    self._judge(record, body, changed=record.position in changed)
                else:
                    self.sound += 1
        else:
            self.sound += len(events)
        self.index.add(first, events)
        self._hold_claims(events)

    def _lost(self, position: int, body: Lost) -> None:
        """Say once of records that are lost together that they are."""
        if body.is_deleted:
            self.deleted += 1
        elif body.detail != self.lost:
            self.lost = body.detail
            self._add(position, Kind.ARCHIVE, body.detail)

    def _judge(self, record: Stored, body: bytes | None, *, changed: bool) -> None:
        """Say what is wrong with a record that is not as it was written, or cannot be read."""
        reason = record.detail if isinstance(record, Damaged) else "it can be read"
        if body is None:
            self.missing += record.position > self.outline.archived
            kind = Kind.MISSING
        elif isinstance(record, Damaged) and _is_readable(body):
            kind = Kind.MOVED
        elif changed:
            kind, reason = Kind.CHANGED, f"the tree was built from other bytes than these: {reason}"
        else:
            kind = Kind.UNREADABLE
        self._add(record.position, kind, reason)

    def _counts(self) -> None:
        """Name the records that the tree does not have."""
        outline = self.outline
        for position in outline.beyond:
            self._add(position, Kind.ADDED, f"the log ends at {self.size}")
        more = outline.records - (self.size - self.missing) - len(outline.beyond)
        if more > 0:
            self._add(0, Kind.ADDED, f"{more} records more, behind the end or under keys that are no positions")

    # Claims.

    def _hold_claims(self, events: Sequence[Event]) -> None:
        """Hold the creations of a slice to the claims that are stored."""
        owed = {claim: event for event in events for claim in claims_in(event.data)}
        held = self.log.claimed_all(list(owed)) if owed else {}
        for claim, event in owed.items():
            holder = held.get(claim)
            if holder != event.stream and (holder is None or not self._owes(holder, claim)):
                name = "nobody" if holder is None else holder.hex()
                self._add(event.position, Kind.CLAIM, f"the claim {claim.hex()} of this creation has {name}")

    def _owes(self, stream: bytes, claim: bytes) -> bool:
        """Whether a stream was created with a claim: then a later creation took it over, as it may."""
        if len(stream) != ID_BYTES:
            return False
        created = [record.data for record in self.log.stream(stream) if isinstance(record, Event)][:1]
        return any(claim in claims_in(data) for data in created)

    def _claims(self) -> None:
        """Hold the claims that are stored to the streams that are there."""
        for rows in self.log.claims():
            known = self.log.known_streams([stream for _, stream in rows if len(stream) == ID_BYTES])
            for claim, stream in rows:
                if stream not in known:
                    self._add(0, Kind.CLAIM, f"{claim.hex()} is claimed by {stream.hex()}, which has no event")


def _is_readable(body: bytes) -> bool:
    try:
        decode(body)
    except Corrupt:
        return False
    return True
