"""One flipped bit anywhere in a log is found, in the keys, too; and whatever is put into it raises nothing."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.errors import InvalidInput, StoreError
from tallystick.ledger.ids import ID_BYTES
from tallystick.ledger.store import keys
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.tree import TILE_WIDTH
from tallystick.ledger.store.verify import verify
from tests.aside import marked
from tests.ledger.archive import shelves
from tests.ledger.store import raw
from tests.ledger.store.sound import history, verified, write

NAMES = (keys.EVENTS, keys.STREAMS, keys.CLAIMS, keys.TILES, keys.META, keys.PAYLOADS)
SIZE = 300


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, raw.Rows]]:
    """A log of its own, one that has an archive, and one of which things are kept beside it; and all their rows."""
    plain, archived, aside = (tmp_path_factory.mktemp(name) for name in ("plain", "archived", "aside"))
    write(plain, SIZE)
    shelves.write(archived)
    events, claims = history(SIZE)
    told, payloads = marked(events)
    with DiskLog.open(aside) as log:
        log.append(told, claims, {}, payloads)
    return [(path, raw.all_rows(path)) for path in (plain, archived, aside)]


def copied(path: Path, to: Path) -> Path:
    return Path(shutil.copytree(path, to / "log"))


@given(number=st.integers(0, 2), row=st.integers(0, 10**6), bit=st.integers(0, 10**6), in_key=st.booleans())
def test_one_flipped_bit_of_a_row_is_found(
    logs: list[tuple[Path, raw.Rows]],
    tmp_path_factory: pytest.TempPathFactory,
    number: int,
    row: int,
    bit: int,
    *,
    in_key: bool,
) -> None:
    sound, rows = logs[number]
    name, *pair = rows[row % len(rows)]
    key, value = map(bytes.fromhex, pair)
    wanted = [bytearray(key), bytearray(value)]
    changed = wanted[0 if in_key or not value else 1]
    bit %= 8 * len(changed)
    changed[bit // 8] ^= 1 << bit % 8
    path = copied(sound, tmp_path_factory.mktemp("bit"))
    with raw.opened(path) as database:
        database(name.encode()).remove(key, value)
        database(name.encode())[bytes(wanted[0])] = bytes(wanted[1])

    if (name, key) == ("meta", keys.FORMAT):
        opens_with_another_format(path)
    else:
        verification = verified(path)
        assert not verification.ok
        if name == "events":
            assert verification.first_bad in (int.from_bytes(key), int.from_bytes(bytes(wanted[0])))
    shutil.rmtree(path.parent)


def opens_with_another_format(path: Path) -> None:
    """Any other number than that of a format is refused."""
    try:
        with DiskLog.open(path, readonly=True) as log:
            verify(log)
    except (StoreError, InvalidInput):
        return
    with raw.opened(path) as database:
        assert keys.format_of(database(keys.META)[keys.FORMAT]) in (1, 2, 3)  # all are read alike


PLACES = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.integers(0, 2 * SIZE).map(keys.event_key),
    st.builds(keys.payload_key, st.integers(0, 2 * SIZE), st.sampled_from(["task", "", "label"])),
    st.integers(0, 80).map(lambda number: number.to_bytes(ID_BYTES)),
    st.builds(
        lambda level, index, hashes: keys.tile_key(level, index) + hashes,
        st.integers(0, 3),
        st.integers(0, 3),
        st.binary(min_size=32, max_size=32),
    ),
    st.sampled_from([keys.EDGE, keys.ARCHIVED, keys.tail_key(0), keys.tail_key(1), keys.note_key(b"watched")]),
)
VALUES = st.one_of(
    st.binary(max_size=80),
    st.integers(0, 2 * SIZE).map(keys.event_key),
    st.integers(0, 2**64 - 1).map(keys.event_key),
    st.integers(0, 80).map(lambda number: number.to_bytes(ID_BYTES)),
    st.binary(min_size=32, max_size=64).map(lambda hashes: SIZE.to_bytes(8) + hashes),
)


@given(
    number=st.sampled_from([0, 2]),
    rows=st.lists(st.tuples(st.sampled_from(NAMES), PLACES, VALUES), max_size=6),
    gone=st.lists(st.integers(0, 10**6), max_size=6),
)
def test_whatever_is_put_in_and_taken_out_raises_nothing(
    logs: list[tuple[Path, raw.Rows]],
    tmp_path_factory: pytest.TempPathFactory,
    number: int,
    rows: list[tuple[bytes, bytes, bytes]],
    gone: list[int],
) -> None:
    sound, known = logs[number]
    path = copied(sound, tmp_path_factory.mktemp("any"))
    out = {known[place % len(known)] for place in gone} - {row for row in known if row[1] == keys.FORMAT.hex()}
    with raw.opened(path) as database:
        for name, key, value in out:
            database(name.encode()).remove(bytes.fromhex(key), bytes.fromhex(value))
        for named, place, put in rows:
            database(named)[place] = put.ljust(8, b"\0")[:8] if named == keys.STREAMS else put

    assert 0 <= verified(path).events <= SIZE
    shutil.rmtree(path.parent)


def test_tiles_that_the_tree_no_longer_has_are_found(tmp_path: Path) -> None:
    write(tmp_path, SIZE)
    with raw.opened(tmp_path) as database:
        key, value = keys.tile_item(0, 7, bytes(TILE_WIDTH * 32))
        database(keys.TILES)[key] = value

    assert ["there are more tiles than this tree has, 1, as if it had been larger once"] == [
        problem.detail for problem in verified(tmp_path).problems
    ]
