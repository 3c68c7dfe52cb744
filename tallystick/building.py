"""The building: how the parts of an open ledger are chosen and put together, in one place."""

import getpass
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tallystick.actors.courier.pacing import Pacing
from tallystick.actors.discretion import Discretion
from tallystick.actors.log import logger
from tallystick.actors.metrics import Metrics
from tallystick.actors.projector import ReadModel
from tallystick.actors.redaction import Hooks, Redact
from tallystick.actors.system import System
from tallystick.actors.watching.orders import Settle
from tallystick.config import Config, load
from tallystick.gauges import check_metrics, measure
from tallystick.house import House
from tallystick.ledger import fields
from tallystick.ledger.clock import Clock, system_clock
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import KEY_BYTES_MAX, TIME_MS_MAX
from tallystick.ledger.store.folder import is_utf8
from tallystick.ledger.store.port import EventLog
from tallystick.outlets import hook_of, telling_of
from tallystick.oversight import keep_up, oversight, pace, take_care
from tallystick.owner import OwnerLock, kept_by, owner_note, this_process
from tallystick.readings import Readings, due_rules

if TYPE_CHECKING:
    import asyncio

log = logger("face")

SETTLE_S = 0.75  # that opening waits for the dead to be settled


def default_actor() -> str:
    """Return who speaks when nobody says so: the user and the process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    # The name may come from the environment, which may say anything.
    return fields.report("actor", f"{user}:{os.getpid()}", bytes_max=KEY_BYTES_MAX, controls=False) or "unknown"


def build(
    path: str | os.PathLike[str],
    *,
    config: Config | None = None,
    clock: Clock | None = None,
    read_only: bool = False,
    actor: str | None = None,
    redact: Redact | None = None,
    redact_stored: Redact | None = None,
    metrics: Metrics | None = None,
    loop: "asyncio.AbstractEventLoop | None" = None,
) -> House:
    """Open the folder and put a house together. Raises what `tallystick.open` documents."""
    folder = folder_of(path)
    clock = clock or system_clock
    now = now_of(clock)
    speaker = default_actor() if actor is None else fields.required_key("actor", actor)
    settings = settings_of(config, folder, channels=not read_only)
    if redact is not None:
        hook_of(redact)
    discretion = discretion_of(settings, redact_stored)
    if metrics is not None:
        check_metrics(metrics, read_only=read_only)
    if read_only:
        readings = Readings.open(folder, rules=due_rules(settings))
        return House(readings, clock=clock, actor=speaker, settings=settings, loop=loop)
    if settings.integrity.key:
        from tallystick.keyring import Keyring

        Keyring(settings.integrity, folder).check()  # who opens a ledger hears at once that it could not be signed
    Readings.prepare(folder)
    lock = OwnerLock.take_over(folder, this_process(now))
    return own(
        folder,
        settings,
        clock=clock,
        actor=speaker,
        lock=lock,
        redact=redact,
        discretion=discretion,
        metrics=metrics,
        loop=loop,
    )


def own(
    folder: Path,
    settings: Config,
    *,
    clock: Clock,
    actor: str,
    lock: OwnerLock,
    judges: bool = True,
    redact: Redact | None = None,
    discretion: Discretion | None = None,
    metrics: Metrics | None = None,
    loop: "asyncio.AbstractEventLoop | None" = None,
    asked_to_yield: Callable[[], None] | None = None,
) -> House:
    """Open the folder as its owner, whose lock this is, and serve others. If that fails the lock is let go."""
    with ExitStack() as undo:
        undo.callback(lock.release)
        readings = Readings.open(folder, rules=due_rules(settings), writable=True)
        undo.callback(readings.close)
        models = readings.followers()
        house = assemble(
            readings,
            models,
            settings,
            clock=clock,
            actor=actor,
            lock=lock,
            judges=judges,
            redact=redact,
            discretion=discretion,
            metrics=metrics,
            loop=loop,
        )
        undo.pop_all()
    try:
        house.open_door(asked_to_yield)
    except BaseException:
        house.close()
        raise
    log.info("ledger_opened", path=str(folder), head=readings.log.head())
    return house


def discretion_of(settings: Config, redact_stored: Redact | None = None) -> Discretion:
    """Return what happens to every fact before it is recorded. Raises `InvalidInput` for a hook that is none."""
    return Discretion(settings.payloads.policy(), Hooks(() if redact_stored is None else (hook_of(redact_stored),)))


def folder_of(path: object) -> Path:
    """Return the path of a ledger's folder. An empty one is refused: it is a variable that was not set."""
    try:
        folder = os.fspath(path)  # type: ignore[call-overload]  # whatever it is
    except TypeError:
        folder = None
    if not isinstance(folder, str) or not folder or "\0" in folder or not is_utf8(folder):
        raise InvalidInput("path", path, "the path of a folder: UTF-8 text that is not empty, without NUL")
    return Path(folder)


def now_of(clock: Clock) -> int:
    """Return the time by a clock. Raises `InvalidInput` when it is none."""
    allowed = "a function that returns whole milliseconds since 1970 (UTC)"
    if not callable(clock):
        raise InvalidInput("clock", clock, allowed)
    return fields.whole("clock", clock(), most=TIME_MS_MAX, allowed=allowed)


def settings_of(config: Config | None, folder: Path, *, channels: bool = True) -> Config:
    """Return the configuration that was given, else the folder's own, as `load` reads it. Raises `InvalidInput`."""
    if config is None:
        return load(folder, channels=channels)
    if not isinstance(config, Config):
        raise InvalidInput("config", config, "a tallystick.Config")
    return config


def assemble(
    readings: Readings,
    models: Sequence[ReadModel],
    settings: Config,
    *,
    clock: Clock,
    actor: str,
    lock: OwnerLock | None = None,
    judges: bool = True,
    redact: Redact | None = None,
    discretion: Discretion | None = None,
    metrics: Metrics | None = None,
    loop: "asyncio.AbstractEventLoop | None" = None,
) -> House:
    """Start the actors of an opened ledger. Tasks whose processes are provably dead are settled first.

    When there are so many that it takes longer than SETTLE_S, the rest is settled while the ledger is open. An owner
    that does not judge stops processes that somebody wants stopped, and leaves everything else to one that does.
    """
    log: EventLog = readings.log
    discretion = discretion or discretion_of(settings)
    telling = telling_of(log, settings, redact, discretion.hooks)
    system = System(log, models, clock, live_max=settings.actors.live, telling=telling)
    if discretion.is_needed or not judges:  # to one that joined a hook may be given while it is becoming the owner
        system.journal.discretion = discretion
    system.directory.epitaph = system.flows.epitaph = lambda stream: readings.reader.gone(id_text(stream), stream)
    if lock is not None:
        system.journal.note_first(owner_note(lock.who))
    words = telling.redaction.words
    supervision = oversight(settings, clock, opened_at=log.head(), before=kept_by(log), words=words)
    system.supervise(
        readings.reader, supervision, rules=readings.rules, pace=pace(settings, clock), judges=judges, loop=loop
    )
    if judges:
        by_hand = pace(settings, clock).by_hand
        system.deliver(readings.reader, pacing=Pacing(**settings.outbox), by_hand=by_hand, loop=loop)
        take_care(system, readings.reader, settings, clock)
        keep_up(system, readings, settings, clock)
    house = House(
        readings, clock=clock, actor=actor, system=system, lock=lock, supervision=supervision, settings=settings
    )
    house.outlets.discretion = discretion
    try:
        if metrics is not None:
            house.gauges = measure(metrics, readings, system, settings, clock)
        if judges:
            house.outlets.open()
    except BaseException:
        house.close()
        raise
    system.start()
    if settings.integrity.origin is not None:
        from tallystick.checkpoints import notary_of

        house.notary = notary_of(system, settings.integrity, clock, readings.folder)
        if house.notary is not None:
            house.notary.begin()
    system.ask_supervisor(Settle(), SETTLE_S)
    return house
