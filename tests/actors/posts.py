"""A post for tests: a system that sends, and a channel that answers as told."""

import asyncio
from typing import Any

from tallystick.actors.courier.courier import Courier
from tallystick.actors.courier.errands import Settled
from tallystick.actors.courier.pacing import Pacing
from tallystick.actors.future import LightFuture
from tallystick.actors.system import System
from tallystick.ledger import ids
from tallystick.ledger.commands import Command
from tallystick.ledger.delivery import Delivery, Receipt
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import TaskCreated, TaskSucceeded
from tallystick.ledger.lifecycle import NotifyPolicy
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.told import DeliveryRecord, deliveries_of
from tallystick.projections.reader import Reader
from tests.actors.parts import PATIENCE_S, FullLog, HandClock, history
from tests.story import created

ARRIVED = Receipt()
LIMIT_MS = 50


class Post:
    """A system that sends, and a channel `chat` that answers as told."""

    def __init__(
        self, log: FullLog | None = None, *, limit: int = 30_000, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self.log, self.clock = log or FullLog(), HandClock()
        self.system = System(self.log, [], self.clock)
        self.system.deliver(Reader(self.log, None), pacing=Pacing(limit=limit), by_hand=True, loop=loop)
        self.answer: Any = ARRIVED
        self.given: list[Delivery] = []
        self.register("chat")
        self.system.start()

    def register(self, channel: str) -> None:
        self.system.senders.register(channel, self.send)
        self.system.directory.telling.serve(channel)

    def send(self, delivery: Delivery) -> Any:
        self.given.append(delivery)
        answer = self.answer(delivery) if callable(self.answer) else self.answer
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def courier(self) -> Courier:
        courier = self.system.courier
        assert courier is not None
        return courier

    def tell(self, stream: bytes, data: Any) -> TaskRecord:
        future = LightFuture()
        actor = self.system.newborn(stream) if isinstance(data, TaskCreated) else self.system.actor(stream)
        self.system.send(actor, Command(data, "agent"), future)
        record = future.get(timeout=PATIENCE_S)
        assert isinstance(record, TaskRecord)
        return record

    def ended(self, to: int = 1, channel: str = "chat") -> bytes:
        stream = ids.new_id()
        self.tell(stream, created(notify=NotifyPolicy.DONE_ONLY, origin=Origin(channel, to)))
        self.tell(stream, TaskSucceeded(summary="counted"))
        return stream

    def settled(self) -> None:
        assert self.system.ask_courier(Settled(), PATIENCE_S)

    def deliveries(self, stream: bytes) -> list[DeliveryRecord]:
        return deliveries_of(history(self.log, stream))

    def status(self, stream: bytes) -> str:
        return self.deliveries(stream)[0].status.value

    def jobs(self) -> int:
        return len(self.courier._jobs)  # noqa: SLF001 - memory is what is asked about
