"""Errors are one tree, carry their data, survive pickling, and say what to do next."""

import copy
import pickle

import pytest

from tallystick.ledger import errors
from tallystick.ledger.errors import (
    SHOWN_MAX,
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
from tallystick.ledger.lifecycle import FlowMode, FlowStatus
from tests.story import TASK_ID, Story, created

RECORD = Story(created()).record
FLOW = FlowRecord(TASK_ID, FlowMode.MANAGED, "o", FlowStatus.RUNNING, "a goal", 1, 0, 0, 1)
KEPT = {"deleted_by": None, "deleted_at": None, "deleted_reason": None}
REFUSED = Refused(TASK_ID, status="succeeded", attempted="fail", position=7)

# Each error with the data that it must carry and what its message must say.
EXAMPLES: list[tuple[TallystickError, dict[str, object], str]] = [
    (
        InvalidInput("runtime", "chat", "acp, cli, cron, subagent"),
        {"field": "runtime", "value": "'chat'", "allowed": "acp, cli, cron, subagent"},
        "runtime: 'chat' is not allowed; give acp, cli, cron, subagent.",
    ),
    (
        NotFound("run-1"),
        {"token": "run-1"},
        'Task not found: run-1. Run "tally list" to see recent tasks.',
    ),
    (
        Pruned(TASK_ID, status="succeeded", ended_at=7, pruned_at=9),
        {"token": TASK_ID, "status": "succeeded", "ended_at": 7, "pruned_at": 9, **KEPT},
        f"Task pruned: {TASK_ID} was succeeded, ended at 7 (ms). Its history is in the log.",
    ),
    (
        Pruned(
            TASK_ID,
            status=Pruned.UNKNOWN,
            ended_at=None,
            of="Task or flow",
            history="Its events were deleted by ada at 9 (ms): the law",
            deleted_by="ada",
            deleted_at=9,
            deleted_reason="the law",
        ),
        {
            "token": TASK_ID,
            "status": "unknown",
            "ended_at": None,
            "pruned_at": None,
            "deleted_by": "ada",
            "deleted_at": 9,
            "deleted_reason": "the law",
        },
        f"Task or flow pruned: {TASK_ID}. Its events were deleted by ada at 9 (ms): the law",
    ),
    (
        Pruned(TASK_ID, status="lost", ended_at=None, of="Flow"),
        {"token": TASK_ID, "status": "lost", "ended_at": None, "pruned_at": None, **KEPT},
        f"Flow pruned: {TASK_ID} was lost. Its history is in the log.",
    ),
    (
        Refused(TASK_ID, status="lost", attempted="prune", why="It is held; release it first."),
        {"token": TASK_ID, "status": "lost", "attempted": "prune", "position": None},
        f"Task {TASK_ID} is lost: prune is refused. It is held; release it first.",
    ),
    (
        REFUSED,
        {"token": TASK_ID, "status": "succeeded", "attempted": "fail", "position": 7},
        f"Task {TASK_ID} is succeeded: fail is refused. It is kept as a late signal at position 7.",
    ),
    (
        Refused(TASK_ID, status="running", attempted="prune"),
        {"token": TASK_ID, "status": "running", "attempted": "prune", "position": None},
        f"Task {TASK_ID} is running: prune is refused.",
    ),
    (
        FlowRefused(
            TASK_ID, status="running", attempted="claim", code="claimed", why="Step a was claimed.", current=FLOW
        ),
        {
            "token": TASK_ID,
            "status": "running",
            "attempted": "claim",
            "position": None,
            "code": "claimed",
            "current": FLOW,
        },
        f"Flow {TASK_ID} is running: claim is refused. Step a was claimed.",
    ),
    (
        Ambiguous("o", candidates=["b", "a"]),
        {"token": "o", "status": "ambiguous", "attempted": "find", "position": None, "candidates": ["b", "a"]},
        "o has 2 flows that have not ended: b, a. Name one of them by its id.",
    ),
    (
        NotFound("f", of="Flow", hint="Look."),
        {"token": "f"},
        "Flow not found: f. Look.",
    ),
    (
        WrongVersion(TASK_ID, expected=1, actual=2, current=FLOW, of="Flow"),
        {"token": TASK_ID, "expected": 1, "actual": 2, "current": FLOW},
        f"Flow {TASK_ID}: expected revision 1, found 2. Read it again and decide anew.",
    ),
    (
        WrongVersion(TASK_ID, expected=1, actual=2, current=RECORD),
        {"token": TASK_ID, "expected": 1, "actual": 2, "current": RECORD},
        f"Task {TASK_ID}: expected version 1, found 2. Read it again and decide anew.",
    ),
    (
        Corrupt("the record is cut off", position=7),
        {"detail": "the record is cut off", "position": 7},
        'The log is damaged at position 7: the record is cut off. Run "tally verify".',
    ),
    (
        Corrupt("no header"),
        {"detail": "no header", "position": None},
        'The log is damaged: no header. Run "tally verify".',
    ),
    (
        Full("the disk", bytes=4_096),
        {"detail": "the disk", "bytes": 4_096},
        "No space left: the disk. The store has 4096 bytes. Free space and try again.",
    ),
    (
        NewerFormat("state/log", found=2, known=1),
        {"what": "state/log", "found": 2, "known": 1},
        "state/log has format 2, this version knows 1. Use a newer tallystick.",
    ),
    (
        ForkedStore("state", opened_by=1, used_by=2),
        {"path": "state", "opened_by": 1, "used_by": 2},
        "state was opened by process 1 and is used by its fork 2. Open the ledger after the fork.",
    ),
    (
        NotOwner("state", who="process 7"),
        {"path": "state", "who": "process 7"},
        (
            "state has a live owner: process 7."
            " Write beside it with tallystick.join(), stop it, or open with read_only=True."
        ),
    ),
    (
        NotOwner("state", who="process 7", read_only=True),
        {"path": "state", "who": "process 7"},
        "state was opened with read_only=True; its live owner is process 7. Write through the owner, or become it.",
    ),
    (
        NotOwner("state", who=None, read_only=True),
        {"path": "state", "who": None},
        "state was opened with read_only=True; it has no live owner. Write through the owner, or become it.",
    ),
    (
        NotProved("index", "index 9 is none of the checkpoint's 4 records."),
        {"what": "index", "reason": "index 9 is none of the checkpoint's 4 records."},
        "Not proved (index): index 9 is none of the checkpoint's 4 records.",
    ),
    (
        Busy("The inbox", depth=4_096),
        {"queue": "The inbox", "depth": 4_096},
        "The inbox is full (4096 waiting). Retry later, or slow down.",
    ),
    (Closed(), {"what": "The ledger"}, "The ledger is closed. Open it again."),
]
IDS = [type(error).__name__ for error, _, _ in EXAMPLES]


def test_the_tree_is_the_one_that_the_interface_draws() -> None:
    drawn = {
        InvalidInput: TallystickError,
        NotFound: TallystickError,
        Pruned: NotFound,
        Refused: TallystickError,
        FlowRefused: Refused,
        Ambiguous: Refused,
        WrongVersion: TallystickError,
        StoreError: TallystickError,
        Corrupt: StoreError,
        Full: StoreError,
        NewerFormat: StoreError,
        ForkedStore: StoreError,
        NotOwner: StoreError,
        NotProved: TallystickError,
        BatchFailed: TallystickError,
        Busy: TallystickError,
        Closed: TallystickError,
    }
    known = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]

    assert {TallystickError, *drawn} == set(known)
    assert drawn == {kind: kind.__base__ for kind in drawn}
    assert [] == [kind for kind in known if kind.__name__ not in (errors.__doc__ or "")]


def test_every_error_has_an_example_here() -> None:
    shown = {type(error) for error, _, _ in EXAMPLES}

    assert {TallystickError, StoreError, BatchFailed} == {
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)
    } - shown


@pytest.mark.parametrize(("error", "data", "message"), EXAMPLES, ids=IDS)
def test_an_error_carries_its_data_and_says_what_to_do(
    error: TallystickError, data: dict[str, object], message: str
) -> None:
    assert message == str(error)
    assert data == error.data
    assert data == {name: getattr(error, name) for name in data}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(("error", "data", "message"), EXAMPLES, ids=IDS)
def test_an_error_survives_pickling_with_all_that_it_says(
    error: TallystickError, data: dict[str, object], message: str, protocol: int
) -> None:
    revived = pickle.loads(pickle.dumps(error, protocol))

    assert type(error) is type(revived)
    assert message == str(revived)
    assert data == revived.data
    assert error.args == revived.args


@pytest.mark.parametrize(("error", "data", "message"), EXAMPLES, ids=IDS)
def test_a_copy_of_an_error_says_the_same(error: TallystickError, data: dict[str, object], message: str) -> None:
    copied = copy.copy(error)

    assert (type(error), message, data) == (type(copied), str(copied), copied.data)


def test_a_failed_batch_names_every_refusal_with_its_place() -> None:
    failed = BatchFailed([(3, REFUSED), (5, NotFound("run-1"))])
    revived = pickle.loads(pickle.dumps(failed))

    assert f"2 of the batch's commands were refused; the first, at 3: {REFUSED}" == str(failed) == str(revived)
    assert [(3, Refused, 7), (5, NotFound, None)] == [
        (place, type(error), getattr(error, "position", None)) for place, error in revived.refusals
    ]


def test_notes_that_somebody_added_to_an_error_travel_with_it() -> None:
    error = NotFound("run-1")
    error.add_note("while importing")

    assert ["while importing"] == pickle.loads(pickle.dumps(error)).__notes__


def test_a_bad_value_is_shown_but_never_at_length() -> None:
    error = InvalidInput("task", "x" * 100_000, "less")

    assert 80 == SHOWN_MAX == len(error.value)
    assert error.value.startswith("'xxx")
    assert error.value.endswith("x…")
    assert f"task: {error.value} is not allowed; give less." == str(error)
    assert f"'{'x' * 78}'" == InvalidInput("task", "x" * 78, "less").value


def test_what_a_file_has_is_only_counted() -> None:
    for value in (b"secret", bytearray(b"secret"), memoryview(b"secret")):
        error = InvalidInput("proof", value, "a proof")
        assert ("6 bytes", "proof: 6 bytes is not allowed; give a proof.") == (error.value, str(error))


def test_no_error_repeats_a_signing_key_wherever_it_was_given() -> None:
    key = "PRIVATE+KEY+a.org+00000000+AAAA"
    for value in (key, f"{'x' * 200} {key}", [key], {"key": key}):
        for error in (InvalidInput("key", value, "a path"), InvalidInput("key", value, "a path").at("line 3")):
            assert "a signing key" == error.value
            assert "PRIVATE+KEY+" not in f"{error} {error.data}"
    assert "PRIVATE+KEY+" not in f"{NotFound(key)} {NotFound(key).data}"


def test_whoever_catches_the_root_catches_everything_and_a_tombstone_is_something_not_found() -> None:
    for error, _, _ in EXAMPLES:
        with pytest.raises(TallystickError):
            raise error
    with pytest.raises(NotFound):
        raise Pruned("run-1", status="lost", ended_at=None)
