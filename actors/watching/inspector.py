"""The inspector: asks about one task after the other, judges the answers, and has recorded what follows from them."""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from tallystick.actors.courtesy import Courtesy
from tallystick.actors.envelope import ExcInfo, Reply
from tallystick.actors.log import logger
from tallystick.actors.watching.crew import Crew
from tallystick.actors.watching.supervision import BY_LEASE, BY_PROCESS, Question, Supervision
from tallystick.actors.watching.vigil import Vigil
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Closed, NotFound, Refused, TallystickError
from tallystick.ledger.events import TaskFact
from tallystick.ledger.ids import id_text
from tallystick.ledger.judge import inferred
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.verdict import Finding, Verdict
from tallystick.projections.due import DueRules
from tallystick.projections.reader import Reader

log = logger("actors")

ACTOR = "supervisor"
AT_ONCE = 512  # tasks of one kind that are handed to the crew at the same time
COMPLAINTS_MS = 60_000
FEW = 8  # tasks that are as well read one by one
MS_PER_S = 1_000
_GONE = frozenset({Finding.MISSING, Finding.DEAD})


Saw: TypeAlias = Callable[[TaskRecord, str, Verdict, int], None]
"""Hears what a look at a task told: who was asked, the verdict, and when (ms)."""

Lives: TypeAlias = Callable[[TaskRecord, int, int], None]
"""Hears when (ms) a task has given a sign of life, at a look at it, and when that was."""


class Facts(Protocol):
    """Where commands go."""

    def command(self, stream: bytes, command: Command, reply: Reply) -> None:
        """Send a command to a task; raises `Busy` or `Closed` when it was not accepted."""
        ...

    def foresee(self, streams: Sequence[bytes]) -> None:
        """Read many tasks at once, for commands for each of them follow."""
        ...


class Judged(Struct, frozen=True):
    """A probe has answered, or something took its answer's place."""

    stream: bytes
    kind: str
    answer: Any


class Written(Struct, frozen=True):
    """What was inferred of a task is durable, or was refused."""

    stream: bytes
    error: BaseException | None = None


class Proposal(NamedTuple):
    """What follows from a verdict, for the task's own actor to decide."""

    stream: bytes
    fact: TaskFact
    occurred_at: int | None


class _Told:
    """Brings the answer to an inference back."""

    __slots__ = ("_stream", "_tell")

    def __init__(self, tell: Callable[[Written], None], stream: bytes) -> None:
        self._tell, self._stream = tell, stream

    def set(self, _value: Any = None) -> None:
        self._tell(Written(self._stream))

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        self.fail((exc_info and exc_info[1]) or Closed())

    def fail(self, error: BaseException) -> None:
        self._tell(Written(self._stream, error))


class Inspector:
    """Looks into tasks for the supervisor, on its thread. What comes back goes through `put`, from any thread.

    A task is asked about once at a time. Of one kind AT_ONCE are handed out, the others wait for their kind alone.
    What is spared is being stopped by us: that it goes says nothing. When the crew is closed, nobody is asked any more.
    """

    def __init__(
        self,
        facts: Facts,
        reader: Reader,
        supervision: Supervision,
        crew: Crew,
        vigil: Vigil,
        *,
        rules: DueRules,
        probe_limit_ms: int,
        put: Callable[[Judged | Written], None],
        again: Callable[[bytes, TaskRecord | None], None],
        is_spared: Callable[[bytes], bool] = lambda _stream: False,
        saw: Saw = lambda _record, _kind, _verdict, _now: None,
        lives: Lives = lambda _record, _at, _now: None,
        judges: bool = True,
    ) -> None:
        self._facts, self._reader, self._supervision, self._crew = facts, reader, supervision, crew
        self._vigil, self._rules, self._limit_s = vigil, rules, probe_limit_ms / MS_PER_S
        self._put, self._again, self._is_spared, self._judges = put, again, is_spared, judges
        self._saw, self._lives = saw, lives
        self._asked: set[bytes] = set()
        self._out: Counter[str] = Counter()
        self._backlog: dict[str, deque[bytes]] = {}
        self._complained: dict[str, int] = {}
        self._unseen: dict[bytes, int] = {}
        """When nobody could tell of a task that is missing: its grace counts from then, for nobody watched it."""
        self._writing = 0

    def is_busy(self) -> bool:
        """Whether an answer, or the disk, is awaited."""
        return bool(self._asked or self._writing)

    def writing(self) -> int:
        """Return how many proposals wait for the disk."""
        return self._writing

    def forget(self, stream: bytes) -> None:
        """The task has ended."""
        self._unseen.pop(stream, None)

    def record(self, stream: bytes) -> TaskRecord | None:
        """Return a task as it stands, None when it cannot be read or is not there any more."""
        try:
            return self._reader.get(id_text(stream))
        except NotFound:
            return None
        except TallystickError:  # one damaged task is not everybody's, and what is busy now may be read later
            log.exception("task_unreadable", task=id_text(stream))
            self._again(stream, None)
            return None

    def look_into(self, streams: Sequence[bytes]) -> None:
        """Look into some tasks, as far as somebody can tell anything about them."""
        if self._crew.is_closed():
            return
        records = self._records(streams)
        courtesy = Courtesy()
        proposals: list[Proposal] = []
        for stream in streams:
            if stream in records and stream not in self._asked:
                proposal = self._ask(stream, records[stream])
                if proposal is not None:
                    proposals.append(proposal)
                courtesy.pause()
        if len(proposals) > FEW:
            self._facts.foresee([proposal.stream for proposal in proposals])
        for stream, fact, occurred_at in proposals:
            self.write(stream, fact, occurred_at)

    def _records(self, streams: Sequence[bytes]) -> Mapping[bytes, TaskRecord]:
        """Read many at once; one by one when one of them is damaged."""
        try:
            return self._reader.records(streams)
        except TallystickError:
            one_by_one = {stream: self.record(stream) for stream in streams}
            return {stream: record for stream, record in one_by_one.items() if record is not None}

    def _ask(self, stream: bytes, record: TaskRecord) -> Proposal | None:
        question = self._supervision.question(record)
        if question is None or not self._concerns(record):
            return None
        if self._is_spared(stream):
            self._again(stream, record)
            return None
        kind = question.kind
        if not self._judges:
            self._listen(record)
            return self._proved(record, question)
        if question.quick:
            return self._judge(Judged(stream, kind, _answer_of(question.ask, record)), record)
        if self._out[kind] >= AT_ONCE:
            self._asked.add(stream)
            self._backlog.setdefault(kind, deque()).append(stream)
        else:
            self._asked.add(stream)
            self._out[kind] += 1
            self._crew.call(
                kind,
                stream,
                question.ask,
                record,
                limit_s=self._limit_s,
                done=lambda answer: self._put(Judged(stream, kind, answer)),
            )
        return None

    def _listen(self, record: TaskRecord) -> None:
        """Hear the signs of life of a task that gives any, whoever else is asked about it, or nobody."""
        if record.lease_ms is None or not record.is_active:
            return
        leases = self._supervision.leases
        leases.listen(record.stream, record.lease_ms)
        alive_at = leases.alive_at(record.stream)
        if alive_at is not None:
            self._lives(record, alive_at, self._vigil.look())
        if not self._judges:
            self._again(record.stream, record)

    def _proved(self, record: TaskRecord, question: Question) -> Proposal | None:
        """Return the loss of a task that is nothing but a process, if that is proved dead: anybody can know that."""
        if question.kind != BY_PROCESS:
            return None
        verdict = self._supervision.verdict(question.kind, _answer_of(question.ask, record))
        if verdict.finding is not Finding.DEAD:
            return None
        fact = inferred(record, verdict, self._vigil.look(), grace_ms=0)
        return None if fact is None else Proposal(record.stream, fact, None)

    def answered(self, judged: Judged) -> None:
        """Take an answer that came from the crew, and ask about the next of its kind."""
        kind = judged.kind
        self._asked.discard(judged.stream)
        self._out[kind] -= 1
        waiting = self._backlog.get(kind)
        while waiting and self._out[kind] < AT_ONCE:  # who needs no answer any more leaves its place to another
            stream = waiting.popleft()
            self._asked.discard(stream)
            self.look_into((stream,))
        proposal = self._judge(judged, self.record(judged.stream))  # it may have gone on since it was asked about
        if proposal is not None:
            self.write(*proposal)

    def _concerns(self, record: TaskRecord) -> bool:
        if record.is_active:
            return True
        return record.status is Status.LOST and self._supervision.recovers(record.runtime)

    def _judge(self, judged: Judged, record: TaskRecord | None) -> Proposal | None:
        if self._crew.is_closed():
            return None
        stream = judged.stream
        now = self._vigil.look()
        failed = self._supervision.failed[judged.kind]
        verdict = self._supervision.verdict(judged.kind, judged.answer)
        if self._supervision.failed[judged.kind] > failed:
            self._complain(judged.kind, stream, verdict, now)
        if record is None or not self._concerns(record):
            return None
        self._saw(record, judged.kind, verdict, now)
        if judged.kind != BY_LEASE:
            self._listen(record)
        if verdict.finding in _GONE and self._is_spared(stream):
            verdict = Verdict.unknown(verdict.evidence)
        self._again(stream, record)
        grace_ms = self._rules.grace_of(record.runtime)
        if record.backing_missed_at is None or not record.is_active:
            self._unseen.pop(stream, None)
        elif verdict.finding is Finding.UNKNOWN:
            self._unseen[stream] = now
        watching_since = max(self._vigil.since, self._unseen.get(stream, 0))
        fact = inferred(record, verdict, now, grace_ms=grace_ms, watching_since=watching_since)
        return None if fact is None else Proposal(stream, fact, verdict.ended_at)

    def _complain(self, kind: str, stream: bytes, verdict: Verdict, now: int) -> None:
        """Tell of a probe that fails, now and then: it often fails for all its tasks, and each time."""
        if abs(now - self._complained.get(kind, -COMPLAINTS_MS)) >= COMPLAINTS_MS:
            self._complained[kind] = now
            failures, error = self._supervision.failed[kind], self._supervision.words(str(verdict.evidence["detail"]))
            log.error("probe_failed", probe=kind, task=id_text(stream), error=error, failures=failures)

    def write(self, stream: bytes, fact: TaskFact, occurred_at: int | None = None) -> None:
        """Propose a fact to the task's own actor, which decides."""
        self._writing += 1
        command = Command(fact, ACTOR, occurred_at, inferred=True)
        try:
            self._facts.command(stream, command, _Told(self._put, stream))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            self._put(Written(stream, error))

    def written(self, written: Written) -> None:
        """Take note of what became of a proposal."""
        self._writing -= 1
        if written.error is None or isinstance(written.error, Refused | NotFound | Closed):
            return  # refused, because it ended in between: all the better
        log.error("inference_not_written", task=id_text(written.stream), error=str(written.error))
        self._again(written.stream, None)


def _answer_of(ask: Callable[[TaskRecord], object], record: TaskRecord) -> object:
    try:
        return ask(record)
    except Exception as error:  # noqa: BLE001 - it counts as an answer
        return error
