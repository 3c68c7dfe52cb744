"""Inclusion and consistency proofs (RFC 6962 section 2.1, RFC 9162 section 2.1): made from a few nodes, and checked.

The functions that check say whether hashes fit, of whatever size and root they are given; that a size and a root are
the log's is what a signed checkpoint shows.
"""

from collections.abc import Sequence
from typing import Protocol

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.store.tree import EMPTY_ROOT, node_hash


class Nodes(Protocol):
    """The nodes of a tree that never change: the roots of its perfect subtrees."""

    def node(self, level: int, index: int) -> bytes:
        """Return the hash over the `2 ** level` leaves from `index * 2 ** level` on; level 0 has the leaves' hashes."""
        ...


def root(nodes: Nodes, size: int) -> bytes:
    """Return the root over the first `size` leaves."""
    return _subtree(nodes, 0, size) if size else EMPTY_ROOT


def inclusion_proof(nodes: Nodes, index: int, size: int) -> tuple[bytes, ...]:
    """Return the hashes that lead from leaf `index` to the root over `size` leaves, the leaf's sibling first.

    Raises `InvalidInput` for a leaf that the tree does not have.
    """
    if not 0 <= index < size:
        raise InvalidInput("index", index, f"the index of one of {size} leaves, from 0")
    path = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_subtree(nodes, middle, end))
            end = middle
        else:
            path.append(_subtree(nodes, start, middle))
            start = middle
    return tuple(reversed(path))


def consistency_proof(nodes: Nodes, old: int, new: int) -> tuple[bytes, ...]:
    """Return the hashes that show that the tree of `old` leaves is the beginning of that of `new` leaves.

    None are needed for an empty old tree, nor for two trees of one size. Raises `InvalidInput` when `old` is larger.
    """
    if not 0 <= old <= new:
        raise InvalidInput("old size", old, f"a size from 0 to that of the newer tree, {new}")
    if old in {0, new}:
        return ()
    path = []
    start, end = 0, new
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_subtree(nodes, middle, end))
            end = middle
        else:
            path.append(_subtree(nodes, start, middle))
            start = middle
    if start:  # else the old tree is one of these subtrees, and whoever checks has its root
        path.append(_subtree(nodes, start, end))
    return tuple(reversed(path))


def check_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the hashes lead from this leaf at `index` to the root over `size` leaves (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, found = index, size - 1, leaf_hash
    for sibling in proof:
        if not last:
            return False
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while not node & 1 and node:  # a right border has no sibling on these levels
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    return not last and found == root


def check_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the hashes show that the old tree is the beginning of the new one (RFC 9162 section 2.1.4.2)."""
    if not 0 <= old_size <= new_size:
        return False
    if old_size in {0, new_size}:
        return not proof and old_root == (new_root if old_size else EMPTY_ROOT)
    if not old_size & old_size - 1:
        proof = (old_root, *proof)
    if not proof:
        return False
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    of_old = of_new = proof[0]
    for sibling in proof[1:]:
        if not last:
            return False
        if node & 1 or node == last:
            of_old, of_new = node_hash(sibling, of_old), node_hash(sibling, of_new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            of_new = node_hash(of_new, sibling)
        node, last = node >> 1, last >> 1
    return not last and of_old == old_root and of_new == new_root


def inclusion_hashes(index: int, size: int) -> int:
    """Return how many hashes the inclusion proof of a leaf has."""
    return len(inclusion_proof(_NoNodes(), index, size))


def consistency_hashes(old: int, new: int) -> int:
    """Return how many hashes the consistency proof between two sizes has."""
    return len(consistency_proof(_NoNodes(), old, new))


class _NoNodes:
    """A tree of which only the shape counts."""

    def node(self, level: int, index: int) -> bytes:  # noqa: ARG002 - as the protocol names them
        return b""


def _split(size: int) -> int:
    """The largest power of two below a size: where RFC 6962 divides a tree."""
    return 1 << (size - 1).bit_length() - 1


def _subtree(nodes: Nodes, start: int, end: int) -> bytes:
    """The root over the leaves from `start` to before `end`, where RFC 6962 may divide a tree."""
    found = b""
    while end > start:  # the smallest perfect subtree is the last one
        size = end - start
        level = (size & -size).bit_length() - 1
        node = nodes.node(level, (end >> level) - 1)
        found = node_hash(node, found) if found else node
        end -= 1 << level
    return found
