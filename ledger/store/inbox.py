"""The inbox: commands of other processes than the owner, on their way to it, and its answers on their way back.

Owns the bytes of `<ledger>/inbox/`: which commands wait, in which order, and who hears what became of them.

    commands  sequence, 8 bytes → client, kind, stream, command
    answers   sequence, 8 bytes → client, when (ms since the machine started), answer
    meta      "id"   → 16 random bytes, by which the log knows this inbox
              "next" → the sequence of the next command, 8 bytes

It outlives every process and not the machine: nobody waits for an answer any more when that starts anew. So it does not
wait for the disk, and a file in it names the life of the machine to which it belongs.
"""

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from tallystick.ledger.commands import Command
from tallystick.ledger.errors import UNREADABLE, Busy, Corrupt, Full, NewerFormat, StoreError
from tallystick.ledger.folding import Record
from tallystick.ledger.ids import ID_BYTES
from tallystick.ledger.limits import (
    INBOX_ANSWER_MS_MAX,
    INBOX_ANSWERS_MAX,
    INBOX_COMMANDS_MAX,
    INBOX_MAP_BYTES_FIRST,
    INBOX_MAP_BYTES_MAX,
)
from tallystick.ledger.store import answers
from tallystick.ledger.store.answers import Answer
from tallystick.ledger.store.environment import Environment
from tallystick.ledger.store.folder import life_of_the_machine, make_folder, not_opened, remove_folder
from tallystick.ledger.store.keys import event_key as sequence_key
from tallystick.ledger.store.keys import position_of as sequence_of
from tallystick.ledger.store.mapping import Transaction

INBOX_FOLDER = "inbox"
CLIENT_BYTES = 16
COMMAND = 0
"""The kind of what is sent: a command for a task."""

_COMMANDS, _ANSWERS, _META = b"commands", b"answers", b"meta"
_ID, _NEXT = b"id", b"next"
_LIFE = "life"


class _Row(Struct, array_like=True):
    """A command as it waits; what it says is read apart, so that its sender hears when it cannot be read."""

    client: bytes
    kind: int
    stream: bytes
    command: msgspec.Raw


class _AnswerRow(Struct, array_like=True):
    client: bytes
    at_ms: int
    answer: bytes


class Letter(Struct, frozen=True):
    """A command that waits: its place, who sent it, for which task; None for one that this version cannot read."""

    sequence: int
    client: bytes
    stream: bytes
    command: Command | None


_encode = msgspec.msgpack.Encoder().encode
_row = msgspec.msgpack.Decoder(_Row).decode
_answer_row = msgspec.msgpack.Decoder(_AnswerRow).decode
_command = msgspec.msgpack.Decoder(Command).decode


def now_ms() -> int:
    """Return the time since the machine started: the same for all processes, and nobody sets it."""
    return time.monotonic_ns() // 1_000_000


class CommandInbox:
    """The inbox of one ledger. Any number of processes send; the owner takes, decides and answers."""

    def __init__(self, environment: Environment, path: Path) -> None:
        self.path = path
        self.environment = environment
        databases = environment.databases
        self._commands, self._answers, self._meta = databases[_COMMANDS], databases[_ANSWERS], databases[_META]
        with environment.read() as txn:
            found = txn.get(_ID, db=self._meta)
        if found is None:
            raise Corrupt(f"{path} is no inbox")
        self.id = found
        self._file = _identity(path)

    @classmethod
    def open(cls, ledger: Path, *, life: str | None = None) -> Self | None:
        """Open the inbox of a ledger, made if it is not there; None when the owner has to make it anew first."""
        path = ledger / INBOX_FOLDER
        life = life_of_the_machine() if life is None else life
        if not path.exists():
            _make(path, life)
        try:
            if (path / _LIFE).read_text("ascii") != life:
                return None
            environment = _environment(path)
        except (OSError, Corrupt, NewerFormat):
            return None
        try:
            return cls(environment, path)
        except Corrupt:
            environment.close()
            return None

    @classmethod
    def open_readonly(cls, ledger: Path, *, life: str | None = None) -> Self | None:
        """Open the inbox of a ledger to look at it; None when there is none, or the owner will make it anew.

        Raises `Corrupt`, `StoreError`.
        """
        path = ledger / INBOX_FOLDER
        try:
            named = (path / _LIFE).read_text("ascii")
        except OSError:
            return None
        if named != (life_of_the_machine() if life is None else life):
            return None
        environment = _environment(path, readonly=True)
        try:
            return cls(environment, path)
        except BaseException:
            environment.close()
            raise

    @classmethod
    def open_as_owner(cls, ledger: Path, *, life: str | None = None) -> Self:
        """Open the inbox for the ledger's owner; one of another life of the machine, or a damaged one, begins anew."""
        opened = cls.open(ledger, life=life)
        if opened is None:
            _move_aside(ledger / INBOX_FOLDER)
            opened = cls.open(ledger, life=life)
        if opened is None:
            raise StoreError(f"{ledger / INBOX_FOLDER}: no inbox can be made there")
        opened.recover()
        return opened

    def close(self) -> None:
        """Let go of the files. Closing twice is allowed."""
        self.environment.close()

    def recover(self) -> None:
        """See all that one who was killed has written."""
        self.environment.recover()

    def is_current(self) -> bool:
        """Whether this is still the ledger's inbox, and not one that the owner has moved aside."""
        return _identity(self.path) == self._file

    # Who sends.

    def send(self, client: bytes, commands: Sequence[tuple[bytes, Command]], *, heard: Collection[int]) -> list[int]:
        """Let commands wait, each for its stream, and return their places; forget answers that were heard.

        When there is no room for all of them the first ones wait, as many as there is room for.
        Raises `Busy` when there is room for none, `Full`.
        """
        rows = [_encode((client, COMMAND, stream, command)) for stream, command in commands]

        def write(txn: Transaction) -> list[int]:
            for sequence in heard:
                txn.delete(sequence_key(sequence), db=self._answers)
            waiting = txn.stat(self._commands)["entries"]
            room = INBOX_COMMANDS_MAX - waiting
            if room <= 0 and rows:
                raise Busy("The inbox of the ledger", depth=waiting)
            first = sequence_of(txn.get(_NEXT, sequence_key(1), db=self._meta))
            for sequence, row in enumerate(rows[:room], first):
                txn.put(sequence_key(sequence), row, db=self._commands, append=True)
            sent = min(len(rows), room)
            txn.put(_NEXT, sequence_key(first + sent), db=self._meta)
            return [*range(first, first + sent)]

        return self.environment.write_batch(write)

    def answered(self, sequences: Collection[int]) -> dict[int, Answer | None]:
        """Return the answers that there are to these commands; None for one that is neither waiting nor answered."""
        found: dict[int, Answer | None] = {}
        with self.environment.read() as txn:
            for sequence in sequences:
                row = txn.get(sequence_key(sequence), db=self._answers)
                if row is not None:
                    found[sequence] = _answer(row)
                elif txn.get(sequence_key(sequence), db=self._commands) is None:
                    found[sequence] = None
        return found

    def forget(self, sequences: Collection[int]) -> None:
        """Forget answers that were heard."""
        if sequences:
            self.send(b"", (), heard=sequences)

    # The owner.

    def waiting(self, limit: int) -> list[Letter]:
        """Return the commands that wait, the oldest first, at most so many."""
        with self.environment.read() as txn:
            cursor = txn.cursor(self._commands)
            rows = list(islice(cursor.iternext(), limit)) if cursor.first() else []
        return [_letter(sequence_of(key), value) for key, value in rows]

    def answer(self, given: Mapping[int, tuple[bytes, Answer]]) -> None:
        """Answer commands, each to its client: they wait no more. All of it or nothing."""
        at_ms = now_ms()
        rows = {
            sequence_key(sequence): _encode((client, at_ms, answers.encode(answer)))
            for sequence, (client, answer) in given.items()
        }

        def write(txn: Transaction) -> None:
            for key, row in rows.items():
                txn.delete(key, db=self._commands)
                txn.put(key, row, db=self._answers)

        self._make_room(at_ms, len(rows))
        try:
            self.environment.write_batch(write)
        except Full:
            self._drop(lambda _row: True)
            self.environment.write_batch(write)

    def _make_room(self, now: int, more: int) -> None:
        """Drop answers that nobody fetched: their clients have died."""
        with self.environment.read() as txn:
            count = txn.stat(self._answers)["entries"]
            cursor = txn.cursor(self._answers)
            oldest = _given_at(cursor.value()) if cursor.first() else now
        if oldest < now - INBOX_ANSWER_MS_MAX:
            self._drop(lambda row: _given_at(row) < now - INBOX_ANSWER_MS_MAX)
        elif count + more > INBOX_ANSWERS_MAX:
            self._drop(lambda _row: True)

    def _drop(self, goes: Callable[[bytes], bool]) -> None:
        """Drop the older half of the answers, those of them that may go."""

        def write(txn: Transaction) -> None:
            half = txn.stat(self._answers)["entries"] // 2 + 1
            cursor = txn.cursor(self._answers)
            rows = list(islice(cursor.iternext(), half)) if cursor.first() else []
            for key, row in rows:
                if goes(row):
                    txn.delete(key, db=self._answers)

        self.environment.write_batch(write)

    def renew(self, newest: Mapping[bytes, Record]) -> None:
        """Say of these tasks and flows what is known of them now in all answers that nobody has heard yet.

        What the answers said of them before is erased.
        """

        def write(txn: Transaction) -> None:
            cursor = txn.cursor(self._answers)
            for key, stored in list(cursor.iternext()) if cursor.first() else ():
                row = _answer_row(stored)
                answer = answers.decode(row.answer)
                if not answers.said_of(answer).isdisjoint(newest):
                    now = answers.encode(answers.renewed(answer, newest))
                    txn.put(key, _encode((row.client, row.at_ms, now)), db=self._answers)

        self.environment.write_batch(write)

    def counts(self) -> tuple[int, int]:
        """Return how many commands wait, and how many answers nobody has heard yet."""
        with self.environment.read() as txn:
            return txn.stat(self._commands)["entries"], txn.stat(self._answers)["entries"]


def _letter(sequence: int, stored: bytes) -> Letter:
    try:
        row = _row(stored)
    except UNREADABLE:
        return Letter(sequence, b"", b"", None)
    try:
        is_known = row.kind == COMMAND and len(row.stream) == ID_BYTES
        command = _command(row.command) if is_known else None
    except UNREADABLE:
        command = None
    return Letter(sequence, row.client, row.stream, command)


def _answer(stored: bytes) -> Answer:
    try:
        return answers.decode(_answer_row(stored).answer)
    except UNREADABLE as error:
        return StoreError(f"The answer of the ledger's owner cannot be read: {error}")


def _given_at(stored: bytes) -> int:
    """When an answer was given; long ago for one that cannot be read, so that it goes first."""
    try:
        return _answer_row(stored).at_ms
    except UNREADABLE:
        return -INBOX_ANSWER_MS_MAX


def _environment(path: Path, *, readonly: bool = False) -> Environment:
    return Environment.open(
        path,
        readonly=readonly,
        map_bytes=INBOX_MAP_BYTES_FIRST,
        map_bytes_max=INBOX_MAP_BYTES_MAX,
        sync=False,
        databases=(_COMMANDS, _ANSWERS, _META),
    )


def _make(path: Path, life: str) -> None:
    """Make an inbox beside its place and move it there at once; if somebody was faster, theirs is as good."""
    new = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
    try:
        make_folder(new)
        environment = _environment(new)
        try:
            meta = environment.databases[_META]
            environment.write_batch(lambda txn: txn.put(_ID, os.urandom(CLIENT_BYTES), db=meta))
        finally:
            environment.close()
        (new / _LIFE).write_text(life, "ascii")
        (new / _LIFE).chmod(0o600)
        os.rename(new, path)  # noqa: PTH104 - Path.rename is the same; this fails on a folder that is not empty
    except OSError as error:
        remove_folder(new)
        if not path.exists():
            raise not_opened(path, error.errno or 0, str(error)) from error


def _move_aside(path: Path) -> None:
    """Keep what cannot be used under another name, until there is another such."""
    aside = _aside(path)
    remove_folder(aside)
    try:
        path.rename(aside)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise not_opened(path, error.errno or 0, str(error)) from error


def forget(ledger: Path, newest: Mapping[bytes, Record], *, life: str | None = None) -> None:
    """See to it that no inbox of a ledger says more of these tasks and flows than these records: for who erases them.

    What belongs to another life of the machine, or was moved aside, is removed: nobody uses it any more.
    Raises `StoreError`, `Full`.
    """
    path = ledger / INBOX_FOLDER
    remove_folder(_aside(path))
    try:
        named = (path / _LIFE).read_text("ascii")
    except FileNotFoundError:
        return
    if named != (life_of_the_machine() if life is None else life):
        _move_aside(path)
        remove_folder(_aside(path))
        return
    opened = CommandInbox.open(ledger, life=life)
    if opened is not None:
        try:
            opened.renew(newest)
        finally:
            opened.close()


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.before")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        data = (path / "data.mdb").stat()
    except OSError:
        return None
    return data.st_dev, data.st_ino
