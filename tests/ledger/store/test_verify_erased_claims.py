"""Claims are verified as far as what they are made of is there: what was erased is asked of nobody."""

from pathlib import Path

import pytest

from tallystick.ledger.claims import claims_in
from tallystick.ledger.payloads import payload_of
from tallystick.ledger.store import keys
from tallystick.ledger.store.verify import Kind
from tests.aside import salt
from tests.ledger.store import raw
from tests.ledger.store.beside import ERASED, put_rows, rows_of, tell
from tests.ledger.store.sound import found
from tests.story import created


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of two tasks with all content aside; the second one was erased."""
    second = created(task="two", label=None, run_id="run-2", idempotency_key="key-2")
    tell(tmp_path, (1, created(task="one", label="first", run_id="run-1")), (2, second), (2, ERASED))
    return tmp_path


def test_a_claim_of_an_erased_run_is_not_missed_and_its_key_is(folder: Path) -> None:
    run, key = claims_in(created(task="two", label=None, run_id="run-2", idempotency_key="key-2"))
    with raw.opened(folder) as database:
        del database(keys.CLAIMS)[run]
    assert [] == found(folder)

    with raw.opened(folder) as database:
        del database(keys.CLAIMS)[key]
    assert [(2, Kind.CLAIM)] == found(folder)


def test_the_claim_of_a_run_whose_text_is_only_aside_is_missed(folder: Path) -> None:
    [run] = claims_in(created(task="one", label="first", run_id="run-1"))
    with raw.opened(folder) as database:
        del database(keys.CLAIMS)[run]

    assert [(1, Kind.CLAIM)] == found(folder)


def test_of_a_run_whose_text_was_changed_only_that_is_said(folder: Path) -> None:
    rows = rows_of(folder)
    rows[keys.payload_key(1, "label")] = payload_of("another", salt(7))
    put_rows(folder, rows)

    assert [(1, Kind.PAYLOAD)] == found(folder)


RUN = {"task": "one", "label": "first", "run_id": "run-1"}


@pytest.mark.parametrize(
    ("second", "is_right"),
    [
        (RUN, True),
        ({**RUN, "task": "another"}, True),  # which nobody can know any more
        ({**RUN, "label": None}, False),  # there never was one
        ({**RUN, "run_id": "run-2"}, False),
        ({**RUN, "owner": "agent:somebody:else"}, False),
        ({**RUN, "run_id": None}, False),
        ({**RUN, "run_id": None, "idempotency_key": "key"}, False),
    ],
)
def test_an_erased_creation_may_have_taken_over_a_claim_if_it_can_have_been_of_the_same_run(
    tmp_path: Path,
    second: dict[str, str | None],
    is_right: bool,  # noqa: FBT001
) -> None:
    [run] = claims_in(created(**RUN))
    tell(tmp_path, (1, created(**RUN)), (2, created(**second)), (2, ERASED), taken_over={run: 2})

    assert ([] if is_right else [(1, Kind.CLAIM)]) == found(tmp_path)


def test_a_creation_whose_texts_are_only_aside_took_over_no_claim_of_another_text(tmp_path: Path) -> None:
    [run] = claims_in(created(**RUN))
    tell(tmp_path, (1, created(**RUN)), (2, created(**{**RUN, "task": "another"})), taken_over={run: 2})

    assert [(1, Kind.CLAIM)] == found(tmp_path)


def test_a_key_is_not_taken_over_by_an_erased_creation_without_it(tmp_path: Path) -> None:
    [key] = claims_in(created(idempotency_key="key"))
    tell(tmp_path, (1, created(idempotency_key="key")), (2, created(**RUN)), (2, ERASED), taken_over={key: 2})

    assert [(1, Kind.CLAIM)] == found(tmp_path)
