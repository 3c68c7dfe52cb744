"""The attestor: the actor that has others see the newest checkpoint: witnesses, and a timestamp authority.

It has a thread of its own, which may wait for a network; neither writers nor the notary wait for it.
"""

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from tallystick.actors.actor import DispatchedActor
from tallystick.actors.dispatcher import Dispatcher
from tallystick.actors.envelope import Envelope
from tallystick.actors.errand import is_done_within
from tallystick.actors.future import LightFuture
from tallystick.actors.log import logger
from tallystick.ledger.clock import Clock
from tallystick.ledger.errors import Closed, NotProved, TallystickError
from tallystick.ledger.limits import ATTEST_MS_MIN
from tallystick.ledger.store.port import EventLog
from tallystick.projections.attested import Attestation, Standing, attested, notes_of

log = logger("actors")

Keep: TypeAlias = Callable[[bytes, bytes, LightFuture], None]
"""Has a note written beside the events, and answers when it is durable."""

Show: TypeAlias = Callable[[bytes, Attestation | None, int], Attestation]
"""Shows a checkpoint to others, given what they saw before and the time (ms); returns how that went. May block."""


class Attest(Struct, frozen=True):
    """Asks for the newest checkpoint to be shown; `if_due` only when that would be done by itself by now."""

    if_due: bool = False


class Attestor(DispatchedActor):
    """Shows the newest checkpoint every `every_ms` (None: never by itself), and when asked; keeps what came of it.

    `sealed` returns the newest checkpoint, signed; `show` shows it, and `stop` ends that early. Who could not be
    reached is asked again after a minute, two, four, up to `every_ms`. A failure is logged when it begins, and a
    contradiction as one of its own.
    """

    def __init__(
        self,
        event_log: EventLog,
        keep: Keep,
        sealed: Callable[[], bytes],
        show: Show,
        clock: Clock,
        *,
        every_ms: int | None,
        stop: Callable[[], None] = lambda: None,
        by_hand: bool = False,
    ) -> None:
        self._dispatcher = Dispatcher("attestor", clock, at_end=self.abandon)
        super().__init__(self._dispatcher, "urn:tallystick:attestor")
        self._log, self._keep, self._sealed, self._show, self._clock = event_log, keep, sealed, show, clock
        self._every_ms, self._hang_up, self._by_hand = every_ms, stop, by_hand
        self._due_at: int | None = None
        self._failures = 0
        self._told: set[tuple[str, bool]] = set()

    def begin(self) -> None:
        """Start the thread. The first is due `every_ms` after the newest that is kept."""
        self._dispatcher.start()
        if not self._by_hand and self._every_ms is not None:
            self._dispatcher.call_soon(self._look)

    def attest(self) -> None:
        """Show the newest checkpoint now; on return what came of it is durable.

        Raises `NotProved` when somebody saw a state from which the log does not go on; that is kept, too. Raises what
        keeps a checkpoint from being signed, and `Closed`.
        """
        answer = LightFuture()
        self.inbox.put(Envelope(Attest(), answer))
        contradicted = next((each for each in answer.get().standings if each.is_contradicted), None)
        if contradicted is not None:
            raise NotProved("root", f"{contradicted.name} contradicts this log: {contradicted.failure}")

    def sweep(self) -> None:
        """Show the newest checkpoint if that is due, and return when that was done. What fails is logged."""
        if self._every_ms is not None:
            is_done_within(None, self, Attest(if_due=True))

    def end(self, timeout_s: float) -> bool:
        """Begin nothing more; whether its thread ended within so many seconds. Nothing is lost with it."""
        self._hang_up()
        return self._dispatcher.stop(timeout_s)

    def _farewell(self) -> Exception:
        return Closed()

    def on_receive(self, message: object) -> object:
        """Do what is asked for; the answer is durable."""
        match message:
            case Attest(if_due=True):
                self._look_once()
                return None
            case Attest():
                return self._attest()
            case _:
                return super().on_receive(message)

    # By itself.

    def _look(self) -> None:
        """Show it if it is time; look again when it is."""
        try:
            wait = self._look_once()
        except Closed:
            return
        self._dispatcher.call_at(self._clock() + max(wait, 1), self._look)

    def _look_once(self) -> int:
        """Show it if it is time; return how long until it is."""
        every_ms = self._every_ms or 0
        if self._due_at is None:
            before = attested(self._log)
            self._due_at = 0 if before is None else before.at + every_ms
        wait = self._due_at - self._clock()
        if not 0 < wait <= every_ms:  # a clock that was set back makes nobody wait for longer
            wait = self._pause_ms(every_ms, is_done=self._try())
            self._due_at = self._clock() + wait
        return wait

    def _pause_ms(self, every_ms: int, *, is_done: bool) -> int:
        self._failures = 0 if is_done else self._failures + 1
        if is_done:
            return every_ms
        return min(ATTEST_MS_MIN << min(self._failures - 1, every_ms.bit_length()), every_ms)

    def _try(self) -> bool:
        """Show it, or say once what keeps it from that; whether everybody has seen it."""
        try:
            if not self._log.head():  # of a log without any event there is nothing to show
                return False
            return all(each.failure is None for each in self._attest().standings)
        except Closed:
            raise
        except (TallystickError, OSError) as error:
            self._say("checkpoint", is_contradicted=False, why=str(error))
        except Exception:
            log.exception("attestor_failed")
        return False

    # Showing.

    def _attest(self) -> Attestation:
        """Show the newest checkpoint and keep what came of it."""
        made = self._show(self._sealed(), attested(self._log), self._clock())
        for each in made.standings:
            self._tell(each)
        durables: list[LightFuture] = []
        for name, value in notes_of(made):
            durables.append(LightFuture())
            self._keep(name, value, durables[-1])
        for durable in durables:
            durable.get()
        return made

    def _tell(self, standing: Standing) -> None:
        if standing.failure is None:
            self._told -= {(standing.name, True), (standing.name, False)}
        else:
            self._say(standing.name, is_contradicted=standing.is_contradicted, why=standing.failure)

    def _say(self, name: str, *, is_contradicted: bool, why: str) -> None:
        """Say a failure when it begins."""
        if (name, is_contradicted) in self._told:
            return
        self._told.add((name, is_contradicted))
        if is_contradicted:
            log.error("checkpoint_denied", by=name, error=why)
        else:
            log.error("attestation_failed", by=name, error=why)
