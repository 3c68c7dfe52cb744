"""The places that have not the record that was written there, and what became of it.

A record tells its position, and the tree which record was written at each: so one that stands elsewhere is known.
Neighbours that went the same way are one run: to cut a record out and close the gap moves all that follow it.
Only when all places are known can it be said of each whether its record is gone or stands somewhere else.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from tallystick.ledger.limits import PROBLEMS_KEPT_MAX
from tallystick.ledger.store.findings import Findings, Kind

RUNS_MAX = 65_536  # that are remembered; what is beyond is named by itself

Span = tuple[int, int]
"""The first and the last of neighbouring positions."""


class _Run(Struct):
    """Neighbouring places of which the same is to be said: what stands there was written `shift` further on.

    None: it was written nowhere. Nothing stands there if they are empty.
    """

    first: int
    last: int
    shift: int | None
    is_empty: bool


class Misplaced:
    """Takes places in the order of their positions, and says in the end what is wrong with each."""

    def __init__(self, findings: Findings, size: int, last: int) -> None:
        self._findings = findings
        self._size = size  # of the tree
        self._last = last  # position that has a record, whatever it is, and can be the log's
        self._runs: list[_Run] = []
        self._reasons: dict[int, str] = {}  # of the first of the strangers

    def empty(self, first: int, last: int, reason: str) -> None:
        """Take places that have no record."""
        if not self._remember(_Run(first, last, None, is_empty=True)):
            self._findings.add_all(first, last, Kind.MISSING, reason)

    def stranger(self, position: int, reason: str) -> None:
        """Take a place that has bytes which were written nowhere."""
        if not self._remember(_Run(position, position, None, is_empty=False)):
            self._findings.add(position, Kind.CHANGED, reason)
        elif len(self._reasons) < PROBLEMS_KEPT_MAX:
            self._reasons[position] = reason

    def other(self, position: int, origin: int) -> None:
        """Take a place that has the record that was written at `origin`."""
        if not self._remember(_Run(position, position, origin - position, is_empty=False)):
            self._findings.add(position, Kind.REORDERED, _moved(position, position, origin - position))

    def _remember(self, run: _Run) -> bool:
        last = self._runs[-1] if self._runs else None
        if last and (last.last + 1, last.shift, last.is_empty) == (run.first, run.shift, run.is_empty):
            last.last = run.last
            return True
        if len(self._runs) >= RUNS_MAX:
            return False
        self._runs.append(run)
        return True

    def tell(self) -> None:
        """Add to the findings what is wrong with all of these places.

        A record that stands elsewhere has moved if it is not at its own place, too; else it was copied.
        """
        without = _merged([(run.first, min(run.last, self._size)) for run in self._runs if run.first <= self._size])
        found = _merged([(run.first + run.shift, run.last + run.shift) for run in self._runs if run.shift is not None])
        for run in self._runs:
            if run.shift is not None:
                self._tell_others(run, run.shift, without, found)
            elif run.is_empty:
                self._tell_empty(run, found)
            else:
                self._tell_strangers(run, found)

    def _tell_others(self, run: _Run, shift: int, without: Sequence[Span], found: Sequence[Span]) -> None:
        for first, last, is_moved in _parted(without, run.first + shift, run.last + shift):
            if is_moved:
                for start, end, stands in _parted(found, first - shift, min(last - shift, self._size)):
                    if not stands:
                        self._findings.add_all(start, end, Kind.MISSING, "what was written here is nowhere")
                self._findings.add(first - shift, Kind.REORDERED, _moved(first - shift, last - shift, shift))
                continue
            for position in range(first - shift, last - shift + 1):
                kind = Kind.CHANGED if position <= self._size else Kind.ADDED
                self._findings.add(position, kind, f"these are the bytes of the record at {position + shift}")

    def _tell_empty(self, run: _Run, found: Sequence[Span]) -> None:
        for first, last, stands in _parted(found, run.first, run.last):
            if stands:
                here = "here is" if first == last else f"here, up to {last}, is"
                self._findings.add(first, Kind.REORDERED, f"{here} no record: what was written stands elsewhere")
                continue
            if run.first > self._last:
                detail = f"the log ends at {run.first - 1}; its tree has {self._size} records"
                self._findings.add(first, Kind.CUT_OFF, detail)
                return
            self._findings.add_all(first, last, Kind.MISSING, "there is no record")

    def _tell_strangers(self, run: _Run, found: Sequence[Span]) -> None:
        for first, last, stands in _parted(found, run.first, run.last):
            for position in range(first, last + 1):
                if stands:
                    self._findings.add(position, Kind.ADDED, "what was written here stands elsewhere")
                else:
                    reason = self._reasons.get(position, "the tree was built from other bytes than these")
                    self._findings.add(position, Kind.CHANGED, reason)


def _moved(first: int, last: int, shift: int) -> str:
    if first == last:
        return f"here stands the record that was written at {first + shift}"
    return f"here, up to {last}, stand the records that were written at {first + shift} to {last + shift}"


def _merged(spans: Sequence[Span]) -> list[Span]:
    """The same positions, as spans in order that do not touch."""
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        else:
            merged.append((first, last))
    return merged


def _parted(spans: Sequence[Span], first: int, last: int) -> Iterator[tuple[int, int, bool]]:
    """Cut `first` … `last` where spans begin and end, and say of each part whether it is in one of them."""
    inside: list[Span] = []
    for start, end in spans[max(bisect_right(spans, (first, 0)) - 1, 0) :]:
        if start > last:
            break
        if end >= first:
            inside.append((max(start, first), min(end, last)))
    for (_, before), (start, end) in pairwise([(0, first - 1), *inside]):
        if before + 1 < start:
            yield before + 1, start - 1, False
        yield start, end, True
    behind = inside[-1][1] + 1 if inside else first
    if behind <= last:
        yield behind, last, False
