"""What a key signed last: the newest checkpoint of a signing key, in a file beside it, from which the next must go on.

Two copies of a ledger with one key would sign two trees of one size otherwise, as would one that was restored from an
older state: what they remember is in the log, and was copied with it. The file is a signed note, so that every copy can
be held to it: "tally verify --checkpoint". It keeps nobody from signing who can write there, and wants to.
"""

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tallystick.keys import check_outside, guarded, record_of
from tallystick.ledger.archive.files import whole, write_all
from tallystick.ledger.errors import InvalidInput, NotProved, StoreError
from tallystick.ledger.limits import CHECKPOINT_BYTES_MAX, SIGNING_WAIT_MS
from tallystick.ledger.proofs.checkpoint import Checkpoint, open_checkpoint, sign
from tallystick.ledger.proofs.keys import SigningKey
from tallystick.ledger.proofs.merkle import Nodes
from tallystick.ledger.proofs.note import Note
from tallystick.ledger.proofs.succession import check_succession

TRY_S = 0.01
MS_PER_S = 1_000

_SIGNED = "the newest checkpoint that the key beside it signed"


class LastSigned:
    """What one signing key signed last, beside the file that the key is in."""

    def __init__(
        self, key: SigningKey, path: str | os.PathLike[str], field: str = "file", *, ledger: Path | None = None
    ) -> None:
        """Take a key and its file, a path of the setting `field`. Raises `InvalidInput` for one that leads nowhere.

        `ledger` is one that is not made yet, perhaps, and in which nothing may be kept.
        """
        with guarded(field, path, "the file of a signing key"):
            self.file = record_of(path)
        self.key, self.field, self._ledger = key, field, ledger

    def read(self) -> Checkpoint | None:
        """Return the newest checkpoint that the key signed; None before there is one.

        Raises `InvalidInput` when what is there is none, or none of this key.
        """
        with guarded(self.field, self.file, f"a file with {_SIGNED}"):
            try:
                file = os.open(self.file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except FileNotFoundError:
                return None
            try:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    raise InvalidInput(f"{self.field} {self.file}", "no file", f"a file with {_SIGNED}")
                data = os.read(file, CHECKPOINT_BYTES_MAX)
            finally:
                os.close(file)
        try:
            return open_checkpoint(data, self.key.verifier).checkpoint
        except (InvalidInput, NotProved) as error:
            way_out = f"if {self.key.verifier.text} never signed, move the file away"
            raise InvalidInput(f"{self.field} {self.file}", data, f"{_SIGNED}; {way_out} ({error})") from error

    def hold(self, signed: Checkpoint | None, wanted: Checkpoint, nodes: Nodes | None) -> None:
        """Raise `NotProved` for a tree that does not go on from what was signed; it says which copy of a ledger may."""
        if signed is None:
            return
        try:
            check_succession(signed, wanted, nodes)
        except NotProved as error:
            verify = f'"tally verify --ledger COPY --checkpoint {self.file} --key {self.key.verifier.text}"'
            raise NotProved(
                error.what,
                f"{error.reason} So another copy of this ledger has the key, or this one is an older state. {verify}"
                " says of each copy whether it goes on from what was signed. Give every other one a new origin and a"
                f" new key; or, if what was signed is not to count any more, move {self.file} away.",
            ) from None

    def check_place(self) -> None:
        """Raise `InvalidInput` where what a key signs must not be kept, or in no folder: a link may lead anywhere.

        In a ledger it would be copied and restored with that, and each copy would go on from what it remembers itself.
        """
        with guarded(self.field, self.file, f"a place for {_SIGNED}"):
            check_outside(self.file, self.field, ledger=self._ledger)
            if not self.file.parent.is_dir():
                allowed = f"one that is there: {self.file}, to where a link beside the key leads, is to have {_SIGNED}"
                raise InvalidInput(f"{self.field} {self.file.parent}", "no folder", allowed)

    def check_writable(self) -> None:
        """Raise `InvalidInput` where nothing can be kept: before a key signs, what it signs is."""
        self.check_place()
        folder = self.file.parent
        if not os.access(folder, os.W_OK | os.X_OK):
            allowed = (
                "one in which this user may write: before a key signs, what it signs is kept beside it, in"
                f" {self.file}, which may be a link to a file elsewhere"
            )
            raise InvalidInput(f"{self.field} {folder}", "a folder that is only read", allowed)

    def keep(self, note: Note) -> None:
        """Keep a checkpoint that the key signed, durable on return. Raises `InvalidInput`, `StoreError`, `Full`."""
        self.check_writable()
        with whole(self.file) as file:
            write_all(file, note.to_bytes())


def sign_next(
    tree: Callable[[], Checkpoint],
    *keys: LastSigned,
    nodes: Nodes | None = None,
    wait_ms: int = SIGNING_WAIT_MS,
) -> Note:
    """Return the checkpoint of a tree, signed by each of the keys, from which every later one of them must go on.

    It is kept beside each key, durable, before any signature leaves this function: whoever is killed meanwhile signs
    the same tree again, or one that goes on from it. `tree` is called when nobody else signs with these keys: what it
    reads of a log is no older than what another process signed of it. `nodes` are those of that tree: without them a
    larger one is taken at its word (see `check_succession`).

    Raises `NotProved` when the tree does not go on from what one of the keys signed, `InvalidInput` when what was
    signed cannot be read or kept, `StoreError` when another process has been signing for `wait_ms`, `Full`, and what
    `tree` and `nodes` raise: nothing is signed then.
    """
    for key in keys:
        key.check_place()
    with _alone({key.file.parent: key.field for key in keys}, wait_ms):
        wanted = tree()
        signed = [key.read() for key in keys]
        for key, before in zip(keys, signed, strict=True):
            key.hold(before, wanted, nodes)
        notes = [sign(wanted, key.key) for key in keys]
        for key, before, note in zip(keys, signed, notes, strict=True):
            if before != wanted:
                key.keep(note)
    return Note(wanted.text, tuple(line for note in notes for line in note.signatures))


def check_next(tree: Callable[[], Checkpoint], *keys: LastSigned, nodes: Nodes) -> None:
    """Raise as `sign_next` would now, if the keys signed anything, and neither sign nor wait."""
    signed = []
    for key in keys:
        key.check_writable()
        signed.append(key.read())
    if all(before is None for before in signed):
        return
    wanted = tree()  # after what was signed was read: another process may sign a newer one meanwhile
    for key, before in zip(keys, signed, strict=True):
        key.hold(before, wanted, nodes)


@contextmanager
def _alone(folders: Mapping[Path, str], wait_ms: int) -> Iterator[None]:
    """Let nobody else sign meanwhile with keys in these folders, of which each has the name of the setting.

    Whoever is killed lets go of them.
    """
    with ExitStack() as held:
        for folder, field in sorted(folders.items()):  # in one order everywhere, so that no two wait for each other
            with guarded(field, folder, "a folder that can be read"):
                file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            held.callback(os.close, file)
            _lock(file, folder, wait_ms)
            held.callback(_unlock, file)
        yield


def _lock(file: int, folder: Path, wait_ms: int) -> None:
    until = time.monotonic() + wait_ms / MS_PER_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise StoreError(
                    f"Another process has been signing with a key in {folder} for {wait_ms} ms. Nothing was signed:"
                    " let it go on, or end it, and try again."
                ) from None
            time.sleep(TRY_S)
        except OSError as error:
            raise StoreError(f"{folder} cannot be locked while a key signs: {error.strerror}.") from error
        else:
            return


def _unlock(file: int) -> None:
    with suppress(OSError):  # to close it is not enough: a child that was forked meanwhile has it open, too
        fcntl.flock(file, fcntl.LOCK_UN)
