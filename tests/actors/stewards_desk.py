"""The desk of a steward: a ledger's actors on the test's own thread, with a steward who hears of every commit."""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from tallystick.actors.envelope import Envelope, Reply
from tallystick.actors.future import LightFuture
from tallystick.actors.news import tell
from tallystick.actors.steward import Steward, Tend
from tallystick.ledger.commands import Command
from tallystick.ledger.events import OF_FLOWS
from tallystick.ledger.facts.flows import FlowCancelRequested
from tallystick.ledger.facts.tasks import TaskStarted
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import FlowStatus
from tallystick.projections.reader import Reader
from tallystick.projections.seen import Seen
from tests.actors.flow_parts import FLOW, FlowDesk, flow_folded
from tests.actors.parts import STREAMS, FullLog

CANCEL = FlowCancelRequested(reason="enough")
CHILDREN = STREAMS[:3]

T = TypeVar("T")


class CountingReader(Reader):
    """A reader that counts its questions."""

    questions = 0

    def answer(self, question: Callable[[Seen], T]) -> T:
        self.questions += 1
        return super().answer(question)


class StewardsDesk(FlowDesk):
    """A desk with a steward, who hears of every commit, and of whom is known what it sent."""

    def __init__(self, log: FullLog | None = None, *, by_hand: bool = True) -> None:
        super().__init__(log or FullLog())
        self.reader = CountingReader(self.log, None)
        self.steward = Steward(self.dispatcher, self.reader, self._put, self.clock, by_hand=by_hand)
        self.sent: list[tuple[bytes, Command]] = []
        self.refusing: deque[Exception] = deque()
        self.steward.begin()
        self.go_on()

    def _put(self, stream: bytes, command: Command, reply: Reply) -> None:
        if self.refusing:
            raise self.refusing.popleft()
        self.sent.append((stream, command))
        actor: Any = (self.flows if type(command.data) in OF_FLOWS else self.directory).actor(stream)
        actor.inbox.put(Envelope(command, reply))

    def go_on(self) -> None:
        """Run turns, and tell the steward of what was committed, until nothing is left to do."""
        self.dispatcher.run()
        while self.told:
            told, self.told[:] = self.told.copy(), []
            for batch in told:
                tell(self.steward, batch)
            self.dispatcher.run()

    def tend(self) -> None:
        """Have the steward do what there is to do, as a sweep does."""
        done = LightFuture()
        self.steward.inbox.put_behind([Envelope(Tend(), done)])
        self.go_on()
        assert None is done.get(timeout=0)

    def family(self, flow: bytes = FLOW, children: tuple[bytes, ...] = CHILDREN) -> None:
        """Begin a flow whose children run."""
        self.begin(flow)
        for stream in children:
            self.work(stream, flow=id_text(flow))
            self.tell(stream, TaskStarted())
        self.go_on()

    def cancel(self, flow: bytes = FLOW) -> None:
        self.ask(flow, CANCEL)
        self.go_on()

    @property
    def verbs(self) -> list[str]:
        """What was sent, in short."""
        return [type(command.data).__name__ for _, command in self.sent]

    def status(self, flow: bytes = FLOW) -> FlowStatus:
        record = flow_folded(self.log, flow)
        assert record is not None
        return record.status
