"""The outbox of one task: the messages that are not done with, each with where it goes and how far it is. Pure."""

from collections.abc import Iterator

from msgspec import Struct

from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.lifecycle import DeliveryStatus, Status

FALLBACK = "#session"
"""Ends the name of a message that waits in the session because it could not be sent directly."""

MONITOR = "@"
"""Comes before the name of a monitoring route in the name of what goes there."""


class Waiting(Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """A message that is on its way, waits in a session, or waits for an operator.

    `position` is where the log has the message itself, `queued_at` (ms) since when it is to be delivered. `due_at`
    (ms) is when something is to happen: the next attempt, the end of the wait for a session to confirm, or the moment
    at which what is withheld is skipped. What is sent is not sent any more from `until` (ms) on.
    """

    delivery: str
    position: int
    status: DeliveryStatus
    queued_at: int
    route: Origin | None = None
    session: str | None = None
    attempts: int = 0
    due_at: int | None = None
    until: int | None = None

    @property
    def is_withheld(self) -> bool:
        """Whether it waits for what works below its task."""
        return self.status is DeliveryStatus.WITHHELD

    @property
    def is_sent(self) -> bool:
        """Whether attempts are still made."""
        return self.route is not None and self.due_at is not None

    @property
    def is_stuck(self) -> bool:
        """Whether it waits for an operator."""
        return self.route is not None and self.due_at is None

    @property
    def is_main(self) -> bool:
        """Whether it tells the one who asked how the task ended."""
        return is_main(self.delivery)

    def tells(self, status: Status) -> bool:
        """Whether it tells the one who asked of this end: what becomes of it is the task's delivery status then."""
        return self.is_main and is_of_end(self.delivery, status)


def is_main(delivery: str) -> bool:
    """Return whether a name is that of the message that tells the one who asked how the task ended."""
    return not delivery.startswith("event:") and MONITOR not in delivery and FALLBACK not in delivery


def is_of_end(delivery: str, status: Status) -> bool:
    """Return whether a name is that of a message about this end, and not about a loss that turned out to be none."""
    return delivery.split(":", 2)[1:2] == [status.value]


def is_fallback(delivery: str) -> bool:
    """Return whether a name is that of a message that waits in the session because it could not be sent directly."""
    return MONITOR not in delivery and FALLBACK in delivery


def other_way(delivery: str) -> str:
    """Return the name of the same message on its other way: directly, or in the session that it fell back to."""
    return delivery.removesuffix(FALLBACK) if delivery.endswith(FALLBACK) else f"{delivery}{FALLBACK}"


def id_of(task_id: str, delivery: str) -> str:
    """Return the id under which a receiver knows a message, such as "task-terminal:<taskId>:succeeded:default"."""
    kind, _, rest = delivery.partition(":")
    return f"task-{kind}:{task_id}:{rest}"


def endpoint_of(route: Origin) -> str:
    """Return what messages on a route share their fate with: all to the same target. The thread there matters not."""
    line = line_of(route)
    return line if str(route.to) == route.channel else f"{line}:{route.to}"


def line_of(route: Origin) -> str:
    """Return what carries messages on a route: a channel, and the account there."""
    return f"{route.channel}" if route.account is None else f"{route.channel}/{route.account}"


def sendable(outbox: tuple[Waiting, ...]) -> Iterator[Waiting]:
    """Yield the messages that may be sent next: of each route the first, for those behind it keep their order."""
    seen: list[Origin | None] = []
    for waiting in outbox:
        if waiting.is_sent and waiting.route not in seen:
            seen.append(waiting.route)
            yield waiting


def find(outbox: tuple[Waiting, ...], delivery: str) -> Waiting | None:
    """Return the message of this name, if it is not done with."""
    return next((waiting for waiting in outbox if waiting.delivery == delivery), None)
