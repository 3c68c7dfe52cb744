"""The proofs: notes, checkpoints, keys, proofs, tiles, and what witnesses and authorities answer.

None of these bytes may prove anything else than what the keys of these tests signed.
"""

from functools import cache
from pathlib import Path

from tallystick.ledger.errors import InvalidInput, NotProved
from tallystick.ledger.proofs.checkpoint import is_signed_by, open_checkpoint, parse_checkpoint, without_forged
from tallystick.ledger.proofs.keys import parse_signing_key, parse_vkey
from tallystick.ledger.proofs.note import merged, parse_note
from tallystick.ledger.proofs.proving import prove_consistency, prove_inclusion
from tallystick.ledger.proofs.tiles import bundle, parse_bundle
from tallystick.ledger.proofs.tlog_proof import ConsistencyProof, parse_consistency_proof, parse_inclusion_proof
from tallystick.ledger.proofs.witness import Cosigned, cosigned, response
from tallystick.proofs import verify_proof, verify_seen
from tallystick.timestamps import Question, accept, question, verify_token
from tests.attesting.authority import Authority
from tests.fuzz.target import Target, place
from tests.proofs.parts import KEY, TRUSTED, Levels, checkpoint, cosign, record, root_of, signed, witness

_SMALL, _SIZE = 5, 300
_INDEX = 17
_WITNESS, _COSIGNER = witness("witness.example/w1")
_STATUSES = (200, 403, 404, 409, 422, 500)


@cache
def _seen() -> bytes:
    """A checkpoint that a witness cosigned."""
    note = parse_note(signed(_SIZE))
    return type(note)(note.text, (*note.signatures, cosign(_WITNESS, note.text))).to_bytes()


def _note(data: bytes) -> None:
    note = parse_note(data)
    assert data == note.to_bytes()
    merged(note, note).to_bytes()
    without_forged(note, TRUSTED, _COSIGNER)
    is_signed_by(note, TRUSTED)
    told = parse_checkpoint(note.text)
    assert told.text == note.text
    at = cosigned(note, _COSIGNER)
    assert at is None or _SIZE == told.size
    opened = open_checkpoint(data, TRUSTED, _COSIGNER)
    assert opened.checkpoint in (checkpoint(_SMALL), checkpoint(_SIZE))
    assert at is None or verify_seen(data, _COSIGNER.text)


@cache
def _proofs() -> list[bytes]:
    inclusion = prove_inclusion(Levels(), _INDEX, signed(_SIZE), extra=record(_INDEX))
    return [
        inclusion.to_bytes(),
        prove_inclusion(Levels(), 0, signed(_SMALL), extra=record(0)).to_bytes(),
        prove_consistency(Levels(), _SMALL, signed(_SIZE)).to_bytes(),
        prove_consistency(Levels(), _SIZE, signed(_SIZE)).to_bytes(),
    ]


def _proof(data: bytes) -> None:
    if data.startswith(b"old "):
        proof = parse_consistency_proof(data)
        assert data == proof.to_bytes()
        old = _SIZE if proof.old == _SIZE else _SMALL
        proved = verify_proof(data, TRUSTED.text, old=signed(old))
        assert old == proved.old
    else:
        assert data == parse_inclusion_proof(data).to_bytes()
        proved = verify_proof(data, TRUSTED.text)
        assert proved.position is not None
        assert record(proved.position - 1) == proved.record
    assert root_of(proved.size) == proved.root_hash


def _key(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    if text.startswith("PRIVATE"):
        assert text == parse_signing_key(text).text
    else:
        assert text == parse_vkey(text).text


def _tile(data: bytes) -> None:
    assert data == bundle(parse_bundle(data))


@cache
def _asked() -> ConsistencyProof:
    return prove_consistency(Levels(), _SMALL, signed(_SIZE))


@cache
def _answers() -> list[bytes]:
    said = [f"{cosign(_WITNESS, checkpoint(_SIZE).text).line}\n".encode(), b"", b"", b"5\n", b"", b"no"]
    return [bytes([number]) + body for number, body in enumerate(said)]


def _answer(data: bytes) -> None:
    said = response(_asked(), _COSIGNER, _STATUSES[data[0] % len(_STATUSES)], data[1:])
    if isinstance(said, Cosigned):
        assert {TRUSTED, _COSIGNER} == {*open_checkpoint(said.note, TRUSTED, _COSIGNER, quorum=2).signers}


# Timestamps.

_DATA = b"example.org/ledger/main\n3\nroot\n"


@cache
def _authority() -> tuple[Path, Question, bytes]:
    """The certificate of an authority, a question, and its answer."""
    authority = Authority(place("authority") / "here")
    asked = question(_DATA)
    return authority.root, asked, authority.answer(asked.to_bytes())[1]


def _token(data: bytes) -> None:
    root, asked, sound = _authority()
    at = accept(asked, sound)
    assert at == accept(asked, data, root.read_bytes())
    assert at == int(verify_token(data, _DATA, root.read_bytes()).timestamp())


REFUSED = (InvalidInput, NotProved)

TARGETS = (
    Target(name="note", seeds=lambda: [signed(_SMALL), signed(_SIZE), _seen()], read=_note, refusals=REFUSED),
    Target(name="proof", seeds=_proofs, read=_proof, refusals=REFUSED),
    Target(
        name="key",
        seeds=lambda: [KEY.text.encode(), TRUSTED.text.encode(), _COSIGNER.text.encode()],
        read=_key,
        refusals=REFUSED,
    ),
    Target(name="tile", seeds=lambda: [bundle([record(index) for index in range(3)])], read=_tile, refusals=REFUSED),
    Target(name="witness", seeds=_answers, read=_answer, refusals=(IndexError,)),
    Target(name="token", seeds=lambda: [_authority()[2]], read=_token, refusals=REFUSED),
)
