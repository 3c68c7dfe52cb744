"""The files that a command has besides a ledger: proofs, checkpoints, verifier keys. "-" is what it is piped to."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from tallystick.ledger.archive.files import telling
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import PROOF_BYTES_MAX

STANDARD = Path("-")


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


def keys_of(given: Iterable[str]) -> tuple[str, ...]:
    """Return verifier keys; what is the path of a file, or has no "+" in it, is a file with one a line."""
    keys: list[str] = []
    for text in given:
        if "+" in text and not _is_file(Path(text)):
            keys.append(text)
        else:
            lines = read("key", Path(text)).decode(errors="replace").split("\n")
            keys.extend(line for line in map(str.strip, lines) if line)
    return tuple(keys)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a key may be longer than the name of a file can be
        return False
