"""The recorder: has recorded what became of messages, each fact until it is durable."""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from msgspec import Struct

from tallystick.actors.envelope import ExcInfo, Reply
from tallystick.actors.log import logger
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Closed, Corrupt, NotFound, Refused
from tallystick.ledger.events import TaskFact
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import OUTCOMES_AT_ONCE
from tallystick.ledger.record import TaskRecord

log = logger("actors")

ACTOR = "courier"

Key: TypeAlias = tuple[bytes, str]
"""A task, and the name of one of its messages."""

Send: TypeAlias = Callable[[bytes, Command, Reply], None]
"""Sends a command to a task; raises what says that it was not accepted."""


class Written(Struct, frozen=True):
    """What became of a message is durable, or was not written."""

    stream: bytes
    fact: TaskFact
    error: BaseException | None = None
    record: TaskRecord | None = None
    """The task as it is then, when that was the answer."""

    @property
    def key(self) -> Key:
        """The message that it is about."""
        return key_of(self.stream, self.fact)


class _Told:
    """Brings the answer to a command back."""

    __slots__ = ("_fact", "_put", "_stream")

    def __init__(self, put: Callable[[object], None], stream: bytes, fact: TaskFact) -> None:
        self._put, self._stream, self._fact = put, stream, fact

    def set(self, value: Any = None) -> None:
        self._put(Written(self._stream, self._fact, record=value if isinstance(value, TaskRecord) else None))

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        self.fail((exc_info and exc_info[1]) or Closed())

    def fail(self, error: BaseException) -> None:
        self._put(Written(self._stream, self._fact, error))


class Recorder:
    """Hands outcomes to the actors of their tasks. Lives on one dispatcher's thread; `put` brings `Written` there.

    A message that it `holds` is not to be sent: what became of it is known, and not yet durable.
    """

    def __init__(self, send: Send, put: Callable[[object], None]) -> None:
        self._send, self._put = send, put
        self._held: set[Key] = set()
        self._unwritten: deque[tuple[bytes, TaskFact]] = deque()
        self._hopeless: set[Key] = set()

    def holds(self, key: Key) -> bool:
        """Whether the outcome of a message is known, and waits to be durable."""
        return key in self._held or key in self._hopeless

    def has_room(self) -> bool:
        """Whether there may be more outcomes: the disk keeps up."""
        return len(self._held) < OUTCOMES_AT_ONCE

    def is_writing(self) -> bool:
        """Whether something is on its way to the disk."""
        return len(self._held) > len(self._unwritten)

    def keys(self) -> frozenset[Key]:
        """Return the messages of which the outcome is known, and not yet durable."""
        return frozenset(self._held)

    def is_writing_of(self, key: Key) -> bool:
        """Whether the outcome of a message is on its way to the disk."""
        return key in self._held and all(key != key_of(*each) for each in self._unwritten)

    def is_behind(self) -> bool:
        """Whether something could not be written, and is to be written again."""
        return bool(self._unwritten)

    def write(self, stream: bytes, fact: TaskFact) -> None:
        """Have a fact recorded; `Written` is put when that is done or has failed."""
        self._held.add(key_of(stream, fact))
        try:
            self._send(stream, Command(fact, ACTOR, inferred=True), _Told(self._put, stream, fact))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            self._put(Written(stream, fact, error))

    def rewrite(self) -> None:
        """Write again what could not be written."""
        for _ in range(len(self._unwritten)):
            self.write(*self._unwritten.popleft())

    def written(self, written: Written) -> bool:
        """Take note of what became of a write; whether its message may go on. What failed waits for `rewrite`."""
        error = written.error
        if error is None or isinstance(error, Refused | NotFound | Closed):
            self._held.discard(written.key)
            return not isinstance(error, Closed)
        if isinstance(error, Corrupt):  # nothing is ever recorded of this task again, so nothing is sent again
            self._held.discard(written.key)
            self._hopeless.add(written.key)
        else:
            self._unwritten.append((written.stream, written.fact))
        log.error("outcome_not_written", task=id_text(written.stream), error=str(error))
        return False


def key_of(stream: bytes, fact: TaskFact) -> Key:
    """Return which message an outcome is about."""
    delivery = getattr(fact, "delivery", None)
    assert isinstance(delivery, str), "an outcome is that of a message"
    return stream, delivery
