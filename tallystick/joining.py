"""Joining a ledger: writing it beside other processes, one of which owns it."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tallystick.actors.redaction import Redact
from tallystick.aio import AsyncLedger
from tallystick.building import default_actor, discretion_of, folder_of, now_of, own, settings_of
from tallystick.config import Config
from tallystick.house import House
from tallystick.ledger import fields
from tallystick.ledger.clock import Clock, system_clock
from tallystick.outlets import hook_of
from tallystick.owner import OwnerLock, this_process
from tallystick.readings import Readings, due_rules
from tallystick.sharing.beside import Beside
from tallystick.sharing.member import Member
from tallystick.sync import Ledger

if TYPE_CHECKING:
    import asyncio


def join(
    path: str | os.PathLike[str],
    *,
    config: Config | None = None,
    clock: Clock | None = None,
    actor: str | None = None,
    redact: Redact | None = None,
    redact_stored: Redact | None = None,
) -> Ledger:
    """Open the ledger in the folder `path` to write beside other processes; made if it is not there.

    Commands go to the live owner and are answered when they are durable, each recorded exactly once, whatever happens
    to the owner meanwhile. While there is none, this process is the owner, for all who joined; it gives way to whoever
    opens the ledger, and goes on. It never judges what only a gateway can know.
    `redact` is as `Ledger.redact`, in force while this process is the owner. `redact_stored` is always in force for
    what this process sends, also while that waits for an owner, and for all that it records as the owner.
    Raises as `open`, but never `NotOwner`.
    """
    return Ledger(_joined(path, config=config, clock=clock, actor=actor, redact=redact, redact_stored=redact_stored))


def join_async(
    path: str | os.PathLike[str],
    *,
    config: Config | None = None,
    clock: Clock | None = None,
    actor: str | None = None,
    redact: Redact | None = None,
    redact_stored: Redact | None = None,
) -> AsyncLedger:
    """Return the same for asyncio, to be entered with `async with`; joining happens on another thread."""
    return AsyncLedger(
        lambda loop: _joined(
            path,
            config=config,
            clock=clock,
            actor=actor,
            redact=redact,
            redact_stored=redact_stored,
            loop=loop,
        )
    )


def _joined(
    path: str | os.PathLike[str],
    *,
    config: Config | None,
    clock: Clock | None,
    actor: str | None,
    redact: Redact | None,
    redact_stored: Redact | None,
    loop: "asyncio.AbstractEventLoop | None" = None,
) -> House:
    folder = folder_of(path)
    clock = clock or system_clock
    now_of(clock)
    speaker = default_actor() if actor is None else fields.required_key("actor", actor)
    settings = settings_of(config, folder)
    if redact is not None:
        hook_of(redact)
    discretion = discretion_of(settings, redact_stored)
    Readings.prepare(folder)

    def become_owner(asked_to_yield: Callable[[], None]) -> House:
        lock = OwnerLock.take(folder, this_process(now_of(clock), transient=True))
        return own(
            folder,
            settings,
            clock=clock,
            actor=speaker,
            lock=lock,
            judges=False,
            redact=redact,
            discretion=discretion,
            asked_to_yield=asked_to_yield,
        )

    with ExitStack() as undo:
        beside = Beside(folder, due_rules(settings))
        undo.callback(beside.readings.close)
        undo.callback(beside.close)
        member = Member(
            folder,
            beside.readings.log,
            become_owner,
            clock=clock,
            discretion=discretion,
            reach=beside.reach,
            at_end=beside.close,
        )
        undo.callback(member.close)
        member.start()
        undo.pop_all()
    house = House(beside.readings, clock=clock, actor=speaker, member=member, settings=settings, loop=loop)
    house.outlets.discretion = discretion
    return house
