"""The wheel: when each task is to be looked at again, so that a look costs what is due and not what is known."""

import heapq

SLOT_MS = 1_000


class Wheel:
    """Tasks by the second in which they are due, each at one time. Owned by one thread."""

    def __init__(self) -> None:
        self._slots: dict[int, dict[bytes, None]] = {}
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
        self.drop(stream)
        self._slot_of[stream] = slot
        if slot in self._slots:
            self._slots[slot][stream] = None
        else:
            self._slots[slot] = {stream: None}
            heapq.heappush(self._order, slot)

    def drop(self, stream: bytes) -> None:
        """Forget the task."""
        slot = self._slot_of.pop(stream, None)
        if slot is not None:
            del self._slots[slot][stream]  # a slot that gets empty goes when it is due: there is one for each second

    def take(self, now_ms: int | None = None) -> list[bytes]:
        """Take out and return every task that is due at `now_ms`, the longest due first; all when it is None."""
        taken: list[bytes] = []
        while self._order and (now_ms is None or self._order[0] * SLOT_MS <= now_ms):
            taken.extend(self._slots.pop(heapq.heappop(self._order)))
        for stream in taken:
            del self._slot_of[stream]
        return taken

    def next_at(self) -> int | None:
        """Return when somebody may be due next (ms); None when nobody is."""
        while self._order and not self._slots[self._order[0]]:
            del self._slots[heapq.heappop(self._order)]
        return self._order[0] * SLOT_MS if self._order else None
