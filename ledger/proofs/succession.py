"""Succession: whether a checkpoint may be signed by a key that signed another one before.

Two checkpoints of one log that do not go on from each other are a log with two pasts, for whoever gets one of them.
"""

from tallystick.ledger.errors import NotProved
from tallystick.ledger.proofs import merkle
from tallystick.ledger.proofs.checkpoint import Checkpoint
from tallystick.ledger.proofs.merkle import Nodes


def check_succession(signed: Checkpoint, wanted: Checkpoint, nodes: Nodes | None) -> None:
    """Raise `NotProved` unless the tree that is to be signed is the one that was signed, or goes on from it.

    `nodes` are those of the wanted tree; a consistency proof is made of them, and checked. Without them a larger tree
    is taken at its word: what is held then are the size, and the root of one size. Raises what `nodes` raise.
    """
    if wanted.origin != signed.origin:
        raise NotProved(
            "origin", f"a checkpoint of {signed.origin} was signed before, and this one is of {wanted.origin}."
        )
    if wanted.size < signed.size:
        raise NotProved("size", _reason(signed, wanted))
    if wanted.size == signed.size or nodes is None:
        goes_on = wanted.size > signed.size or wanted.root_hash == signed.root_hash
    else:
        proof = merkle.consistency_proof(nodes, signed.size, wanted.size)
        goes_on = merkle.check_consistency(signed.size, signed.root_hash, wanted.size, wanted.root_hash, proof)
    if not goes_on:
        raise NotProved("root", _reason(signed, wanted))


def _reason(signed: Checkpoint, wanted: Checkpoint) -> str:
    return (
        f"{wanted.size} records with the root {wanted.root_hash.hex()} do not go on from the {signed.size} with the"
        f" root {signed.root_hash.hex()} that were signed before."
    )
