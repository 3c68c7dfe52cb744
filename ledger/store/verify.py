"""Verification: the whole log recomputed from its records, and the first of them that is not what was written.

The records are held to the leaf hashes that were stored with them, these to the tree, and the tree to its edge; the
index of the streams, the claims and what is kept beside the log to what the records say. What is wrong is named, and
the rest is looked at too.
Whoever can write to the folder can write a whole history anew: only a checkpoint that is kept elsewhere shows that.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.limits import PROBLEMS_KEPT_MAX
from tallystick.ledger.store.claim_check import ClaimCheck
from tallystick.ledger.store.codec import MISSING, decode, read_events, read_records
from tallystick.ledger.store.findings import Findings, Kind, Problem, Standing, Verdict
from tallystick.ledger.store.index_check import IndexCheck
from tallystick.ledger.store.misplaced import Misplaced
from tallystick.ledger.store.payload_check import PayloadCheck
from tallystick.ledger.store.port import Body, Damaged, EventLog, Lost, Outline, Stored, TreeHead
from tallystick.ledger.store.tree import TILE_WIDTH, leaf_hash, leaf_hashes
from tallystick.ledger.store.tree_check import TreeCheck

__all__ = ["SLICE_RECORDS", "Kind", "Problem", "Progress", "Standing", "Verdict", "Verification", "verify"]

SLICE_RECORDS = 4 * TILE_WIDTH  # whole tiles of the lowest level

Progress = Callable[[int, int], None]
"""Told how many records have been verified, of how many."""


class Verification(Struct, frozen=True):
    """What a verification found. `problems` has the first of them; `problem_count` counts all.

    `events` counts the records that are as they were written and can be read, `deleted` those that were deleted with
    their archive, which is no problem. `root_hash` is the root over what was written: where a record was changed or is
    gone, over the hash that was stored with it. `verdicts` are on the checkpoints that were given, in their order.
    """

    ok: bool
    events: int
    head: int
    root_hash: bytes
    first_bad: int | None
    problem_count: int
    problems: tuple[Problem, ...]
    deleted: int = 0
    verdicts: tuple[Verdict, ...] = ()

    def with_problem(self, kind: Kind, detail: str) -> "Verification":
        """Return this with one more problem, of no position, that was found beside the log."""
        problems = (Problem(0, kind, detail), *self.problems)[:PROBLEMS_KEPT_MAX]
        return replace(self, ok=False, problem_count=self.problem_count + 1, problems=problems)


def verify(
    log: EventLog, *, checkpoint: TreeHead | Sequence[TreeHead] | None = None, progress: Progress | None = None
) -> Verification:
    """Verify the log as it is now; what is appended meanwhile is left out. Changes nothing.

    Damage is named, not raised, but for that which LMDB cannot read past: `Corrupt`.

    A `checkpoint`, one or several, is what the tree of this log once was, kept where nobody could write it anew. The
    log must have as many records, and over them this root. What is found otherwise is `cut_off`, or `forked`: from the
    first position on for which no checkpoint that fits vouches; or it is not known, for hashes are lost. It costs no
    second pass.
    """
    checkpoints = [checkpoint] if isinstance(checkpoint, TreeHead) else checkpoint or ()
    return _Audit(log, log.outline(), checkpoints).run(progress)


class _Audit:
    """One verification under way."""

    def __init__(self, log: EventLog, outline: Outline, checkpoints: Sequence[TreeHead]) -> None:
        self.log = log
        self.outline = outline
        self.size, self.end = outline.size, outline.end
        self.findings = Findings()
        self.tree = TreeCheck(log, outline, self.findings, checkpoints)
        self.index = IndexCheck(log, self.end, outline.index_rows)
        self.claims = ClaimCheck(log, self.findings)
        self.payloads = PayloadCheck(log, self.findings)
        self.misplaced = Misplaced(self.findings, self.size, min(self.end, outline.last))
        self.sound = 0
        self.missing = 0  # of those that should be in the log itself
        self.deleted = 0
        self.lost = ""  # what was last said of one that the archive cannot give

    def run(self, progress: Progress | None) -> Verification:
        seen = 0
        for first in range(1, min(self.end, self.outline.last) + 1, SLICE_RECORDS):
            seen = min(first + SLICE_RECORDS - 1, self.end)
            self._slice(first, seen)
            if progress is not None:
                progress(seen, self.size)
        if seen < self.size:
            self.missing += self.size - seen
            self.misplaced.empty(seen + 1, self.size, MISSING)
        self._beyond()
        self.misplaced.tell()
        self.tree.hold_edge()
        self.tree.hold_ahead()
        for position, detail in self.outline.faults:
            self.findings.add(position, Kind.ARCHIVE, detail)
        for position, detail in self.index.differences():
            self.findings.add(position, Kind.INDEX, detail)
        self.claims.strangers()
        self.payloads.beyond(self.end)
        self.payloads.missing()
        return Verification(
            ok=not self.findings.count,
            events=self.sound,
            head=self.size,
            root_hash=self.tree.root(),
            first_bad=self.findings.first_bad,
            problem_count=self.findings.count,
            problems=self.findings.problems(),
            deleted=self.deleted,
            verdicts=self.tree.verdicts(),
        )

    def _slice(self, first: int, last: int) -> None:
        bodies = self.log.records(first, last)
        tiles = self.tree.written(first, last)
        try:
            leaves = leaf_hashes(bodies)  # type: ignore[arg-type] # what are no bytes is a TypeError
            same = b"".join(leaves) == b"".join(tiles)
        except TypeError:
            same = False
        if not same:
            changed: set[int] = set()
            for number, stored in enumerate(tiles):
                start = number * TILE_WIDTH
                self._tile(first + start, bodies[start : start + TILE_WIDTH], stored, changed)
            self._read(first, bodies, changed)
            return
        self.tree.grow(leaves)
        events = read_events(first, bodies)
        if events is None:
            self._read(first, bodies, set())
        else:
            self.sound += len(events)
            self._hold(first, bodies, events)

    def _tile(self, first: int, bodies: Sequence[Body], stored: bytes, changed: set[int]) -> None:
        """Go on with a tile whose records are not all as they were written."""
        if isinstance(bodies[0], Lost):
            self.index.leave_out(first)
            if self.tree.grow_lost(first, stored):
                return
        changed.update(self.tree.grow_tile(first, bodies, stored))

    def _read(self, first: int, bodies: Sequence[Body], changed: set[int]) -> None:
        """Look at records one by one: not all of them are as they were written, or can be read."""
        records = read_records(first, bodies)
        for position, (record, body) in enumerate(zip(records, bodies, strict=True), first):
            if isinstance(body, Lost):
                self._lost(position, body)
            elif body is None:
                self.missing += position > self.outline.archived
                self.misplaced.empty(position, position, MISSING)
            elif position in changed:
                self._changed(position, body, record)
            elif isinstance(record, Damaged):
                kind = Kind.UNREADABLE if _position_in(body) is None else Kind.MOVED
                self.findings.add(position, kind, record.detail)
            else:
                self.sound += 1
        events = [record for record in records if isinstance(record, Event) and record.position not in changed]
        self._hold(first, bodies, events)  # what was changed says nothing of the index

    def _hold(self, first: int, bodies: Sequence[Body], events: Sequence[Event]) -> None:
        self.index.add(first + len(bodies) - 1, events)
        self.claims.add(self.payloads.add(first, bodies, events))

    def _lost(self, position: int, body: Lost) -> None:
        """Say once of records that are lost together that they are."""
        if body.is_deleted:
            self.deleted += 1
        elif body.detail != self.lost:
            self.lost = body.detail
            self.findings.add(position, Kind.ARCHIVE, body.detail)

    def _changed(self, position: int, body: bytes, record: Stored) -> None:
        """Note a record that is not the one that was written here: it may be that of another place."""
        origin = self._origin(body)
        if origin is None:
            said = record.detail if isinstance(record, Damaged) else "it can be read"
            self.misplaced.stranger(position, f"the tree was built from other bytes than these: {said}")
        else:
            self.misplaced.other(position, origin)

    def _origin(self, body: bytes) -> int | None:
        """The position at which these bytes were written; None if they never were."""
        position = _position_in(body)
        is_one = position is not None and self.tree.written_at(position) == leaf_hash(body)
        return position if is_one else None

    def _beyond(self) -> None:
        """Name the records that the tree does not have."""
        outline = self.outline
        for position in outline.beyond:
            [body] = self.log.records(position, position)
            origin = self._origin(body) if isinstance(body, bytes) else None
            if origin is None:
                self.findings.add(position, Kind.ADDED, f"the log ends at {self.size}")
            else:
                self.misplaced.other(position, origin)
        for position in outline.planted:
            detail = f"up to {outline.archived} the archive has the records, and here the log has one, too"
            self.findings.add(position, Kind.ADDED, detail)
        more = outline.records - (self.size - self.missing) - len(outline.beyond) - len(outline.planted)
        if more > 0:
            where = "behind the end, where the archive has them, or under keys that are no positions"
            self.findings.add(0, Kind.ADDED, f"{more} more than there should be: {where}")


def _position_in(body: bytes) -> int | None:
    """The position that a record says; None if it cannot be read."""
    try:
        return decode(body).position
    except Corrupt:
        return None
