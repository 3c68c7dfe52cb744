"""The errors that tallystick raises on purpose.

TallystickError
├── InvalidInput      a field, its value, what is allowed
├── NotFound          the token; nothing has that id, run id or session key
│   └── Pruned        what it was and when it ended: the record was removed by retention
├── Refused           the transition is not allowed: status, attempted, the late signal's position
│   ├── FlowRefused   a flow does not allow it: why, and the present record
│   └── Ambiguous     a lookup that several flows answer: the candidates
├── WrongVersion      expected, actual, the current record: somebody else wrote first
├── StoreError
│   ├── Corrupt       a record or the store cannot be read: the position
│   ├── Full          the disk or the map is full: the bytes that are there
│   ├── NewerFormat   written by a newer tallystick: found, known
│   ├── ForkedStore   used in a child process after a fork
│   └── NotOwner      this ledger may not write: who is the live owner
├── NotProved         which part of a proof fails, and why: nothing of what it claims is shown
├── BatchFailed       the refusals of a batch, each with its place; the rest is durable
├── Busy              a bounded queue is full: retry later
└── Closed            the ledger is closed, or closing

Every error carries its data as attributes and can be pickled.
"""

from collections.abc import Sequence
from typing import Any, Final

UNREADABLE: Final = (ValueError, RecursionError)
"""What is raised for bytes that cannot be read, as MessagePack, JSON or TOML.

msgspec's own error is the first, and not all: text that is no UTF-8 and a number of too many digits are errors of
Python, of the same kind; arrays within arrays without end are one of another.
"""

SHOWN_MAX = 80  # characters of a bad value that a message repeats
SIGNING_KEY = "PRIVATE+KEY+"  # what the text of a signing key begins with, which no message repeats
CANDIDATES_SHOWN = 10


class TallystickError(Exception):
    """Root of everything that tallystick raises on purpose."""

    @property
    def data(self) -> dict[str, Any]:
        """The attributes of this error, by name."""
        return dict(self.__dict__)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_revive, (type(self), self.args, self.__dict__))


def _revive(kind: type[TallystickError], args: tuple[Any, ...], data: dict[str, Any]) -> TallystickError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(data)
    return error


class InvalidInput(TallystickError):
    """A field has a value that is not allowed. Nothing was written."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        shown = _shown(value)
        super().__init__(f"{field}: {shown} is not allowed; give {allowed}.")
        self.field, self.value, self.allowed = field, shown, allowed

    def at(self, place: str | None) -> "InvalidInput":
        """Return an error that also says where the value stands: the same if nobody knows."""
        return InvalidInput(f"{self.field} ({place})", Shown(self.value), self.allowed) if place else self


def _shown(value: object) -> str:
    """A bad value as a message has it: nothing of what files have, for that may be anything, and no signing key."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    shown = repr(value)
    if SIGNING_KEY in shown:
        return "a signing key"
    return shown if len(shown) <= SHOWN_MAX else f"{shown[: SHOWN_MAX - 1]}…"


class Shown(str):
    """A value as a message has it already."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class NotFound(TallystickError):
    """Nothing has that id, run id or session key."""

    def __init__(self, token: str, *, hint: str = 'Run "tally list" to see recent tasks.', of: str = "Task") -> None:
        token = "a signing key" if SIGNING_KEY in token else token
        super().__init__(f"{of} not found: {token}. {hint}")
        self.token = token


class Pruned(NotFound):
    """The task or flow ended, and retention removed its record from the live views.

    Its history is in the log, unless that was deleted with its archive: then `deleted_by`, `deleted_at` (ms) and
    `deleted_reason` say so, which are None else. `history` is the sentence about that. `status` is UNKNOWN when nothing
    is left that could tell it.
    """

    UNKNOWN = "unknown"

    def __init__(
        self,
        token: str,
        *,
        status: str,
        ended_at: int | None,
        pruned_at: int | None = None,
        of: str = "Task",
        history: str = "Its history is in the log.",
        deleted_by: str | None = None,
        deleted_at: int | None = None,
        deleted_reason: str | None = None,
    ) -> None:
        was = "" if status == self.UNKNOWN else f" was {status}"
        ended = "" if ended_at is None else f", ended at {ended_at} (ms)"
        TallystickError.__init__(self, f"{of} pruned: {token}{was}{ended}. {history}")
        self.token, self.status, self.ended_at, self.pruned_at = token, status, ended_at, pruned_at
        self.deleted_by, self.deleted_at, self.deleted_reason = deleted_by, deleted_at, deleted_reason


class Refused(TallystickError):
    """The lifecycle does not allow it.

    `position` is that of the late signal that keeps what was attempted, or None when nothing was kept.
    """

    def __init__(self, token: str, *, status: str, attempted: str, position: int | None = None, why: str = "") -> None:
        told = why if position is None else f"It is kept as a late signal at position {position}."
        super().__init__(f"Task {token} is {status}: {attempted} is refused. {told}".rstrip())
        self.token, self.status, self.attempted, self.position = token, status, attempted, position


class FlowRefused(Refused):
    """A flow does not allow it: `code` says why in one word, `current` is the flow's present record.

    The codes: terminal, active, cancel_requested, not_managed, claimed, waiting, too_many, owner_mismatch,
    system_scope, linked_elsewhere, not_requested, needed.
    """

    def __init__(self, token: str, *, status: str, attempted: str, code: str, why: str, current: Any = None) -> None:
        TallystickError.__init__(self, f"Flow {token} is {status}: {attempted} is refused. {why}")
        self.token, self.status, self.attempted, self.position = token, status, attempted, None
        self.code, self.current = code, current


class Ambiguous(Refused):
    """Several flows could be meant: `candidates` are their ids, the newest first."""

    def __init__(self, token: str, *, candidates: Sequence[str]) -> None:
        shown = ", ".join(candidates[:CANDIDATES_SHOWN])
        more = len(candidates) - CANDIDATES_SHOWN
        tail = f" and {more} more" if more > 0 else ""
        TallystickError.__init__(
            self, f"{token} has {len(candidates)} flows that have not ended: {shown}{tail}. Name one of them by its id."
        )
        self.token, self.status, self.attempted, self.position = token, "ambiguous", "find", None
        self.candidates = list(candidates)  # as it comes back from another process


class WrongVersion(TallystickError):
    """The task or flow moved on between reading and writing: re-read and decide again.

    `expected` and `actual` are versions of a task, revisions of a flow; `current` is the present record.
    """

    def __init__(self, token: str, *, expected: int, actual: int, current: Any = None, of: str = "Task") -> None:
        what = "version" if of == "Task" else "revision"
        super().__init__(f"{of} {token}: expected {what} {expected}, found {actual}. Read it again and decide anew.")
        self.token, self.expected, self.actual, self.current = token, expected, actual, current


class StoreError(TallystickError):
    """The store cannot do it."""


class Corrupt(StoreError):
    """A record, or the store, cannot be read."""

    def __init__(self, detail: str, *, position: int | None = None) -> None:
        where = "" if position is None else f" at position {position}"
        super().__init__(f'The log is damaged{where}: {detail}. Run "tally verify".')
        self.detail, self.position = detail, position


class Full(StoreError):
    """The disk or the map is full. Nothing of the batch was written; earlier answers stay true."""

    def __init__(self, detail: str, *, bytes: int) -> None:  # noqa: A002 - the interface names it so
        super().__init__(f"No space left: {detail}. The store has {bytes} bytes. Free space and try again.")
        self.detail, self.bytes = detail, bytes


class NewerFormat(StoreError):
    """The folder was written by a newer tallystick. It is left as it is."""

    def __init__(self, what: str, *, found: int, known: int) -> None:
        super().__init__(f"{what} has format {found}, this version knows {known}. Use a newer tallystick.")
        self.what, self.found, self.known = what, found, known


class ForkedStore(StoreError):
    """The ledger was opened before a fork and used in the child."""

    def __init__(self, path: str, *, opened_by: int, used_by: int) -> None:
        super().__init__(
            f"{path} was opened by process {opened_by} and is used by its fork {used_by}."
            " Open the ledger after the fork."
        )
        self.path, self.opened_by, self.used_by = path, opened_by, used_by


class NotOwner(StoreError):
    """Whoever asks may not write: another process is the live owner, or the ledger was opened to be read.

    `who` says which process owns it, or is None when none does.
    """

    def __init__(self, path: str, *, who: str | None, read_only: bool = False, joined: bool = False) -> None:
        if joined:
            owner = "it has no live owner" if who is None else f"its live owner is {who}"
            message = f"{path} was joined; {owner}. Probes, cancellers and channels belong to a process that opened it."
        elif read_only:
            owner = "it has no live owner" if who is None else f"its live owner is {who}"
            message = f"{path} was opened with read_only=True; {owner}. Write through the owner, or become it."
        else:
            message = (
                f"{path} has a live owner: {who}. Write beside it with tallystick.join(), stop it,"
                " or open with read_only=True."
            )
        super().__init__(message)
        self.path, self.who = path, who


class NotProved(TallystickError):
    """A proof or a checkpoint does not show what it claims.

    `what` is the part that fails: signature, origin, size, index, hashes, root, token, or a file of a bundle; `reason`
    says it in a sentence.
    """

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"Not proved ({what}): {reason}")
        self.what, self.reason = what, reason


class BatchFailed(TallystickError):
    """Some commands of a batch were refused; everything else of it is durable.

    `refusals` has a pair for each: the command's place in the batch, from 0, and its error.
    """

    def __init__(self, refusals: Sequence[tuple[int, BaseException]]) -> None:
        place, first = refusals[0]
        super().__init__(f"{len(refusals)} of the batch's commands were refused; the first, at {place}: {first}")
        self.refusals = tuple(refusals)


class Busy(TallystickError):
    """A bounded queue is full. Nothing was accepted: retry later."""

    def __init__(self, queue: str, *, depth: int) -> None:
        super().__init__(f"{queue} is full ({depth} waiting). Retry later, or slow down.")
        self.queue, self.depth = queue, depth


class Closed(TallystickError):
    """The ledger is closed, or closing."""

    def __init__(self, what: str = "The ledger") -> None:
        super().__init__(f"{what} is closed. Open it again.")
        self.what = what
