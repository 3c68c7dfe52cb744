"""Signed notes are those of C2SP: what is read has the same bytes again, and what is no note is refused."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX
from tallystick.ledger.proofs.keys import parse_vkey
from tallystick.ledger.proofs.note import Note, Signature, parse_note
from tests.proofs.parts import KEY, near, signed

# The example of C2SP signed-note v1.0.0, section "Verifier keys".
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()

LINE = KEY.sign(b"text\n").line
names = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zs", "Zl", "Zp")), min_size=1).filter(
    lambda name: "+" not in name and not any(map(str.isspace, name))
)
signatures = st.builds(
    Signature, name=names, key_id=st.binary(min_size=4, max_size=4), signature=st.binary(min_size=1, max_size=80)
)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.just("\n")).map(lambda text: f"{text}\n")
notes = st.builds(Note, text=texts, signatures=st.lists(signatures, min_size=1, max_size=5).map(tuple))


def test_the_example_of_the_specification_is_read_and_verified() -> None:
    note = parse_note(NOTE)

    key = parse_vkey(VKEY)
    (signature,) = note.signatures
    assert "This is an example message.\n" == note.text
    assert ("example.com/foo", "530d903a", 64) == (signature.name, signature.key_id.hex(), len(signature.signature))
    assert key.has_made(signature)
    assert key.verifies(note.text.encode(), signature.signature)
    assert note.to_bytes() == NOTE


@given(notes)
def test_a_note_that_was_written_is_read_as_it_was(note: Note) -> None:
    assert note == parse_note(note.to_bytes())


@given(near([NOTE, signed(3), f"a\n\nb\n\n{LINE}\n{LINE}\n".encode()]) | st.binary(max_size=200))
@example(b"")
@example(b"\n\n")
@example(b"\n\n\xe2\x80\x94 a AAAAAAA=\n")
@example("t\n\n— \u2028 AAAAAAA=\n".encode())
@example("t\n\n— \ud800 AAAAAAA=\n".encode("utf-8", "surrogatepass"))
def test_any_bytes_are_refused_or_are_a_note_with_these_bytes(data: bytes) -> None:
    try:
        note = parse_note(data)
    except InvalidInput:
        return
    assert data == note.to_bytes()
    assert note.text.endswith("\n")
    assert note.signatures


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(f"text\n{LINE}\n", id="no empty line"),
        pytest.param("text\n\n", id="no signature"),
        pytest.param(f"text\n\n{LINE}", id="no newline at the end"),
        pytest.param(f"text\n\n{LINE}.", id="something else at the end"),
        pytest.param(f"text\n\n{LINE}\n\n", id="an empty line behind the signatures"),
        pytest.param(f"text\n\n{LINE}\nmore\n", id="another line among the signatures"),
        pytest.param(f"text\n\n{LINE.replace('—', '-')}\n", id="a hyphen instead of a dash"),
        pytest.param(f"text\n\n{LINE[:-1]}\n", id="base64 without its padding"),
        pytest.param(f"text\n\n{LINE[:-3]}x==\n", id="base64 with bits left over"),
        pytest.param(f"text\n\n{LINE} \n", id="a space at the end"),
        pytest.param("text\n\n— name AAAAAA==\n", id="a key id and no signature"),
        pytest.param("text\n\n— na+me AAAAAAA=\n", id="a plus in a name"),
        pytest.param("text\n\n—  AAAAAAA=\n", id="no name"),
        pytest.param("text\n\n— na\u00a0me AAAAAAA=\n", id="a space of Unicode in a name"),
        pytest.param(f"te\txt\n\n{LINE}\n", id="a tab"),
        pytest.param(f"text\r\n\r\n{LINE}\r\n", id="newlines of another system"),
        pytest.param(f"te\0xt\n\n{LINE}\n", id="a zero"),
    ],
)
def test_what_the_specification_does_not_allow_is_no_note(data: str) -> None:
    with pytest.raises(InvalidInput):
        parse_note(data.encode())


def test_what_is_not_utf_8_is_no_note() -> None:
    with pytest.raises(InvalidInput, match="a signed note"):
        parse_note(b"te\xffxt\n\n" + LINE.encode() + b"\n")


def test_the_last_empty_line_parts_the_text_from_the_signatures() -> None:
    note = parse_note(f"one\n\n— two\n\n{LINE}\n".encode())

    assert "one\n\n— two\n" == note.text
    assert 1 == len(note.signatures)


def test_as_many_signatures_are_read_as_the_limit_says_and_no_more() -> None:
    def note(number: int) -> bytes:
        return Note("text\n", (Signature("a", b"1234", b"x"),) * number).to_bytes()

    assert NOTE_SIGNATURES_MAX == len(parse_note(note(NOTE_SIGNATURES_MAX)).signatures)
    with pytest.raises(InvalidInput, match=f"at most {NOTE_SIGNATURES_MAX} signatures"):
        parse_note(note(NOTE_SIGNATURES_MAX + 1))


def test_a_note_as_long_as_the_limit_is_read_and_no_longer_one() -> None:
    rest = f"\n\n{LINE}\n".encode()
    longest = b"x" * (NOTE_BYTES_MAX - len(rest)) + rest

    assert longest == parse_note(longest).to_bytes()
    with pytest.raises(InvalidInput, match=f"at most {NOTE_BYTES_MAX} bytes"):
        parse_note(b"x" + longest)


@pytest.mark.parametrize("code", range(0x20))
def test_no_control_character_of_ascii_but_the_newline_stands_in_a_note(code: int) -> None:
    data = f"te{chr(code)}xt\n\n{LINE}\n".encode()
    if chr(code) == "\n":
        assert data == parse_note(data).to_bytes()
        return
    with pytest.raises(InvalidInput, match="note"):
        parse_note(data)
