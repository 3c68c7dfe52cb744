"""An answer that was stored says and carries what it did before, whatever it is."""

from typing import Any

import msgspec
import pytest

from tallystick.ledger import errors
from tallystick.ledger.errors import (
    Ambiguous,
    BatchFailed,
    Busy,
    Closed,
    Corrupt,
    FlowRefused,
    ForkedStore,
    Full,
    InvalidInput,
    NewerFormat,
    NotFound,
    NotOwner,
    NotProved,
    Pruned,
    Refused,
    StoreError,
    TallystickError,
    WrongVersion,
)
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.lifecycle import FlowMode, FlowStatus, Status
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.answers import decode, encode, told
from tests.story import Story, created

FLOW = FlowRecord("x", FlowMode.MANAGED, "o", FlowStatus.RUNNING, "a goal", 1, 0, 0, 1, state_json={"a": [1.5, None]})


def record() -> TaskRecord:
    known = Story(created(run_id="run-1", metadata={"repo": "a/b"})).record
    assert known is not None
    return known


ERRORS = [
    InvalidInput("status", {"a": 1}, "one of these"),
    NotFound("x"),
    NotFound("x", hint="Look elsewhere."),
    Pruned("x", status=Status.SUCCEEDED, ended_at=5, pruned_at=7),
    Pruned("x", status=FlowStatus.LOST, ended_at=None, of="Flow"),
    Refused("x", status="lost", attempted="fail"),
    Refused("x", status="lost", attempted="prune", why="It is held."),
    Refused("x", status="blocked", attempted="fail", position=7),
    WrongVersion("x", expected=1, actual=2, current=record()),
    WrongVersion("x", expected=1, actual=2),
    FlowRefused("x", status="running", attempted="claim", code="claimed", why="Somebody has it.", current=FLOW),
    Ambiguous("o", candidates=("b", "a")),
    WrongVersion("x", expected=1, actual=2, current=FLOW, of="Flow"),
    StoreError("It cannot."),
    Corrupt("torn", position=3),
    Full("the disk is full", bytes=4_096),
    NewerFormat("log", found=2, known=1),
    ForkedStore("a", opened_by=1, used_by=2),
    NotOwner("a", who="process 7 on host"),
    NotProved("root", "A hash is another."),
    Busy("The ledger", depth=9),
    Closed(),
]


def test_every_kind_of_error_is_tried() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TallystickError)}

    # No single command is answered with a batch's failure.
    assert kinds - {TallystickError, BatchFailed} == {type(error) for error in ERRORS}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_comes_back_as_what_it_was(error: TallystickError) -> None:
    back = decode(encode(error))

    assert isinstance(back, TallystickError)
    assert (type(error), str(error), error.args, error.data) == (type(back), str(back), back.args, back.data)


def test_a_record_comes_back_as_what_it_was() -> None:
    assert record() == decode(encode(record()))
    assert FLOW == decode(encode(FLOW))


def test_what_is_no_error_of_this_project_is_told_as_what_it_says() -> None:
    back = told(ZeroDivisionError("by nought"))

    assert (StoreError, "ZeroDivisionError: by nought") == (type(back), str(back))
    assert ERRORS[0] is told(ERRORS[0])


@pytest.mark.parametrize("name", ["LaterError", "Any", "TypeAlias", "", "__doc__"])
def test_an_error_that_this_version_does_not_know_says_what_it_says(name: str) -> None:
    back: Any = decode(msgspec.msgpack.encode([None, name, ["It is later."], {"hour": 7}, {}]))

    assert (StoreError, "It is later.", 7) == (type(back), str(back), back.hour)


@pytest.mark.parametrize("stored", [b"", b"\xc1", b"\x90", msgspec.msgpack.encode([1, 2])])
def test_what_is_no_answer_is_an_error_that_says_so(stored: bytes) -> None:
    assert "The answer of the ledger's owner cannot be read" in str(decode(stored))
