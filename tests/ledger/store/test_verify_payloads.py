"""What is kept beside the log is verified: what was changed, is missing, was added, or is left behind an erasure."""

from collections.abc import Callable
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.events import ERASURES
from tallystick.ledger.facts.tasks import TaskProgressed, TaskStarted
from tallystick.ledger.limits import PROBLEMS_KEPT_MAX
from tallystick.ledger.payloads import Payloads, payload_of
from tallystick.ledger.store import keys
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.payload_check import SLICE_ROWS
from tallystick.ledger.store.verify import Kind, verify
from tests.aside import Kept, kept_histories, marked, salt
from tests.ledger.store import forger, raw, sound
from tests.ledger.store.beside import ERASED, Rows, claims_of, details, put_rows, rows_of, tell, write
from tests.ledger.store.make import Author
from tests.ledger.store.sound import found, verified
from tests.story import created


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of two tasks: the second one was erased after its third event, and has gone on."""
    tell(
        tmp_path,
        (1, created(task="one", label="first", run_id="run-1")),
        (1, TaskProgressed(message="half of it")),
        (2, created(task="two", label=None, run_id="run-2", idempotency_key="key-2")),
        (2, TaskStarted()),
        (2, TaskProgressed(message="a part")),
        (2, ERASED),
        (2, TaskProgressed(message="another part")),
    )
    return tmp_path


# What is sound.


def test_what_was_put_aside_and_what_was_erased_is_as_it_should_be(folder: Path) -> None:
    assert {1: ["label", "task"], 2: ["message"], 7: ["message"]} == kept_fields(folder)
    assert verified(folder).ok
    assert 7 == verified(folder).events


def kept_fields(path: Path) -> dict[int, list[str]]:
    fields: dict[int, list[str]] = {}
    for position, name in map(keys.payload_of, rows_of(path)):
        fields.setdefault(position, []).append(name)
    return fields


@given(kept_histories())
def test_any_history_of_which_things_were_put_aside_and_erased_is_sound(kept: Kept) -> None:
    log = MemoryLog()
    log.append(kept.events, claims_of(kept.events), {}, kept.payloads)

    assert () == verify(log).problems


@given(kept_histories(), st.data())
def test_it_is_sound_however_it_came_about(kept: Kept, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(kept.events)))) | {0, len(kept.events)})
    log = MemoryLog()
    for start, end in pairwise(cuts):
        some = kept.events[start:end]
        payloads = {
            position: kept.payloads[position] for position in range(start + 1, end + 1) if position in kept.payloads
        }
        log.append(some, claims_of(some), {}, payloads)

    assert () == verify(log).problems


# Every way of touching it.


@st.composite
def touches(draw: st.DrawFn) -> Callable[[Rows, int], Rows]:
    """A way to change what is kept beside a log of so many events."""
    how = draw(st.sampled_from(["flip", "cut", "drop", "move", "add", "grow"]))
    name = draw(st.sampled_from(["task", "message", "x", ""]))
    where, at = draw(st.integers(0, 99)), draw(st.integers(0, 999))

    def touch(rows: Rows, size: int) -> Rows:
        touched = dict(rows)
        if how == "add" or not rows:
            touched[keys.payload_key(where % size + 1, name)] = salt(at) + b"\xa1x"
            return touched
        key = sorted(rows)[where % len(rows)]
        value = touched.pop(key)
        if how == "flip":
            touched[key] = raw.flipped(value, at % len(value))
        elif how == "cut":
            touched[key] = value[: at % len(value)]
        elif how == "grow":
            touched[key] = value + bytes([at % 256])
        elif how == "move":
            touched[keys.payload_key(at % size + 1, keys.payload_of(key)[1])] = value
        return touched

    return touch


@given(kept_histories(), st.lists(touches(), min_size=1, max_size=4), st.booleans())
def test_however_it_is_touched_every_event_of_which_something_else_is_kept_is_named_and_no_other(
    kept: Kept,
    ways: list[Callable[[Rows, int], Rows]],
    puts_back: bool,  # noqa: FBT001
) -> None:
    if not kept.events:
        return
    with TemporaryDirectory() as name:
        path = Path(name)
        write(path, kept.events, kept.payloads, claims_of(kept.events))
        before = rows_of(path)
        touched = put_back(before, kept.payloads) if puts_back else before
        for way in ways:
            touched = way(touched, len(kept.events))
        put_rows(path, touched)

        verification = verified(path)

        other = {key for key in before.keys() | touched.keys() if before.get(key) != touched.get(key)}
        wrong = {keys.payload_of(key)[0] for key in other}
        assert wrong == {problem.position for problem in verification.problems}
        assert {Kind.PAYLOAD} >= {problem.kind for problem in verification.problems}
        assert (not wrong, min(wrong, default=None)) == (verification.ok, verification.first_bad)
        assert len(kept.events) == verification.events


def put_back(rows: Rows, payloads: dict[int, Payloads]) -> Rows:
    """What was kept before something was erased."""
    before = {
        keys.payload_key(position, name): payload
        for position, kept in payloads.items()
        for name, payload in kept.items()
    }
    return before | rows


# By name.


def test_what_was_changed_is_named_with_its_field(folder: Path) -> None:
    rows = rows_of(folder)
    rows[keys.payload_key(1, "label")] = payload_of("another", salt(7))
    put_rows(folder, rows)

    assert [(1, Kind.PAYLOAD)] == found(folder)
    assert ["label is kept otherwise than the record names it: it was changed"] == details(folder)


def test_what_is_gone_is_missing_unless_it_was_erased(folder: Path) -> None:
    put_rows(folder, {})

    assert [(1, Kind.PAYLOAD), (1, Kind.PAYLOAD), (2, Kind.PAYLOAD), (7, Kind.PAYLOAD)] == found(folder)
    assert "message is not kept any more, and no later event says that it was erased" == details(folder)[-1]


def test_what_no_record_names_is_added(folder: Path) -> None:
    put_rows(folder, {**rows_of(folder), keys.payload_key(6, "message"): b"x", keys.payload_key(7, "phase"): b"y"})

    assert [(6, Kind.PAYLOAD), (7, Kind.PAYLOAD)] == found(folder)
    assert "message is kept beside it, and the record does not name that: it was added" in details(folder)


def test_what_is_put_beside_a_log_that_never_had_anything_there_is_added(tmp_path: Path) -> None:
    sound.write(tmp_path, 40)
    put_rows(tmp_path, {keys.payload_key(position, "message"): b"x" for position in (1, 7, 40)})

    assert [(position, Kind.PAYLOAD) for position in (1, 7, 40)] == found(tmp_path)


def test_what_was_erased_and_is_there_again_is_named_with_the_erasure(folder: Path) -> None:
    put_rows(folder, {**rows_of(folder), keys.payload_key(5, "message"): b"whatever it is"})

    assert {(5, Kind.PAYLOAD)} == set(found(folder))
    assert "message is still kept, though the event at 6 erased it" in details(folder)


def test_what_an_erasure_did_not_take_is_named_though_it_is_what_was_put_aside(tmp_path: Path) -> None:
    tell(tmp_path, (1, created(task="one")), (1, TaskStarted()), (1, ERASED), (1, TaskStarted()), (1, ERASED))
    author = Author()
    [first] = author.write(1, data=created(task="one"))
    _, payloads = marked([first])
    put_rows(tmp_path, {keys.payload_key(1, "task"): payloads[1]["task"]})

    assert [(1, Kind.PAYLOAD)] == found(tmp_path)  # once, however often it was erased
    assert ["task is still kept, though the event at 3 erased it"] == details(tmp_path)


@pytest.mark.parametrize("position", [0, 8, 9, 1_000, 1_000_000, (1 << 63), (1 << 64) - 1])
def test_what_is_kept_of_a_record_that_is_not_there_is_named(folder: Path, position: int) -> None:
    put_rows(folder, {**rows_of(folder), keys.payload_key(position, "task"): b"x"})

    assert [(position, Kind.PAYLOAD)] == found(folder)
    assert ["task is kept of a record that the log does not have"] == details(folder)


@pytest.mark.parametrize("key", [b"\0", b"\0" * 7, b"\0\0\1", b"\1", b"\xff", b"\xff" * 7, b"\xff" * 8, b"\xff" * 9])
def test_a_row_under_what_is_no_position_is_named_once(folder: Path, key: bytes) -> None:
    put_rows(folder, {**rows_of(folder), key: b"x"})

    assert 1 == verified(folder).problem_count


def test_what_is_kept_far_behind_the_end_is_counted_however_much_it_is_and_the_first_of_it_named(folder: Path) -> None:
    count, at_one = 2 * SLICE_ROWS + 5, (1 << 41, 1_500)
    many = {keys.payload_key(1 << 40 | place << 20, "task"): b"x" for place in range(count)}
    many |= {keys.payload_key(at_one[0], f"field {number}"): b"x" for number in range(at_one[1])}
    put_rows(folder, {**rows_of(folder), **many})

    assert [(1 << 40 | place << 20, Kind.PAYLOAD) for place in range(PROBLEMS_KEPT_MAX)] == found(folder)
    assert count + at_one[1] == verified(folder).problem_count


@pytest.mark.parametrize("position", [0, 1, 3, 7, 8, 1 << 50])
def test_a_row_that_is_no_payload_of_a_field_is_named_and_stops_nothing(folder: Path, position: int) -> None:
    nobodys = keys.event_key(position) + b"\xff"
    put_rows(folder, {**rows_of(folder), nobodys: b"x", keys.payload_key(2, "message"): b"y"})

    assert {(2, Kind.PAYLOAD), (position, Kind.PAYLOAD)} == set(found(folder))
    assert 7 == verified(folder).events


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x01", msgspec.msgpack.encode({"a": 1})])
def test_what_is_kept_as_it_was_put_aside_and_no_field_can_be_is_named(tmp_path: Path, value: bytes) -> None:
    author = Author()
    [event] = author.write(1, data=TaskProgressed(message="", aside={"message": sha256(salt(1) + value).digest()}))
    write(tmp_path, [event, *author.write(1)], {}, {})
    put_rows(tmp_path, {keys.payload_key(1, "message"): salt(1) + value})

    assert [(1, Kind.PAYLOAD)] == found(tmp_path)
    assert "it is kept as it was put aside" in details(tmp_path)[0]


@pytest.mark.parametrize("name", ["runId", "nobody's", "count"])
def test_a_record_that_names_what_cannot_be_put_aside_is_held_to_it_all_the_same(tmp_path: Path, name: str) -> None:
    author = Author()
    [event] = author.write(1, data=TaskStarted(aside={name: sha256(salt(1)).digest()}))
    write(tmp_path, [event], {}, {})

    assert [(1, Kind.PAYLOAD)] == found(tmp_path)
    put_rows(tmp_path, {keys.payload_key(1, name): salt(1)})
    assert [(1, Kind.PAYLOAD)] == found(tmp_path)


# What is not known.


def test_of_a_damaged_record_nothing_is_said_that_it_does_not_say(folder: Path) -> None:
    raw.change_record(folder, 1, raw.flipped)
    raw.cut_record(folder, 2)

    assert [(1, Kind.CHANGED), (2, Kind.MISSING)] == found(folder)


def test_an_erasure_that_was_forged_into_the_log_erases_nothing(folder: Path) -> None:
    with raw.opened(folder) as database:
        events = database(keys.EVENTS)
        forged = msgspec.msgpack.decode(events[keys.event_key(2)])
        forged[6] = {"type": "task-erased.1", "reason": "forged"}
        events[keys.event_key(2)] = msgspec.msgpack.encode(forged)
    rows = rows_of(folder)
    put_rows(folder, {key: value for key, value in rows.items() if keys.payload_of(key)[0] > 2})

    assert {(1, Kind.PAYLOAD), (2, Kind.CHANGED)} == set(found(folder))


def test_a_log_that_was_cut_off_with_all_that_would_show_it_is_betrayed_by_what_it_keeps(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shorter = tmp_path_factory.mktemp("shorter")
    tell(shorter, (1, created(task="one", label="first", run_id="run-1")))
    forger.mend(folder, shorter, [keys.META, keys.TILES, keys.STREAMS, keys.CLAIMS])
    assert {(2, Kind.PAYLOAD), (7, Kind.PAYLOAD)} == {each for each in found(folder) if each[1] is not Kind.ADDED}

    forger.reorder(folder, lambda bodies: bodies[:1])
    assert [(2, Kind.PAYLOAD), (7, Kind.PAYLOAD)] == [each for each in found(folder) if each[0] > 1]


def test_where_the_tree_still_says_so_it_is_one_end_that_is_missing(folder: Path) -> None:
    forger.reorder(folder, lambda bodies: bodies[:6])

    assert [(7, Kind.CUT_OFF)] == found(folder)


def test_every_erasure_is_a_fact_that_this_check_knows() -> None:
    assert {"task-erased.1", "flow-erased.1"} == {kind.__struct_config__.tag for kind in ERASURES}
