"""The erasing face: the part of an open ledger that erases content, and sees to it that nothing else has it."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from pykka import Timeout

from tallystick.actors.future import LightFuture
from tallystick.house import House
from tallystick.ledger import intake
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Corrupt, NotFound, Pruned, StoreError
from tallystick.ledger.flows import intake as flow_intake
from tallystick.ledger.flows.mirror import mirror_stream
from tallystick.ledger.folding import Record
from tallystick.ledger.ids import id_text
from tallystick.ledger.store.inbox import forget
from tallystick.readings import Readings

if TYPE_CHECKING:  # loaded by the process that wants to know
    from tallystick.erasures import Erasure, Progress

REACH_S = 30.0
"""How long an erasure waits for the read models to have seen it."""


def erase(
    house: House, lookup: str, reason: str, *, dry_run: bool = False, told: "Progress | None" = None
) -> "Erasure":
    """Erase the content of what a token names, or only say what would be erased. Raises as `Erasing.erase`."""
    from tallystick.erasures import done, foreseen

    task_fact, flow_fact = intake.erased(reason), flow_intake.erased(reason)
    readings = house.readings
    stream, is_flow = readings.named(lookup)
    command = Command(flow_fact if is_flow else task_fact, house.actor)
    if dry_run:
        return foreseen(readings, stream, progress=told)
    facts, future, since = house.facts(), LightFuture(), readings.log.head()
    facts.send(facts.flow(stream) if is_flow else facts.actor(stream), command, future)
    try:
        record = future.get()
    except Pruned:  # nothing is left that could be erased: it may have been before
        erased = done(readings, stream, None, since=since, progress=told)
        if erased.erased is None:
            raise
        return erased
    let_go(house, [stream])
    return done(readings, stream, record, since=since, progress=told)


def let_go(house: House, streams: Iterable[bytes]) -> None:
    """See to it that nothing beside the log has what was erased of these tasks and flows.

    Raises `TimeoutError`, `StoreError`, `Closed`.
    """
    readings = house.readings
    if readings.folder is not None:
        forget(readings.folder, dict(_newest(readings, streams)))
    head = readings.log.head()
    try:
        house.facts().reach(head, REACH_S)
    except Timeout as error:
        raise TimeoutError(
            f"It is erased from the log, durably; but the read models have not seen position {head} in {REACH_S} s. "
            "They will, by themselves or when the ledger is opened again."
        ) from error
    positions = {} if readings.views is None else readings.views.positions()
    behind = [name for name, seen in positions.items() if seen < head]
    if behind:  # what failed was set aside
        raise StoreError(
            f"It is erased from the log, durably; but of the read models {', '.join(behind)} cannot go on, and may "
            'have it: run "tally projections rebuild".'
        )


def _newest(readings: Readings, streams: Iterable[bytes]) -> Iterator[tuple[bytes, Record]]:
    """Yield what is known of these tasks and flows now, and of the flows that say what their tasks say."""
    for stream in streams:
        for each in (stream, mirror_stream(stream)):
            with suppress(NotFound, Corrupt):
                yield each, readings.state_at(id_text(each))


class Erasing:
    """What a `Ledger` has of erasing."""

    _house: House

    def erase(self, lookup: str, *, reason: str, dry_run: bool = False, told: "Progress | None" = None) -> "Erasure":
        """Erase all content of a task, or of a managed flow by its id, that is kept beside the log up to now.

        Also of one that was pruned, by its id. On return it is durable, and no database of the ledger has it any more:
        neither the log nor a read model. What stands in the log itself stays, and is in the answer, as are events of
        others that say the same. Once more, and what was done before is the answer. With `dry_run` nothing is written.
        `told` hears how much of the log was looked through for these others, of how much.
        Raises `Refused` (`FlowRefused`) when nothing was kept beside the log, `NotFound`, `Pruned` when its history was
        deleted, `InvalidInput`, `NotOwner`, `Full`; `TimeoutError` when it is erased and a read model lags behind.
        """
        return erase(self._house, lookup, reason, dry_run=dry_run, told=told)


class AsyncErasing:
    """As `Erasing`, awaitable."""

    @property
    def house(self) -> House:
        """The parts of the ledger."""
        raise NotImplementedError

    async def erase(
        self, lookup: str, *, reason: str, dry_run: bool = False, told: "Progress | None" = None
    ) -> "Erasure":
        """As `Ledger.erase`; `told` is called on another thread. Whoever gives up waiting does not stop it."""
        return await asyncio.to_thread(erase, self.house, lookup, reason, dry_run=dry_run, told=told)
