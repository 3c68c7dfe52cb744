"""The chores: the steps of upkeep that only a ledger's owner can take, and how it is asked for them from elsewhere.

Whoever asks rings, and waits for a note in the log that says what became of it.
"""

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from tallystick.actors.courtesy import Courtesy
from tallystick.actors.future import LightFuture
from tallystick.actors.log import logger
from tallystick.actors.projector import go_on
from tallystick.actors.watching.orders import Sweep
from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.errors import Closed, TallystickError
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.port import EventLog
from tallystick.ledger.upkeep.deeds import DEEDS
from tallystick.ledger.upkeep.finding import Action, Kind
from tallystick.ledger.upkeep.plan import Step
from tallystick.owner import live_owner
from tallystick.planning import planned
from tallystick.projections.acknowledged import note_of
from tallystick.projections.agenda import Damages
from tallystick.projections.rebuild import rebuild
from tallystick.sharing.bell import DOOR_NAME, UPKEEP, ring
from tallystick.sharing.ownership import Ownership

log = logger("face")

CHORES = frozenset(Action) - DEEDS - {Action.ARCHIVE}
"""What the owner of a ledger does, from wherever it is asked."""

ANSWER_S_MAX = 10.0
"""How long whoever asks the owner for its chores waits for what became of them."""

_LOOK_S = 0.02
_ID_BYTES = 8
_NOTE = b"upkeep"
_NOT_HERE = "nobody here may judge: whoever opens the ledger with its probes does"


class Outcome(StrEnum):
    """What became of a step."""

    PLANNED = "planned"
    DONE = "done"
    SKIPPED = "skipped"
    """It went on meanwhile, or does not allow it."""

    LEFT = "left"
    """Somebody else has to do it."""

    FAILED = "failed"


Became: TypeAlias = tuple[Outcome, str | None]
"""What became of a step, and why."""

Subject: TypeAlias = tuple[Kind, str, Action]


def subject_of(step: Step) -> Subject:
    """Return what tells a step from the others."""
    return step.kind, step.token, step.action


def do(owner: Ownership, steps: Sequence[Step], damages: Damages, actor: str) -> dict[Subject, Became]:
    """Take the steps that are the owner's, and return what became of each. Raises `Closed`."""
    became: dict[Subject, Became] = {}
    judged = [step for step in steps if step.action in (Action.RECONCILE, Action.ASK)]
    if judged:
        became.update(_judge(owner, judged))
    for step in steps:
        try:
            if step.action is Action.REBUILD:
                became[subject_of(step)] = _rebuild(owner, step.token)
            elif step.action is Action.QUARANTINE:
                became[subject_of(step)] = _acknowledge(owner, step.token, damages, actor)
        except Closed:
            raise
        except TallystickError as error:
            became[subject_of(step)] = Outcome.FAILED, str(error)
    return became


def archive(owner: Ownership, step: Step, after_ms: int) -> Became:
    """Move a range of the log into the archive, and what is due after it if the owner does that by itself."""
    event_log = owner.readings.log
    assert isinstance(event_log, DiskLog), "another one has no archive"
    upkeep, last = owner.system.upkeep, int(step.token.rpartition("-")[2])
    if upkeep is not None:
        upkeep.ask(None)
    else:
        sealing, courtesy = Sealing(event_log), Courtesy()
        try:
            if sealing.due(owner.clock(), after_ms) is not None:
                while sealing.step():
                    courtesy.pause()
        finally:
            sealing.close()
    if event_log.archived() >= last:
        return Outcome.DONE, None
    return Outcome.LEFT, "it could not be moved now; it is tried again"


def _judge(owner: Ownership, steps: Sequence[Step]) -> dict[Subject, Became]:
    """Have the supervisor look at once; what was due of a task that has not changed then is left to it."""
    supervisor = owner.system.supervisor
    if supervisor is None or not supervisor.judges:
        return {subject_of(step): (Outcome.LEFT, _NOT_HERE) for step in steps}
    owner.system.ask_supervisor(Sweep(), None)
    became: dict[Subject, Became] = {}
    for step in steps:
        is_done = step.action is Action.ASK or _has_gone_on(owner, step)
        waits = "nothing followed yet; it is looked into again within a minute"
        became[subject_of(step)] = (Outcome.DONE, None) if is_done else (Outcome.LEFT, waits)
    return became


def _has_gone_on(owner: Ownership, step: Step) -> bool:
    with suppress(TallystickError):
        return owner.readings.get(step.token).version != step.version
    return True


def _rebuild(owner: Ownership, name: str) -> Became:
    views = owner.readings.views
    if views is None:
        return Outcome.LEFT, "there are no read models that can be written here"
    rebuild(views, owner.readings.log, name)
    for projector in owner.system.projectors:
        if projector.model.name == name:
            go_on(projector)
    return Outcome.DONE, None


def _acknowledge(owner: Ownership, token: str, damages: Damages, actor: str) -> Became:
    damage = damages.get(token)
    if damage is None:
        return Outcome.SKIPPED, "there is no such damage any more, or somebody knows of it"
    durable = LightFuture()
    owner.system.keep(*note_of(damage, actor, owner.clock()), durable)
    durable.get()
    return Outcome.DONE, None


# From another process.


class _Told(Struct, frozen=True, array_like=True):
    """What became of what somebody asked for."""

    request: bytes
    became: list[tuple[Kind, str, Action, Outcome, str | None]]


_pack = msgspec.msgpack.Encoder().encode
_read = msgspec.msgpack.Decoder(_Told).decode


def ask_for(folder: Path, event_log: EventLog, steps: Sequence[Step], actor: str) -> dict[Subject, Became]:
    """Ask the owner, another process, for its chores; return what became of these steps."""
    request = os.urandom(_ID_BYTES)
    owner = live_owner(folder)
    waited_for = "the owner" if owner is None else str(owner)
    became: dict[Subject, Became] = {}
    if ring(folder / DOOR_NAME, UPKEEP + request + actor.encode()):
        deadline = time.monotonic() + ANSWER_S_MAX
        while (told := _told(event_log, request)) is None and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        became = {(kind, token, action): (outcome, why) for kind, token, action, outcome, why in told or ()}
        unanswered = f"{waited_for} has not said in {ANSWER_S_MAX:.0f} s what became of it"
        missed: Became = (Outcome.LEFT, unanswered) if told is None else (Outcome.SKIPPED, "it is not amiss any more")
    else:
        missed = Outcome.LEFT, f"{waited_for} does not hear"
    return {subject_of(step): became.get(subject_of(step), missed) for step in steps}


def _told(event_log: EventLog, request: bytes) -> list[tuple[Kind, str, Action, Outcome, str | None]] | None:
    stored = event_log.note(_NOTE + request[:1])
    with suppress(msgspec.MsgspecError):
        told = None if stored is None else _read(stored)
        return told.became if told is not None and told.request == request else None
    return None


def attend(owner: Ownership, message: bytes) -> None:
    """Do the owner's chores for another process that rang, and note what became of them. Never raises."""
    request, actor = message[len(UPKEEP) :][:_ID_BYTES], message[len(UPKEEP) + _ID_BYTES :]
    if len(request) != _ID_BYTES:
        return
    try:
        plan = planned(owner.readings, owner.clock(), judging=owner.judging())
        chores = [step for step in plan.steps if step.action in CHORES]
        became = do(owner, chores, plan.damages, actor.decode(errors="replace") or "unknown")
        told = _Told(request, [(*subject, *each) for subject, each in became.items()])
        owner.system.keep(_NOTE + request[:1], _pack(told))
    except Closed:
        pass  # the next owner is asked again, or does it
    except Exception:
        log.exception("upkeep_failed")


def chores_among(steps: Iterable[Step]) -> list[Step]:
    """Return the steps that only the owner can take."""
    return [step for step in steps if step.action in CHORES]
