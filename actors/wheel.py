"""The wheel: when each task is to be looked at again, so that a look costs what is due and not what is known."""

import heapq
from collections.abc import Iterator

SLOT_MS = 1_000


class Wheel:
    """Tasks by the second in which they are due, each at one time. Owned by one thread."""

    def __init__(self) -> None:
        self._slots: dict[int, list[bytes]] = {}
        self._order: list[int] = []
        self._slot_of: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._slot_of)

    def __contains__(self, stream: bytes) -> bool:
        return stream in self._slot_of

    def add(self, stream: bytes, at_ms: int) -> None:
        """Let the task be due at `at_ms`, or up to a second later; it is not due at another time any more."""
        slot = -(-at_ms // SLOT_MS)
        if self._slot_of.get(stream) == slot:
            return
        self._slot_of[stream] = slot
        if slot in self._slots:
            self._slots[slot].append(stream)
        else:
            self._slots[slot] = [stream]
            heapq.heappush(self._order, slot)

    def drop(self, stream: bytes) -> None:
        """Forget the task."""
        self._slot_of.pop(stream, None)

    def take(self, now_ms: int | None = None) -> Iterator[bytes]:
        """Take out and yield every task that is due at `now_ms`; all of them when it is None. Take all that comes."""
        while self._order and (now_ms is None or self._order[0] * SLOT_MS <= now_ms):
            slot = heapq.heappop(self._order)
            for stream in self._slots.pop(slot):
                if self._slot_of.get(stream) == slot:  # else it was moved, or forgotten
                    del self._slot_of[stream]
                    yield stream

    def next_at(self) -> int | None:
        """Return when somebody may be due next (ms); None when nobody is."""
        return self._order[0] * SLOT_MS if self._order else None
