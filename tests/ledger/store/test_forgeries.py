"""Every way in which somebody could forge a log is named as what it is, from its first position on."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.store import keys, misplaced
from tallystick.ledger.store.codec import encode
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.port import TreeHead
from tallystick.ledger.store.verify import Kind, verify
from tests.ledger.store import forger, raw
from tests.ledger.store.make import event
from tests.ledger.store.sound import SIZE, found, history, verified, write

FOREIGN = encode(event(300, 9_999))
Bodies = list[bytes | None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log that nobody has touched."""
    write(tmp_path)
    return tmp_path


def details(path: Path) -> list[str]:
    return [problem.detail for problem in verified(path).problems]


# Records that were taken out, put in, and moved.


@pytest.mark.parametrize("position", [1, 256, 300, 513])
def test_a_record_that_is_cut_out_and_its_gap_closed_is_missing(folder: Path, position: int) -> None:
    root = verified(folder).root_hash
    forger.reorder(folder, lambda bodies: bodies[: position - 1] + bodies[position:])

    assert [(position, Kind.MISSING), (position, Kind.REORDERED), (SIZE, Kind.REORDERED)] == found(folder)
    verification = verified(folder)
    assert (position, position - 1, root) == (verification.first_bad, verification.events, verification.root_hash)
    assert f"here, up to 599, stand the records that were written at {position + 1} to 600" in details(folder)


@pytest.mark.parametrize("position", [1, 256, 300, 513, SIZE])
def test_a_record_that_is_put_in_between_is_added_and_those_behind_it_reordered(folder: Path, position: int) -> None:
    forger.reorder(folder, lambda bodies: [*bodies[: position - 1], FOREIGN, *bodies[position - 1 :]])

    assert [(position, Kind.ADDED), (position + 1, Kind.REORDERED)] == found(folder)
    assert position - 1 == verified(folder).events


def test_records_that_are_put_behind_the_end_are_added(folder: Path) -> None:
    forger.reorder(folder, lambda bodies: [*bodies, encode(event(601, 900)), encode(event(602, 900, 2))])

    assert [(601, Kind.ADDED), (602, Kind.ADDED)] == found(folder)
    assert SIZE == verified(folder).events


def test_a_copy_of_a_record_behind_the_end_is_added(folder: Path) -> None:
    forger.reorder(folder, lambda bodies: [*bodies, bodies[9]])

    assert [(601, Kind.ADDED)] == found(folder)


def test_a_range_that_is_rotated_is_reordered_run_by_run(folder: Path) -> None:
    forger.reorder(folder, lambda bodies: [*bodies[:9], bodies[19], *bodies[9:19], *bodies[20:]])

    assert [(10, Kind.REORDERED), (11, Kind.REORDERED)] == found(folder)
    assert "here stands the record that was written at 20" in details(folder)
    assert "here, up to 20, stand the records that were written at 10 to 19" in details(folder)


def test_a_log_from_back_to_front_is_reordered(folder: Path) -> None:
    forger.reorder(folder, lambda bodies: bodies[::-1])

    assert {Kind.REORDERED} == {kind for _, kind in found(folder)}
    assert (1, 0) == (verified(folder).first_bad, verified(folder).events)


def test_a_record_under_a_copy_of_another_one_is_changed(folder: Path) -> None:
    forger.reorder(folder, lambda bodies: [*bodies[:9], bodies[299], *bodies[10:]])

    assert [(10, Kind.CHANGED)] == found(folder)
    assert ["these are the bytes of the record at 300"] == details(folder)


def test_a_record_that_was_moved_onto_another_one_leaves_one_missing(folder: Path) -> None:
    def move(bodies: Bodies) -> Bodies:
        bodies[9], bodies[19] = None, bodies[9]
        return bodies

    forger.reorder(folder, move)

    assert [(10, Kind.REORDERED), (20, Kind.MISSING), (20, Kind.REORDERED)] == sorted(found(folder))
    assert 10 == verified(folder).first_bad


def test_a_gap_beside_a_changed_record_is_told_from_it(folder: Path) -> None:
    forger.reorder(folder, lambda bodies: [*bodies[:9], FOREIGN, None, FOREIGN, *bodies[12:]])

    assert [(10, Kind.CHANGED), (11, Kind.MISSING), (12, Kind.CHANGED)] == found(folder)


def test_a_record_that_says_another_place_in_a_tree_that_was_made_for_it_has_moved(tmp_path: Path) -> None:
    events, claims = history()
    bodies = [encode(event) for event in events]
    bodies[9], bodies[19] = bodies[19], bodies[9]
    with DiskLog.open(tmp_path) as log:
        log.append(events, claims)
    forger.put_records(tmp_path, bodies)
    forger.mend_tree(tmp_path)

    assert [(10, Kind.MOVED), (20, Kind.MOVED)] == found(tmp_path)


# The end.


@pytest.mark.parametrize("end", [0, 1, 255, 256, 512, 599])
@pytest.mark.parametrize(
    ("mended", "kinds"),
    [
        ((), {Kind.CUT_OFF}),
        ((keys.META,), {Kind.INDEX, Kind.TILE, Kind.CLAIM}),
        ((keys.META, keys.TILES), {Kind.INDEX, Kind.CLAIM}),
        ((keys.META, keys.TILES, keys.STREAMS), {Kind.CLAIM}),
        ((keys.META, keys.TILES, keys.STREAMS, keys.CLAIMS), set()),
    ],
)
def test_a_log_that_was_cut_off_is_found_by_what_was_not_mended_or_by_a_checkpoint(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, end: int, mended: Sequence[bytes], kinds: set[Kind]
) -> None:
    kept = forger.head(folder)
    shorter = tmp_path_factory.mktemp("shorter")
    events, claims = history()
    forger.told(shorter, events[:end], claims)

    forger.reorder(folder, lambda bodies: bodies[:end])
    forger.mend(folder, shorter, mended)

    said = found(folder)
    assert bool(said) == (raw.all_rows(folder) != raw.all_rows(shorter))
    assert {kind for _, kind in said} <= kinds
    if not mended:
        assert [(end + 1, Kind.CUT_OFF)] == said
    with DiskLog.open(folder, readonly=True) as log:
        held = verify(log, checkpoint=kept)
    assert (end + 1, Kind.CUT_OFF) in [(problem.position, problem.kind) for problem in held.problems]
    assert end == held.events


# A whole history that was written anew.


def other_history(path: Path, position: int) -> None:
    """The same history, but that one event is another; its tree, its index and its claims fit it."""
    events, claims = history()
    events[position - 1] = replace(events[position - 1], actor="somebody else")
    forger.told(path, events, claims)


def test_a_history_that_was_written_anew_is_forked_from_a_checkpoint_and_sound_without(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kept = forger.head(folder)
    forged = tmp_path_factory.mktemp("forged")
    other_history(forged, 300)

    assert [] == found(forged)
    with DiskLog.open(forged, readonly=True) as log:
        held = verify(log, checkpoint=kept)
    assert [(1, Kind.FORKED)] == [(problem.position, problem.kind) for problem in held.problems]
    assert kept.root_hash.hex() in held.problems[0].detail
    assert (False, 1, SIZE) == (held.ok, held.first_bad, held.events)


def test_a_fork_begins_behind_the_newest_checkpoint_that_still_fits(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    forged = tmp_path_factory.mktemp("forged")
    other_history(forged, 303)
    kept = [at(folder, size) for size in (600, 0, 302, 256, 303)]

    with DiskLog.open(forged, readonly=True) as log:
        held = verify(log, checkpoint=kept)

    assert [(303, Kind.FORKED), (303, Kind.FORKED)] == [(problem.position, problem.kind) for problem in held.problems]


def at(path: Path, size: int) -> TreeHead:
    """The checkpoint that somebody kept when the log was as large."""
    events, claims = history()
    other = path / f"at-{size}"
    forger.told(other, events[:size], claims)
    return forger.head(other)


@given(size=st.integers(0, SIZE), flipped=st.none() | st.integers(0, 255))
def test_any_earlier_root_fits_and_no_other(sound: tuple[Path, list[TreeHead]], size: int, flipped: int | None) -> None:
    folder, kept = sound
    checkpoint = kept[size]
    if flipped is not None:
        root = bytearray(checkpoint.root_hash)
        root[flipped // 8] ^= 1 << flipped % 8
        checkpoint = TreeHead(size, bytes(root))

    with DiskLog.open(folder, readonly=True) as log:
        held = verify(log, checkpoint=checkpoint)

    expected = [] if flipped is None else [(1, Kind.FORKED)]
    assert expected == [(problem.position, problem.kind) for problem in held.problems]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[TreeHead]]:
    """A log, and what its tree was after each of its events."""
    path = tmp_path_factory.mktemp("sound")
    events, claims = history()
    with DiskLog.open(path) as log:
        kept = [log.tree_head()]
        for one in events:
            log.append([one])
            kept.append(log.tree_head())
        log.append([], claims)
    return path, kept


def test_a_checkpoint_is_held_to_what_was_written_though_records_were_changed(folder: Path) -> None:
    kept = forger.head(folder)
    raw.change_record(folder, 10, raw.flipped)

    with DiskLog.open(folder, readonly=True) as log:
        held = verify(log, checkpoint=kept)

    assert [(10, Kind.CHANGED)] == [(problem.position, problem.kind) for problem in held.problems]


# Any order.


@st.composite
def orders(draw: st.DrawFn) -> list[int | None]:
    """What may stand at each of forty places: the record of any of them, nothing, or what nobody wrote, -1."""
    numbers = list(range(40))
    for _ in range(draw(st.integers(1, 4))):
        start, end = sorted((draw(st.integers(0, 40)), draw(st.integers(0, 40))))
        how = draw(st.sampled_from(["cut", "insert", "rotate", "empty", "reverse", "copy"]))
        part = numbers[start:end]
        if how == "cut":
            numbers = numbers[:start] + numbers[end:]
        elif how == "insert":
            numbers = [*numbers[:start], -1, *numbers[start:]]
        elif how == "rotate":
            numbers = [*numbers[:start], *part[1:], *part[:1], *numbers[end:]]
        elif how == "empty":
            numbers = [*numbers[:start], *[-2] * len(part), *numbers[end:]]
        elif how == "reverse":
            numbers = [*numbers[:start], *part[::-1], *numbers[end:]]
        else:
            numbers = [*numbers[:end], *part, *numbers[end + len(part) :]]
    return [None if number == -2 else number for number in numbers]


@given(order=orders())
def test_in_whatever_order_records_stand_the_first_place_that_is_not_as_written_is_named(
    tmp_path_factory: pytest.TempPathFactory, order: list[int | None]
) -> None:
    path = tmp_path_factory.mktemp("any")
    write(path, 40)
    bodies = forger.records(path)
    forger.put_records(
        path, [None if number is None else FOREIGN if number < 0 else bodies[number] for number in order]
    )

    while order and order[-1] is None:
        order.pop()
    verification = verified(path)

    differs = [place for place in range(max(40, len(order))) if order[place : place + 1] != [place][: place < 40]]
    right = sum(number == place for place, number in enumerate(order))
    assert (not differs, right) == (verification.ok, verification.events)
    assert (differs[0] + 1 if differs else None) == verification.first_bad
    if len(order) <= 40 + 16:  # of those behind the end no more are looked at
        named = {(problem.position - 1, problem.kind) for problem in verification.problems}
        assert expected(order) == {place for place in named if place[1] is not Kind.REORDERED}
    assert all(not is_right(order, problem.position - 1) for problem in verification.problems)


def is_right(order: Sequence[int | None], place: int) -> bool:
    return place < min(40, len(order)) and order[place] == place


def expected(order: list[int | None]) -> set[tuple[int, Kind]]:
    """What is to be said of each place, but that records stand elsewhere, which is said of runs."""
    kinds: set[tuple[int, Kind]] = set()
    cut = [place for place in range(len(order), 40) if place not in order]
    if cut:
        kinds.add((cut[0], Kind.CUT_OFF))
    for place, number in enumerate(order):
        is_lost = place < 40 and place not in order
        if is_right(order, place):
            continue
        if number is None:
            kinds |= {(place, Kind.MISSING)} if is_lost else set()
        elif number < 0:
            kinds.add((place, Kind.CHANGED if is_lost else Kind.ADDED))
        elif is_right(order, number):
            kinds.add((place, Kind.CHANGED if place < 40 else Kind.ADDED))
        elif is_lost:
            kinds.add((place, Kind.MISSING))
    return kinds


def test_what_is_not_remembered_is_named_by_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(misplaced, "RUNS_MAX", 1)

    def forge(bodies: Bodies) -> Bodies:
        bodies[9], bodies[19], bodies[29], bodies[39] = b"forged", bodies[29], bodies[19], None
        return bodies

    forger.reorder(folder, forge)

    expected = [(10, Kind.CHANGED), (20, Kind.REORDERED), (30, Kind.REORDERED), (40, Kind.MISSING)]
    assert expected == found(folder)
