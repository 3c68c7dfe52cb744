"""The looks: what a keeper looks at in one round, in which order, and where the next round goes on."""

from collections.abc import Iterator, Sequence
from functools import partial

from tallystick.actors.courtesy import Courtesy
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.upkeep.plan import Step
from tallystick.projections.agenda import Over, Place, over_from
from tallystick.projections.due import Due, DueKind, DueRules
from tallystick.projections.reader import Reader
from tallystick.projections.routine import stamps, stuck_cancels

PAGE, PAGE_ASKED = 128, 512  # tasks or flows that are looked at in one snapshot: more only for who waits
ODD_MAX = 1_024  # that ended in the future, or are being cancelled, of which one round looks at
KEPT_MAX = 1_024  # that could not be pruned at an earlier round, of which one round looks at again
BROKEN_MAX = 4_096  # that cannot be read, of which the keeper remembers not to ask them again

_LAST = b"\xff" * 16  # behind every stream


class Looks:
    """Finds the steps that are to be taken, a page at a time; each page costs what is found.

    What became due since the last round is looked at first. What was due before and could not be pruned then, for its
    flow is at work, say, is looked at again, but only some of it in one round: where there is much that has to stay,
    no round pays for all of it. Where the looks go on is remembered and not written; a new owner begins anew.
    """

    def __init__(self, reader: Reader, rules: DueRules) -> None:
        self._reader, self._rules = reader, rules
        self._seen_until: Due | None = None
        self._again: Due | None = None
        self._cancels: FlowRecord | None = None
        self._broken: set[bytes] = set()
        self._courtesy = Courtesy()

    def is_broken(self, stream: bytes) -> None:
        """Take note that a task or a flow cannot be read: nothing can be asked of it."""
        if len(self._broken) >= BROKEN_MAX:
            self._broken.clear()
        self._broken.add(stream)

    def round(self, now: int, *, thorough: bool) -> Iterator[Sequence[Step]]:
        """Yield the steps that are due at `now` (ms), page by page; those of a page are to be taken before the next.

        A `thorough` round looks at everything that is due. Whoever stops in the middle misses nothing: what was not
        asked for is found in the next round.
        """
        yield self._reader.answer(lambda seen: stamps(seen, now, self._rules, ODD_MAX))
        yield from self._stuck(now, thorough=thorough)
        if thorough:
            yield from self._all_over(now)
            return
        began = self._seen_until
        yield from self._over_since(now, began, PAGE)
        if began is not None:
            yield from self._kept_before(now)

    def _stuck(self, now: int, *, thorough: bool) -> Iterator[Sequence[Step]]:
        """Yield the steps that end flows as cancelled."""
        after = None if thorough else self._cancels
        for _ in range(0, ODD_MAX, PAGE):
            found = self._reader.answer(partial(stuck_cancels, now=now, limit=PAGE, after=after))
            yield found.steps
            after = self._cancels = found.last
            if after is None:
                return

    def _all_over(self, now: int) -> Iterator[Sequence[Step]]:
        """Yield the steps that prune all that is over, and once more: what went may have been all that kept the rest.

        That is a flow that mirrors several tasks, with its first one.
        """
        for _ in range(2):
            is_done = True
            for steps in self._over_since(now, None, PAGE_ASKED):
                is_done &= not steps
                yield steps
            if is_done:
                return

    def _over_since(self, now: int, after: Due | None, limit: int) -> Iterator[Sequence[Step]]:
        """Yield the steps that prune what is over, behind a place among the tasks."""
        place = Place(tasks=after)
        while not place.is_end:
            page = self._over_from(now, place, limit)
            place = page.place
            yield page.steps
            self._seen_until = place.tasks
        self._seen_until = Due(now, DueKind.RETENTION, _LAST)

    def _kept_before(self, now: int) -> Iterator[Sequence[Step]]:
        """Yield the steps that prune some of what was left at earlier rounds, from where the last one stopped."""
        place, kept = Place(tasks=self._again), 0
        while not place.is_end and kept < KEPT_MAX:
            page = self._over_from(now, place, PAGE)
            place = page.place
            yield page.steps
            kept += len(page.kept)
            self._again = None if place.is_end else place.tasks

    def _over_from(self, now: int, place: Place, limit: int) -> Over:
        return over_from(self._reader, now, self._rules, place, limit, broken=self._broken, pause=self._courtesy.pause)
