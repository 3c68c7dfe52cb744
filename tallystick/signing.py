"""The signing face: the part of an open ledger that signs what it is, shows that to others, and proves events."""

from typing import TYPE_CHECKING

from tallystick.house import House

if TYPE_CHECKING:  # loaded by the process that shows one
    from tallystick.projections.attested import Attestation


class Signing:
    """What a `Ledger` has of checkpoints and proofs."""

    _house: House

    def checkpoint(self) -> bytes:
        """Return a checkpoint of the log as it is now: a signed note (C2SP tlog-checkpoint), to be kept elsewhere.

        The owner signs it with the keys of `[integrity]`, and keeps it in the log, durable on return. A ledger that
        only reads signs without keeping it there. Where no key is, it is the newest that was signed elsewhere. Raises
        `InvalidInput` without an origin or for a key that cannot be used, `NotFound` when there is neither key nor
        checkpoint, `NotProved` when the log is not the one that was signed before, or that a key signed last elsewhere,
        `StoreError`.
        """
        from tallystick.checkpoints import newest

        return newest(self._house)

    def add_checkpoint(self, note: bytes, *keys: str) -> bytes:
        """Keep a checkpoint of this log that was signed elsewhere by one of these verifier keys; return the newest.

        That is another one when a newer one is kept. Raises `NotProved` when none of the keys signed it, or it is not
        of this log, `InvalidInput`, `NotOwner`, `StoreError`: nothing is kept then.
        """
        from tallystick.checkpoints import add

        return add(self._house, note, *keys)

    def attest(self) -> "Attestation":
        """Show the newest checkpoint to the witnesses and the timestamp authority of `[integrity]`; return what came.

        What they said is durable on return; who could not be reached stands in it with the reason. Raises `NotProved`
        when one saw a state from which the log does not go on, `InvalidInput` when nobody is configured, `NotOwner`,
        `StoreError`, and as `checkpoint`.
        """
        from tallystick.attestations import attest

        return attest(self._house)

    def prove(self, lookup: str | int, *, version: int | None = None) -> bytes:
        """Return the proof that an event is in the log, with its record: a file (C2SP tlog-proof) for others to verify.

        A number is a position. Of the task or flow that a token names it is the event with this version, else the one
        that ended the task, else the newest. `tallystick.proofs.verify_proof` verifies it, without the ledger.
        Raises `NotFound`, also when no checkpoint has the event, and as `checkpoint`; `Corrupt` when it would fail.
        """
        from tallystick.checkpoints import prove

        return prove(self._house, lookup, version)

    def prove_from(self, old: int | bytes) -> bytes:
        """Return the proof that the log goes on from its first `old` records, or from a checkpoint that was kept.

        Raises `NotProved` when it does not go on from that checkpoint, `InvalidInput`, and as `prove`.
        """
        from tallystick.checkpoints import prove_from

        return prove_from(self._house, old)
