"""The chores: the steps of upkeep that only a ledger's owner can take, and how it is asked for them from elsewhere.

Whoever asks rings, and waits for a note in the log that says what became of it.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from tallystick.actors.courtesy import Courtesy
from tallystick.actors.dispatcher import MS_PER_S
from tallystick.actors.future import LightFuture
from tallystick.actors.log import logger
from tallystick.actors.projector import go_on
from tallystick.actors.watching.orders import Look
from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.errors import UNREADABLE, Closed, TallystickError
from tallystick.ledger.ids import id_bytes
from tallystick.ledger.limits import PROBE_LIMIT_MS
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
from tallystick.sharing.bell import ASKED_BYTES_MAX, UPKEEP
from tallystick.sharing.ownership import Ownership
from tallystick.sharing.request import Request, answered, send, unreadable

log = logger("face")

CHORES = frozenset(Action) - DEEDS - {Action.ARCHIVE}
"""What the owner of a ledger does, from wherever it is asked."""

ANSWER_S_MAX = PROBE_LIMIT_MS / MS_PER_S + 20.0
"""How long whoever asks the owner for its chores waits for what became of them.

The owner asks its probes, and a probe that hangs is given up after PROBE_LIMIT_MS: whoever waited no longer would never
hear of any chore beside one. The rest is for looking at a large ledger, and for writing.
"""

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
    """Move the log into the archive up to the end of a range that is due, and no more than that."""
    event_log = owner.readings.log
    assert isinstance(event_log, DiskLog), "another one has no archive"
    upkeep, last = owner.system.upkeep, int(step.token.rpartition("-")[2])
    if upkeep is not None:
        upkeep.archive(last)
    else:
        _seal(event_log, owner.clock(), after_ms, last)
    if event_log.archived() >= last:
        return Outcome.DONE, None
    return Outcome.LEFT, "it could not be moved now; it is tried again"


def _seal(event_log: DiskLog, now: int, after_ms: int, last: int) -> None:
    sealing, courtesy = Sealing(event_log), Courtesy()
    try:
        while (wanted := sealing.due(now, after_ms)) is not None and wanted[-1] <= last:
            while sealing.step():
                courtesy.pause()
    finally:
        sealing.close()


def _judge(owner: Ownership, steps: Sequence[Step]) -> dict[Subject, Became]:
    """Have the supervisor look into the tasks; what was due of one that has not changed then is left to it."""
    supervisor = owner.system.supervisor
    if supervisor is None or not supervisor.judges:
        return {subject_of(step): (Outcome.LEFT, _NOT_HERE) for step in steps}
    owner.system.ask_supervisor(Look(frozenset(id_bytes(step.token) for step in steps)), None)
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


class _Asked(Struct, frozen=True, array_like=True):
    """What somebody asks the owner for, and who asks."""

    actor: str
    subjects: list[Subject]


_Told: TypeAlias = list[tuple[Kind, str, Action, Outcome, str | None]]
"""What became of what somebody asked for."""

_pack = msgspec.msgpack.Encoder().encode
_read = msgspec.msgpack.Decoder(_Told).decode
_read_asked = msgspec.msgpack.Decoder(_Asked).decode


def ask_for(folder: Path, event_log: EventLog, steps: Sequence[Step], actor: str) -> dict[Subject, Became]:
    """Ask the owner, another process, for these of its chores and no others; return what became of each."""
    became: dict[Subject, Became] = {}
    for asked in _portions([subject_of(step) for step in steps], actor):
        became.update(_ask(folder, event_log, asked))
    return became


def _portions(subjects: Sequence[Subject], actor: str) -> Iterator[_Asked]:
    """Yield what fits into one message each."""
    count = len(subjects)
    while subjects:
        asked = _Asked(actor, list(subjects[:count]))
        if count > 1 and len(_pack(asked)) > ASKED_BYTES_MAX:
            count = (count + 1) // 2
            continue
        yield asked
        subjects = subjects[count:]


def _ask(folder: Path, event_log: EventLog, asked: _Asked) -> dict[Subject, Became]:
    owner = live_owner(folder)
    waited_for = "the owner" if owner is None else str(owner)
    request = send(folder, UPKEEP, _pack(asked))
    if request is None:
        return dict.fromkeys(asked.subjects, (Outcome.LEFT, f"{waited_for} does not hear"))
    answer = answered(folder, event_log, _NOTE, request, ANSWER_S_MAX)
    if answer is None:
        unanswered = f"{waited_for} has not said in {ANSWER_S_MAX:.0f} s what became of it"
        return dict.fromkeys(asked.subjects, (Outcome.LEFT, unanswered))
    try:
        told = _read(answer)
    except UNREADABLE as error:  # what was done the next audit says
        return dict.fromkeys(asked.subjects, (Outcome.LEFT, unreadable(waited_for, error)))
    became = {(kind, token, action): (outcome, why) for kind, token, action, outcome, why in told}
    missed: Became = (Outcome.SKIPPED, "it is not amiss any more")
    return {subject: became.get(subject, missed) for subject in asked.subjects}


def attend(owner: Ownership, message: bytes) -> None:
    """Do what another process asks for that rang, if that is still to be done, and note what became of it.

    Never raises. What nobody asked for is left alone, however much it is amiss.
    """
    request = Request.heard(UPKEEP, message)
    if request is None:
        return
    try:
        asked = _read_asked(request.said)
    except UNREADABLE:  # another version asks: it hears that nobody answers
        return
    try:
        plan = planned(owner.readings, owner.clock(), judging=owner.judging())
        wanted = frozenset(asked.subjects)
        chores = [step for step in chores_among(plan.steps) if subject_of(step) in wanted]
        became = do(owner, chores, plan.damages, asked.actor)
        told: _Told = [(*subject, *each) for subject, each in became.items()]
        owner.system.keep(*request.answer(_NOTE, _pack(told)))
    except Closed:
        pass  # the next owner is asked again, or does it
    except Exception:
        log.exception("upkeep_failed")


def chores_among(steps: Iterable[Step]) -> list[Step]:
    """Return the steps that only the owner can take."""
    return [step for step in steps if step.action in CHORES]
