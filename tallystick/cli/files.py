"""The files that a command has besides a ledger: proofs, checkpoints, verifier keys. "-" is what it is piped to."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tallystick.ledger.archive.files import telling
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import PROOF_BYTES_MAX

STANDARD = Path("-")

_CHECKPOINT = 'a whole checkpoint, as "tally checkpoint" prints it'
_OF_A_FILE = frozenset({"inclusion proof", "consistency proof", "note", "signature", "checkpoint"})
"""What cannot be read when a file was cut off, or is another kind of file."""


def read(field: str, path: Path) -> bytes:
    """Return what is in a file, or comes on standard input for "-". Raises `InvalidInput`, naming the option."""
    try:
        if path == STANDARD:
            data = sys.stdin.buffer.read(PROOF_BYTES_MAX + 1)
        else:
            with path.open("rb") as file:
                data = file.read(PROOF_BYTES_MAX + 1)
    except OSError as error:
        raise InvalidInput(field, str(path), f"a file that can be read ({error.strerror})") from error
    if len(data) > PROOF_BYTES_MAX:
        raise InvalidInput(field, str(path), f"a file of at most {PROOF_BYTES_MAX} bytes")
    return data


def write_new(field: str, path: Path, data: bytes) -> None:
    """Write a file that is not there yet, whole or not at all. Raises `InvalidInput`, naming the option, and `Full`."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except OSError as error:
        allowed = f"a file that can be made and is not there yet ({error.strerror}); name another one with --{field}"
        raise InvalidInput(field, str(path), allowed) from error
    try:
        with telling(path), os.fdopen(file, "wb") as opened:
            opened.write(data)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def read_checkpoint(option: str, path: Path) -> bytes:
    """Return the signed checkpoint that is in a file; nobody has verified it. Raises `InvalidInput` as `named`."""
    from tallystick.ledger.proofs.checkpoint import parse_checkpoint
    from tallystick.ledger.proofs.note import parse_note

    data = read(option, path)
    with named(option, path, _CHECKPOINT):
        parse_checkpoint(parse_note(data).text)
    return data


@contextmanager
def named(option: str, path: Path, whole: str) -> Iterator[None]:
    """Say of what cannot be read in which file it is, and what may have become of that."""
    try:
        yield
    except InvalidInput as error:
        if error.field not in _OF_A_FILE:
            raise
        why = f"this was cut off, or is something else ({error.field}: {error.value})"
        raise InvalidInput(f"--{option}", str(path), f"{whole}; {why}") from error


def keys_of(given: Iterable[str]) -> tuple[str, ...]:
    """Return verifier keys; what is the path of a file, or has no "+" in it, is a file with one a line.

    A file without any is refused: whoever names it means somebody, and nobody would be asked for.
    """
    keys: list[str] = []
    for text in given:
        if "+" in text and not _is_file(Path(text)):
            keys.append(text)
        else:
            lines = read("key", Path(text)).decode(errors="replace").split("\n")
            found = [line for line in map(str.strip, lines) if line]
            if not found:
                raise InvalidInput("key", text, "a file with a verifier key, or several, one a line: it has none")
            keys.extend(found)
    return tuple(keys)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a key may be longer than the name of a file can be
        return False
