"""The keyring: the signing keys that a configuration names, read when something is to be signed."""

import os
from collections.abc import Callable
from pathlib import Path

from tallystick.config import Integrity
from tallystick.keys import read
from tallystick.last_signed import LastSigned, check_next, sign_next
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.proofs.checkpoint import Checkpoint, is_signed_by, without_forged
from tallystick.ledger.proofs.keys import SigningKey
from tallystick.ledger.proofs.merkle import Nodes
from tallystick.ledger.proofs.note import Note

_FIELD = "integrity.key"


class Keyring:
    """The keys of one log, none of them in the folder of its ledger.

    Each signs every checkpoint: two of them while one follows another.
    They are read once, when the first is needed; what cannot be read then is tried anew the next time.
    """

    def __init__(self, settings: Integrity, ledger: Path | None = None) -> None:
        self._settings, self._ledger = settings, ledger
        # A path that leads nowhere is an error when it is read, with the name of the setting.
        self._paths = tuple(os.path.abspath(os.path.expanduser(path)) for path in settings.key)  # noqa: PTH100, PTH111
        self._keys: tuple[SigningKey, ...] = ()

    def keys(self) -> tuple[SigningKey, ...]:
        """Return the keys. Raises `InvalidInput` for one that cannot be read, of another name, or there twice."""
        if not self._keys:
            keys = tuple(self._read(path) for path in self._paths)
            if len({key.verifier for key in keys}) < len(keys):
                raise InvalidInput(_FIELD, self._paths, "files with keys that are each another one")
            self._keys = keys
        return self._keys

    def check(self) -> None:
        """Raise `InvalidInput` when a key cannot be read, or what it signs could not be kept beside it."""
        for each in self._last_signed():
            each.check_writable()
            each.read()

    def sign(self, tree: Callable[[], Checkpoint], nodes: Nodes) -> Note:
        """Sign a tree with every key, if it goes on from what each signed last. Raises as `keys` and `sign_next`."""
        return sign_next(tree, *self._last_signed(), nodes=nodes)

    def check_next(self, tree: Callable[[], Checkpoint], nodes: Nodes) -> None:
        """Raise as `sign` would now, and sign nothing."""
        check_next(tree, *self._last_signed(), nodes=nodes)

    def is_signed(self, note: Note) -> bool:
        """Whether every key signed a note, and no line only says so. Raises as `keys`."""
        return is_signed_by(note, *(key.verifier for key in self.keys()))

    def sound(self, note: Note) -> Note:
        """Return a note without lines that say that they are of one of the keys, and are not. Raises as `keys`."""
        return without_forged(note, *(key.verifier for key in self.keys()))

    def _read(self, path: str) -> SigningKey:
        key = read(path, _FIELD, ledger=self._ledger)
        if key.name != self._settings.origin:
            allowed = f"a key whose name is integrity.origin, {self._settings.origin}"
            raise InvalidInput(f"{_FIELD} {path}", key.name, allowed)
        return key

    def _last_signed(self) -> list[LastSigned]:
        keys = zip(self.keys(), self._paths, strict=True)
        return [LastSigned(key, path, _FIELD, ledger=self._ledger) for key, path in keys]
