"""The leases: until when work has promised that it lives. Each sign of life is kept here; notes tell of them later."""

import threading

from msgspec import Struct

from tallystick.ledger.clock import Clock
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.verdict import Verdict


class Lease(Struct, frozen=True, gc=False):
    """A promise to be heard of again within `ttl_ms`, as it was last renewed; until 0 when it was only heard of."""

    ttl_ms: int
    until: int


class Leases:
    """The newest sign of life of every task that gives any. Any thread may give one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._leases: dict[bytes, Lease] = {}
        self._lock = threading.Lock()
        """Held from a look to the change that follows from it: a sign of life undoes no end, and no new promise."""

    def renew(self, stream: bytes, ttl_ms: int) -> bool:
        """Take a sign of life. False when the log does not say yet that this task gives them, at least so often."""
        until = self._clock() + ttl_ms
        with self._lock:
            known = self._leases.get(stream)
            if known is None or known.ttl_ms != ttl_ms:
                return False
            self._leases[stream] = Lease(ttl_ms, until)
            return True

    def hear(self, record: TaskRecord) -> None:
        """Take a sign of life that came as a command, and told the log nothing new."""
        if record.lease_ms is not None and record.is_active and not self.renew(record.stream, record.lease_ms):
            self.begin(record.stream, record.lease_ms)

    def begin(self, stream: bytes, ttl_ms: int, at_ms: int | None = None) -> int:
        """Note that the log says so since `at_ms` (now): that is a sign of life, too. Return until when it counts (ms).

        Whoever learns of it second changes nothing: the one who gave the sign, or the one who reads the log.
        """
        at_ms = self._clock() if at_ms is None else at_ms
        with self._lock:
            known = self._leases.get(stream)
            if known is None or not known.until or (known.ttl_ms != ttl_ms and known.until - known.ttl_ms <= at_ms):
                known = self._leases[stream] = Lease(ttl_ms, at_ms + ttl_ms)
            return known.until

    def listen(self, stream: bytes, ttl_ms: int) -> None:
        """Let signs of life count that the log says the task gives; to read that in the log is none."""
        with self._lock:
            self._leases.setdefault(stream, Lease(ttl_ms, 0))

    def end(self, stream: bytes) -> None:
        """The task has ended, or is nobody's concern here."""
        with self._lock:
            self._leases.pop(stream, None)

    def until(self, stream: bytes) -> int | None:
        """Return until when a task has promised to live (ms); None when it has promised nothing here."""
        lease = self._leases.get(stream)
        return None if lease is None or not lease.until else lease.until

    def alive_at(self, stream: bytes) -> int | None:
        """Return when a task was alive last (ms): now, while its promise holds; else when it gave it; None if never."""
        lease, now = self._leases.get(stream), self._clock()
        if lease is None or not lease.until:
            return None
        return now if now <= lease.until else lease.until - lease.ttl_ms

    def verdict(self, record: TaskRecord) -> Verdict:
        """Return what the signs of life say about a task."""
        ttl_ms = record.lease_ms
        if ttl_ms is None:
            return Verdict.unknown("it has promised no sign of life")
        lease = self._leases.get(record.stream)
        if lease is None or not lease.until:  # nobody listened until now: from now on somebody does
            return Verdict.alive({"aliveUntil": self.begin(record.stream, ttl_ms), "ttlMs": ttl_ms})
        if self._clock() <= lease.until:
            return Verdict.alive({"aliveUntil": lease.until, "ttlMs": ttl_ms})
        detail = f"no sign of life for more than {ttl_ms} ms"
        return Verdict.missing({"detail": detail, "lastSignAt": lease.until - ttl_ms, "ttlMs": ttl_ms})
