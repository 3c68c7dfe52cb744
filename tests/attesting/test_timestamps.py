"""An authority says when it saw a checkpoint: a token over its bytes, which openssl and this package verify alike."""

from collections.abc import Iterator
from hashlib import sha512
from pathlib import Path

import pytest

from tallystick.ledger.errors import InvalidInput, NotProved
from tallystick.ledger.proofs.checkpoint import open_checkpoint
from tallystick.ledger.proofs.keys import parse_vkey
from tallystick.projections.attested import Attestation, attestations
from tallystick.testing import HandClock
from tallystick.timestamps import accept, question, verify_token
from tests.attesting.authority import Authority, needs_openssl, serving
from tests.attesting.witness import Witness
from tests.attesting.witness import serving as serving_witness
from tests.notary.parts import ORDINARY, Place

pytestmark = needs_openssl
pytest.importorskip("rfc3161_client", reason="the extra timestamp is not installed")

DATA = b"example.org/ledger/main\n3\nroot\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with serving(Authority(tmp_path_factory.mktemp("authority") / "here")) as served:
        yield served


@pytest.fixture
def answered(authority: Authority) -> Iterator[Authority]:
    authority.instead = None
    authority.answers.clear()
    yield authority
    authority.instead = None


def stamped(place: Place, asked: Authority, **more: object) -> Attestation:
    with place.open(0, clock=HandClock(), timestamp=asked.address, **more) as ledger:
        if not ledger.status().head:
            ledger.create(**ORDINARY)
        return ledger.attest()


def token_of(authority: Authority, data: bytes = DATA) -> bytes:
    status, token = authority.answer(question(data).to_bytes())
    assert status == 200
    return token


def test_a_token_is_issued_for_a_checkpoint_and_verified_here_and_by_openssl(place: Place, answered: Authority) -> None:
    made = stamped(place, answered, authority=str(answered.root))
    checkpoint, token = place.beside / "checkpoint", place.beside / "token.tsr"
    checkpoint.write_bytes(made.checkpoint)
    token.write_bytes(made.token or b"")

    moment = verify_token(made.token or b"", made.checkpoint, answered.root.read_bytes())
    assert answered.verifies(token, checkpoint)
    [standing] = made.standings
    assert (moment.timestamp(), None, answered.address) == (standing.at, standing.failure, standing.name)
    with place.log() as log:
        assert [made] == attestations(log)


def test_the_token_is_over_the_checkpoint_with_its_cosignatures(place: Place, answered: Authority) -> None:
    with serving_witness(Witness(*place.verifiers)) as witness:
        made = stamped(place, answered, witness=witness.configured)
    opened = open_checkpoint(made.checkpoint, parse_vkey(place.verifiers[0]), witness.key)

    assert 2 == len(opened.signers)
    verify_token(made.token or b"", made.checkpoint, answered.root.read_bytes())


def test_of_what_it_has_seen_nobody_asks_it_again(place: Place, answered: Authority) -> None:
    assert stamped(place, answered) == stamped(place, answered)
    assert 1 == len(answered.answers)


def test_one_flipped_bit_of_the_checkpoint_is_refused(answered: Authority) -> None:
    token, root = token_of(answered), answered.root.read_bytes()
    for place in range(len(DATA)):
        with pytest.raises(NotProved, match="token"):
            verify_token(token, _flipped(DATA, place), root)


def test_one_flipped_bit_of_the_token_is_refused_or_says_the_same(answered: Authority) -> None:
    token, root = token_of(answered), answered.root.read_bytes()
    moment, passed = verify_token(token, DATA, root), 0
    for place in range(len(token)):
        try:
            assert moment == verify_token(_flipped(token, place), DATA, root)
        except (NotProved, InvalidInput):
            continue
        passed += 1  # of what nobody signs: the numbers of versions, say

    assert passed < len(token) // 50


def test_a_token_of_another_authority_is_refused(answered: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    with pytest.raises(NotProved, match="not one of this authority"):
        verify_token(token_of(other), DATA, answered.root.read_bytes())


def test_the_answer_to_another_question_is_not_accepted(answered: Authority) -> None:
    asked = question(DATA)
    with pytest.raises(NotProved, match="nonce"):
        accept(asked, token_of(answered))


def test_an_answer_with_the_nonce_and_about_other_bytes_is_not_accepted(answered: Authority) -> None:
    asked, digest = question(DATA), sha512(DATA).digest()
    other = asked.to_bytes().replace(digest, sha512(b"other").digest())
    _, token = answered.answer(other)
    with pytest.raises(NotProved, match="other bytes"):
        accept(asked, token)


def test_a_question_that_is_refused_has_no_token(answered: Authority) -> None:
    _, refused = answered.answer(b"no question at all")
    with pytest.raises(NotProved, match="granted none"):
        accept(question(DATA), refused)


@pytest.mark.parametrize("root", [b"", b"garbage"])
def test_certificates_that_are_none_are_refused(answered: Authority, root: bytes) -> None:
    with pytest.raises(InvalidInput, match="PEM"):
        verify_token(token_of(answered), DATA, root)


def test_a_certificate_that_others_signed_is_no_root(answered: Authority) -> None:
    with pytest.raises(InvalidInput, match="signed itself"):
        verify_token(token_of(answered), DATA, (answered.folder / "tsa.pem").read_bytes())


@pytest.mark.parametrize(
    ("instead", "why"),
    [((200, b"garbage"), "RFC 3161"), ((200, b""), "RFC 3161"), ((500, b""), "500"), ((200, b"0" * 70_000), "at most")],
)
def test_what_is_no_token_is_not_kept(place: Place, answered: Authority, instead: tuple[int, bytes], why: str) -> None:
    answered.instead = instead
    made = stamped(place, answered)

    assert (None, True) == (made.token, why in (made.standings[0].failure or ""))
    with place.log() as log:
        assert [] == attestations(log)


def test_an_old_answer_is_not_kept(place: Place, answered: Authority) -> None:
    answered.instead = (200, token_of(answered))

    assert "another question" in (stamped(place, answered).standings[0].failure or "")


def test_an_answer_of_somebody_else_is_not_kept(place: Place, answered: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    made = stamped(place, answered, authority=str(other.root))

    assert (None, True) == (made.token, "not one of this authority" in (made.standings[0].failure or ""))


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
