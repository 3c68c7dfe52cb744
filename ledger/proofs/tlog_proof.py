"""Proofs as files: that of one record (C2SP tlog-proof@v1), and that of an older tree (the body of tlog-witness).

    c2sp.org/tlog-proof@v1            old 40000
    index 17                          PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
    gSKyXoYZUgZ6jduWYrkDOARinOMG…
                                      example.org/ledger
    example.org/ledger                …
    …

Owns the bytes. C2SP has no file of its own for a consistency proof; what a log sends to a witness says the same.
"""

from typing import Final

from msgspec import Struct

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import PROOF_BYTES_MAX
from tallystick.ledger.proofs import lines
from tallystick.ledger.proofs.checkpoint import Checkpoint, parse_checkpoint
from tallystick.ledger.proofs.note import parse_note

SUFFIX: Final = ".tlog-proof"
"""How the file of an inclusion proof ends, as C2SP recommends."""

_HEADER = "c2sp.org/tlog-proof@v1"
_INCLUSION_SHAPE = f"an inclusion proof: {_HEADER}, the index, hashes, an empty line, and a checkpoint"
_CONSISTENCY_SHAPE = "a consistency proof: a line 'old' with a size, hashes, an empty line, and a checkpoint"


class InclusionProof(Struct, frozen=True):
    """That a record is in the log, with all but the record: `index` is its position - 1.

    `checkpoint` is a signed note as it was found, byte by byte; `extra` is for the application, and proved by nothing.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def to_bytes(self) -> bytes:
        """Return the proof as a file: what `parse_inclusion_proof` reads."""
        extra = () if self.extra is None else (f"extra {lines.base64_text(self.extra)}",)
        return _file((_HEADER, *extra, f"index {self.index}"), self.hashes, self.checkpoint)


class ConsistencyProof(Struct, frozen=True):
    """That the tree of the first `old` records is the beginning of the checkpoint's, with all but the old root."""

    old: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes

    def to_bytes(self) -> bytes:
        """Return the proof as a file: what `parse_consistency_proof` reads, and a witness."""
        return _file((f"old {self.old}",), self.hashes, self.checkpoint)


def parse_inclusion_proof(data: bytes) -> InclusionProof:
    """Read an inclusion proof, which nobody has verified. What is returned has these bytes again.

    Raises `InvalidInput` when it is none, or has more than `PROOF_BYTES_MAX` bytes.
    """
    head, checkpoint = _parts("inclusion proof", data, _INCLUSION_SHAPE)
    extra = None
    if len(head) > 1 and head[1].startswith("extra "):
        extra = lines.base64_bytes("extra", head.pop(1).removeprefix("extra "))
    if len(head) < 2 or head[0] != _HEADER or not head[1].startswith("index "):  # noqa: PLR2004 - header and index
        raise InvalidInput("inclusion proof", data, _INCLUSION_SHAPE)
    index = lines.number("index", head[1].removeprefix("index "))
    return InclusionProof(index, lines.hashes_of("inclusion proof", head[2:]), checkpoint, extra)


def parse_consistency_proof(data: bytes) -> ConsistencyProof:
    """Read a consistency proof, which nobody has verified. What is returned has these bytes again.

    Raises `InvalidInput` when it is none, or has more than `PROOF_BYTES_MAX` bytes.
    """
    head, checkpoint = _parts("consistency proof", data, _CONSISTENCY_SHAPE)
    if not head[0].startswith("old "):
        raise InvalidInput("consistency proof", data, _CONSISTENCY_SHAPE)
    old = lines.number("old size", head[0].removeprefix("old "))
    return ConsistencyProof(old, lines.hashes_of("consistency proof", head[1:]), checkpoint)


def is_consistency_proof(data: bytes) -> bool:
    """Whether a file begins as a consistency proof does, and not as an inclusion proof."""
    return data.startswith(b"old ")


def claimed(proof: InclusionProof | ConsistencyProof) -> Checkpoint:
    """Return the checkpoint that a proof has. NOBODY has verified its signatures. Raises `InvalidInput`."""
    return parse_checkpoint(parse_note(proof.checkpoint).text)


def _file(head: tuple[str, ...], hashes: tuple[bytes, ...], checkpoint: bytes) -> bytes:
    text = "".join(f"{line}\n" for line in (*head, *map(lines.base64_text, hashes)))
    return f"{text}\n".encode() + checkpoint


def _parts(field: str, data: bytes, shape: str) -> tuple[list[str], bytes]:
    """The lines before the first empty one, and the checkpoint behind it, which can be read."""
    if len(data) > PROOF_BYTES_MAX:
        raise InvalidInput(field, f"{len(data)} bytes", f"at most {PROOF_BYTES_MAX} bytes")
    head, gap, checkpoint = data.partition(b"\n\n")
    if not gap or not head.isascii():
        raise InvalidInput(field, data, shape)
    parse_checkpoint(parse_note(checkpoint).text)
    return head.decode("ascii").split("\n"), checkpoint
