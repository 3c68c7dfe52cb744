"""Tiles are where C2SP tlog-tiles says, and bundles hold records as they are stored."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import RECORD_BYTES_MAX
from tallystick.ledger.proofs.tiles import Place, bundle, parse_bundle, places
from tallystick.ledger.store.tree import TILE_WIDTH, partial_tiles
from tests.proofs.parts import near

BUNDLES = [bundle([]), bundle([b""]), bundle([b"one", b"", b"three"]), bundle([b"x" * 300])]


@pytest.mark.parametrize(
    ("place", "path"),
    [
        (Place(0, 0), "tile/0/000"),
        (Place(0, 999), "tile/0/999"),
        (Place(0, 1_000), "tile/0/x001/000"),
        (Place(0, 1_234_067), "tile/0/x001/x234/067"),  # the example of the specification
        (Place(2, 67, 12), "tile/2/067.p/12"),
        (Place(63, 0, 255), "tile/63/000.p/255"),
        (Place(0, 1_000_000, 1), "tile/0/x001/x000/000.p/1"),
    ],
)
def test_a_tile_stands_where_the_specification_says(place: Place, path: str) -> None:
    assert path == place.path
    if not place.level:
        assert path.replace("tile/0/", "tile/entries/") == place.bundle_path


def test_a_tree_of_70_000_leaves_has_the_tiles_that_the_specification_counts() -> None:
    found = list(places(70_000))

    assert (273, 1) == (sum(place.level == 0 and place.is_whole for place in found), found[274].level)
    assert [(0, 112), (1, 17), (2, 1)] == [(place.level, place.width) for place in found if not place.is_whole]
    assert 1 == sum(place.level == 1 and place.is_whole for place in found)
    assert [Place(0, 0), Place(1, 0, 1)] == list(places(256))
    assert [] == list(places(0))


@given(st.integers(0, 300_000))
def test_the_incomplete_tiles_are_those_of_the_log(size: int) -> None:
    incomplete = [place for place in places(size) if not place.is_whole]

    assert [(tile.level, tile.index, tile.width) for tile in partial_tiles(size) if tile.width] == [
        (place.level, place.index, place.width) for place in incomplete
    ]


@given(st.integers(0, 3), st.integers(0, 10**7), st.integers(1, TILE_WIDTH))
def test_a_tree_that_ends_with_a_tile_has_it_and_a_smaller_one_does_not(level: int, index: int, width: int) -> None:
    def has(size: int) -> bool:
        hashes: int = size // TILE_WIDTH**level
        return hashes >= index * TILE_WIDTH + width

    end = Place(level, index, width).end

    assert has(end)
    assert not has(end - 1)


@given(st.lists(st.binary(max_size=300), max_size=TILE_WIDTH))
@example([b""] * TILE_WIDTH)
@example([bytes(RECORD_BYTES_MAX)])
def test_a_bundle_has_its_records(records: list[bytes]) -> None:
    assert records == parse_bundle(bundle(records))


@given(near(BUNDLES) | st.binary(max_size=100))
@example(b"\0")
@example(b"\0\1")
def test_any_bytes_are_refused_or_are_a_bundle_with_these_bytes(data: bytes) -> None:
    try:
        records = parse_bundle(data)
    except InvalidInput:
        return
    assert data == bundle(records)


def test_a_bundle_has_no_more_records_than_a_tile_has_hashes() -> None:
    with pytest.raises(InvalidInput, match=f"at most {TILE_WIDTH} records"):
        parse_bundle(b"\0\0" * (TILE_WIDTH + 1))


def test_a_record_that_is_longer_than_two_bytes_can_say_has_no_bundle() -> None:
    with pytest.raises(InvalidInput, match=f"at most {RECORD_BYTES_MAX} bytes"):
        bundle([bytes(RECORD_BYTES_MAX + 1)])
