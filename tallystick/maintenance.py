"""Maintenance: what upkeep does to a ledger when somebody applies it, and the report of that."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from tallystick.actors.future import LightFuture
from tallystick.auditing import all_findings
from tallystick.chores import Became, Outcome, Subject, archive, ask_for, chores_among, do, subject_of
from tallystick.house import House
from tallystick.ledger.errors import Closed, Full, NotFound, Refused, TallystickError, WrongVersion
from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import TaskRecovered
from tallystick.ledger.folding import Record
from tallystick.ledger.ids import id_bytes
from tallystick.ledger.limits import UPKEEP_AT_ONCE
from tallystick.ledger.upkeep.deeds import DEEDS, command_of
from tallystick.ledger.upkeep.finding import Action, Kind, Summary, summary_of
from tallystick.ledger.upkeep.plan import Step
from tallystick.planning import planned
from tallystick.projections.agenda import Agenda, Kept
from tallystick.projections.due import DueRules
from tallystick.readings import Readings

PREVIEW, APPLY = "preview", "apply"

_NOT_ASKED: Became = (Outcome.LEFT, None)


class OfTasks(Struct, frozen=True, rename="camel"):
    """To how many tasks what was done: ended by evidence, by the clock or as stale; recovered; stamped; pruned."""

    reconciled: int = 0
    recovered: int = 0
    cleanup_stamped: int = 0
    pruned: int = 0


class OfFlows(Struct, frozen=True, rename="camel"):
    """To how many flows what was done: ended as cancelled or as stale; pruned."""

    reconciled: int = 0
    pruned: int = 0


class Taken(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A step, and what became of it; `detail` says why when it was not taken."""

    kind: Kind
    token: str
    action: Action
    reason: str
    outcome: Outcome
    codes: tuple[str, ...] = ()
    detail: str | None = None


class Maintenance(Struct, frozen=True, kw_only=True, rename="camel"):
    """What maintenance would do, or did: the counts are of steps that would be taken, or that were.

    `audit_before` and `audit_after` count the findings; of a preview those that would be left. `kept` has what is kept
    though its retention is over, and why. `is_cut` says that there is more, for the next one.
    """

    mode: str
    tasks: OfTasks
    flows: OfFlows
    actions: list[Taken]
    audit_before: Summary
    audit_after: Summary
    kept: list[Kept]
    is_cut: bool = False


def preview(
    readings: Readings, now: int, *, judging: DueRules | None = None, archive_after_ms: int | None = None
) -> Maintenance:
    """Return what applying would do at `now` (ms), as `planned` has it. Nothing is written."""
    plan = planned(readings, now, judging=judging, archive_after_ms=archive_after_ms)
    actions = [_taken(step, (Outcome.PLANNED, None)) for step in plan.steps]
    return _report(PREVIEW, plan, actions, summary_of(plan.left))


def apply(house: House) -> Maintenance:
    """Do what a preview of this moment lists, and nothing else; say what became of each step.

    Every step about a task or flow is decided by its own actor, and only if it has not gone on since it was looked at.
    Raises `NotOwner` for a ledger that only reads, `Full`, `Closed`; what was done until then stays done.
    """
    house.facts()  # raises when nobody here writes
    with house.owning() as owner:
        after_ms = None if owner is None else house.settings.archive["after"]
    plan = planned(house.readings, house.clock(), judging=house.judging(), archive_after_ms=after_ms)
    return carry_out(house, plan)


def carry_out(house: House, plan: Agenda) -> Maintenance:
    """Take the steps of a plan, however long ago it was made; say what became of each."""
    head = house.readings.log.head()
    chores = chores_among(plan.steps)
    became: dict[Subject, Became] = {}
    if chores:
        became.update(_do_chores(house, chores, plan))
    deeds = [step for step in plan.steps if step.action in DEEDS]
    for subjects in _slices(step for step in deeds if not step.after):
        became.update(_do(house, subjects))
    waiting = [step for step in deeds if step.after]
    became.update({subject_of(step): left for step in waiting if (left := _left(step, became)) is not None})
    for subjects in _slices(step for step in waiting if subject_of(step) not in became):
        became.update(_do(house, subjects))
    for step in plan.steps:
        if step.action is Action.ARCHIVE:
            became[subject_of(step)] = _archive(house, step)
    actions = [_taken(step, became[subject_of(step)]) for step in plan.steps]
    recovered = _recovered(house, head) if chores else 0
    after = summary_of(all_findings(house.readings, house.clock()))
    return _report(APPLY, plan, actions, after, recovered=recovered)


def _left(step: Step, became: Mapping[Subject, Became]) -> Became | None:
    """Return that a step is not taken, for a task was not pruned that had to be before; None when all were."""
    for token in step.after:
        if became.get((Kind.TASK, token, Action.PRUNE), _NOT_ASKED)[0] is not Outcome.DONE:
            return Outcome.SKIPPED, f"{token} of the same flow was not pruned"
    return None


def _do_chores(house: House, chores: Sequence[Step], plan: Agenda) -> dict[Subject, Became]:
    """Do here what is the owner's if this process is it, else have the owner do it."""
    with house.owning() as owner:
        if owner is not None:
            return do(owner, chores, plan.damages, house.actor)
    return ask_for(Path(house.path), house.readings.log, chores, house.actor)


def _archive(house: House, step: Step) -> Became:
    with house.owning() as owner:
        if owner is not None:
            try:
                return archive(owner, step, house.settings.archive["after"])
            except (Closed, Full):
                raise
            except TallystickError as error:
                return Outcome.FAILED, str(error)
    return Outcome.LEFT, "somebody else owns the ledger now, and does it by itself"


def _slices(steps: Iterable[Step]) -> Iterable[list[list[Step]]]:
    """Yield the steps of a few tasks and flows at a time, those of each together and in their order."""
    subjects: dict[tuple[Kind, str], list[Step]] = {}
    for step in steps:
        subjects.setdefault((step.kind, step.token), []).append(step)
    each = list(subjects.values())
    return (each[first : first + UPKEEP_AT_ONCE] for first in range(0, len(each), UPKEEP_AT_ONCE))


def _do(house: House, subjects: Sequence[Sequence[Step]]) -> dict[Subject, Became]:
    """Take the first step of each, then the second of those that have one, each seen as the step before left it."""
    became: dict[Subject, Became] = {}
    versions = {steps[0].token: steps[0].version for steps in subjects}
    for turn in range(max(map(len, subjects))):
        asked = []
        for steps in subjects:
            if turn < len(steps):
                future = LightFuture()
                _send(house, steps[turn], versions[steps[turn].token], future)
                asked.append((steps[turn], future))
        for step, future in asked:
            outcome, version = _heard(future)
            became[subject_of(step)] = outcome
            if version is not None:
                versions[step.token] = version
    return became


def _send(house: House, step: Step, version: int | None, future: LightFuture) -> None:
    facts, stream = house.facts(), id_bytes(step.token)
    actor = facts.actor(stream) if step.kind is Kind.TASK else facts.flow(stream)
    try:
        facts.send(actor, command_of(step, house.actor, version), future)
    except Closed:
        raise
    except TallystickError as error:  # too much waits already: the next maintenance does it
        future.fail(error)


def _heard(future: LightFuture) -> tuple[Became, int | None]:
    """Return what became of a step, and the version that its task or flow has then."""
    try:
        record: Record = future.get()
    except WrongVersion as error:
        went_on = f"it has gone on since it was looked at: from {error.expected} to {error.actual}"
        return (Outcome.SKIPPED, went_on), None
    except (Refused, NotFound) as error:
        return (Outcome.SKIPPED, str(error)), None
    except (Closed, Full):
        raise
    except TallystickError as error:
        return (Outcome.FAILED, str(error)), None
    return (Outcome.DONE, None), record.version


def _taken(step: Step, became: Became) -> Taken:
    outcome, detail = became
    return Taken(
        kind=step.kind,
        token=step.token,
        action=step.action,
        reason=step.reason,
        codes=step.codes,
        outcome=outcome,
        detail=detail,
    )


def _recovered(house: House, head: int) -> int:
    """Return how many tasks turned out not to be lost while the owner looked."""
    events = house.readings.log.read(head)
    return sum(isinstance(each, Event) and isinstance(each.data, TaskRecovered) for each in events)


def _report(mode: str, plan: Agenda, actions: list[Taken], after: Summary, *, recovered: int = 0) -> Maintenance:
    counted = [each for each in actions if each.outcome in (Outcome.PLANNED, Outcome.DONE)]

    def count(kind: Kind, *among: Action) -> int:
        return sum(each.kind is kind and each.action in among for each in counted)

    return Maintenance(
        mode=mode,
        tasks=OfTasks(
            reconciled=count(Kind.TASK, Action.RECONCILE, Action.SETTLE),
            recovered=recovered,
            cleanup_stamped=count(Kind.TASK, Action.STAMP),
            pruned=count(Kind.TASK, Action.PRUNE),
        ),
        flows=OfFlows(
            reconciled=count(Kind.FLOW, Action.SETTLE, Action.FINISH_CANCEL), pruned=count(Kind.FLOW, Action.PRUNE)
        ),
        actions=actions,
        audit_before=summary_of(plan.findings),
        audit_after=after,
        kept=plan.kept,
        is_cut=plan.is_cut,
    )
