"""What a verification finds: the kinds of damage, and all that was found, counted and in order."""

from enum import StrEnum

from msgspec import Struct

from tallystick.ledger.limits import PROBLEMS_KEPT_MAX
from tallystick.ledger.store.port import TreeHead


class Kind(StrEnum):
    """What is wrong."""

    MISSING = "missing"  # the record that was written is nowhere
    CHANGED = "changed"  # the record has other bytes than those that were written
    ADDED = "added"  # a record that the tree does not have
    REORDERED = "reordered"  # here stands the record that was written at another position
    CUT_OFF = "cut_off"  # the log ends before its tree does, or before a checkpoint that was kept
    FORKED = "forked"  # the tree is another than that of a checkpoint that was kept
    MOVED = "moved"  # the record is as it was written, and says that it stands elsewhere
    UNREADABLE = "unreadable"  # the record is as it was written, and cannot be read
    TILE = "tile"  # the record is as it was written, and a stored hash is not
    TREE = "tree"  # the edge of the tree is not that of the stored hashes
    INDEX = "index"  # the index of the streams does not say what the record says
    CLAIM = "claim"  # the claims do not say what the record says
    PAYLOAD = "payload"  # what is kept beside the log is not what the record names, or what was erased is still there
    ARCHIVE = "archive"  # a file of the archive is missing, or not as it was written
    CHECKPOINT = "checkpoint"  # what is kept as the newest checkpoint is none


class Problem(Struct, frozen=True):
    """One thing that is wrong: the first position that it concerns, or 0 for none; what; and in words."""

    position: int
    kind: Kind
    detail: str


class Standing(StrEnum):
    """Whether a log goes on from a checkpoint. Only `HELD` says that it does."""

    HELD = "held"  # the tree had this root when it had this size
    CUT_OFF = "cut_off"  # the log ends before it
    FORKED = "forked"  # the tree had another root
    UNKNOWN = "unknown"  # hashes are lost of which its root was made


class Verdict(Struct, frozen=True):
    """What was found of a checkpoint that the log was held to; and why, in words, if it does not fit."""

    checkpoint: TreeHead
    standing: Standing
    detail: str = ""


class Findings:
    """Counts everything, keeps the first of it, and knows the lowest position."""

    def __init__(self) -> None:
        self.count = 0
        self.first_bad: int | None = None
        self._kept: list[Problem] = []

    def add_all(self, first: int, last: int, kind: Kind, detail: str) -> None:
        """Take the same of every position, however many they are: what is not kept is only counted."""
        named = min(last, first + PROBLEMS_KEPT_MAX - 1)
        for position in range(first, named + 1):
            self.add(position, kind, detail)
        self.count += max(last - named, 0)

    def add(self, position: int, kind: Kind, detail: str) -> None:
        """Take one thing that is wrong."""
        self.count += 1
        if position and (self.first_bad is None or position < self.first_bad):
            self.first_bad = position
        if len(self._kept) < PROBLEMS_KEPT_MAX:
            self._kept.append(Problem(position, kind, detail))

    def problems(self) -> tuple[Problem, ...]:
        """Return those that were kept, by position."""
        return tuple(sorted(self._kept, key=lambda problem: problem.position))
