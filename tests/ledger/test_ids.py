"""Ids have one spelling, come in order of time, and lead from text to bytes and back."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.ids import ID_BYTES, ID_CHARACTERS, id_bytes, id_bytes_or_none, id_text, new_id

RAW = bytes.fromhex("0198c2f07b7e7cc38a531f0a9d8e4b21")
TEXT = "0198c2f0-7b7e-7cc3-8a53-1f0a9d8e4b21"


def test_a_new_id_is_greater_than_every_one_before() -> None:
    made = [new_id() for _ in range(10_000)]

    assert sorted(set(made)) == made
    assert {ID_BYTES} == {len(raw) for raw in made}


def test_a_new_id_says_that_it_is_ordered_by_time() -> None:
    known = uuid.UUID(bytes=new_id())

    assert (7, uuid.RFC_4122) == (known.version, known.variant)


def test_an_id_is_the_same_as_text_and_as_bytes() -> None:
    assert TEXT == id_text(RAW)
    assert RAW == id_bytes(TEXT)
    assert ID_CHARACTERS == len(TEXT)


@given(st.binary(min_size=ID_BYTES, max_size=ID_BYTES))
def test_every_sixteen_bytes_come_back_from_their_text(raw: bytes) -> None:
    assert raw == id_bytes(id_text(raw)) == id_bytes_or_none(id_text(raw))


@given(st.binary(min_size=ID_BYTES, max_size=ID_BYTES), st.binary(min_size=ID_BYTES, max_size=ID_BYTES))
def test_texts_are_in_the_order_of_their_bytes(one: bytes, other: bytes) -> None:
    assert (one < other) == (id_text(one) < id_text(other))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "run-1",
        TEXT.upper(),
        TEXT.replace("-", ""),
        f"{{{TEXT}}}",
        f"urn:uuid:{TEXT}",
        f" {TEXT[1:]}",
        f"{TEXT}\n",
        TEXT.replace("0", "g"),
        TEXT.replace("-", "_"),
        "0198c2f07b7e-7cc3-8a53-1f0a9d8e4b21-",
        "\u0660198c2f0-7b7e-7cc3-8a53-1f0a9d8e4b21",
    ],
)
def test_another_spelling_is_no_id(text: str) -> None:
    assert id_bytes_or_none(text) is None
    with pytest.raises(InvalidInput) as refused:
        id_bytes(text)
    assert "id" == refused.value.field
    assert TEXT in refused.value.allowed


@given(st.text(max_size=40))
def test_any_text_is_either_an_id_to_the_letter_or_none(text: str) -> None:
    raw = id_bytes_or_none(text)

    assert raw is None or text == id_text(raw)
