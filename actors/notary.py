"""The notary: the actor that signs how large the tree of the log is, and keeps the newest signed checkpoint in the log.

It has a thread of its own, which may wait for the disk and for whoever signs; writers never wait for it.
"""

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from tallystick.actors.actor import DispatchedActor
from tallystick.actors.attestor import Attestor
from tallystick.actors.dispatcher import Dispatcher
from tallystick.actors.envelope import Envelope
from tallystick.actors.errand import is_done_within
from tallystick.actors.future import LightFuture
from tallystick.actors.log import logger
from tallystick.ledger.clock import Clock
from tallystick.ledger.errors import Closed, InvalidInput, NotFound, NotProved, TallystickError
from tallystick.ledger.limits import CHECKPOINT_AGAIN_MS_MAX, CHECKPOINT_BYTES_MAX, CHECKPOINT_MS
from tallystick.ledger.proofs.checkpoint import Checkpoint, parse_checkpoint
from tallystick.ledger.proofs.merkle import Nodes
from tallystick.ledger.proofs.note import Note, merged, parse_note
from tallystick.ledger.store.keys import CHECKPOINT_NOTE
from tallystick.ledger.store.nodes import StoredNodes
from tallystick.ledger.store.port import EventLog
from tallystick.projections.checkpoint import (
    NO_CHECKPOINT,
    head_of,
    hold,
    in_the_way,
    is_unreadable,
    kept_of,
    tree_of,
)

log = logger("actors")

ATTESTOR_S = 1.0  # that the end waits for others to answer; nothing is lost when they do not

Keep: TypeAlias = Callable[[bytes, bytes, LightFuture], None]
"""Has a note written beside the events, and answers when it is durable."""

Sign: TypeAlias = Callable[[Callable[[], Checkpoint], Nodes], Note]
"""Signs the tree that the function returns, which it calls when it is its turn; the nodes are those of that tree."""


def _as_it_is(note: Note) -> Note:
    return note


class Signer(Struct, frozen=True):
    """Who signs for a log: as which origin, and how. `sign` is None where the key is not on this host.

    `sign` may block. It raises `NotProved` for a tree that contradicts what was signed, another `TallystickError` when
    it cannot; `is_signed` says whether a note has all of its
    signatures, all of them good, and `sound` returns a note without lines that only say that they are of its keys.
    """

    origin: str
    sign: Sign | None = None
    is_signed: Callable[[Note], bool] = bool
    sound: Callable[[Note], Note] = _as_it_is


class Seal(Struct, frozen=True):
    """Asks for a checkpoint over the log as it is now; `if_due` only when one would be made by itself by now."""

    if_due: bool = False


class Take(Struct, frozen=True):
    """Brings a checkpoint that was signed elsewhere, as a signed note that somebody has verified."""

    note: bytes


class Notary(DispatchedActor):
    """Makes a checkpoint after a commit, at most one in `every_ms`, when asked, and when the ledger is closed.

    No checkpoint contradicts one before it: the tree is held to the newest that was signed before it signs the next
    one. When they do not fit it says so and makes none by itself any more. What else keeps it from signing is said
    once, and tried again, less and less often.
    """

    def __init__(
        self,
        event_log: EventLog,
        keep: Keep,
        signer: Signer,
        clock: Clock,
        *,
        every_ms: int | None = CHECKPOINT_MS,
        by_hand: bool = False,
    ) -> None:
        self._dispatcher = Dispatcher("notary", clock, at_end=self.abandon)
        super().__init__(self._dispatcher, "urn:tallystick:notary")
        self._log, self._keep, self._signer, self._clock = event_log, keep, signer, clock
        self._every_ms = every_ms if signer.sign is not None else None
        self._by_hand = by_hand
        self._is_awake = False
        self._has_stopped = False
        self._due_at = 0
        self._failures = 0
        self._signed: Checkpoint | None = None
        self.attestor: Attestor | None = None
        """Who has others see what is signed: begins, sweeps and ends with the notary."""

    def begin(self) -> None:
        """Start the thread; what nobody has signed yet is due."""
        self._dispatcher.start()
        self.noted(0)
        if self.attestor is not None:
            self.attestor.begin()

    def noted(self, _position: int) -> None:
        """Take note of a commit. On the thread that commits: it costs nothing while a checkpoint is to come anyway."""
        if not (self._is_awake or self._by_hand or self._has_stopped or self._every_ms is None):
            self._is_awake = True
            self._dispatcher.call_soon(self._look)

    def seal(self) -> bytes:
        """Return a checkpoint over the log as it is now, durable as the newest one.

        Where no key is, the newest that was signed elsewhere. Raises `NotFound` when there is none, `NotProved` when
        the log is not the one that was signed before, `InvalidInput` for a key that cannot be used, `Closed`, `Full`.
        """
        return self._asked(Seal())

    def take(self, note: bytes) -> bytes:
        """Keep a checkpoint that was signed elsewhere, if it is of this log; return the newest one then.

        Its signatures MUST have been verified. Raises `InvalidInput`, `NotProved`, `Closed`, `Full`.
        """
        return self._asked(Take(note))

    def sweep(self) -> None:
        """Make a checkpoint if one is due, and return when it is durable. What keeps it from that is logged."""
        is_done_within(None, self, Seal(if_due=True))
        if self.attestor is not None:
            self.attestor.sweep()

    def end(self, timeout_s: float) -> bool:
        """Begin nothing more; whether its thread ended within so many seconds. Before the system is closed."""
        if self.attestor is not None:
            self.attestor.end(ATTESTOR_S)
        return self._dispatcher.stop(timeout_s)

    def finish(self) -> None:
        """Make the last checkpoint, if something came since the one before. After the system was closed: it writes."""
        if self._every_ms is not None and not self._has_stopped:
            self._keep = self._append
            self._try()

    def _asked(self, message: object) -> bytes:
        answer = LightFuture()
        self.inbox.put(Envelope(message, answer))
        made: bytes = answer.get()
        return made

    def _farewell(self) -> Exception:
        return Closed()

    def on_receive(self, message: object) -> object:
        """Do what is asked for; the answer is durable."""
        match message:
            case Seal(if_due=True):
                if self._wait_ms() == 0 and self._every_ms is not None and not self._has_stopped:
                    self._try()
                return None
            case Seal():
                return self._seal()
            case Take():
                return self._take(message.note)
            case _:
                return super().on_receive(message)

    # By itself.

    def _wait_ms(self) -> int:
        """How long until the next one is due; a clock that was set back makes nobody wait for hours."""
        wait = self._due_at - self._clock()
        return wait if 0 < wait <= max(self._every_ms or 0, CHECKPOINT_AGAIN_MS_MAX) else 0

    def _look(self) -> None:
        """Make a checkpoint if it is time, else when it is."""
        self._is_awake = False  # before the log is looked at: what is committed from now on wakes it again
        if self._has_stopped:
            return
        if self._wait_ms() or not self._try():
            self._is_awake = True
            self._dispatcher.call_at(self._due_at, self._look)

    def _try(self) -> bool:
        """Make a checkpoint if something is new; False when that is to be tried again."""
        try:
            if self._log.head():  # of a log without any event there is nothing to prove
                self._seal()
        except Closed:
            return True
        except NotProved as error:
            self._has_stopped = True
            log.error("checkpoint_contradicted", what=error.what, error=str(error))  # noqa: TRY400 - it says all
            return True
        except (TallystickError, OSError) as error:
            if not self._failures:
                log.error("checkpoint_failed", error=str(error), kind=type(error).__name__)  # noqa: TRY400 - as above
            self._failures += 1
        except Exception:
            log.exception("notary_failed")
            self._failures += 1
        else:
            self._failures = 0
            self._due_at = self._clock() + (self._every_ms or 0)
            return True
        pause = CHECKPOINT_MS << min(self._failures - 1, CHECKPOINT_AGAIN_MS_MAX.bit_length())
        self._due_at = self._clock() + min(pause, CHECKPOINT_AGAIN_MS_MAX)
        return False

    # Signing.

    def _seal(self) -> bytes:
        """Return a checkpoint over the log, which is kept."""
        signer, newest = self._signer, self._newest()
        if signer.sign is None:
            if newest is None:
                raise NotFound(signer.origin, hint=NO_CHECKPOINT, of="Checkpoint")
            return newest.to_bytes()
        is_newest = newest is not None and newest.text == head_of(self._log, signer.origin).text
        if newest is not None and is_newest and signer.is_signed(newest):
            return newest.to_bytes() if in_the_way(self._log, signer.origin) is None else self._kept(newest)
        nodes = StoredNodes(self._log)
        note = signer.sign(lambda: tree_of(self._log, signer.origin, nodes), nodes)
        self._signed = parse_checkpoint(note.text)
        return self._kept(note)

    def _take(self, data: bytes) -> bytes:
        """Keep what was signed elsewhere, unless a newer one is kept, or in the place of one that cannot be read."""
        note = self._signer.sound(parse_note(data))
        if not note.signatures:
            raise NotProved(
                "signature", "what says that a key of this log signed the checkpoint is no signature of it."
            )
        checkpoint = parse_checkpoint(note.text)
        if checkpoint.origin != self._signer.origin or checkpoint.extensions:
            raise NotProved("origin", f"the checkpoint is of {checkpoint.origin}, this log is {self._signer.origin}.")
        hold(self._log, checkpoint)
        is_lost = is_unreadable(self._log, self._signer.origin)
        newest = self._newest(is_lost=is_lost)
        if newest is not None and newest.text == note.text:
            note = merged(self._signer.sound(newest), note)
        elif newest is not None and parse_checkpoint(newest.text).size >= checkpoint.size:
            return newest.to_bytes()
        _check_readable(note)
        self._signed = checkpoint
        kept = self._kept(note)
        self._has_stopped = self._has_stopped and not is_lost  # it was for want of one that can be read
        return kept

    def _newest(self, *, is_lost: bool = False) -> Note | None:
        """Return the newest checkpoint that is kept. The log MUST be the one that was signed before."""
        if self._signed is not None:
            hold(self._log, self._signed)
        return None if is_lost else kept_of(self._log, self._signer.origin)

    def _kept(self, note: Note) -> bytes:
        """Have a note written, and wait until it is durable; before it the one of another origin, set aside."""
        data = note.to_bytes()
        aside = in_the_way(self._log, self._signer.origin)
        for name, value in (*(() if aside is None else (aside,)), (CHECKPOINT_NOTE, data)):
            durable = LightFuture()
            self._keep(name, value, durable)
            durable.get()
        return data

    def _append(self, name: bytes, value: bytes, future: LightFuture) -> None:
        """Write a note when nobody else writes any more."""
        self._log.append((), {}, {name: value})
        future.set(None)


def _check_readable(note: Note) -> None:
    """Raise `InvalidInput` for a note that could not be read when it is kept, or taken in again elsewhere."""
    data = note.to_bytes()
    parse_note(data)
    if len(data) > CHECKPOINT_BYTES_MAX:
        allowed = f"at most {CHECKPOINT_BYTES_MAX} bytes with the signatures that are kept already"
        raise InvalidInput("checkpoint", f"{len(data)} bytes", allowed)
