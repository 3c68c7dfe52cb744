"""The plan of maintenance: the steps that settle what an audit found and what retention says is over. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.upkeep.finding import Action, Code, Finding, Kind
from tallystick.ledger.upkeep.retention import Keeping
from tallystick.ledger.upkeep.treatment import AUTOMATIC


class Step(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that maintenance does, to what `token` names, and why.

    `version` is what its task or flow had when this was planned: one that has gone on since is left alone. So is one
    that somebody began to need behind `as_of`, the log's head when this was planned, and one that needs all of the
    tasks `after` to be pruned first, when one of them was not. `codes` are the findings that it settles.
    """

    kind: Kind
    token: str
    action: Action
    reason: str
    codes: tuple[str, ...] = ()
    version: int | None = None
    as_of: int | None = None
    after: tuple[str, ...] = ()
    until: int | None = None
    """Of a stamp: the cleanup time (ms)."""

    @property
    def is_automatic(self) -> bool:
        """Whether the live owner does it by itself."""
        return self.action in AUTOMATIC


def pruning(record: TaskRecord | FlowRecord, why: Keeping, *, as_of: int | None = None) -> Step:
    """Return the step that removes from the live views what nothing keeps any more, as of a position of the log.

    A flow that mirrors tasks has no revision of its own, and what has ended of it stays ended: it is not asked for.
    """
    assert why.is_over, "what is kept is not pruned"
    if isinstance(record, TaskRecord):
        kind, token = Kind.TASK, record.task_id
        version: int | None = record.version
    else:
        kind, token = Kind.FLOW, record.flow_id
        version = record.revision if record.is_managed else None
    return Step(kind=kind, token=token, action=Action.PRUNE, reason=why.reason, version=version, as_of=as_of)


def settling(findings: Iterable[Finding], versions: Mapping[str, int], leaving: Collection[str] = ()) -> Iterator[Step]:
    """Yield the steps that settle findings, in their order; none for what is `leaving`: pruned, or ended by the clock.

    Of one task or flow the end comes first, and everything that somebody takes note of is one step. `versions` has
    those of the tasks and flows that were looked at, by their ids.
    """
    subjects: dict[tuple[Kind, str], list[Finding]] = {}
    for finding in findings:
        subjects.setdefault((finding.kind, finding.token), []).append(finding)
    for (_, token), found in subjects.items():
        if token not in leaving:
            yield from _steps(found, versions.get(token))


def _steps(found: Sequence[Finding], version: int | None) -> Iterator[Step]:
    left = list(found)
    for action in _ORDER:
        settled = [finding for finding in left if finding.action is action]
        if settled:
            first = settled[0]
            yield Step(
                kind=first.kind,
                token=first.token,
                action=action,
                reason="; ".join(finding.detail for finding in settled),
                codes=tuple(finding.code.value for finding in settled),
                version=version,
            )
            if action in _ENDS:
                left = [finding for finding in left if finding.kind is Kind.TASK and finding.code in _OUTLIVES]


_ENDS = frozenset({Action.SETTLE, Action.FINISH_CANCEL})
_OUTLIVES = frozenset({Code.INCONSISTENT_TIMESTAMPS, Code.DELIVERY_FAILED})
"""What is as much amiss with a task when it has ended. A flow that has ended is nothing that anybody can settle."""

_ORDER = (
    Action.SETTLE,
    Action.FINISH_CANCEL,
    Action.STAMP,
    Action.RETRY,
    Action.NOTE,
    Action.ASK,
    Action.REBUILD,
    Action.QUARANTINE,
)


def unsettled(findings: Iterable[Finding], steps: Iterable[Step], leaving: Collection[str] = ()) -> list[Finding]:
    """Return the findings that are left when all of the steps are taken."""
    taken: dict[tuple[Kind, str], list[Step]] = {}
    for step in steps:
        taken.setdefault((step.kind, step.token), []).append(step)
    return [
        finding
        for finding in findings
        if finding.token not in leaving and not _is_settled(finding, taken.get((finding.kind, finding.token), ()))
    ]


def _is_settled(finding: Finding, steps: Sequence[Step]) -> bool:
    return any(
        finding.code.value in step.codes or (step.action in _ENDS and finding.code not in _OUTLIVES) for step in steps
    )
