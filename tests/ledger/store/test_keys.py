"""The keys of the log, byte by byte: what is on a disk somewhere can never change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.store import keys

POSITIONS = st.integers(0, 2**64 - 1)


def test_the_databases_have_these_names() -> None:
    assert [b"events", b"streams", b"claims", b"tiles", b"meta"] == [
        keys.EVENTS,
        keys.STREAMS,
        keys.CLAIMS,
        keys.TILES,
        keys.META,
    ]


def test_an_event_is_found_by_its_position() -> None:
    assert b"\x00\x00\x00\x00\x00\x00\x00\x01" == keys.event_key(1)
    assert b"\x00\x00\x00\x00\x00\x01\x11\x70" == keys.event_key(70_000)


def test_a_tile_is_found_by_its_level_and_index_and_the_key_has_its_first_hash() -> None:
    first = bytes(range(32))

    assert b"\x02\x00\x00\x00\x00\x00\x00\x01\x00" == keys.tile_key(2, 256)
    assert (b"\x02\x00\x00\x00\x00\x00\x00\x01\x00" + first, b"rest") == keys.tile_item(2, 256, first + b"rest")
    assert (2, 256, first + b"rest") == keys.tile_of(*keys.tile_item(2, 256, first + b"rest"))


def test_the_meta_database_has_a_format_an_edge_and_a_tail() -> None:
    assert b"format" == keys.FORMAT
    assert b"\x00\x00\x00\x01" == keys.format_value(1)
    assert b"edge" == keys.EDGE
    assert [b"tail\x00", b"tail\x07"] == [keys.tail_key(0), keys.tail_key(7)]


@given(POSITIONS, POSITIONS)
def test_the_order_of_keys_is_the_order_of_positions(one: int, other: int) -> None:
    assert (one < other) == (keys.event_key(one) < keys.event_key(other))
    assert one == keys.position_of(keys.event_key(one))


@given(st.integers(0, 255), POSITIONS, st.binary(min_size=32, max_size=64))
def test_a_tile_comes_back_from_its_key_and_value(level: int, index: int, hashes: bytes) -> None:
    assert (level, index, hashes) == keys.tile_of(*keys.tile_item(level, index, hashes))


@pytest.mark.parametrize("key", [b"", b"1234567", b"123456789"])
def test_other_bytes_are_no_position(key: bytes) -> None:
    with pytest.raises(Corrupt, match="not a position"):
        keys.position_of(key)


@pytest.mark.parametrize("key", [b"", b"123456789", bytes(40), bytes(42)])
def test_other_bytes_are_no_tile(key: bytes) -> None:
    with pytest.raises(Corrupt, match="not a tile"):
        keys.tile_of(key, b"")


@pytest.mark.parametrize("value", [b"", b"1", b"\x00\x00\x00\x00\x01"])
def test_other_bytes_are_no_format(value: bytes) -> None:
    with pytest.raises(Corrupt, match="not the number of a format"):
        keys.format_of(value)
