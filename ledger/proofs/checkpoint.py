"""Checkpoints (C2SP tlog-checkpoint v1.0.0): the size and the root of a log's tree, as the text of a signed note."""

from msgspec import Struct

from tallystick.ledger.errors import InvalidInput, NotProved
from tallystick.ledger.proofs import lines
from tallystick.ledger.proofs.keys import COSIGNATURE, SigningKey, VerifierKey
from tallystick.ledger.proofs.note import Note, Signature, merged, parse_note
from tallystick.ledger.store.tree import EMPTY_ROOT

_SHAPE = "a checkpoint: lines of the origin, the size and the root hash in base64"


class Checkpoint(Struct, frozen=True):
    """What a log says of itself: which it is, how many leaves its tree has, and their root hash.

    `extensions` are further lines of other logs, which mean nothing here; ours never have any.
    """

    origin: str
    size: int
    root_hash: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What is signed: a line for each, the last newline included."""
        body = (self.origin, str(self.size), lines.base64_text(self.root_hash), *self.extensions)
        return "".join(f"{line}\n" for line in body)


class Opened(Struct, frozen=True):
    """A checkpoint whose signatures were verified: those of `signers`, of the keys that were trusted, are good."""

    checkpoint: Checkpoint
    note: Note
    signers: tuple[VerifierKey, ...]

    @property
    def verified(self) -> Note:
        """The note with nothing but lines that were verified: of each signer one."""
        lines = (each for each in self.note.signatures if any(key.has_made(each) for key in self.signers))
        return merged(Note(self.note.text, ()), Note(self.note.text, tuple(lines)))


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint, which nobody has verified. What is returned has this text again.

    Raises `InvalidInput`.
    """
    body = text.split("\n")
    if len(body) < 4 or body.pop() or not all(body) or not lines.is_plain(text, besides="\n"):  # noqa: PLR2004
        raise InvalidInput("checkpoint", f"{len(text)} characters", _SHAPE)
    origin, size, root, *extensions = body
    checkpoint = Checkpoint(
        origin, lines.number("checkpoint size", size), lines.hash_bytes("checkpoint root", root), tuple(extensions)
    )
    if not checkpoint.size and checkpoint.root_hash != EMPTY_ROOT:
        raise InvalidInput("checkpoint root", root, f"{lines.base64_text(EMPTY_ROOT)}, the root of an empty tree")
    return checkpoint


def sign(checkpoint: Checkpoint, *keys: SigningKey) -> Note:
    """Return the checkpoint signed by each of the keys, in their order. Raises `InvalidInput` without a key."""
    if not keys:
        raise InvalidInput("keys", (), "at least one signing key")
    text = checkpoint.text
    parse_checkpoint(text)  # an origin of two lines would be a text that nobody meant
    return Note(text, tuple(key.sign(text.encode()) for key in keys))


def open_checkpoint(data: bytes, *trusted: VerifierKey, quorum: int = 1, origin: str | None = None) -> Opened:
    """Read a checkpoint and verify it with the keys that the caller trusts.

    A key of the log itself MUST be among those that signed, and together they MUST be `quorum` many: each secret counts
    once, under whatever names and algorithms. The log's keys are those whose name is the origin; with an `origin`, any
    key speaks for the log of this origin only. The key of a witness (`COSIGNATURE`) never speaks for a log.
    Signatures of other keys are ignored, as the formats want it. A signature that says it is of a trusted key and is
    not good spoils all of it.

    Raises `InvalidInput` when the bytes are no checkpoint, `NotProved` when they are one that nobody trusted signed.
    """
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    if origin is not None and checkpoint.origin != origin:
        raise NotProved("origin", f"the checkpoint is of {checkpoint.origin}, not of {origin}.")
    signers = _signers(note, trusted)
    of_log = (key for key in signers if key.algorithm != COSIGNATURE)
    if not any(origin is not None or key.name == checkpoint.origin for key in of_log):
        theirs = ", ".join(sorted({f"{each.name}+{each.key_id.hex()}" for each in note.signatures}))
        ours = ", ".join(sorted({f"{key.name}+{key.key_id.hex()}" for key in trusted})) or "no key"
        said = f"it has signatures of {theirs}, and trusted is {ours}."
        raise NotProved("signature", f"no trusted key of {checkpoint.origin} signed the checkpoint; {said}")
    secrets = len({key.public for key in signers})
    if secrets < quorum:
        raise NotProved("signature", f"{secrets} trusted keys signed the checkpoint; {quorum} must have.")
    return Opened(checkpoint, note, signers)


def without_forged(note: Note, *keys: VerifierKey) -> Note:
    """Return a note without the lines that say that they are of one of these keys, and are not."""
    text = note.text.encode()

    def is_forged(line: Signature) -> bool:
        return any(key.has_made(line) and not key.verifies(text, line.signature) for key in keys)

    return Note(note.text, tuple(line for line in note.signatures if not is_forged(line)))


def is_signed_by(note: Note, *keys: VerifierKey) -> bool:
    """Whether each of these keys signed a note, and no line only says that it is of one of them."""
    return without_forged(note, *keys) == note and all(any(map(key.has_made, note.signatures)) for key in keys)


def _signers(note: Note, trusted: tuple[VerifierKey, ...]) -> tuple[VerifierKey, ...]:
    """Those of the trusted keys that signed. One signature that is not good raises."""
    text = note.text.encode()
    signers: dict[VerifierKey, None] = {}
    for signature in note.signatures:
        for key in trusted:
            if not key.has_made(signature):
                continue
            if not key.verifies(text, signature.signature):
                raise NotProved(
                    "signature",
                    f"the signature of {key.name}+{key.key_id.hex()} is not that of this text:"
                    " the checkpoint was altered, or another key made it.",
                )
            signers[key] = None
    return tuple(signers)
