"""The lookout: tells those who wait for what anybody writes, by looking at the log."""

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Full as Answered

from tallystick.actors.envelope import Reply
from tallystick.actors.log import logger
from tallystick.ledger.errors import Closed, NotFound, TallystickError
from tallystick.ledger.events import Event
from tallystick.ledger.folding import Record, fold_stream
from tallystick.ledger.ids import id_text
from tallystick.ledger.store.port import EventLog

log = logger("face")

Listener = Callable[[int], None]


def give(reply: Reply, answer: Record | BaseException) -> None:
    """Answer one who waits; who has given up meanwhile is left alone."""
    with suppress(Answered):
        if isinstance(answer, BaseException):
            reply.fail(answer)
        else:
            reply.set(answer)


class Lookout:
    """Who waits for the end of a task or a flow, and who listens. Any thread may join them; one thread looks."""

    def __init__(self, event_log: EventLog) -> None:
        self._log = event_log
        self._lock = threading.Lock()
        self._ends: list[tuple[bytes, Reply]] = []
        self._listeners: list[Listener] = []
        self._seen = -1

    @property
    def is_needed(self) -> bool:
        """Whether anybody waits or listens."""
        return bool(self._ends or self._listeners)

    def await_end(self, stream: bytes, reply: Reply) -> None:
        """Answer with the task's record once it has ended."""
        with self._lock:
            self._ends.append((stream, reply))
            self._seen = -1

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(position)` when the log has grown; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def look(self) -> None:
        """Tell what there is to tell, if the log has grown since the last look."""
        head = self._log.head()
        with self._lock:
            if head == self._seen:
                return
            self._seen = head
            ends, self._ends = self._ends, []
        for stream, reply in ends:
            end = self._end_of(stream)
            if end is not None:
                give(reply, end)
            else:
                with self._lock:
                    self._ends.append((stream, reply))
        for listener in tuple(self._listeners):
            try:
                listener(head)
            except Exception:  # the others are told all the same
                log.exception("listener_failed", position=head)

    def _end_of(self, stream: bytes) -> Record | TallystickError | None:
        """Return the record of what has ended; None while it has not."""
        try:
            record = fold_stream([stored for stored in self._log.stream(stream) if isinstance(stored, Event)])
        except TallystickError as error:
            return error
        if record is None:
            return NotFound(id_text(stream))
        return None if record.is_active else record

    def end(self) -> None:
        """Say that nobody looks any more."""
        with self._lock:
            ends, self._ends = self._ends, []
        for _stream, reply in ends:
            give(reply, Closed())

    def leave_to_parent(self) -> None:
        """In a forked child nobody looks."""
        self._lock = threading.Lock()
