"""What the tests of proofs share: trees of made-up records, a key that is always the same, and flipped bits."""

from collections.abc import Iterator, Sequence
from functools import cache, partial

from hypothesis import strategies as st

from tallystick.ledger.proofs.checkpoint import Checkpoint, sign
from tallystick.ledger.proofs.keys import COSIGNATURE, SigningKey, VerifierKey
from tallystick.ledger.proofs.note import Signature
from tallystick.ledger.store.tree import Tree, leaf_hash, node_hash

ORIGIN = "example.org/ledger"
KEY = SigningKey(ORIGIN, bytes(range(32)))
OTHER = SigningKey(ORIGIN, bytes(range(1, 33)))
TRUSTED = KEY.verifier
SIZES = (255, 256, 257, 65_535, 65_536, 65_537)
"""Where tiles of one level, and of two, have just not ended, ended, and begun."""

SIZE_MAX = 65_537
TIME = 1_790_000_000


def record(index: int) -> bytes:
    """The record that the trees of these tests have at an index; Go makes the same ones."""
    return f"record {index}".encode()


@cache
def levels() -> list[list[bytes]]:
    """Every perfect subtree of the largest tree, level by level."""
    rows = [[leaf_hash(record(index)) for index in range(SIZE_MAX)]]
    while len(rows[-1]) > 1:
        pairs = iter(rows[-1])
        rows.append([node_hash(left, right) for left, right in zip(pairs, pairs, strict=False)])
    return rows


class Levels:
    """The nodes of these trees."""

    def node(self, level: int, index: int) -> bytes:
        return levels()[level][index]


@cache
def root_of(size: int) -> bytes:
    """The root over the first records, by appending: the way of the log, and not that of proofs."""
    return Tree().extend(levels()[0][:size]).tree.edge.root()


def checkpoint(size: int) -> Checkpoint:
    return Checkpoint(ORIGIN, size, root_of(size))


@cache
def signed(size: int) -> bytes:
    """The checkpoint of a size, signed by `KEY`."""
    return sign(checkpoint(size), KEY).to_bytes()


def witness(name: str, number: int = 7) -> tuple[SigningKey, VerifierKey]:
    """A key of a witness, with which `cosign` signs, and its public half."""
    key = SigningKey(name, bytes([number]) * 32)
    return key, VerifierKey(name, COSIGNATURE, key.verifier.public)


def cosign(key: SigningKey, text: str, time: int = TIME) -> Signature:
    """A cosignature as C2SP tlog-cosignature spells it."""
    made = key.sign(f"cosignature/v1\ntime {time}\n{text}".encode()).signature
    public = VerifierKey(key.name, COSIGNATURE, key.verifier.public)
    return Signature(key.name, public.key_id, time.to_bytes(8) + made)


def flipped(data: bytes, bit: int) -> bytes:
    """Data with one bit flipped."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def every_flip(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Data with each of its bits flipped, one at a time."""
    return ((bit, flipped(data, bit)) for bit in range(len(data) * 8))


def bits(data: bytes) -> st.SearchStrategy[int]:
    return st.integers(0, len(data) * 8 - 1)


def forty_from(data: bytes, at: int) -> bytes:
    return data[at : at + 40]


@st.composite
def near(draw: st.DrawFn, valid: Sequence[bytes]) -> bytes:
    """Bytes that are nearly one of these: some parts cut out, put in, or put in from another."""
    data = draw(st.sampled_from(valid))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 80)))
        other = draw(st.sampled_from(valid))
        piece = draw(
            st.binary(max_size=4)
            | st.sampled_from([b"\n", b"\n\n", b" ", b"+", b"=", b"\xe2\x80\x94 ", b"\x00", b"\r", b"0", "²".encode()])
            | st.integers(0, len(other)).map(partial(forty_from, other))
        )
        data = data[:start] + piece + data[end:]
    return data
