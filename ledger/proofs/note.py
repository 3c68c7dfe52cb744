"""Signed notes (C2SP signed-note v1.0.0): text, an empty line, and a line for each signature.

    example.org/ledger
    4096
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — example.org/ledger Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeO…

Owns the bytes; which signatures are good is `checkpoint`'s business, with keys.
"""

from typing import Final

from msgspec import Struct

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX
from tallystick.ledger.proofs import lines

KEY_ID_BYTES: Final = 4

_BEGINNING = "— "  # of a signature line
_SHAPE = "a signed note: text, an empty line, and signature lines that begin with an em dash"


class Signature(Struct, frozen=True):
    """One signature of a note: the name of the key, its id, and what the key made, which is never empty."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The signature as a line of a note, without its newline."""
        return f"{_BEGINNING}{self.name} {lines.base64_text(self.key_id + self.signature)}"


class Note(Struct, frozen=True):
    """A text that ends with a newline, and its signatures in the order of their lines: at least one."""

    text: str
    signatures: tuple[Signature, ...]

    def to_bytes(self) -> bytes:
        """Return the note as it is kept and sent: what `parse_note` reads."""
        signed = "".join(f"{signature.line}\n" for signature in self.signatures)
        return f"{self.text}\n{signed}".encode()


def merged(older: Note, newer: Note) -> Note:
    """Return a note of one text with the lines of both: of each key one, that of `newer`.

    A witness that signs again says the same at another time; with all of its lines a note would become unreadable.
    """
    of_keys = {(each.name, each.key_id): each for each in (*older.signatures, *newer.signatures)}
    return Note(newer.text, tuple(of_keys.values()))


def parse_note(data: bytes) -> Note:
    """Read a signed note; its signatures are not verified. What is returned has these bytes again.

    Raises `InvalidInput` when it is none, has more than `NOTE_BYTES_MAX` bytes or `NOTE_SIGNATURES_MAX` signatures.
    """
    if len(data) > NOTE_BYTES_MAX:
        raise InvalidInput("note", f"{len(data)} bytes", f"at most {NOTE_BYTES_MAX} bytes")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        whole = ""
    text, gap, signed = whole.rpartition("\n\n")  # the last empty line: the text may have others
    if not gap or not signed.endswith("\n") or not lines.is_plain(whole, besides="\n"):
        raise InvalidInput("note", data, _SHAPE)
    found = signed[:-1].split("\n")
    if len(found) > NOTE_SIGNATURES_MAX:
        raise InvalidInput("note", f"{len(found)} signatures", f"at most {NOTE_SIGNATURES_MAX} signatures")
    return Note(f"{text}\n", tuple(map(_signature, found)))


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_BEGINNING).partition(" ")
    if not line.startswith(_BEGINNING):
        raise InvalidInput("note", f"a line of {len(line)} characters", _SHAPE)
    signed = lines.base64_bytes("signature", encoded)
    if len(signed) <= KEY_ID_BYTES:
        raise InvalidInput(
            "signature", f"{len(signed)} bytes", f"a key id of {KEY_ID_BYTES} bytes and a signature, in base64"
        )
    return Signature(lines.key_name("key name", name), signed[:KEY_ID_BYTES], signed[KEY_ID_BYTES:])
