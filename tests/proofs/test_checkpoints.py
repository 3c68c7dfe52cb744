"""A checkpoint is believed when the log's key signed it, with as many others as are wanted, and never otherwise."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.ledger.errors import InvalidInput, NotProved
from tallystick.ledger.limits import TREE_SIZE_MAX
from tallystick.ledger.proofs.checkpoint import (
    Checkpoint,
    is_signed_by,
    open_checkpoint,
    parse_checkpoint,
    sign,
    without_forged,
)
from tallystick.ledger.proofs.keys import COSIGNATURE, SigningKey, VerifierKey
from tallystick.ledger.proofs.note import Note, Signature, parse_note
from tallystick.ledger.store.tree import EMPTY_ROOT
from tests.proofs.parts import KEY, ORIGIN, OTHER, TRUSTED, checkpoint, cosign, every_flip, near, signed, witness

# The example of C2SP tlog-checkpoint v1.0.0, without its signature.
TEXT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
EMPTY = "origin\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
ONE, ONE_PUBLIC = witness("one.example", 1)
TWO, TWO_PUBLIC = witness("two.example", 2)

lines = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=30)
checkpoints = st.builds(
    Checkpoint,
    origin=lines,
    size=st.integers(1, TREE_SIZE_MAX),
    root_hash=st.binary(min_size=32, max_size=32),
    extensions=st.lists(lines, max_size=2).map(tuple),
) | st.builds(Checkpoint, origin=lines, size=st.just(0), root_hash=st.just(EMPTY_ROOT))


def note(*signatures: Signature, size: int = 5) -> bytes:
    """A checkpoint with these signatures behind that of the log."""
    text = checkpoint(size).text
    return Note(text, (KEY.sign(text.encode()), *signatures)).to_bytes()


def cosigned(*keys: SigningKey, size: int = 5) -> bytes:
    return note(*(cosign(key, checkpoint(size).text) for key in keys), size=size)


def test_the_example_of_the_specification_is_read() -> None:
    found = parse_checkpoint(TEXT)

    assert ("example.com/behind-the-sofa", 20_852_163) == (found.origin, found.size)
    assert "0ac5186a91863e8e1d90c808014aa89b" == found.root_hash.hex()[:32]
    assert TEXT == found.text


@given(checkpoints)
def test_a_checkpoint_that_was_written_is_read_as_it_was(made: Checkpoint) -> None:
    assert made == parse_checkpoint(made.text)


@given(near([TEXT.encode(), EMPTY.encode()]).map(lambda data: data.decode("utf-8", "surrogateescape")) | st.text())
@example("")
@example("\n\n\n")
@example(TEXT.replace("20852163", "²"))
@example(TEXT.replace("20852163", "9" * 5_000))
def test_any_text_is_refused_or_is_a_checkpoint_with_this_text(text: str) -> None:
    try:
        found = parse_checkpoint(text)
    except InvalidInput:
        return
    assert text == found.text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TEXT.replace("20852163", "020852163"), id="a leading zero"),
        pytest.param(TEXT.replace("20852163", "+20852163"), id="a sign"),
        pytest.param(TEXT.replace("20852163", "2_0"), id="an underscore"),
        pytest.param(TEXT.replace("20852163", "٣"), id="a digit that is no ASCII"),
        pytest.param(TEXT.replace("20852163", str(2**63)), id="more than 63 bits"),
        pytest.param(TEXT.replace("20852163", ""), id="no size"),
        pytest.param(TEXT.replace("2I=", "2J="), id="base64 with bits left over"),
        pytest.param(TEXT.replace("CsUY", ""), id="a root that is too short"),
        pytest.param(TEXT.replace("CsUY", "CsUYCsUY"), id="a root that is too long"),
        pytest.param(TEXT.removeprefix("example.com/behind-the-sofa"), id="no origin"),
        pytest.param(TEXT.removesuffix("\n"), id="no newline at the end"),
        pytest.param(f"{TEXT}\n", id="an empty line at the end"),
        pytest.param(f"{TEXT}a\n\nb\n", id="an empty extension"),
        pytest.param(EMPTY.replace("47DE", "AAAA"), id="an empty tree with a root"),
    ],
)
def test_what_the_specification_does_not_allow_is_no_checkpoint(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_checkpoint(text)


def test_what_the_log_signed_is_opened_with_its_key() -> None:
    opened = open_checkpoint(signed(5), TRUSTED)

    assert checkpoint(5) == opened.checkpoint
    assert (TRUSTED,) == opened.signers
    assert signed(5) == opened.note.to_bytes()


def test_one_flipped_bit_anywhere_is_noticed() -> None:
    believed = []
    for bit, data in every_flip(signed(5)):
        try:
            open_checkpoint(data, TRUSTED)
        except (NotProved, InvalidInput):
            continue
        believed.append(bit)

    assert [] == believed


def test_nobody_is_believed_without_a_key() -> None:
    with pytest.raises(NotProved, match=f"no trusted key of {ORIGIN} signed") as refused:
        open_checkpoint(signed(5))

    assert "signature" == refused.value.what


def test_no_quorum_is_so_small_that_nobody_has_to_sign() -> None:
    for quorum in (0, -1):
        with pytest.raises(NotProved, match="no trusted key of"):
            open_checkpoint(signed(5), OTHER.verifier, quorum=quorum, origin=ORIGIN)


def test_a_key_of_the_same_name_is_another_key() -> None:
    with pytest.raises(NotProved, match="no trusted key"):
        open_checkpoint(signed(5), OTHER.verifier)


def test_signatures_of_unknown_keys_are_ignored_whatever_they_are() -> None:
    same_name = Signature(ORIGIN, b"\0\0\0\0", b"nonsense")
    same_id = Signature("else.example", TRUSTED.key_id, b"nonsense")

    opened = open_checkpoint(note(same_name, same_id, cosign(ONE, "something else\n")), TRUSTED)

    assert (TRUSTED,) == opened.signers


def test_one_bad_signature_of_a_trusted_key_spoils_all_of_it() -> None:
    good = checkpoint(5).text.encode()
    bad = KEY.sign(b"something else\n")

    for data in (note(bad), Note(checkpoint(5).text, (bad, KEY.sign(good))).to_bytes()):
        with pytest.raises(NotProved, match="is not that of this text"):
            open_checkpoint(data, TRUSTED)
    with pytest.raises(NotProved, match=f"of {ONE.name}"):
        open_checkpoint(note(cosign(ONE, "something else\n")), TRUSTED, ONE_PUBLIC)


def test_a_key_that_takes_over_signs_beside_the_one_before() -> None:
    both = sign(checkpoint(5), KEY, OTHER).to_bytes()

    assert (TRUSTED,) == open_checkpoint(both, TRUSTED).signers
    assert (OTHER.verifier,) == open_checkpoint(both, OTHER.verifier).signers
    assert (TRUSTED, OTHER.verifier) == open_checkpoint(both, OTHER.verifier, TRUSTED).signers


def test_witnesses_count_once_each_and_only_beside_the_log() -> None:
    trusted = (TRUSTED, ONE_PUBLIC, TWO_PUBLIC)

    assert trusted == open_checkpoint(cosigned(ONE, TWO), *trusted, quorum=3).signers
    assert 2 == len(open_checkpoint(cosigned(ONE), *trusted, quorum=2).signers)
    for data in (cosigned(ONE), cosigned(ONE, ONE), signed(5)):
        with pytest.raises(NotProved, match="3 must have"):
            open_checkpoint(data, *trusted, quorum=3)
    with pytest.raises(NotProved, match="no trusted key of"):
        open_checkpoint(cosigned(ONE, TWO), ONE_PUBLIC, TWO_PUBLIC)


def test_that_two_sign_for_one_key_makes_no_quorum() -> None:
    text = checkpoint(5).text
    later = cosign(ONE, text, time=1_790_000_060)

    data = note(cosign(ONE, text), later)

    assert (TRUSTED, ONE_PUBLIC) == open_checkpoint(data, TRUSTED, ONE_PUBLIC, ONE_PUBLIC, quorum=2).signers
    with pytest.raises(NotProved):
        open_checkpoint(data, TRUSTED, ONE_PUBLIC, ONE_PUBLIC, quorum=3)


def test_a_key_of_one_log_does_not_speak_for_another() -> None:
    forged = sign(Checkpoint("else.example/log", 5, checkpoint(5).root_hash), KEY).to_bytes()

    with pytest.raises(NotProved, match=r"no trusted key of else\.example/log"):
        open_checkpoint(forged, TRUSTED)
    with pytest.raises(NotProved, match=f"not of {ORIGIN}") as refused:
        open_checkpoint(forged, TRUSTED, origin=ORIGIN)
    assert "origin" == refused.value.what


def test_a_log_whose_key_has_another_name_is_opened_when_its_origin_is_said() -> None:
    text = "go.sum database tree\n5\nn4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=\n"
    data = sign(parse_checkpoint(text), KEY).to_bytes()

    assert text == open_checkpoint(data, TRUSTED, origin="go.sum database tree").checkpoint.text


def test_extensions_of_other_logs_are_kept_and_signed() -> None:
    made = Checkpoint(ORIGIN, 1, checkpoint(1).root_hash, ("an extension", "another"))

    opened = open_checkpoint(sign(made, KEY).to_bytes(), TRUSTED)

    assert made == opened.checkpoint


@given(near([signed(5), cosigned(ONE, TWO)]) | st.binary(max_size=100))
def test_no_other_bytes_are_believed(data: bytes) -> None:
    try:
        opened = open_checkpoint(data, TRUSTED, ONE_PUBLIC)
    except (InvalidInput, NotProved):
        return
    assert checkpoint(5) == opened.checkpoint
    assert parse_note(data) == opened.note


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(Checkpoint("two\nlines", 5, bytes(32)), id="an origin of two lines"),
        pytest.param(Checkpoint("", 5, bytes(32)), id="no origin"),
        pytest.param(Checkpoint(ORIGIN, -1, bytes(32)), id="a size below nothing"),
        pytest.param(Checkpoint(ORIGIN, 5, bytes(31)), id="a root that is too short"),
        pytest.param(Checkpoint(ORIGIN, 0, bytes(32)), id="an empty tree with a root"),
    ],
)
def test_nobody_signs_what_nobody_could_read(made: Checkpoint) -> None:
    with pytest.raises(InvalidInput):
        sign(made, KEY)


def test_a_checkpoint_that_nobody_signs_is_no_note() -> None:
    with pytest.raises(InvalidInput, match="at least one signing key"):
        sign(checkpoint(5))


def test_the_key_of_a_witness_alone_has_its_own_algorithm() -> None:
    plain = VerifierKey(ONE.name, 1, ONE_PUBLIC.public)

    assert plain != ONE_PUBLIC
    assert plain.key_id != ONE_PUBLIC.key_id


def test_a_witness_alone_speaks_for_no_log_whatever_is_asked_and_however_it_is_called() -> None:
    namesake, namesake_public = witness(ORIGIN)
    for data, public in ((note(cosign(ONE, checkpoint(5).text)), ONE_PUBLIC), (cosigned(namesake), namesake_public)):
        for origin in (None, ORIGIN):
            with pytest.raises(NotProved, match="no trusted key of"):
                open_checkpoint(data, public, origin=origin)


def test_one_secret_counts_once_under_whatever_names_and_algorithms() -> None:
    same = VerifierKey(ORIGIN, COSIGNATURE, TRUSTED.public)
    again, again_public = witness("else.example/w", 1)
    data = note(KEY.sign(checkpoint(5).text.encode()), cosign(KEY, checkpoint(5).text))
    twice = cosigned(ONE, again)

    assert ONE_PUBLIC.public == again_public.public
    for made, trusted, most in ((data, (TRUSTED, same), 1), (twice, (TRUSTED, ONE_PUBLIC, again_public), 2)):
        assert len(trusted) == len(open_checkpoint(made, *trusted, quorum=most).signers)
        with pytest.raises(NotProved, match=f"{most} trusted keys signed"):
            open_checkpoint(made, *trusted, quorum=most + 1)


def test_what_was_verified_is_a_note_of_its_own_with_one_line_for_each_key() -> None:
    text = checkpoint(5).text
    stranger, last = Signature("nobody.example", b"abcd", b"x"), cosign(ONE, text, 1_790_000_060)
    data = note(KEY.sign(text.encode()), cosign(ONE, text), stranger, last)

    opened = open_checkpoint(data, TRUSTED, ONE_PUBLIC)
    assert (KEY.sign(text.encode()), last) == opened.verified.signatures
    assert (KEY.sign(text.encode()),) == open_checkpoint(data, TRUSTED).verified.signatures


def test_a_note_is_signed_by_keys_when_each_has_a_good_line_and_none_a_bad_one() -> None:
    text = checkpoint(5).text
    good, bad = KEY.sign(text.encode()), Signature(ORIGIN, OTHER.verifier.key_id, bytes(64))
    both = Note(text, (good, bad))

    assert is_signed_by(both, TRUSTED)
    assert not is_signed_by(both, TRUSTED, OTHER.verifier)
    assert not is_signed_by(Note(text, (good, OTHER.sign(text.encode()), bad)), TRUSTED, OTHER.verifier)
    assert not is_signed_by(Note(text, (good,)), TRUSTED, OTHER.verifier)
    assert (good,) == without_forged(both, TRUSTED, OTHER.verifier).signatures
    assert both == without_forged(both, TRUSTED)
