"""An inspector for tests: real tasks on the test's own thread, real calls on a crew, and every message in its order."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from tallystick.actors.envelope import Envelope, Reply
from tallystick.actors.watching.crew import Crew
from tallystick.actors.watching.inspector import Inspector, Judged, Written
from tallystick.actors.watching.leases import Leases
from tallystick.actors.watching.supervision import Supervision
from tallystick.actors.watching.vigil import Vigil
from tallystick.ledger.commands import Command
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.tasks import TaskStarted
from tallystick.ledger.lifecycle import Runtime
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.memory import MemoryLog
from tallystick.projections.due import DueRules
from tallystick.projections.reader import Reader
from tests.actors.parts import PATIENCE_S, Desk, facts
from tests.story import created


class Inspection:
    """What a supervisor does for its inspector, and nothing else."""

    def __init__(self, *, log: MemoryLog | None = None, limit_ms: int = 600_000, grace_ms: int = 300_000) -> None:
        self.desk = Desk(log)
        self.reader = Reader(self.desk.log, None)
        self.crew = Crew()
        self.supervision = Supervision(Leases(self.desk.clock))
        self.again: list[bytes] = []
        self.spared: set[bytes] = set()
        self.refusing: Exception | None = None
        self.messages: SimpleQueue[Judged | Written] = SimpleQueue()
        self.inspector = Inspector(
            self,
            self.reader,
            self.supervision,
            self.crew,
            Vigil(self.desk.clock),
            rules=DueRules(grace_default=grace_ms),
            probe_limit_ms=limit_ms,
            put=self.messages.put,
            again=lambda stream, _record: self.again.append(stream),
            is_spared=lambda stream: stream in self.spared,
        )

    def command(self, stream: bytes, command: Command, reply: Reply) -> None:
        """Send a command to a task; it is decided in the next turn."""
        if self.refusing is not None:
            raise self.refusing
        self.desk.directory.actor(stream).inbox.put(Envelope(command, reply))

    def foresee(self, streams: Sequence[bytes]) -> None:
        """Read many tasks at once."""
        self.desk.directory.foresee(streams)

    def probe(self, probe: Callable[[TaskRecord], Any], runtime: Runtime = Runtime.SUBAGENT) -> None:
        self.supervision.set_probe(runtime, probe)

    def started(self, stream: bytes, runtime: str = "subagent", **more: Any) -> bytes:
        """Create and start a task."""
        self.desk.create(stream, created(runtime=runtime, **more))
        self.desk.tell(stream, TaskStarted())
        return stream

    def told(self, stream: bytes, data: AnyFact) -> None:
        """Let somebody report something else."""
        self.desk.tell(stream, data)

    def step(self) -> None:
        """Take one message, which must come."""
        message = self.messages.get(timeout=PATIENCE_S)
        if isinstance(message, Judged):
            self.inspector.answered(message)
        else:
            self.inspector.written(message)
        self.desk.dispatcher.run()

    def settle(self) -> None:
        """Take messages until nothing is under way."""
        self.desk.dispatcher.run()
        while self.inspector.is_busy():
            self.step()
        with suppress(Empty):
            raise AssertionError(self.messages.get_nowait())

    def look(self, *streams: bytes) -> None:
        """Look into tasks until nothing is under way."""
        self.inspector.look_into(streams)
        self.settle()

    def facts(self, stream: bytes) -> list[str]:
        """Return what a task's events are called, without its creation and start."""
        return [type(fact).__name__ for fact in facts(self.desk.log, stream)][2:]
