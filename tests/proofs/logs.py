"""Logs on disk for the tests of proofs, and the checkpoints of any of their sizes."""

from hashlib import sha256
from pathlib import Path

from tallystick.ledger.proofs import merkle
from tallystick.ledger.proofs.checkpoint import Checkpoint, sign
from tallystick.ledger.proofs.keys import SigningKey
from tallystick.ledger.proofs.tiles import places
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.nodes import StoredNodes
from tallystick.ledger.store.port import EventLog
from tallystick.ledger.store.tree import TILE_WIDTH, leaf_hash, root_from_leaves
from tallystick.tiles import TilesWritten, write_tiles
from tests.ledger.store.make import Author
from tests.proofs.parts import KEY

SIZE = 1_400  # five tiles of level 0, an incomplete sixth, and an incomplete one above them


def grow(log: DiskLog, size: int, *, batch: int = 5_000) -> None:
    """Append events until there are so many; each is the first of its stream."""
    author = Author(log.head())
    for start in range(log.head(), size, batch):
        log.append(author.write(*range(start, min(start + batch, size))))


def checkpoint_at(log: EventLog, size: int, key: SigningKey = KEY) -> bytes:
    """The checkpoint of the first `size` events, signed."""
    return sign(Checkpoint(key.name, size, merkle.root(StoredNodes(log), size)), key).to_bytes()


class Content(bytes):
    """The bytes of a file, which are shown as few."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes, {sha256(self).hexdigest()[:12]}>"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = [path for path in sorted(folder.rglob("*")) if not path.is_dir()]
    return {str(path.relative_to(folder)): Content(path.read_bytes()) for path in files}


def wanted(log: DiskLog, size: int) -> dict[str, bytes]:
    """Every file of a tree, by the definition."""
    bodies = [body for _, body in log.bodies(until=size)]
    leaves = list(map(leaf_hash, bodies))
    files = {"checkpoint": checkpoint_at(log, size)}
    for place in places(size):
        span = TILE_WIDTH**place.level
        first = place.index * TILE_WIDTH
        files[place.path] = b"".join(
            root_from_leaves(leaves[at * span : (at + 1) * span]) for at in range(first, first + place.width)
        )
        if not place.level:
            kept = bodies[first : first + place.width]
            files[place.bundle_path] = b"".join(len(body).to_bytes(2) + body for body in kept)
    return {path: Content(content) for path, content in files.items()}


def export(log: DiskLog, folder: Path, size: int = SIZE) -> TilesWritten:
    return write_tiles(log, folder, checkpoint_at(log, size))
