"""Keys are those of C2SP and of Go's sumdb/note, and nothing that is shown has a secret."""

import copy
import pickle

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.proofs.checkpoint import parse_checkpoint
from tallystick.ledger.proofs.keys import (
    COSIGNATURE,
    ED25519,
    SigningKey,
    VerifierKey,
    parse_signing_key,
    parse_vkey,
)
from tallystick.ledger.proofs.note import parse_note
from tallystick.ledger.proofs.tlog_proof import parse_inclusion_proof
from tests.proofs.parts import KEY, ORIGIN, OTHER, TIME, TRUSTED, cosign, every_flip, near, witness
from tests.proofs.test_notes import VKEY, names

SECRET = KEY.text.rpartition("+")[2]
BARE = KEY.text.removeprefix("PRIVATE+KEY+")

# What note.GenerateKey and note.NewSigner are documented with, golang.org/x/mod/sumdb/note.
GO_SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_LINE = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="

verifiers = st.builds(
    VerifierKey,
    name=names,
    algorithm=st.sampled_from([ED25519, COSIGNATURE]),
    public=st.binary(min_size=32, max_size=32),
)


def test_a_key_of_the_documentation_of_go_signs_as_it_says_there() -> None:
    key = parse_signing_key(GO_SKEY)

    assert GO_VKEY == key.verifier.text
    assert GO_SKEY == key.text
    assert GO_LINE == key.sign(GO_TEXT.encode()).line


@given(names, st.binary(min_size=32, max_size=32))
def test_a_key_that_was_written_is_read_as_it_was(name: str, secret: bytes) -> None:
    key = SigningKey(name, secret)

    again = parse_signing_key(key.text)
    assert key.text == again.text
    assert key.verifier == again.verifier == parse_vkey(key.verifier.text)


@given(verifiers)
def test_a_verifier_key_that_was_written_is_read_as_it_was(key: VerifierKey) -> None:
    assert key == parse_vkey(key.text)


@given(
    near([VKEY.encode(), TRUSTED.text.encode(), witness("w")[1].text.encode()]).map(
        lambda data: data.decode("utf-8", "surrogateescape")
    )
    | st.text()
)
@example("")
@example("++")
@example("a+b+c")
@example(VKEY.upper())
def test_any_text_is_refused_or_is_a_verifier_key_with_this_text(text: str) -> None:
    try:
        key = parse_vkey(text)
    except InvalidInput:
        return
    assert text == key.text


@given(
    near([KEY.text.encode(), GO_SKEY.encode()]).map(lambda data: data.decode("utf-8", "surrogateescape")) | st.text()
)
@example("PRIVATE+KEY+")
@example("PRIVATE+KEY+a+b+c")
def test_any_text_is_refused_or_is_a_signing_key_with_this_text(text: str) -> None:
    try:
        key = parse_signing_key(text)
    except InvalidInput:
        return
    assert text == key.text


def test_a_new_key_has_a_secret_that_no_other_has() -> None:
    one, two = SigningKey.generate(ORIGIN), SigningKey.generate(ORIGIN)

    assert one.text != two.text
    assert ORIGIN == one.name == one.verifier.name
    assert one.verifier.verifies(b"text\n", one.sign(b"text\n").signature)


def test_a_key_verifies_what_it_signed_and_nothing_else() -> None:
    signature = KEY.sign(b"text\n")

    assert TRUSTED.has_made(signature)
    assert TRUSTED.verifies(b"text\n", signature.signature)
    assert not TRUSTED.verifies(b"text", signature.signature)
    assert not OTHER.verifier.verifies(b"text\n", signature.signature)
    assert not OTHER.verifier.has_made(signature)


def test_no_bit_of_a_signature_or_of_what_was_signed_may_be_another() -> None:
    text = b"a text\n"
    made = KEY.sign(text).signature

    assert [] == [bit for bit, changed in every_flip(made) if TRUSTED.verifies(text, changed)]
    assert [] == [bit for bit, changed in every_flip(text) if TRUSTED.verifies(changed, made)]


@given(st.binary(max_size=80), st.binary(max_size=100), verifiers)
def test_other_bytes_are_no_signature_and_no_error(text: bytes, signature: bytes, key: VerifierKey) -> None:
    assert not key.verifies(text, signature)


def test_a_cosignature_signs_its_time_and_the_checkpoint() -> None:
    secret, public = witness("witness.example/w")
    text = "example.org/ledger\n1\nn4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=\n"
    made = cosign(secret, text)

    assert public.has_made(made)
    assert not secret.verifier.has_made(made)  # the same bytes are another key with another algorithm
    assert public.verifies(text.encode(), made.signature)
    assert not public.verifies(text.encode(), secret.sign(text.encode()).signature)
    assert not public.verifies(text.encode(), (TIME + 1).to_bytes(8) + made.signature[8:])
    assert [] == [bit for bit, changed in every_flip(made.signature) if public.verifies(text.encode(), changed)]


def test_a_cosignature_later_than_the_specification_allows_is_none() -> None:
    secret, public = witness("w")

    assert public.verifies(b"x\n", cosign(secret, "x\n", 2**63 - 1).signature)
    assert not public.verifies(b"x\n", cosign(secret, "x\n", 2**63).signature)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "name\\+id\\+base64", id="nothing"),
        pytest.param(VKEY.replace("530d903a", "530d903b"), "whose id is", id="the id of another"),
        pytest.param(VKEY.replace("530d903a", "530D903A"), "whose id is", id="an id in capitals"),
        pytest.param(VKEY.replace("foo", "bar"), "whose id is", id="another name"),
        pytest.param("a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "without spaces", id="a space"),
        pytest.param("+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "without spaces", id="no name"),
        pytest.param("a+530d903a+BukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "0x01 \\(Ed25519\\)", id="ML-DSA"),
        pytest.param("a+530d903a+AekyeQ==", "32 bytes", id="too short"),
        pytest.param(VerifierKey("a", ED25519, bytes(33)).text, "32 bytes", id="too long"),
        pytest.param("a+530d903a+", "algorithms", id="empty"),
        pytest.param("a+530d903a+!", "base64", id="no base64"),
    ],
)
def test_what_is_no_verifier_key_is_told_what_is_wrong(text: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        parse_vkey(text)


def secrets_in(shown: str) -> list[str]:
    """The parts of the secret of `KEY` that a text has."""
    secret = KEY.text.rpartition("+")[2]
    return [secret[at : at + 8] for at in range(len(secret) - 8) if secret[at : at + 8] in shown]


@pytest.mark.parametrize(
    "read",
    [
        lambda: parse_vkey(KEY.text),
        lambda: parse_vkey(f" {KEY.text}"),
        lambda: parse_signing_key(KEY.text.replace(KEY.verifier.key_id.hex(), "00000000")),
        lambda: parse_signing_key(KEY.text[:-1]),
        lambda: parse_signing_key(KEY.text.removeprefix("PRIVATE+")),
        lambda: parse_signing_key(f"{KEY.text}\n"),
        lambda: parse_signing_key(f"PRIVATE+KEY+{ORIGIN}+{SECRET}+{SECRET}"),
        lambda: parse_vkey(BARE),
        lambda: parse_vkey(BARE[:-1]),
        lambda: parse_vkey(SECRET),
        lambda: parse_checkpoint(f"{BARE}\n"),
        lambda: parse_checkpoint(f"{ORIGIN}\n1\n{SECRET}\n"),
        lambda: parse_note(f"{BARE}\n".encode()),
        lambda: parse_note(f"{ORIGIN}\n\n{BARE}\n".encode()),
        lambda: parse_note(f"{ORIGIN}\n\n— {ORIGIN} {SECRET[:-1]}\n".encode()),
        lambda: parse_inclusion_proof(f"{BARE}\n\n{BARE}\n".encode()),
    ],
    ids=[
        "as a verifier key",
        "behind a space",
        "another id",
        "cut off",
        "another beginning",
        "a newline",
        "in the place of the id",
        "without a beginning",
        "without beginning and end",
        "the secret alone",
        "as a checkpoint",
        "as a root",
        "as a note",
        "as a line of a note",
        "as a signature",
        "as a proof",
    ],
)
def test_no_error_repeats_a_secret(read: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        read()  # type: ignore[operator]

    assert [] == secrets_in(f"{refused.value} {refused.value.data}")
    assert refused.value.__cause__ is None


def test_neither_a_key_that_is_shown_nor_one_that_is_copied_gives_its_secret_away() -> None:
    assert f"<SigningKey {ORIGIN}+{TRUSTED.key_id.hex()}>" == repr(KEY)
    assert [] == secrets_in(f"{KEY} {[KEY]} {TRUSTED}")
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="its secret would be in the bytes"):
            copied(KEY)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\x1cb", "a\u3000b", "\udc80"])
def test_a_name_that_no_note_can_have_is_no_name_of_a_key(name: str) -> None:
    with pytest.raises(InvalidInput, match="a name without spaces"):
        SigningKey.generate(name)


def test_a_secret_of_another_length_is_none() -> None:
    with pytest.raises(InvalidInput, match="32 bytes"):
        SigningKey(ORIGIN, bytes(31))
