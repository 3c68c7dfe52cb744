"""One task and its messages, and everybody who speaks of them, in any order."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tallystick.ledger.events import AnyFact
from tallystick.ledger.evolve import fold
from tallystick.ledger.facts.deliveries import (
    DeliveryAttempted,
    DeliveryDelivered,
    DeliveryFailed,
    DeliveryRetried,
    DeliveryUnknown,
)
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.ledger.outbox import find, sendable
from tallystick.ledger.routing import Routing
from tests import strategies as some
from tests.announced import Announced


class Deliveries(RuleBasedStateMachine):
    """One task and everybody who speaks of it and of its messages, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Announced()
        self.gone: set[int] = set()

    @initialize(creation=some.told_creations(), routing=some.routings)
    def create(self, creation: TaskCreated, routing: Routing) -> None:
        self.story.routing = routing
        self.story.tell(creation)

    def _tell(self, data: AnyFact, after_ms: int = 1) -> None:
        before = self._positions()
        self.story.tell(data, after_ms=after_ms)
        self.gone |= before - self._positions()

    def _positions(self) -> set[int]:
        """Where the log has the messages that wait: what is queued anew under a name that was there is another."""
        return {waiting.position for waiting in self.story.outbox}

    @rule(data=some.reports)
    def tell_of_the_task(self, data: AnyFact) -> None:
        self._tell(data)

    @rule(data=st.data())
    def tell_of_a_message(self, data: st.DataObject) -> None:
        self._tell(data.draw(some.delivered(self.story)))

    @precondition(lambda self: any(sendable(self.story.outbox)))
    @rule(error=some.words, data=st.data())
    def send(self, error: str, data: st.DataObject) -> None:
        """As a courier does it: of what is sendable, with the attempt that comes next."""
        waiting = data.draw(st.sampled_from(list(sendable(self.story.outbox))))
        name, attempt = waiting.delivery, waiting.attempts + 1
        answers: list[AnyFact] = [
            DeliveryAttempted(delivery=name, attempt=attempt, error=error, due_at=self.story.now_ms + 9),
            DeliveryUnknown(delivery=name, attempt=attempt, error=error),
            DeliveryFailed(delivery=name, attempt=attempt, error=error),
            DeliveryDelivered(delivery=name, attempt=attempt),
        ]
        self._tell(data.draw(st.sampled_from(answers)))
        later = find(self.story.outbox, name)
        assert later is None or later.attempts == attempt

    @precondition(lambda self: any(waiting.is_stuck for waiting in self.story.outbox))
    @rule()
    def retry(self) -> None:
        stuck = {waiting.delivery: waiting.status for waiting in self.story.outbox if waiting.is_stuck}
        self._tell(DeliveryRetried())
        for name, before in stuck.items():
            waiting = self.story.waiting(name)
            is_unknown = before is DeliveryStatus.UNKNOWN  # it may have arrived, however often it is sent again
            status = DeliveryStatus.UNKNOWN if is_unknown else DeliveryStatus.PENDING
            assert (status, self.story.now_ms) == (waiting.status, waiting.due_at)

    @invariant()
    def a_name_is_there_once_and_what_is_done_with_never_again(self) -> None:
        if self.story.record_or_none is not None:
            assert len(self.story.names) == len(set(self.story.names))
            assert self.gone.isdisjoint(self._positions())

    @invariant()
    def the_record_is_what_the_events_say(self) -> None:
        assert self.story.record_or_none == fold(self.story.events)


TestDeliveries = pytest.mark.slow(Deliveries.TestCase)
# Each example is a history of many reports.
TestDeliveries.settings = settings(max_examples=-(-settings().max_examples // 4))
