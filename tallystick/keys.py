"""The keys that sign checkpoints: files for one user only, outside of every ledger, in the form of Go's note package.

Whoever has such a file can sign in the name of the log. The verifier key is public; whoever verifies gets it by another
way than the ledger, and nothing here ever writes it into a file.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput, Shown
from tallystick.ledger.limits import KEY_FILE_BYTES_MAX
from tallystick.ledger.proofs.keys import SigningKey, parse_signing_key

MODE = 0o600
_OF_OTHERS = 0o077
_OF_A_LEDGER = (("log/data.mdb",), ("tile", "checkpoint"))
"""What is in the folder of a ledger, and what is together in one to which its tiles were exported."""

_READABLE = 'the file of a signing key that can be read; "tally keys new" makes one'
_NEW = "a file that can be made and is not there"

SIGNED = ".signed"
"""What follows the name of a key's file in that of the file which has what the key signed last."""


def new(name: str, path: str | os.PathLike[str], *, ledger: Path | None = None) -> str:
    """Make a signing key in a file that is not there yet, for this user only; return its verifier key, one line.

    `name` is the origin of the log, at most `KEY_BYTES_MAX` bytes that can be printed. The file is durable on return,
    and was read again. Raises `InvalidInput` when the name cannot be one, when something is in the place, or when that
    is inside of a ledger: of `ledger`, for one that is not made yet.
    """
    key = SigningKey.generate(_origin(name))
    with guarded("file", path, _NEW):
        place = Path(path).expanduser()
        check_outside(place, ledger=ledger)
        _check_unsigned(place)
        file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        try:
            with os.fdopen(file, "wb") as opened:
                os.fchmod(file, MODE)  # whatever the umask takes
                opened.write(f"{key.text}\n".encode())
                opened.flush()
                os.fsync(file)
            _bring_to_disk(place.parent)
            written = read(place, ledger=ledger).verifier
        except BaseException:
            with suppress(OSError):
                place.unlink(missing_ok=True)
            raise
    return written.text


def show(path: str | os.PathLike[str]) -> str:
    """Return the verifier key of a signing key's file, one line. Raises `InvalidInput` as `read`."""
    return read(path).verifier.text


def read(path: str | os.PathLike[str], field: str = "file", *, ledger: Path | None = None) -> SigningKey:
    """Return the signing key in a file.

    Raises `InvalidInput` when it cannot be read, is no key, may be read by others, is another user's, or inside of a
    ledger.
    """
    with guarded(field, path, _READABLE):
        place = Path(path).expanduser()
        check_outside(place, field, ledger=ledger)
        text = _text(place, field)
    try:
        return parse_signing_key(text.removesuffix("\n"))
    except InvalidInput as error:
        raise InvalidInput(f"{field} {place}", Shown(error.value), error.allowed) from None


def _text(place: Path, field: str) -> str:
    file = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise InvalidInput(field, str(place), "a file with a signing key")
        _check_private(field, place, found)
        return os.read(file, KEY_FILE_BYTES_MAX).decode(errors="replace")
    finally:
        os.close(file)


@contextmanager
def guarded(field: str, path: str | os.PathLike[str], allowed: str) -> Iterator[None]:
    """Raise `InvalidInput` for whatever a path or a disk can do: nobody's home, a circle of links, a name too long."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InvalidInput(field, str(path), f"{allowed} ({reason})") from error


def record_of(path: str | os.PathLike[str]) -> Path:
    """Return the file that has what the key in another file signed last: beside that one, wherever links lead.

    Raises what a path can raise: `OSError`, `RuntimeError`, `ValueError`; see `guarded`.
    """
    place = Path(path).expanduser().resolve()
    return place.with_name(f"{place.name}{SIGNED}").resolve()


def _check_unsigned(place: Path) -> None:
    """Raise `InvalidInput` where another key left what it signed last: the new one would be held to that."""
    record = place.with_name(f"{place.name}{SIGNED}")
    if os.path.lexists(record):
        raise InvalidInput("file", str(place), f"a place where no key was before; {record} is what it signed last")


def _origin(name: str) -> str:
    """The name of a new key, which is to be the origin of a log, and to be read by people."""
    if not fields.required_key("name", name).isprintable():
        raise InvalidInput("name", name, "a name that can be printed, like example.org/ledger")
    return name


def _check_private(field: str, place: Path, found: os.stat_result) -> None:
    mode = stat.S_IMODE(found.st_mode)
    if mode & _OF_OTHERS:
        allowed = f"a file that nobody else may read or write, for it can sign; chmod 600 {place}"
        raise InvalidInput(f"{field} {place}", f"mode {mode:04o}", allowed)
    if found.st_uid not in {os.geteuid(), 0}:
        raise InvalidInput(f"{field} {place}", f"user {found.st_uid}", "a file of this user or of root")


def check_outside(path: Path, field: str = "file", *, ledger: Path | None = None) -> None:
    """Raise `InvalidInput` for a place inside of a ledger, of a backup, or beside exported tiles.

    Such folders are copied, backed up and handed on as a whole: the key would go with them. And whoever can rewrite
    the ledger could sign what they wrote.
    """
    own = () if ledger is None else (ledger.absolute(), ledger.resolve())
    for folder in _above(path):
        if folder in own or any(all((folder / each).exists() for each in marks) for marks in _OF_A_LEDGER):
            raise InvalidInput(
                field, str(path), f"a place outside of {folder}, which is copied and handed on as a whole"
            )


def _above(path: Path) -> Iterator[Path]:
    """The folders that a path is in, by its name and by where links lead."""
    yield from Path(os.path.normpath(path.absolute())).parents
    yield from path.resolve().parents


def _bring_to_disk(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
