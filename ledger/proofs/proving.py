"""Proofs made and verified: hashes and signatures together, with a word for the part that fails."""

from collections.abc import Sequence

from tallystick.ledger.errors import Corrupt, NotProved
from tallystick.ledger.proofs import lines, merkle
from tallystick.ledger.proofs.checkpoint import Checkpoint, open_checkpoint
from tallystick.ledger.proofs.keys import VerifierKey
from tallystick.ledger.proofs.merkle import Nodes
from tallystick.ledger.proofs.tlog_proof import ConsistencyProof, InclusionProof, claimed
from tallystick.ledger.store.tree import HASH_BYTES, leaf_hash

OldTree = bytes | tuple[int, bytes]
"""What somebody kept of an older tree: its checkpoint as a signed note, or its size and its root hash."""


def prove_inclusion(nodes: Nodes, index: int, checkpoint: bytes, *, extra: bytes | None = None) -> InclusionProof:
    """Return the proof that leaf `index` is in the tree of a checkpoint, which is trusted as it is.

    Raises `InvalidInput` when it is no checkpoint or its tree does not have the leaf, `Corrupt` when what is stored of
    the tree does not lead to its root: nobody gets a proof that would fail.
    """
    proof = InclusionProof(index, (), checkpoint, extra)
    tree = claimed(proof)
    proof = InclusionProof(index, merkle.inclusion_proof(nodes, index, tree.size), checkpoint, extra)
    if not merkle.check_inclusion(nodes.node(0, index), index, tree.size, proof.hashes, tree.root_hash):
        raise Corrupt(_unlike(tree), position=index + 1)
    return proof


def prove_consistency(nodes: Nodes, old: int, checkpoint: bytes) -> ConsistencyProof:
    """Return the proof that the tree of the first `old` leaves is the beginning of that of a checkpoint.

    Raises `InvalidInput` when it is no checkpoint or its tree is smaller, `Corrupt` as `prove_inclusion` does.
    """
    tree = claimed(ConsistencyProof(old, (), checkpoint))
    proof = ConsistencyProof(old, merkle.consistency_proof(nodes, old, tree.size), checkpoint)
    old_root = merkle.root(nodes, old)
    if not merkle.check_consistency(old, old_root, tree.size, tree.root_hash, proof.hashes):
        raise Corrupt(_unlike(tree))
    return proof


def verify_inclusion(
    proof: InclusionProof, record: bytes, *trusted: VerifierKey, quorum: int = 1, origin: str | None = None
) -> Checkpoint:
    """Return the checkpoint of the log that has this record, as its stored bytes, at the proof's index.

    Raises `NotProved` when a part fails: a signature, the origin (see `open_checkpoint`), the index, or the root that
    the hashes lead to. Raises `InvalidInput` when the proof's checkpoint is none.
    """
    return verify_leaf(proof, leaf_hash(record), *trusted, quorum=quorum, origin=origin)


def verify_leaf(
    proof: InclusionProof, leaf: bytes, *trusted: VerifierKey, quorum: int = 1, origin: str | None = None
) -> Checkpoint:
    """Do what `verify_inclusion` does, with the leaf hash of the record alone."""
    tree = open_checkpoint(proof.checkpoint, *trusted, quorum=quorum, origin=origin).checkpoint
    if proof.index >= tree.size:
        raise NotProved("index", f"index {proof.index} is none of the checkpoint's {tree.size} records.")
    if not merkle.check_inclusion(leaf, proof.index, tree.size, proof.hashes, tree.root_hash):
        _check_number(proof.hashes, merkle.inclusion_hashes(proof.index, tree.size))
        raise NotProved(
            "root",
            f"from this record at index {proof.index} the hashes do not lead to the checkpoint's root"
            f" {lines.base64_text(tree.root_hash)}: the record, its index or a hash is another.",
        )
    return tree


def verify_consistency(
    proof: ConsistencyProof, old: OldTree, *trusted: VerifierKey, quorum: int = 1, origin: str | None = None
) -> Checkpoint:
    """Return the newer checkpoint, which goes on from the older tree: nothing of that was changed or taken out.

    The old tree is what the caller kept. As a checkpoint it is opened with the same keys, and MUST be of the same log.
    Raises `NotProved` when a part fails: a signature, the origin, the size of the old tree, or the roots that the
    hashes lead to. Raises `InvalidInput` when a checkpoint is none.
    """
    tree = open_checkpoint(proof.checkpoint, *trusted, quorum=quorum, origin=origin).checkpoint
    if isinstance(old, bytes):
        before = open_checkpoint(old, *trusted, quorum=quorum, origin=origin).checkpoint
        if before.origin != tree.origin:
            raise NotProved("origin", f"the old checkpoint is of {before.origin}, the new one of {tree.origin}.")
        old = before.size, before.root_hash
    size, root = old
    if proof.old != size:
        raise NotProved("size", f"the proof begins at {proof.old} records; the old tree has {size}.")
    if size > tree.size:
        raise NotProved("size", f"the checkpoint has {tree.size} records, fewer than the old tree, which has {size}.")
    if not merkle.check_consistency(size, root, tree.size, tree.root_hash, proof.hashes):
        _check_number(proof.hashes, merkle.consistency_hashes(size, tree.size))
        raise NotProved(
            "root",
            f"the hashes do not lead from the old tree of {size} records to the checkpoint's root"
            f" {lines.base64_text(tree.root_hash)}: a hash is another, or the log does not go on from that tree.",
        )
    return tree


def _check_number(hashes: Sequence[bytes], needed: int) -> None:
    if len(hashes) != needed or any(len(each) != HASH_BYTES for each in hashes):
        raise NotProved("hashes", f"the proof has {len(hashes)} hashes; between these sizes there are {needed}.")


def _unlike(tree: Checkpoint) -> str:
    return f"what is stored of the tree does not lead to the checkpoint's root over {tree.size} records"
