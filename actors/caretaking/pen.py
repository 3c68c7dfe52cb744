"""The pen: has recorded what a caretaker proposes, by the actors of the tasks."""

from collections.abc import Callable
from typing import Any, TypeAlias

from msgspec import Struct

from tallystick.actors.envelope import ExcInfo, Reply
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Closed, NotFound, Pruned, Refused
from tallystick.ledger.events import TaskFact
from tallystick.ledger.record import TaskRecord

ACTOR = "caretaker"

Make: TypeAlias = Callable[[], TaskFact]
"""Makes the fact that is to be recorded."""

Send: TypeAlias = Callable[[bytes, Command, Reply], None]
"""Sends a command to a task; raises what says that it was not accepted."""

Soon: TypeAlias = Callable[[Callable[[], None], Callable[[], None]], None]
"""Calls the first function on the thread on which facts are decided, or the second when there is none any more."""


class Written(Struct, frozen=True):
    """A fact is durable, was refused, or could not be written. `record` is the task as it is then."""

    stream: bytes
    key: str
    fact: TaskFact | None
    error: BaseException | None = None
    record: TaskRecord | None = None

    @property
    def is_decided(self) -> bool:
        """Whether writing it again would change nothing."""
        return self.error is None or isinstance(self.error, Refused | NotFound | Pruned | Closed)


class _Told:
    """Brings the answer to a command back."""

    __slots__ = ("_fact", "_key", "_put", "_stream")

    def __init__(self, put: Callable[[object], None], stream: bytes, key: str, fact: TaskFact | None) -> None:
        self._put, self._stream, self._key, self._fact = put, stream, key, fact

    def set(self, value: Any = None) -> None:
        record = value if isinstance(value, TaskRecord) else None
        self._put(Written(self._stream, self._key, self._fact, record=record))

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        self.fail((exc_info and exc_info[1]) or Closed())

    def fail(self, error: BaseException) -> None:
        self._put(Written(self._stream, self._key, self._fact, error))


class Pen:
    """Hands facts to the actors of their tasks, in the order in which it is given them. `put` brings `Written` back."""

    def __init__(self, send: Send, soon: Soon, put: Callable[[object], None]) -> None:
        self._send, self._soon, self._put = send, soon, put
        self._writing: set[tuple[bytes, str]] = set()

    def is_writing(self, stream: bytes, key: str) -> bool:
        """Whether a fact of this key is on its way to the disk."""
        return (stream, key) in self._writing

    def __len__(self) -> int:
        return len(self._writing)

    def write(self, stream: bytes, key: str, make: Make) -> None:
        """Have a fact recorded. It is made on the facts' own thread, where hooks of programs are called, too."""
        self._writing.add((stream, key))

        def send() -> None:
            fact: TaskFact | None = None
            try:
                fact = make()
                self._send(stream, Command(fact, ACTOR, inferred=True), _Told(self._put, stream, key, fact))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
                self._put(Written(stream, key, fact, error))

        self._soon(send, lambda: self._put(Written(stream, key, None, Closed())))

    def written(self, written: Written) -> None:
        """Take note of what became of a fact."""
        self._writing.discard((written.stream, written.key))
