"""The reader: every question about tasks, answered exactly as of the log's head, in the owner and in any process."""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tallystick.ledger.errors import Corrupt, Pruned
from tallystick.ledger.limits import BOARD_ROWS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import EventLog
from tallystick.projections import board, outbox
from tallystick.projections.below import Family, family_of
from tallystick.projections.catch_up import flows_known_at, known_at
from tallystick.projections.change import nothing_known
from tallystick.projections.counts import Counts
from tallystick.projections.due import ALL_KINDS, DueKind, DueRules
from tallystick.projections.outbox import OutboxCounts
from tallystick.projections.overlay import Overlay
from tallystick.projections.query import Page, Query
from tallystick.projections.rows import ViewsDamaged
from tallystick.projections.seen import Dues, Records, Seen, Slots, Streams
from tallystick.projections.views import Sight, Views

_T = TypeVar("_T")


class Reader:
    """Reads the views, and from the log what they have not seen yet. Any thread may ask.

    Without views, or with ones that cannot be read, all answers come from the log: slower, and the same.
    It owns neither: whoever opened them closes them.
    """

    def __init__(self, log: EventLog, views: Views | None, *, rules: DueRules | None = None) -> None:
        self._log, self._views, self._rules = log, views, rules or DueRules()
        self._overlay = Overlay()
        self._lock = threading.Lock()
        self.damage: Exception | None = None
        """Why the views are not read any more, if they are not."""

    @contextmanager
    def snapshot(self) -> Iterator[Seen]:
        """Everything as of one moment: the log's head when the block begins. Keep it short.

        Raises `ViewsDamaged` or `Corrupt` in the middle of an answer when the views turn out to be damaged;
        the reader's own questions below ask the log instead.
        """
        if self._views is None or self.damage is not None:
            yield self._seen(None)
            return
        with self._views.read() as sight:  # first the views, then the head: so they never know more than it
            yield self._seen(sight)

    def _seen(self, sight: Sight | None) -> Seen:
        with self._lock:
            head = self._log.head()
            if sight is not None and sight.position(board.NAME) > head:
                sight = None  # they follow another log
            base = 0 if sight is None else sight.position(board.NAME)
            overlay = self._overlay
            if (overlay.base, overlay.head) != (base, head):
                lookup = nothing_known if sight is None else known_at(sight, self._log, base)
                flows = nothing_known if sight is None else flows_known_at(sight, self._log, base)
                self._overlay = overlay = overlay.moved(self._log, lookup, flows, base=base, head=head)
            return Seen(self._log, head, sight, overlay, self._rules)

    def lag(self, *names: str) -> int:
        """Return how many events an answer has to be folded from, because the views have not seen them; cheap to ask.

        Of the read models with these names, the board and the outbox unless given, the one that is furthest behind
        counts. 0 when there are no views to wait for.
        """
        if self._views is None or self.damage is not None:
            return 0
        with self._views.read() as sight:
            known = 0 if sight is None else min(map(sight.position, names or (board.NAME, outbox.NAME)))
        return max(self._log.head() - known, 0)

    def get(self, task_id: str) -> TaskRecord:
        """As `Seen.get`."""
        return self.answer(lambda seen: seen.get(task_id))

    def records(self, streams: Collection[bytes]) -> dict[bytes, TaskRecord]:
        """As `Seen.records`."""
        return self.answer(lambda seen: seen.records(streams))

    def family(self, stream: bytes) -> Family | None:
        """As `family_of`: a task and all below it."""
        return self.answer(lambda seen: family_of(seen, stream))

    def gone(self, token: str, stream: bytes) -> Pruned | None:
        """Return what is told of a task or a flow that was pruned; None of what is there, or never was."""
        from tallystick.projections.flow_list import gone_of  # noqa: PLC0415 - whoever finds what is there does without

        return self.answer(lambda seen: gone_of(seen, token, stream))

    def find(self, token: str) -> TaskRecord:
        """As `Seen.find`."""
        return self.answer(lambda seen: seen.find(token))

    def list(self, query: Query) -> Page:
        """As `Seen.list`."""
        return self.answer(lambda seen: seen.list(query))

    def counts(self) -> Counts:
        """As `Seen.counts`."""
        return self.answer(lambda seen: seen.counts())

    def board(self, session: str, limit: int = BOARD_ROWS_MAX) -> Records:
        """As `Seen.board`."""
        return self.answer(lambda seen: seen.board(session, limit))

    def due(
        self,
        until: int,
        rules: DueRules | None = None,
        limit: int | None = None,
        kinds: Collection[DueKind] = ALL_KINDS,
    ) -> Dues:
        """As `Seen.due`."""
        return self.answer(lambda seen: seen.due(until, rules, limit, kinds))

    def backed(self) -> Streams:
        """As `Seen.backed`."""
        return self.answer(lambda seen: seen.backed())

    def slots(self, heading: bytes, before: int, limit: int | None = None, *, first: int = 0) -> Slots:
        """As `Seen.slots`."""
        return self.answer(lambda seen: seen.slots(heading, before, limit, first=first))

    def headings(self, kind: bytes) -> frozenset[bytes]:
        """As `Seen.headings`."""
        return self.answer(lambda seen: seen.headings(kind))

    def outbox_counts(self) -> OutboxCounts:
        """As `Seen.outbox_counts`."""
        return self.answer(lambda seen: seen.outbox_counts())

    def answer(self, question: Callable[[Seen], _T]) -> _T:
        """Return the answer to a question of one moment. Where the views are damaged the log is asked instead."""
        try:
            with self.snapshot() as seen:
                return question(seen)
        except (ViewsDamaged, Corrupt) as error:
            if self._views is None or self.damage is not None:
                raise
            self.damage = error
        try:
            with self.snapshot() as seen:
                return question(seen)
        except Corrupt:
            self.damage = None  # it was the log
            raise
