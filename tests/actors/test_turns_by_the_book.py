"""Turn by turn: what is written, held back, answered and undone is what a few lines without actors say."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from tallystick.actors.future import LightFuture
from tallystick.actors.task import OUTBOX_ACTOR
from tallystick.ledger.commands import Command
from tallystick.ledger.decide import decide
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.tasks import TaskFailed, TaskNotifyChanged, TaskProgressed, TaskStarted, TaskSucceeded
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import NotifyPolicy
from tallystick.ledger.limits import PROGRESS_MS_MIN
from tallystick.ledger.notices import notices
from tallystick.ledger.progress import is_too_soon, merged
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.refusal import Refusal
from tallystick.ledger.routing import Routing
from tests.actors.parts import STREAMS, Desk, FullLog, Outcome, full, history, outcome, refusal
from tests.story import created
from tests.strategies import maybe

TASKS = STREAMS[:3]
CREATED = created(notify="done_only")


class Send(Struct, frozen=True):
    """A command is sent."""

    task: int
    data: AnyFact
    force: bool = False
    expected_version: int | None = None


class Turn(Struct, frozen=True):
    """The dispatcher runs a turn; its commit may fail."""

    fails: bool = False


class Wait(Struct, frozen=True):
    """Time passes, or the clock is set back."""

    ms: int


class Release(Struct, frozen=True):
    """What is held back is to be written in the next turn."""


Move = Send | Turn | Wait | Release

progress = st.builds(
    TaskProgressed,
    message=maybe(st.sampled_from(["on", "and on"])),
    step=maybe(st.integers(0, 3)),
    tool=maybe(st.just("sed")),
    tools=st.integers(0, 1),
    count=st.integers(1, 2),
)
told: st.SearchStrategy[AnyFact] = st.one_of(
    progress,
    progress,
    progress,
    st.sampled_from(
        [
            CREATED,
            TaskStarted(),
            TaskNotifyChanged(policy=NotifyPolicy.SILENT),
            TaskNotifyChanged(policy=NotifyPolicy.STATE_CHANGES),
            TaskSucceeded(summary="done"),
            TaskFailed(error="boom"),
        ]
    ),
)
sends = st.builds(Send, st.sampled_from([0, 0, 1, 2]), told, st.sampled_from([False, False, True]), maybe(st.just(3)))
moves: st.SearchStrategy[Move] = st.one_of(
    sends,
    sends,
    sends,
    st.builds(Turn, st.sampled_from([False, False, True])),
    st.builds(Wait, st.sampled_from([1, 400, 999, 1_000, 2_500, -300])),
    st.just(Release()),
)
beginnings: list[Move] = [Send(task, data) for task in (0, 1) for data in (CREATED, TaskStarted())]


class Held(Struct, frozen=True):
    """Progress that is held back, and when it is due."""

    command: Command
    until_ms: int


class Book(Struct):
    """One task without an actor. Positions are left out: they tell how tasks take turns, not what becomes of one."""

    token: str
    record: TaskRecord | None = None
    written: tuple[tuple[AnyFact, str, int], ...] = ()
    held: Held | None = None

    def tell(self, command: Command, now_ms: int) -> object:
        """Return the version of the record, or the class of the error, that is answered."""
        decision = decide(self.record, command, token=self.token)
        if isinstance(decision, Refusal):
            if decision.evidence is not None:
                self._write(decision.evidence, command, now_ms)
            return type(decision.error)
        if decision and not self._holds(decision[-1], command, now_ms):
            self.release(now_ms)
            for data in decision:
                self._write(data, command, now_ms)
        assert self.record is not None
        return self.record.version

    def release(self, now_ms: int) -> None:
        """Write what is held back."""
        if self.held is not None:
            held, self.held = self.held, None
            self._write(held.command.data, held.command, now_ms)

    def _holds(self, data: AnyFact, command: Command, now_ms: int) -> bool:
        record = self.record
        if not isinstance(data, TaskProgressed) or command.force or record is None:
            return False
        if not is_too_soon(record.progress_at, now_ms):
            return False
        if self.held is None:
            assert record.progress_at is not None
            self.held = Held(command, record.progress_at + PROGRESS_MS_MIN)
        else:
            before = self.held.command.data
            assert isinstance(before, TaskProgressed)
            self.held = Held(replace(command, data=merged(before, data)), self.held.until_ms)
        return True

    def _write(self, data: AnyFact, command: Command, now_ms: int) -> None:
        record, event = self._wrote(data, command.actor, now_ms)
        for notice in notices(event, record, Routing(), lambda _session: None):
            self._wrote(notice, OUTBOX_ACTOR, now_ms)

    def _wrote(self, data: AnyFact, actor: str, now_ms: int) -> tuple[TaskRecord, Event]:
        version = len(self.written) + 1
        event = Event(version, bytes(16), version, now_ms, now_ms, actor, data)
        self.record = evolve(self.record, event)
        self.written = (*self.written, (data, actor, now_ms))
        return self.record, event


class Play:
    """The same moves for the actors and for the books."""

    def __init__(self) -> None:
        self.log = FullLog()
        self.desk = Desk(self.log, live_max=1)
        self.books = [Book(id_text(stream)) for stream in TASKS]
        self._sent: list[tuple[int, Command, LightFuture]] = []
        self._released = False
        self._speakers = 0

    def move(self, move: Move) -> None:
        """Make one move; a turn is compared at once."""
        match move:
            case Send():
                self._speakers += 1
                command = Command(
                    move.data, f"agent-{self._speakers}", expected_version=move.expected_version, force=move.force
                )
                future = self.desk.send(
                    TASKS[move.task],
                    command.data,
                    command.actor,
                    expected_version=command.expected_version,
                    force=command.force,
                )
                self._sent.append((move.task, command, future))
            case Wait():
                self.desk.clock.advance(move.ms)
            case Release():
                self._released = True
                self.desk.dispatcher.call_soon(self.desk.directory.release_all)
                self._compare(self._turn(fails=False))
            case Turn():
                self._compare(self._turn(fails=move.fails))

    def _turn(self, *, fails: bool) -> list[tuple[LightFuture, object]]:
        """Let the actors have a turn, and return what the books say to every command of it."""
        now, before = self.desk.clock(), [replace(book) for book in self.books]
        for book in self.books:
            if book.held is not None and book.held.until_ms <= now:
                book.release(now)
        answers = []
        for task, command, future in self._sent:
            answers.append((future, self.books[task].tell(command, now)))
        if self._released:
            for book in self.books:
                book.release(now)
        wrote = any(book.written != earlier.written for book, earlier in zip(self.books, before, strict=True))
        if fails and wrote:
            self.log.failures.append(full())
            answers = [(future, refusal(full())) for future, _answer in answers]
            for number, earlier in enumerate(before):
                held = earlier.held
                if held is not None and self.books[number].held != held:
                    earlier.held = Held(held.command, now + PROGRESS_MS_MIN)
            self.books = before
        self._sent, self._released = [], False
        self.desk.dispatcher.turn()
        return answers

    def _compare(self, answers: list[tuple[LightFuture, object]]) -> None:
        for future, expected in answers:
            assert expected == self._seen(outcome(future)), (expected, outcome(future))
        for stream, book in zip(TASKS, self.books, strict=True):
            events = history(self.log, stream)
            assert list(book.written) == [(event.data, event.actor, event.recorded_at) for event in events]
        assert list(range(1, self.log.head() + 1)) == [stored.position for stored in self.log.read()]

    @staticmethod
    def _seen(answer: Outcome) -> object:
        if isinstance(answer, TaskRecord):
            return answer.version
        return answer if answer == refusal(full()) else answer[0]

    def end(self) -> None:
        """Close as a system does: nothing that was answered may be missing."""
        self.move(Turn())
        self._released = True
        self.desk.dispatcher.call_soon(self.desk.directory.hold_no_more)
        self._compare(self._turn(fails=False))
        assert [None] * len(TASKS) == [book.held for book in self.books]


@given(st.lists(moves, max_size=40))
def test_every_turn_writes_holds_back_answers_and_undoes_what_the_book_says(moves: list[Move]) -> None:
    play = Play()
    for move in (*beginnings, Turn(), *moves):
        play.move(move)
    play.end()
