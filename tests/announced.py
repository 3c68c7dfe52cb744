"""The story of one task of which somebody is told: messages follow its events, as a task's actor has them follow."""

from collections.abc import Mapping, Sequence
from typing import Any

from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.deliveries import (
    DeliveryFailed,
    DeliveryQueued,
    DeliveryReleased,
    DeliveryUnknown,
    DeliveryWithheld,
)
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.lifecycle import DeliveryStatus, NotifyPolicy
from tallystick.ledger.notices import Notice, instead, is_given_up, notices, released
from tallystick.ledger.outbox import Waiting, find
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.routing import Monitor, Routing
from tests.story import Story, created

CHAT = Origin("telegram", -100123, "work", 77)
"""Where a request came from: all four parts, two of them numbers."""

OPS = Origin("slack", "#ops")
MONITORS = (Monitor("ops", OPS), Monitor("night", OPS, status="running"), Monitor("lost", CHAT, status="lost"))
SERVED = Routing(channels=frozenset({"telegram", "slack"}))
WATCHED = Routing(MONITORS, SERVED.channels)

Stored = Mapping[str, Origin]


def asked(**more: Any) -> TaskCreated:
    """Return an ordinary creation whose end is told directly to where it was asked for, with more said about it."""
    return created(**{"origin": CHAT, "notify": NotifyPolicy.DONE_ONLY, **more})


class Announced(Story):
    """A story whose messages are in it. Whoever tells it knows the routing and which way a session was reached on."""

    def __init__(self, *told: AnyFact, routing: Routing = SERVED, stored: Stored | None = None, **more: Any) -> None:
        self.routing = routing
        self.stored: Stored = stored or {}
        super().__init__(*told, **more)

    def happen(self, facts: Sequence[AnyFact], *, actor: str = "agent", occurred_at: int | None = None) -> None:
        for data in facts:
            before = self.record_or_none
            super().happen((data,), actor=actor, occurred_at=occurred_at)
            for notice in self._notices(self.events[-1], before):
                super().happen((notice,), actor="outbox")

    def _notices(self, event: Event, before: TaskRecord | None) -> list[Notice]:
        data = event.data
        if isinstance(data, DeliveryReleased):
            assert before is not None, "something was released before anything was created"
            withheld = find(before.outbox, data.delivery)
            assert withheld is not None, "only what waits can be released"
            return [released(self.withheld(withheld), data, self.record, self.routing, self.stored.get)]
        if not (isinstance(data, DeliveryFailed | DeliveryUnknown) and is_given_up(data)):
            return list(notices(event, self.record, self.routing, self.stored.get))
        assert before is not None, "something failed before anything was created"
        waiting = find(before.outbox, data.delivery)
        assert waiting is not None, "only what waits can fail"
        other = instead(self.message(waiting), self.record, event, self.routing, self.stored.get)
        return [] if other is None else [other]

    @property
    def messages(self) -> list[DeliveryQueued]:
        """All that was ever put into the outbox."""
        return [data for data in self.facts if isinstance(data, DeliveryQueued)]

    @property
    def outbox(self) -> tuple[Waiting, ...]:
        return () if self.record_or_none is None else self.record.outbox

    @property
    def names(self) -> list[str]:
        """The names of what is not done with."""
        return [waiting.delivery for waiting in self.outbox]

    def became(self) -> DeliveryStatus:
        """What became of telling the one who asked."""
        return self.record.delivery_status

    def waiting(self, delivery: str) -> Waiting:
        """What waits under a name; something must."""
        found = find(self.outbox, delivery)
        assert found is not None, f"{delivery} is not among {self.names}"
        return found

    def message(self, waiting: Waiting) -> DeliveryQueued:
        """The message of something that waits, from where the log has it."""
        [data] = [event.data for event in self.events if event.position == waiting.position]
        assert isinstance(data, DeliveryQueued)
        return data

    def withheld(self, waiting: Waiting) -> DeliveryWithheld:
        """The message of something that is withheld, from where the log has it."""
        [data] = [event.data for event in self.events if event.position == waiting.position]
        assert isinstance(data, DeliveryWithheld)
        return data


def known(story: Story) -> list[TaskRecord]:
    """Return what was known after each event of a story."""
    records: list[TaskRecord] = []
    for event in story.events:
        records.append(evolve(records[-1] if records else None, event))
    return records
