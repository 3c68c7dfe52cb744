"""The supervisor: the actor that sees to it that "running" means running."""

from collections import deque
from collections.abc import Collection

from tallystick.actors.actor import DispatchedActor
from tallystick.actors.courtesy import Courtesy
from tallystick.actors.dispatcher import Dispatcher
from tallystick.actors.envelope import Envelope, Reply
from tallystick.actors.journal import Committed
from tallystick.actors.log import logger
from tallystick.actors.watching.bulletin import Bulletin, Published, Records, answer
from tallystick.actors.watching.census import Census, Page
from tallystick.actors.watching.crew import Crew
from tallystick.actors.watching.inspector import Inspector, Judged, Written
from tallystick.actors.watching.orders import Follow, Look, Pace, Settle, Sweep
from tallystick.actors.watching.sightings import Sightings
from tallystick.actors.watching.stopping import Purpose, StopAnswered, Stopping
from tallystick.actors.watching.supervision import Supervision
from tallystick.actors.watching.vigil import GAP_MS, Vigil
from tallystick.actors.watching.wheel import Wheel
from tallystick.ledger.clock import Clock
from tallystick.ledger.errors import Closed, Refused
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.limits import STALE_BUCKET_MS, SWEEP_INTERVAL_MS, TIME_MS_MAX, VIEWS_LAG_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.projections.change import Changes
from tallystick.projections.due import DueKind, DueRules, names_its_backing
from tallystick.projections.reader import Reader
from tallystick.projections.watched import Watched

log = logger("actors")

SLICE = 128  # tasks that are taken up in one turn: others have mail, too
WRITES_MAX = 128  # inferences that wait for the disk at the same time: more would keep writers waiting behind them
WRITES_AT_OPENING_MAX = 1_024  # then nobody else writes
DUES_MAX = 4_096  # taken from the index in one look
LAG_MS = 1_000  # how soon to ask again
SILENCES = 3  # intervals without a look: this process was stopped, and nobody watched
WATCHED = frozenset({DueKind.DEADLINE, DueKind.GRACE, DueKind.CANCEL})


class Supervisor(DispatchedActor):
    """Follows the active tasks, asks whether what backs them is there, and proposes what follows to their actors.

    It owns a thread's turn, not a thread: what blocks is the crew's. A task is looked into when its time has come: a
    minute after it was heard of, when its promise to live ends, when a grace, a deadline or a cancel is due. Nothing
    is looked at that is not due. Without `judges` it only settles what everybody can prove, the death of a process,
    when it begins, stops processes that somebody wants stopped, and takes note of signs of life.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        facts: Records,
        reader: Reader,
        supervision: Supervision,
        *,
        clock: Clock,
        rules: DueRules,
        crew: Crew,
        pace: Pace,
        judges: bool = True,
        opened_at: int = 0,
        before: Watched | None = None,
    ) -> None:
        super().__init__(dispatcher, "urn:tallystick:supervisor")
        self._dispatcher, self._reader, self._rules, self._pace, self.judges = dispatcher, reader, rules, pace, judges
        self.supervision = supervision
        self.vigil = Vigil(clock, silence_ms=max(SILENCES * pace.interval, GAP_MS))
        self.is_blind = False
        """Set when it could not be told of a commit: then it has to look at everything anew."""
        self._sightings = Sightings(
            before or Watched(), self.vigil.since, interval_ms=pace.interval, asks=judges, words=supervision.words
        )
        self._bulletin = Bulletin(self._sightings, facts.keep, self._put)
        self._census = Census(reader, supervision, self._put)
        self._stopping = Stopping(supervision, crew, self._put, limit_ms=rules.cancel_grace)
        self._inspector = Inspector(
            facts,
            reader,
            supervision,
            crew,
            self.vigil,
            rules=rules,
            probe_limit_ms=pace.probe_limit,
            put=self._put,
            again=self._again,
            is_spared=self._stopping.is_under_way,
            saw=self._sightings.saw,
            lives=self._sightings.lives,
            judges=judges,
        )
        self._wheel, self._courtesy = Wheel(), Courtesy()
        self._todo: deque[bytes] = deque()
        self._later: dict[bytes, dict[DueKind, int]] = {}
        self._has_looked = opened_at == 0
        self._is_forced = self._until_nothing_is_due = self._is_opening = self._works_soon = False
        self._sweeps, self._asked = list[Reply](), frozenset[bytes]()
        self._next_at: int | None = None

    def _put(self, message: object) -> None:
        self.inbox.put_behind([Envelope(message)])  # admitted already: a bound would lose an answer

    def concern(self, batch: Committed) -> Committed | None:
        """Return what of a commit is about tasks that it follows."""
        concerns = self.supervision.concerns
        told = {stream: change for stream, change in batch.changes.tasks.items() if concerns(change.after)}
        return Committed(batch.first, batch.last, Changes(told)) if told else None

    def begin(self) -> None:
        """Begin to look by the clock. Called once, on the dispatcher's thread."""
        if self.judges:
            self._tick_by(self.vigil.since + self._pace.first)

    def _farewell(self) -> Exception:
        return Closed()

    def handle(self, envelope: Envelope) -> None:
        """Take a message; a sweep is answered when all of it is done."""
        if isinstance(envelope.message, Sweep | Settle | Look) and envelope.reply_to is not None:
            self._sweeps.append(envelope.reply_to)
            self._until_nothing_is_due |= isinstance(envelope.message, Sweep)
            envelope = Envelope(envelope.message)
        super().handle(envelope)
        self._courtesy.pause()

    def abandon(self) -> None:
        """Answer what waits: the dispatcher has ended."""
        super().abandon()
        sweeps, self._sweeps = self._sweeps, []
        answer(sweeps, Closed())
        self._bulletin.abandon()

    def drain(self) -> None:
        """Handle what waits, then take up what there is to do."""
        super().drain()
        if self.is_blind and not self.judges:  # who judges looks by itself
            self._tick_by(self.vigil.look() + LAG_MS)
        self._work_on()

    def on_receive(self, message: object) -> object:
        """Take note of commits and answers."""
        match message:
            case Committed():
                self._note(message)
            case Judged():
                self._inspector.answered(message)
            case Written():
                if message.error is None or isinstance(message.error, Refused):
                    self._later.pop(message.stream, None)  # else at its time: a full disk must not be asked without end
                self._inspector.written(message)
            case StopAnswered():
                self._stopped(message)
            case Page():
                self._scan(message)
            case Published():
                self._bulletin.published(message)
            case Follow():
                if self.judges:
                    self._census.begin(message.runtime, at_once=False)
            case Settle():
                self._settle()
            case Sweep():
                self._sweep()
            case Look():
                self._look_at(message.streams)
            case _:
                return super().on_receive(message)
        return None

    # What is heard of.

    def _note(self, batch: Committed) -> None:
        for stream, change in batch.changes.tasks.items():
            before, after = change.before, change.after
            if after.ended_at is not None:
                self._forget(stream, after)
                continue
            if after.cancel_requested_at is not None and (before is None or before.cancel_requested_at is None):
                self._have_stopped(stream, after, Purpose.CANCEL)
            if self.judges:
                if before is None or before.status is not after.status or before.backing is not after.backing:
                    self._follow(stream, after)
                if after.deadline_at is not None and (before is None or before.deadline_at is None):
                    self._tick_by(after.deadline_at)
            if after.lease_ms is not None and (before is None or before.lease_ms != after.lease_ms):
                until = self.supervision.leases.begin(stream, after.lease_ms, after.last_event_at)
                self._wheel.add(stream, min(until, self.vigil.look() + STALE_BUCKET_MS))
                self._tick_by(self._wheel.next_at())

    def _forget(self, stream: bytes, record: TaskRecord) -> None:
        self.supervision.leases.end(stream)
        self._later.pop(stream, None)
        self._stopping.forget(stream)
        self._inspector.forget(stream)
        self._sightings.forget(stream)
        if record.status is Status.LOST and self.supervision.recovers(record.runtime):
            self._wheel.add(stream, self.vigil.look() + self._pace.interval)
        else:
            self._wheel.drop(stream)

    def _follow(self, stream: bytes, record: TaskRecord) -> None:
        """Look into a task from time to time, if anybody could tell."""
        by_runtime = record.status is Status.RUNNING and record.runtime in self.supervision.probed()
        if by_runtime or names_its_backing(record):
            self._wheel.add(stream, self.vigil.look() + self._pace.interval)
            self._tick_by(self._wheel.next_at())

    # What there is to do.

    def _settle(self) -> None:
        """Judge what names its backing; later, when the views have to be made anew first."""
        if self._reader.lag("board", "due") > VIEWS_LAG_MAX:
            self.is_blind = True
        else:
            self._is_opening = True
            self._todo.extend(self._reader.backed())

    def _sweep(self) -> None:
        """Take up whatever is due now, and every task that is followed."""
        self._look_around()
        self._later.clear()
        if self._census.is_busy():
            self._is_forced = True  # when all are known, so that each is asked about once
        else:
            self._todo.extend(self._wheel.take())
        self._take_up_dues()

    def _look_at(self, streams: frozenset[bytes]) -> None:
        self._asked |= streams
        for stream in streams:
            self._later.pop(stream, None)
        self._todo.extend(streams)
        self._take_up_dues(self._asked)

    def _tick(self) -> None:
        """Take up what is due by the clock."""
        self._next_at = None
        now = self.vigil.look()
        if self._reader.lag("board", "due") > VIEWS_LAG_MAX:
            self._tick_by(now + LAG_MS)
            return
        if self.judges or len(self._wheel):  # first: whatever fails below, there is another look
            self._tick_by(now + min(self._pace.interval, SWEEP_INTERVAL_MS))
        self._look_around()
        if not self._sweeps:  # else what comes due meanwhile would keep who sweeps waiting for ever
            rules = self._rules  # of another vigil: every moment in the wheel means another now
            self._todo.extend(self._wheel.take(now if self._rules_now() is rules else None))
            self._tick_by(self._wheel.next_at())
        self._take_up_dues()
        self._bulletin.publish_now_and_then(now)
        self._work_on()

    def _look_around(self) -> None:
        """Have a first look at what was there before, and another one when something escaped."""
        if self.is_blind:
            self.is_blind, self._has_looked = False, False
            self._todo.extend(self._reader.backed())
        if self._has_looked or not self.judges:
            return
        self._has_looked = True
        self._census.begin(None, at_once=True)
        for due in self._reader.due(TIME_MS_MAX, kinds={DueKind.CANCEL}):
            record = self._inspector.record(due.stream)
            if record is not None and record.is_active:
                self._have_stopped(due.stream, record, Purpose.CANCEL)

    def _tick_by(self, at_ms: int | None) -> None:
        """Look again at that moment, if not before."""
        if at_ms is None or self._pace.by_hand or (self._next_at is not None and self._next_at <= at_ms):
            return
        self._next_at = at_ms
        self._dispatcher.call_at(at_ms, lambda: self._tick() if self._next_at == at_ms else None)

    def _work_on(self) -> None:
        """Take up some of the tasks that wait for it; when nothing is under way any more, answer the sweeps."""
        try:
            if self._todo and self._has_room():
                few = min(2 * SLICE if self._is_opening else SLICE, len(self._todo))
                self._inspector.look_into([self._todo.popleft() for _ in range(few)])
            if self._sweeps and not self._is_busy() and not self._take_up_what_is_asked():
                self._answer_sweeps()
            if self._todo and self._has_room() and not self._works_soon:
                self._works_soon = True
                self._dispatcher.call_soon(self._work_soon)
        except Exception as error:  # the next look may do better; who waits for this one hears it
            log.exception("supervision_failed")
            self._answer_sweeps(error)

    def _has_room(self) -> bool:
        return self._inspector.writing() < (WRITES_AT_OPENING_MAX if self._is_opening else WRITES_MAX)

    def _work_soon(self) -> None:
        self._works_soon = False
        self._work_on()

    def _is_busy(self) -> bool:
        return bool(self._todo or self._inspector.is_busy() or self._census.is_busy() or self._stopping.is_busy())

    def _answer_sweeps(self, error: Exception | None = None) -> None:
        sweeps, self._sweeps = self._sweeps, []
        self._is_opening = False
        now, was_sweep = self.vigil.look(), self._until_nothing_is_due or bool(self._asked)
        if was_sweep:
            self._until_nothing_is_due, self._asked = False, frozenset()
            self._tick_by(now + 1)  # what came due meanwhile
        if was_sweep and error is None:
            self._bulletin.publish(now, sweeps)
        else:
            answer(sweeps, error)

    def _take_up_what_is_asked(self) -> bool:
        if self._until_nothing_is_due:
            return self._take_up_dues()
        return bool(self._asked) and self._take_up_dues(self._asked)

    def _take_up_dues(self, among: Collection[bytes] | None = None) -> bool:
        """Take up what is due, of some or of all, and was not taken up already; whether there was anything."""
        if not self.judges:
            return False
        now = self.vigil.look()
        horizon = now if self._pace.by_hand else now + self._pace.interval
        taken = False
        if len(self._later) > DUES_MAX:
            self._later = {stream: kinds for stream, kinds in self._later.items() if max(kinds.values()) > now}
        for due in self._reader.due(horizon, self._rules_now(), DUES_MAX + len(WATCHED) * len(self._later), WATCHED):
            if due.at > now:
                self._tick_by(due.at)
                break
            if among is not None and due.stream not in among:
                continue
            later = self._later.setdefault(due.stream, {})
            if later.get(due.kind, now) <= now:
                later[due.kind] = now + self._pace.interval
                self._take_up(due.stream, due.kind)
                taken = True
        return taken

    def _rules_now(self) -> DueRules:
        """Return the rules as of now: a grace counts from when the vigil began."""
        if self._rules.watching_since != self.vigil.since:
            names = self._rules.__struct_fields__
            given = {name: getattr(self._rules, name) for name in names}
            self._rules = DueRules(**{**given, "watching_since": self.vigil.since})
        return self._rules

    def _take_up(self, stream: bytes, kind: DueKind) -> None:
        if kind is DueKind.GRACE:
            self._todo.append(stream)
            return
        record = self._inspector.record(stream)
        if record is not None and record.is_active:
            self._have_stopped(stream, record, Purpose.DEADLINE if kind is DueKind.DEADLINE else Purpose.LAST)

    def _have_stopped(self, stream: bytes, record: TaskRecord, purpose: Purpose) -> None:
        fact = self._stopping.stop(stream, record, purpose)
        if fact is not None:
            self._inspector.write(stream, fact)
        elif self.judges and purpose is Purpose.CANCEL and record.cancel_requested_at is not None:
            self._tick_by(record.cancel_requested_at + self._rules.cancel_grace)

    def _stopped(self, answer: StopAnswered) -> None:
        fact = self._stopping.answered(answer)
        if fact is not None:
            self._inspector.write(answer.stream, fact)
        else:  # its time may be over already
            self._later.pop(answer.stream, None)
            self._tick_by(self.vigil.look())

    def _again(self, stream: bytes, record: TaskRecord | None) -> None:
        """Look into a task again: when its promise ends, or after a while. An owner does not go while it looks."""
        if (
            record is not None
            and record.is_active
            and not names_its_backing(record)
            and record.runtime not in self.supervision.probed()
        ):
            return
        now = self.vigil.look()
        until = self.supervision.leases.until(stream)
        at = now + self._pace.interval
        if until is not None and until >= now:
            at = min(until + 1, now + STALE_BUCKET_MS)  # so that who looks at the note knows that it lives
        self._wheel.add(stream, at)
        self._tick_by(self._wheel.next_at())

    def _scan(self, page: Page) -> None:
        """Take up tasks that are there already, a page at a time."""
        streams = self._census.read(page)
        if page.at_once and not self._is_forced:
            self._todo.extend(streams)
        else:
            at = self.vigil.look() + self._pace.first
            for stream in streams:
                self._wheel.add(stream, at)
            self._tick_by(self._wheel.next_at())
        if self._is_forced and not self._census.is_busy():
            self._is_forced = False
            self._todo.extend(self._wheel.take())
