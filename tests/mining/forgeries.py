"""Forgeries: histories that no ledger writes, each by what is wrong with it."""

from hypothesis import strategies as st

from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.deliveries import DeliveryDelivered, DeliveryQueued
from tallystick.ledger.facts.tasks import (
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelled,
    TaskCancelRequested,
    TaskErased,
    TaskFailed,
    TaskHeld,
    TaskLateSignal,
    TaskLost,
    TaskProgressed,
    TaskPruned,
    TaskRecovered,
    TaskReleased,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.lifecycle import DeliveryKind, Status
from tests.story import created
from tests.strategies import reports, stories

CREATED, STARTED, DONE = created(), TaskStarted(), TaskSucceeded()
LOST = TaskLost(rule="proved dead", evidence={})
MISSED, RESTORED = TaskBackingMissed(evidence={}), TaskBackingRestored(evidence={})
RECOVERED = TaskRecovered(status=Status.FAILED, corrects=3, signal="fail")
LATE = TaskLateSignal(signal="fail", status=Status.SUCCEEDED, content={})
ERASED = TaskErased(reason="somebody asked for it", fields=("task",), count=1)
QUEUED = DeliveryQueued(delivery="terminal:succeeded:default", kind=DeliveryKind.TERMINAL, text="done")
DELIVERED = DeliveryDelivered(delivery="terminal:succeeded:default")

FORGERIES: dict[str, list[AnyFact]] = {
    "nothing before the creation": [STARTED, DONE],
    "created twice": [CREATED, CREATED],
    "a success without a start": [CREATED, DONE],
    "a start after the success": [CREATED, DONE, STARTED],
    "two starts": [CREATED, STARTED, STARTED, DONE],
    "two ends": [CREATED, STARTED, DONE, DONE],
    "two different ends": [CREATED, STARTED, DONE, TaskFailed(error="boom")],
    "progress after the end": [CREATED, STARTED, DONE, TaskProgressed()],
    "progress before the start": [CREATED, TaskProgressed(), STARTED],
    "progress of what was missed": [CREATED, STARTED, MISSED, TaskProgressed()],
    "found again without a miss": [CREATED, STARTED, RESTORED],
    "missed twice": [CREATED, STARTED, MISSED, MISSED],
    "missed after the end": [CREATED, STARTED, DONE, MISSED],
    "recovered without a loss": [CREATED, STARTED, RECOVERED],
    "a loss that ends otherwise": [CREATED, STARTED, LOST, DONE],
    "recovered twice": [CREATED, STARTED, LOST, RECOVERED, RECOVERED],
    "lost after the end": [CREATED, STARTED, DONE, LOST],
    "late while active": [CREATED, STARTED, LATE],
    "asked to stop twice": [CREATED, STARTED, TaskCancelRequested(), TaskCancelRequested()],
    "asked to stop after the end": [CREATED, STARTED, DONE, TaskCancelRequested()],
    "started although cancelled": [CREATED, TaskCancelRequested(), STARTED],
    "cancelled before it began, and nothing came of it": [CREATED, TaskCancelRequested()],
    "cancelled twice": [CREATED, TaskCancelled(), TaskCancelled()],
    "pruned while active": [CREATED, STARTED, TaskPruned()],
    "pruned while held": [CREATED, STARTED, DONE, TaskHeld(), TaskPruned()],
    "held twice": [CREATED, TaskHeld(), TaskHeld()],
    "released without a hold": [CREATED, TaskReleased()],
    "something after the pruning": [CREATED, STARTED, DONE, TaskPruned(), LATE],
    "something after the pruning, and after an erasure": [CREATED, STARTED, DONE, TaskPruned(), ERASED, LATE],
    "pruned again after an erasure": [CREATED, STARTED, DONE, TaskPruned(), ERASED, TaskPruned()],
    "erased before the creation": [ERASED, CREATED, STARTED],
    "started again by an erasure": [CREATED, STARTED, DONE, ERASED, STARTED],
    "delivered before it was queued": [CREATED, STARTED, DONE, DELIVERED, QUEUED],
}


@st.composite
def forged(draw: st.DrawFn) -> list[AnyFact]:
    """The facts of a history of which some were left out, doubled, exchanged or made up."""
    facts = list(draw(stories(most=8)).facts)
    for _ in range(draw(st.integers(1, 3))):
        first, second = (draw(st.integers(0, len(facts) - 1)) for _ in range(2))
        match draw(st.sampled_from(["out", "twice", "exchanged", "made up"])):
            case "out" if len(facts) > 1:
                del facts[first]
            case "twice":
                facts.insert(second, facts[first])
            case "exchanged":
                facts[first], facts[second] = facts[second], facts[first]
            case _:
                facts.insert(first, draw(reports))
    return facts
