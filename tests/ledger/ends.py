"""How tasks end, and the messages that tell of it, for the tests of notices."""

from collections.abc import Sequence

from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.deliveries import DeliveryQueued
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import TaskCancelled, TaskFailed, TaskLost, TaskSettled, TaskSucceeded, TaskTimedOut
from tallystick.ledger.lifecycle import BLOCKED, Status
from tallystick.ledger.outbox import is_main
from tallystick.ledger.routing import Routing
from tests.announced import SERVED, Announced, asked

SESSION = "agent:main:main"
GROUP = "agent:main:telegram:group:-100123"
DONE = TaskSucceeded(summary="42 tallies", artifacts=("file:///out",))
LOST = TaskLost(rule="r", evidence={}, error="Its pid is gone")

ENDS: list[tuple[AnyFact, Status, str | None]] = [
    (DONE, Status.SUCCEEDED, None),
    (TaskSucceeded(outcome=BLOCKED), Status.SUCCEEDED, BLOCKED),
    (TaskFailed(error="boom"), Status.FAILED, None),
    (TaskTimedOut(), Status.TIMED_OUT, None),
    (TaskCancelled(), Status.CANCELLED, None),
    (LOST, Status.LOST, None),
    (TaskSettled(status=Status.FAILED, reason="x"), Status.FAILED, None),
    (TaskSettled(status=Status.CANCELLED, reason="x"), Status.CANCELLED, None),
    (TaskSettled(status=Status.LOST, reason="x"), Status.LOST, None),
]
"""What ends a task, and how it has ended then."""


def announced(
    *facts: AnyFact, routing: Routing = SERVED, stored: dict[str, Origin] | None = None, **more: object
) -> Announced:
    """A task of which the one who asked is told directly."""
    return Announced(asked(**more), *facts, routing=routing, stored=stored)


def main_messages(messages: Sequence[DeliveryQueued]) -> list[DeliveryQueued]:
    """The messages to the one who asked of how it ended."""
    return [message for message in messages if is_main(message.delivery)]
