"""The keys of notes: the half that verifies, as `name+id+base64`, and the half that signs, as Go's sumdb/note has it.

A key is a name, an algorithm and a public key; its id is the first bytes of a SHA-256 over all three.
"""

import re
from hashlib import sha256
from typing import Final, NoReturn, Self

from msgspec import Struct

from tallystick.ledger.errors import SIGNING_KEY, InvalidInput
from tallystick.ledger.limits import TREE_SIZE_MAX
from tallystick.ledger.proofs import lines
from tallystick.ledger.proofs.note import KEY_ID_BYTES, Signature

ED25519: Final = 0x01
"""Signs the text of a note."""

COSIGNATURE: Final = 0x04
"""Ed25519 as witnesses use it (C2SP tlog-cosignature, cosignature/v1): signs a time and the text of a checkpoint."""

PUBLIC_BYTES: Final = 32
SECRET_BYTES: Final = 32

_TIME_BYTES = 8
_ALGORITHMS = {ED25519: "Ed25519", COSIGNATURE: "cosignature/v1"}
_SIGNS = SIGNING_KEY  # what the text of a signing key begins with
_ID = re.compile(rf"[0-9a-f]{{{2 * KEY_ID_BYTES}}}")
_VERIFIER_SHAPE = "a verifier key: name+id+base64"
_SIGNER_SHAPE = f"a signing key: {_SIGNS}name+id+base64"


class VerifierKey(Struct, frozen=True):
    """The public half of a key: whoever has it can tell what the key signed."""

    name: str
    algorithm: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart; no protection against somebody who wants two to be alike."""
        return sha256(self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public).digest()[:KEY_ID_BYTES]

    @property
    def text(self) -> str:
        """The key in one line, as `parse_vkey` reads it, and as it is given to whoever verifies."""
        encoded = lines.base64_text(bytes([self.algorithm]) + self.public)
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def has_made(self, signature: Signature) -> bool:
        """Whether a signature says that it is of this key; whether it is good, `verifies` tells."""
        return signature.name == self.name and signature.key_id == self.key_id

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Whether the key signed the text of a note, newline at the end included."""
        from tallystick.ledger.proofs import ed25519  # noqa: PLC0415 - loads cryptography

        if self.algorithm == COSIGNATURE:
            time = cosigned_at(signature)
            if time is None:
                return False
            text, signature = f"cosignature/v1\ntime {time}\n".encode() + text, signature[_TIME_BYTES:]
        return ed25519.is_signed(self.public, text, signature)


def cosigned_at(signature: bytes) -> int | None:
    """Return the time (s) that a cosignature says it was made at; None when it is none."""
    time = int.from_bytes(signature[:_TIME_BYTES])
    return time if len(signature) > _TIME_BYTES and time <= TREE_SIZE_MAX else None


def parse_vkey(text: str) -> VerifierKey:
    """Read a verifier key. Raises `InvalidInput` when it is none, its id is another's, or its algorithm unknown."""
    if _SIGNS in text:  # which no message may repeat
        raise InvalidInput("verifier key", "a signing key", f"{_VERIFIER_SHAPE}, its public half")
    parts = text.split("+", 2)
    if len(parts) != 3:  # noqa: PLR2004 - as many as the format has
        raise InvalidInput("verifier key", f"{len(text)} characters", _VERIFIER_SHAPE)
    name, key_id, encoded = parts
    algorithm, public = _key_bytes("verifier key", encoded, _ALGORITHMS)
    key = VerifierKey(lines.key_name("verifier key", name), algorithm, public)
    if key.key_id.hex() != key_id:
        # Not the text: the bytes may be those of a signing key that lost its beginning.
        raise InvalidInput("verifier key", name, f"a key whose id is that of its bytes, {key.key_id.hex()}")
    return key


class SigningKey:
    """A key with its secret: Ed25519, for the checkpoints of one log. Neither repr nor pickle show the secret."""

    __slots__ = ("_secret", "verifier")

    def __init__(self, name: str, secret: bytes) -> None:
        """Take a name and a secret of `SECRET_BYTES`. Raises `InvalidInput`."""
        from tallystick.ledger.proofs import ed25519  # noqa: PLC0415 - loads cryptography

        if len(secret) != SECRET_BYTES:
            raise InvalidInput("secret", f"{len(secret)} bytes", f"{SECRET_BYTES} bytes")
        self._secret = secret
        self.verifier = VerifierKey(lines.key_name("key name", name), ED25519, ed25519.public_of(secret))

    @classmethod
    def generate(cls, name: str) -> Self:
        """Return a new key with a secret that nobody knows. Raises `InvalidInput` for a name that no key can have."""
        from tallystick.ledger.proofs import ed25519  # noqa: PLC0415 - loads cryptography

        return cls(name, ed25519.new_seed())

    @property
    def name(self) -> str:
        """The name of the key: the origin of the log whose checkpoints it signs."""
        return self.verifier.name

    @property
    def text(self) -> str:
        """The key with its secret in one line, as `parse_signing_key` and Go's note.NewSigner read it."""
        encoded = lines.base64_text(bytes([ED25519]) + self._secret)
        return f"{_SIGNS}{self.name}+{self.verifier.key_id.hex()}+{encoded}"

    def sign(self, text: bytes) -> Signature:
        """Return the signature of the text of a note, newline at the end included."""
        from tallystick.ledger.proofs import ed25519  # noqa: PLC0415 - loads cryptography

        return Signature(self.name, self.verifier.key_id, ed25519.sign(self._secret, text))

    def __repr__(self) -> str:
        return f"<SigningKey {self.name}+{self.verifier.key_id.hex()}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key is not pickled: its secret would be in the bytes")


def parse_signing_key(text: str) -> SigningKey:
    """Read a signing key. Raises `InvalidInput`, whose message and data do not have the secret."""
    shown = f"{len(text)} characters"
    parts = text.removeprefix(_SIGNS).split("+", 2)
    if not text.startswith(_SIGNS) or len(parts) != 3:  # noqa: PLR2004 - as many as the format has
        raise InvalidInput("signing key", shown, _SIGNER_SHAPE)
    name, key_id, encoded = parts
    try:
        _, secret = _key_bytes("signing key", encoded, {ED25519: "Ed25519"})
        key = SigningKey(name, secret)
    except InvalidInput:
        raise InvalidInput("signing key", shown, _SIGNER_SHAPE) from None
    if key.verifier.key_id.hex() != key_id:
        told = f"{name}+{key_id}" if _ID.fullmatch(key_id) else name  # what stands in its place may be the secret
        raise InvalidInput("signing key", told, f"a key whose id is that of its bytes, {key!r}")
    return key


def _key_bytes(field: str, encoded: str, algorithms: dict[int, str]) -> tuple[int, bytes]:
    """The algorithm of a key, and its bytes."""
    data = lines.base64_bytes(field, encoded)
    if not data or data[0] not in algorithms:
        known = ", ".join(f"{number:#04x} ({name})" for number, name in algorithms.items())
        raise InvalidInput(field, f"algorithm {data[:1].hex() or 'none'}", f"a key of one of the algorithms {known}")
    if len(data) != 1 + PUBLIC_BYTES:
        raise InvalidInput(field, f"{len(data) - 1} bytes", f"a key of {PUBLIC_BYTES} bytes")
    return data[0], data[1:]
