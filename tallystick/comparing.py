"""Comparing: two logs, and the first place where they differ. Reads only, and needs no owner of either.

The trees find the place by a few hashes, however long the logs are; what the trees cannot know, that a record has other
bytes than those that its tree was built of, only the bytes tell, and all of them.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from itertools import takewhile
from typing import Any

import msgspec
from msgspec import Struct

from tallystick.lacks import Lack, Lacks
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.store.codec import read_body
from tallystick.ledger.store.nodes import StoredNodes
from tallystick.ledger.store.payloads import by_position, whole
from tallystick.ledger.store.port import Body, EventLog, Lost, Stored, TreeHead
from tallystick.ledger.store.tree import EMPTY_ROOT, TILE_WIDTH, leaf_hash, node_hash

SLICE_RECORDS = 4 * TILE_WIDTH

Progress = Callable[[int, int], None]


class Relation(StrEnum):
    """What two logs are to each other."""

    EQUAL = "equal"
    """Both tell the same."""

    PREFIX = "prefix"
    """One of them goes on where the other ends."""

    DIFFERENT = "different"
    """They tell different stories from some position on."""


class Proof(StrEnum):
    """What shows it."""

    TREE = "tree"
    """The hashes of both trees: it was written otherwise."""

    BYTES = "bytes"
    """The records themselves, while both trees say the same: one of them was changed since."""


class Side(Struct, frozen=True, kw_only=True):
    """One of the two logs. Without a `root_hash` nothing of its tree can be read."""

    path: str
    head: int
    root_hash: bytes | None


class Difference(Struct, frozen=True, kw_only=True):
    """The first position where the two differ: what each has there, and the names of what differs."""

    position: int
    proof: Proof
    this: Stored
    other: Stored
    differs: tuple[str, ...]


class Fault(Struct, frozen=True, kw_only=True):
    """What is damaged: of which log ("this", "other"), from which position on, and what."""

    side: str
    position: int
    detail: str


class Comparison(Struct, frozen=True, kw_only=True):
    """What comparing found. `common` is how many records both begin with, as far as was looked.

    Of a prefix `shorter` is "this" or "other", and `next` what the longer one goes on with. `unread` counts the records
    that were compared by their hashes alone, because their archive was deleted or nobody wanted the bytes read. `lacks`
    says what one of them has erased of what both begin with, while the other still has it: their records are the same.
    """

    relation: Relation
    this: Side
    other: Side
    common: int
    shorter: str | None = None
    next: Stored | None = None
    difference: Difference | None = None
    faults: tuple[Fault, ...] = ()
    unread: int = 0
    lacks: tuple[Lack, ...] = ()

    @property
    def is_damaged(self) -> bool:
        """Whether one of them is not as it was written."""
        return bool(self.faults)


def compare(
    this: EventLog, other: EventLog, *, trees_only: bool = False, progress: Progress | None = None
) -> Comparison:
    """Compare two logs as they are now. With `trees_only` the records are taken for what their trees were built of."""
    return _Comparing(this, other).run(trees_only=trees_only, progress=progress)


class _Comparing:
    """One comparison under way."""

    def __init__(self, this: EventLog, other: EventLog) -> None:
        self.logs = {"this": this, "other": other}
        self.nodes = {name: StoredNodes(log) for name, log in self.logs.items()}
        self.faults: list[Fault] = []
        self.lacks = Lacks(self.logs, self._fault)
        self.unread = 0

    def run(self, *, trees_only: bool, progress: Progress | None) -> Comparison:
        this, other = (self._side(name) for name in self.logs)
        both = min(this.head, other.head)
        by_tree = self._by_tree(both)
        if by_tree is not None and self._is_wrong(by_tree):
            by_tree = None
        end = both if by_tree is None else by_tree - 1
        by_bytes: int | None = None
        if trees_only:
            self.unread = end
        else:
            by_bytes = next(self._by_bytes(end, progress), None)
        first, proof = (by_tree, Proof.TREE) if by_bytes is None else (by_bytes, Proof.BYTES)
        relation = Relation.EQUAL if this.head == other.head else Relation.PREFIX
        shorter = None if this.head == other.head else ("this" if this.head < other.head else "other")
        longer = self.logs["other" if shorter == "this" else "this"]
        return Comparison(
            relation=relation if first is None else Relation.DIFFERENT,
            this=this,
            other=other,
            common=both if first is None else first - 1,
            shorter=shorter if first is None else None,
            next=_stored(longer, both + 1) if first is None and shorter is not None else None,
            difference=None if first is None else self._difference(first, proof),
            faults=tuple(self.faults),
            unread=self.unread,
            lacks=self.lacks.found(),
        )

    def _side(self, name: str) -> Side:
        log = self.logs[name]
        head: TreeHead | None = None
        try:
            head = log.tree_head()
        except Corrupt as error:
            self._fault(name, error.position or 0, error.detail)
        root = None if head is None else head.root_hash if head.size else EMPTY_ROOT
        return Side(path=log.path, head=log.head() if head is None else head.size, root_hash=root)

    def _fault(self, name: str, position: int, detail: str) -> None:
        self.faults.append(Fault(side=name, position=position, detail=detail))

    # By the trees.

    def _by_tree(self, size: int) -> int | None:
        """Return the first of so many positions whose leaves differ, None when the trees agree.

        Of every subtree that differs only one half is looked into: the one that differs first.
        """
        done = 0
        try:
            for level in reversed(range(size.bit_length())):
                if size >> level & 1:
                    index = done >> level
                    if not self._same(level, index):
                        return self._descend(level, index)
                    done += 1 << level
        except Corrupt:
            return None  # which was noted: then the bytes say
        return None

    def _descend(self, level: int, index: int) -> int | None:
        """Return the first position below a node that differs; None when nothing does, because the node is wrong."""
        while level:
            level, index = level - 1, index * 2
            if self._same(level, index):
                index += 1
                if self._same(level, index):
                    self._name_the_wrong_one(level + 1, index // 2)
                    return None
        return index + 1

    def _name_the_wrong_one(self, level: int, index: int) -> None:
        """Say of a node that differs, while what is below it does not, whose is not that of what is below it."""
        for name in self.logs:
            below = node_hash(self._node(name, level - 1, 2 * index), self._node(name, level - 1, 2 * index + 1))
            if below != self._node(name, level, index):
                position = (index << level) + 1
                self._fault(name, position, f"the hash over the {1 << level} records from there on is another's")

    def _is_wrong(self, position: int) -> bool:
        """Whether both have the same bytes where their trees differ: then a hash of one of them is not its record's."""
        these, others = (log.records(position, position)[0] for log in self.logs.values())
        if not isinstance(these, bytes) or these != others:
            return False
        for name in self.logs:
            self._hold(name, position, these)
        return True

    def _same(self, level: int, index: int) -> bool:
        return self._node("this", level, index) == self._node("other", level, index)

    def _node(self, name: str, level: int, index: int) -> bytes:
        try:
            return self.nodes[name].node(level, index)
        except Corrupt as error:
            self._fault(name, error.position or 0, error.detail)
            raise

    # By the bytes.

    def _by_bytes(self, until: int, progress: Progress | None) -> Iterator[int]:
        """Yield the positions whose bytes differ, though their hashes do not."""
        for first in range(1, until + 1, SLICE_RECORDS):
            last = min(first + SLICE_RECORDS - 1, until)
            these, others = (log.records(first, last) for log in self.logs.values())
            self._beside(first, these, others)
            if these != others:
                for position, (one, two) in enumerate(zip(these, others, strict=True), first):
                    if not isinstance(one, bytes) or not isinstance(two, bytes):
                        self._one_side(position, one, two)
                    elif one != two:
                        for name, body in (("this", one), ("other", two)):
                            self._hold(name, position, body)
                        yield position
            elif any(not isinstance(body, bytes) for body in these):
                for position, (one, two) in enumerate(zip(these, others, strict=True), first):
                    if not isinstance(one, bytes):
                        self._one_side(position, one, two)
            if progress is not None:
                progress(last, until)

    def _beside(self, first: int, these: Sequence[Body], others: Sequence[Body]) -> None:
        """Compare what is kept beside the records, as far as these do not differ."""
        count = len(these)
        if these != others:
            pairs = zip(these, others, strict=True)
            count = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1] or {*map(type, pair)} != {bytes}, pairs))
        if count:
            self.lacks.look(first, first + count - 1, {"this": these, "other": others})

    def _one_side(self, position: int, this: Body, other: Body) -> None:
        """Where one cannot be read, its hash speaks for it, unless it should be there."""
        self.unread += 1
        for name, body in (("this", this), ("other", other)):
            if body is None or (isinstance(body, Lost) and not body.is_deleted):
                self._fault(name, position, "there is no record" if body is None else body.detail)

    def _hold(self, name: str, position: int, body: bytes) -> None:
        """Say of a record whether it is the one that its tree was built of."""
        try:
            stored = self._node(name, 0, position - 1)
        except Corrupt:
            return
        if leaf_hash(body) != stored:
            self._fault(name, position, "the record has other bytes than those that its tree was built of")

    def _difference(self, position: int, proof: Proof) -> Difference:
        this, other = (_stored(log, position) for log in self.logs.values())
        return Difference(position=position, proof=proof, this=this, other=other, differs=_differs(this, other))


def _stored(log: EventLog, position: int) -> Stored:
    [body] = log.records(position, position)
    return whole(read_body(position, body), by_position(log.payloads(position, position)).get(position))


def _differs(this: Stored, other: Stored) -> tuple[str, ...]:
    """The names of what two records differ in; "bytes" when they say the same in other bytes, or cannot be read."""
    if not isinstance(this, Event) or not isinstance(other, Event):
        return ("bytes",)
    one, two = _as_data(this), _as_data(other)
    return tuple(name for name in {**one, **two} if one.get(name) != two.get(name)) or ("bytes",)


def _as_data(event: Event) -> dict[str, Any]:
    fact: dict[str, Any] = msgspec.to_builtins(event.data)
    fact.pop("type")
    return {
        "id": event.task_id,
        "version": event.version,
        "type": event.type,
        "occurredAt": event.occurred_at,
        "recordedAt": event.recorded_at,
        "actor": event.actor,
        **{f"data.{name}": value for name, value in fact.items()},
    }
