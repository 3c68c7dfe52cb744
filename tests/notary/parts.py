"""Parts for the tests of checkpoints: a log with a name and keys, and what of it is known without its own code."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tallystick
from tallystick import Config, keys
from tallystick.config import Integrity
from tallystick.ledger.clock import Clock
from tallystick.ledger.proofs.checkpoint import Checkpoint, parse_checkpoint
from tallystick.ledger.proofs.note import parse_note
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.keys import CHECKPOINT_NOTE
from tallystick.ledger.store.port import EventLog
from tallystick.ledger.store.tree import leaf_hash, root_from_leaves
from tallystick.proofs import verify_checkpoint
from tallystick.readings import LOG_FOLDER
from tallystick.sync import Ledger

ORIGIN = "example.org/ledger/main"
ORDINARY: Mapping[str, Any] = {"runtime": "cli", "task": "Cut a tally", "owner": "agent:main:main"}


class Place:
    """A folder for a ledger, and beside it the keys that sign for it."""

    def __init__(self, folder: Path, origin: str = ORIGIN) -> None:
        self.beside, self.ledger, self.origin = folder, folder / "ledger", origin
        self.verifiers: list[str] = []
        self.files: list[Path] = []

    def new_key(self) -> str:
        """Make one more key; return its verifier key."""
        file = self.beside / f"signing-{len(self.files)}.key"
        self.verifiers.append(keys.new(self.origin, file))
        self.files.append(file)
        return self.verifiers[-1]

    def signed(self, number: int = 0) -> Path:
        """What the key of this number signed last, beside it."""
        file = self.files[number]
        return file.with_name(f"{file.name}.signed")

    def forget(self) -> None:
        """Remove what the keys signed last, as whoever can sign can do."""
        for number in range(len(self.files)):
            self.signed(number).unlink(missing_ok=True)

    def config(self, *numbers: int, **more: Any) -> Config:
        """A configuration with the keys of these numbers."""
        return Config(integrity=Integrity(self.origin, tuple(str(self.files[number]) for number in numbers), **more))

    def written(self, *numbers: int, **more: str) -> None:
        """Write that configuration into the ledger's own file."""
        self.ledger.mkdir(exist_ok=True)
        paths = ", ".join(f'"{self.files[number]}"' for number in numbers)
        lines = [f'{name} = "{value}"\n' for name, value in more.items()]
        text = f'[integrity]\norigin = "{self.origin}"\nkey = [{paths}]\n{"".join(lines)}'
        (self.ledger / "tallystick.toml").write_text(text, "utf-8")

    def open(self, *numbers: int, clock: Clock | None = None, **more: Any) -> Ledger:
        """Open the ledger with these keys."""
        return tallystick.open(self.ledger, config=self.config(*numbers, **more), clock=clock, actor="tester")

    @contextmanager
    def log(self, *, writable: bool = False) -> Iterator[DiskLog]:
        """The log itself, of a ledger that nobody has open."""
        with DiskLog.open(self.ledger / LOG_FOLDER, readonly=not writable, create=False) as log:
            yield log

    def kept(self) -> bytes | None:
        """The checkpoint that the log keeps."""
        with self.log() as log:
            return log.note(CHECKPOINT_NOTE)

    def root_of(self, size: int) -> bytes:
        """The root over the first records by the definition of RFC 6962, from nothing but their bytes."""
        with self.log() as log:
            return root_of(log, size)


def root_of(log: EventLog, size: int) -> bytes:
    """The root over the first records of a log by the definition of RFC 6962."""
    return root_from_leaves([leaf_hash(body) for _, body in log.bodies(0, size)])


def said(note: bytes) -> Checkpoint:
    """What a signed note says."""
    return parse_checkpoint(parse_note(note).text)


def signers(note: bytes, verifiers: Sequence[str]) -> list[str]:
    """Which of these verifier keys signed a checkpoint."""
    return [key for key in verifiers if is_signed(note, key)]


def is_signed(note: bytes, verifier: str) -> bool:
    """Whether a key signed a checkpoint."""
    try:
        verify_checkpoint(note, verifier)
    except tallystick.NotProved:
        return False
    return True
