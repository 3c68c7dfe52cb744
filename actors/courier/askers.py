"""The askers: who waits until all that could be sent when they asked is done with."""

import queue
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress

from msgspec import Struct

from tallystick.actors.courier.endpoint import Endpoint
from tallystick.actors.courier.recorder import Key, Written
from tallystick.actors.envelope import Reply
from tallystick.ledger.facts.deliveries import DeliveryFailed
from tallystick.ledger.outbox import Waiting


class _Asker(Struct, eq=False):
    """What one who asked waits for: no message that came later, so that it ends however many come."""

    reply: Reply
    position: int
    until: int
    keys: set[Key]
    endpoints: set[Endpoint]
    """Those for which the index may have more that was there when it was asked."""

    def means(self, waiting: Waiting) -> bool:
        """Whether a message was there, and due."""
        return waiting.position <= self.position and waiting.due_at is not None and waiting.due_at <= self.until


class Askers:
    """Those who wait. Owned by one thread, which says what it takes up, leaves to the index, and has recorded."""

    def __init__(self) -> None:
        self._new: list[Reply] = []
        self._asking: list[_Asker] = []

    def __bool__(self) -> bool:
        return bool(self._new or self._asking)

    def add(self, reply: Reply) -> None:
        """Let somebody wait, for what is known at the next `begin`."""
        self._new.append(reply)

    def are_new(self) -> bool:
        """Whether there are some for whom nothing is noted yet."""
        return bool(self._new)

    def begin(self, keys: AbstractSet[Key], endpoints: AbstractSet[Endpoint], position: int, now: int) -> None:
        """Those who are new wait for these messages, and for what the index has until a position and a moment."""
        new, self._new = self._new, []
        self._asking.extend(_Asker(reply, position, now, set(keys), set(endpoints)) for reply in new)

    def took(self, key: Key, waiting: Waiting) -> None:
        """A message was taken up."""
        for asker in self._asking:
            if asker.means(waiting):
                asker.keys.add(key)

    def left(self, endpoint: Endpoint, waiting: Waiting) -> None:
        """A message was left to the index."""
        for asker in self._asking:
            if asker.means(waiting):
                asker.endpoints.add(endpoint)

    def filled(self, endpoint: Endpoint, found: Iterable[tuple[bytes, Waiting]]) -> None:
        """This is what the index had, the longest due first."""
        for asker in self._asking:
            if not any(asker.means(waiting) for _, waiting in found):
                asker.endpoints.discard(endpoint)

    def recorded(self, written: Written) -> None:
        """An outcome is durable: what is to be sent instead of a message counts as if it had been there."""
        if not isinstance(written.fact, DeliveryFailed) or written.record is None:
            return
        for asker in self._asking:
            if written.key in asker.keys:
                for waiting in filter(lambda each: each.is_sent, written.record.outbox):
                    asker.position = max(asker.position, waiting.position)
                    asker.until = max(asker.until, waiting.queued_at)

    def answer(self, is_busy: Callable[[Key], bool], has_more: Callable[[Endpoint], bool]) -> None:
        """Answer those whose messages are done with, as far as they can be now."""
        for asker in tuple(self._asking):
            while asker.keys:
                key = asker.keys.pop()
                if is_busy(key):
                    asker.keys.add(key)
                    break
            if asker.keys or any(map(has_more, asker.endpoints)):
                continue
            self._asking.remove(asker)
            with suppress(queue.Full):  # its owner has answered it: nobody waits
                asker.reply.set(None)

    def fail(self, error: Exception) -> None:
        """Answer all: there will be no more."""
        waiting = [*self._new, *(asker.reply for asker in self._asking)]
        self._new, self._asking = [], []
        for reply in waiting:
            reply.fail(error)
