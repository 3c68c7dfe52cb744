"""What Hypothesis draws: facts, commands and whole histories, from pools small enough for things to come twice."""

from typing import Any

from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.deliveries import (
    DeliveryAttempted,
    DeliveryDelivered,
    DeliveryDismissed,
    DeliveryFailed,
    DeliveryReleased,
    DeliveryRetried,
    DeliveryUnknown,
)
from tallystick.ledger.facts.fact import Evidence, Origin, Usage
from tallystick.ledger.facts.tasks import (
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelled,
    TaskCancelRequested,
    TaskCleanupStamped,
    TaskCreated,
    TaskFailed,
    TaskHeld,
    TaskLateSignal,
    TaskLeased,
    TaskLost,
    TaskNoted,
    TaskNotifyChanged,
    TaskProgressed,
    TaskPruned,
    TaskRecovered,
    TaskReleased,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.lifecycle import (
    ALLOWED,
    BLOCKED,
    SETTLED_AS,
    DeliveryStatus,
    NotifyPolicy,
    Runtime,
    Scope,
    Status,
)
from tallystick.ledger.limits import COUNT_MAX, TIME_MS_MAX, TIMEOUT_MS_MAX
from tallystick.ledger.outbox import Waiting
from tallystick.ledger.routing import Monitor, Routing
from tests.announced import CHAT, MONITORS, OPS, SERVED, WATCHED, Announced
from tests.leftovers import cleanups, closings, openings
from tests.story import BEGIN_MS, Story, created

TASK_IDS = ("0198c2f0-7b7e-7cc3-8a53-1f0a9d8e4b21", "0198c2f0-7b7f-7000-8000-000000000001")
FLOW_IDS = ("0198c2f0-7b7e-7cc3-8a53-0000000000f1", "0198c2f0-7b7e-7cc3-8a53-0000000000f2")

words = st.one_of(
    st.sampled_from(["", "done", "boom", "two\nlines", "ein Strich für jede Aufgabe", "🪵"]), st.text(max_size=12)
)
"""Texts to the letter, of any script."""

keys = st.one_of(
    st.sampled_from(["agent:main:main", "run-1", "a"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), min_size=1, max_size=12),
)
"""Keys as the ledger keeps them: trimmed, in one line, not empty."""

times = st.integers(0, TIME_MS_MAX)
numbers = st.integers(-(2**63), 2**63 - 1)
evidence: st.SearchStrategy[Evidence] = st.dictionaries(
    keys,
    st.one_of(st.none(), st.booleans(), numbers, st.floats(allow_nan=False, allow_infinity=False), words),
    max_size=3,
)
backings: st.SearchStrategy[Evidence] = st.one_of(evidence.filter(bool), st.just({"pid": 4711, "ticks": 90_210}))
usage: st.SearchStrategy[Usage] = st.dictionaries(
    st.sampled_from(["inputTokens", "outputTokens", "costUsd"]),
    st.one_of(st.integers(0, COUNT_MAX), st.floats(0, 1e6)),
    min_size=1,
    max_size=3,
)
metadata = st.dictionaries(keys, words, min_size=1, max_size=3)
origins = st.builds(
    Origin,
    channel=keys | st.none(),
    to=st.one_of(keys, numbers, st.none()),
    account=st.none() | keys,
    thread=st.none() | keys | numbers,
).filter(lambda origin: origin != Origin())
"""Where requests come from: some of it, or all."""

artifacts = st.lists(st.sampled_from(["file:///a", "file:///b", "s3://c/d"]), max_size=2).map(tuple)

CREATED = created()
SUCCEEDED = TaskSucceeded(summary="42 tallies")


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Often nothing, for most fields of most facts are blank."""
    return st.one_of(st.none(), values)


_BLANKS: dict[str, st.SearchStrategy[Any]] = {
    "label": keys,
    "requester": keys,
    "child_session": keys,
    "run_id": keys,
    "kind": keys,
    "source_id": keys,
    "parent": st.sampled_from(TASK_IDS),
    "root": st.sampled_from(TASK_IDS),
    "flow": st.sampled_from(FLOW_IDS),
    "agent": keys,
    "requester_agent": keys,
    "origin": origins,
    "timeout_ms": st.integers(1, TIMEOUT_MS_MAX),
    "backing": backings,
    "metadata": metadata,
    "idempotency_key": keys,
    "request_key": keys,
}


@st.composite
def creations(draw: st.DrawFn) -> TaskCreated:
    """A creation as the intake lets it in, with a few of its blanks filled."""
    scope = draw(st.sampled_from(Scope))
    notify = NotifyPolicy.SILENT if scope is Scope.SYSTEM else draw(st.sampled_from(NotifyPolicy))
    silent = notify is NotifyPolicy.SILENT
    said = draw(st.lists(st.sampled_from(sorted(_BLANKS)), max_size=5, unique=True))
    return TaskCreated(
        runtime=draw(st.sampled_from(Runtime)),
        task=draw(st.sampled_from(["Count the tallies", "x", "много работы"])),
        scope=scope,
        notify=notify,
        delivery=DeliveryStatus.NOT_APPLICABLE if silent else DeliveryStatus.PENDING,
        owner=None if scope is Scope.SYSTEM else draw(keys),
        **{name: draw(_BLANKS[name]) for name in said},
    )


starts = st.builds(TaskStarted, backing=maybe(backings))
progress = st.builds(
    TaskProgressed,
    message=maybe(words),
    phase=maybe(keys),
    step=maybe(st.integers(0, 9)),
    steps=maybe(st.integers(0, 9)),
    tool=maybe(keys),
    tools=st.integers(0, 3),
    count=st.integers(1, 5),
    usage=maybe(usage),
)
successes = st.builds(
    TaskSucceeded, summary=maybe(words), artifacts=artifacts, outcome=maybe(st.just(BLOCKED)), usage=maybe(usage)
)
failures = st.builds(
    TaskFailed,
    error=words,
    summary=maybe(words),
    artifacts=artifacts,
    exit_code=maybe(st.integers(-1, 2)),
    signal=maybe(st.just("SIGKILL")),
    usage=maybe(usage),
)
time_outs = st.builds(TaskTimedOut, error=maybe(words), summary=maybe(words), artifacts=artifacts, usage=maybe(usage))
cancel_requests = st.builds(TaskCancelRequested, reason=maybe(words))
cancellations = st.builds(
    TaskCancelled, reason=maybe(words), confirmed=st.booleans(), stopped=maybe(words), usage=maybe(usage)
)
misses = st.builds(TaskBackingMissed, evidence=evidence)
restorations = st.builds(TaskBackingRestored, evidence=evidence)
losses = st.builds(TaskLost, rule=keys, evidence=evidence, error=maybe(words))
settlements = st.builds(TaskSettled, status=st.sampled_from(sorted(SETTLED_AS)), reason=words)
leases = st.builds(TaskLeased, ttl_ms=st.sampled_from([1_000, 60_000]))
policies = st.builds(TaskNotifyChanged, policy=st.sampled_from(NotifyPolicy))
prunings = st.builds(TaskPruned, reason=maybe(words))
holds = st.builds(TaskHeld, reason=maybe(words))
releases = st.builds(TaskReleased, reason=maybe(words))
CODES = ("lost", "inconsistent_timestamps", "probe_failing")
codes = st.lists(st.sampled_from(CODES), min_size=1, max_size=2, unique=True).map(tuple)
notes = st.builds(TaskNoted, codes=codes, reason=maybe(words))
stamps = st.builds(TaskCleanupStamped, cleanup_after=st.integers(BEGIN_MS, BEGIN_MS + 20))
recoveries = st.builds(
    TaskRecovered,
    status=st.sampled_from(sorted(ALLOWED[Status.LOST])),
    corrects=st.integers(1, 9),
    signal=st.just("recover"),
    evidence=evidence,
    summary=maybe(words),
    error=maybe(words),
)
late_signals = st.builds(
    TaskLateSignal,
    signal=st.sampled_from(["succeed", "fail"]),
    status=st.sampled_from(sorted(Status)),
    content=st.dictionaries(keys, st.one_of(words, numbers, evidence, st.lists(words, max_size=2)), max_size=2),
)

outcomes: st.SearchStrategy[AnyFact] = st.one_of(successes, failures, time_outs, cancellations)
"""What a runtime observes at the end of a run."""

reports: st.SearchStrategy[AnyFact] = st.one_of(
    starts,
    starts,  # twice, so that not most stories end before they begin
    progress,
    progress,
    outcomes,
    creations(),
    cancel_requests,
    misses,
    restorations,
    losses,
    settlements,
    leases,
    policies,
    holds,
    releases,
    notes,
    stamps,
    recoveries,
    openings,
    closings,
    cleanups,
)
"""What somebody may tell of a task that is there, except its pruning."""

unfinished: st.SearchStrategy[AnyFact] = st.one_of(
    starts, progress, misses, restorations, leases, policies, holds, releases, notes, creations()
)
"""What leaves a task active."""

_NAMES = (
    "terminal:succeeded:default",
    "terminal:lost:default",
    "terminal:lost:default#session",
    "terminal:failed:default@ops",
    "wake:succeeded:default",
    "event:2:started",
)
delivery_names = st.sampled_from(_NAMES)
"""Names that messages may have."""

_attempt, _due, _any = st.integers(1, 9), st.integers(BEGIN_MS, BEGIN_MS + 20), st.just("")
_failures = st.builds(DeliveryFailed, delivery=_any, attempt=_attempt, error=words)
_retries = st.builds(DeliveryRetried, delivery=maybe(_any), reason=maybe(words))
_of_a_message = st.one_of(
    st.builds(DeliveryAttempted, delivery=_any, attempt=_attempt, error=words, due_at=_due),
    st.builds(DeliveryUnknown, delivery=_any, attempt=_attempt, error=words, due_at=maybe(_due)),
    _failures,
    _failures,  # twice, as retries are, so that something is stuck and comes back
    st.builds(DeliveryDelivered, delivery=_any, attempt=maybe(_attempt), receipt=maybe(keys)),
    _retries,
    _retries,
    st.builds(DeliveryDismissed, delivery=st.sampled_from(["", "", None]), reason=maybe(words)),
    st.builds(DeliveryReleased, delivery=_any, as_of=st.integers(1, 9), output=maybe(words), reason=maybe(words)),
)


def deliveries(names: st.SearchStrategy[str] = delivery_names) -> st.SearchStrategy[AnyFact]:
    """What may be told of messages with these names: by who sends them, by who takes them, by an operator."""
    return st.builds(named, _of_a_message, names)


def named(fact: Any, delivery: str) -> Any:
    """Return what is told of a message as it is told of another; what is told of all stays that."""
    return fact if fact.delivery is None else replace(fact, delivery=delivery)


def delivered(story: Announced) -> st.SearchStrategy[AnyFact]:
    """What may be told of a story's messages: mostly of those that wait."""
    return deliveries(st.sampled_from([*story.names * 3, *_NAMES]))


routes = st.sampled_from([CHAT, OPS, Origin("telegram", 5), Origin("telegram", "5"), Origin("discord", "a")])
"""Ways that are complete; the last on a channel that nobody serves."""

stored_routes = st.dictionaries(keys, routes, max_size=2)
"""Which way a few sessions were last reached on."""

routings = st.sampled_from([Routing(), SERVED, WATCHED])
monitors = st.builds(
    Monitor,
    name=st.sampled_from([monitor.name for monitor in MONITORS]),
    route=routes,
    runtime=maybe(st.sampled_from(Runtime)),
    status=maybe(st.sampled_from([*Status, BLOCKED])),
    owner=maybe(keys),
)

_waiting: dict[str, st.SearchStrategy[Any]] = {
    "delivery": st.text("abc", max_size=2),
    "position": st.integers(1, 99),
    "queued_at": st.integers(BEGIN_MS, BEGIN_MS + 3),
    "due_at": maybe(st.integers(BEGIN_MS, BEGIN_MS + 3)),
}
outboxes = st.lists(
    st.one_of(
        st.builds(
            Waiting,
            status=st.sampled_from(sorted(set(DeliveryStatus) - {DeliveryStatus.WITHHELD})),
            route=maybe(routes),
            session=maybe(keys),
            until=maybe(times),
            **_waiting,
        ),
        st.builds(Waiting, status=st.just(DeliveryStatus.WITHHELD), **_waiting),
    ),
    max_size=6,
    unique_by=lambda waiting: waiting.delivery,
).map(tuple)
"""Outboxes of any kind, whether a task can come to have them or not."""


class Telling(Struct, frozen=True):
    """One report in its time."""

    data: AnyFact
    occurred_at: int | None = None
    after_ms: int = 1
    others: int = 0


def tellings(data: st.SearchStrategy[AnyFact] = reports) -> st.SearchStrategy[Telling]:
    """Reports now or of some other time, with the events of other tasks in between."""
    return st.builds(
        Telling,
        data,
        occurred_at=maybe(st.integers(BEGIN_MS - 5, BEGIN_MS + 5)),
        after_ms=st.integers(0, 5_000),
        others=st.integers(0, 2),
    )


@st.composite
def stories(
    draw: st.DrawFn, told: st.SearchStrategy[AnyFact] = reports, *, most: int = 12, pruned: bool = True
) -> Story:
    """A task after everything that was told of it, each report admitted, kept as a late signal or refused.

    A report comes again now and then, to the letter; a story may end with the task's pruning.
    """
    story = Story()
    story.tell(draw(creations()), occurred_at=draw(maybe(times)), others=draw(st.integers(0, 2)))
    before: list[Telling] = []
    for _ in range(draw(st.integers(2, most))):
        if not before or draw(st.integers(0, 3)):
            before.append(draw(tellings(told)))
            telling = before[-1]
        else:
            telling = draw(st.sampled_from(before))
        tell(story, telling)
    if pruned and draw(st.booleans()):
        story.tell(draw(prunings))
    return story


@st.composite
def announced(
    draw: st.DrawFn, told: st.SearchStrategy[AnyFact] = reports, *, most: int = 12, pruned: bool = True
) -> Announced:
    """A task after everything that was told of it and of its messages, each report admitted, late or refused."""
    story = Announced(routing=draw(routings), stored=draw(stored_routes))
    story.tell(draw(told_creations() if draw(st.integers(0, 3)) else creations()))
    for _ in range(draw(st.integers(2, most))):
        data = draw(delivered(story) if bool(story.names) and draw(st.integers(0, 2)) > 0 else told)
        story.tell(data, after_ms=draw(st.integers(0, 5_000)))
    if pruned and draw(st.booleans()):
        story.tell(draw(prunings))
    return story


@st.composite
def told_creations(draw: st.DrawFn) -> TaskCreated:
    """A creation of which somebody is told, as a rule directly."""
    return created(
        runtime=draw(st.sampled_from(Runtime)),
        notify=draw(st.sampled_from(sorted(set(NotifyPolicy) - {NotifyPolicy.SILENT}))),
        origin=draw(st.one_of(st.just(CHAT), st.just(Origin("telegram", 5)), origins)),
        child_session=draw(maybe(st.just("agent:child") | keys)),
        kind=draw(st.sampled_from([None, None, "image_generation"])),
    )


def replaced(creation: TaskCreated, **said: Any) -> TaskCreated:
    """Return a creation that says something else; what belongs to the system stays silent and without an owner."""
    if creation.scope is Scope.SYSTEM:
        said.pop("notify", None)
    return replace(creation, **said)


def tell(story: Story, telling: Telling) -> None:
    """Let a telling happen."""
    story.tell(telling.data, occurred_at=telling.occurred_at, after_ms=telling.after_ms, others=telling.others)
