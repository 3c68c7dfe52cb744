"""The senders: who sends on each channel, and how a message is handed to them."""

import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from tallystick.actors.courier.endpoint import Job
from tallystick.ledger.delivery import Delivery, Permanent, Receipt
from tallystick.ledger.ids import id_text
from tallystick.ledger.outbox import id_of
from tallystick.ledger.store.port import EventLog
from tallystick.projections.frozen import message_at

Send: TypeAlias = Callable[[Delivery], Receipt | Awaitable[Receipt]]
"""Sends one message and says that it arrived; raises `Retryable`, `Permanent` or `Unconfirmed` when it did not."""


class Dropped(Exception):
    """Takes the place of an attempt that need not be made any more."""


class Senders:
    """The channels of one open ledger. Any thread may register one."""

    def __init__(self, event_log: EventLog) -> None:
        self._log = event_log
        self._lock = threading.Lock()
        self._by_channel: dict[str, Send] = {}

    def register(self, channel: str, send: Send) -> None:
        """Let this function send what goes to a channel from now on."""
        with self._lock:
            self._by_channel = {**self._by_channel, channel: send}

    def serves(self, channel: str) -> bool:
        """Whether somebody sends on this channel."""
        return channel in self._by_channel

    def send(self, job: Job) -> Any:
        """Send a message. May block, returns or raises what the channel does; called on one of the crew's threads."""
        message = message_at(self._log, job.waiting.position)
        if message is None or message.route is None:
            raise Permanent(f"the message at position {job.waiting.position} cannot be read any more")
        task_id = id_text(job.stream)
        delivery = Delivery(
            id=id_of(task_id, job.waiting.delivery),
            task_id=task_id,
            text=message.text,
            route=message.route,
            attempt=job.attempt,
            kind=message.kind.value,
            artifacts=message.artifacts,
            queued_at=job.waiting.queued_at,
        )
        send = self._by_channel[job.endpoint.channel]
        if inspect.iscoroutinefunction(send):
            return _awaited(job, send, delivery)
        _begin(job)
        return send(delivery)


def _begin(job: Job) -> None:
    if job.is_dropped:
        raise Dropped
    job.has_begun = True


async def _awaited(job: Job, send: Callable[[Delivery], Awaitable[Receipt]], delivery: Delivery) -> Receipt:
    """Send it: nobody has tried before a loop runs this."""
    _begin(job)
    return await send(delivery)
