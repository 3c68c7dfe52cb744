"""Claims: what makes two creations the same, and bytes that are on disk for ever."""

from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.claims import CLAIM_BYTES, claims_in, claims_left_in, claims_of, with_texts_of
from tallystick.ledger.content import without
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.lifecycle import Runtime
from tallystick.ledger.payloads import put, put_aside
from tests.aside import EVERYTHING, salt
from tests.ledger.flows import some
from tests.story import created
from tests.strategies import creations, keys

RUN = ("run_id", "runtime", "owner", "child_session", "label", "task")

runs = st.builds(
    created,
    run_id=keys,
    runtime=st.sampled_from(Runtime),
    owner=keys,
    child_session=st.none() | keys,
    label=st.none() | st.sampled_from(["a", "tally"]),
    task=st.sampled_from(["a", "Count the tallies"]),
)


def identity(creation: TaskCreated) -> tuple[object, ...]:
    return tuple(getattr(creation, name) for name in RUN)


def test_a_creation_without_a_run_and_a_key_claims_nothing() -> None:
    assert () == claims_of(created(label="tally", child_session="agent:main:subagent:7c"))


def test_the_bytes_of_a_claim_never_change() -> None:
    run = created(run_id="run-1", child_session="agent:main:subagent:7c", label="tally")
    both = replace(run, idempotency_key="key-1")
    packed_run = b"\x96\xa5run-1\xa8subagent\xafagent:main:main\xb6agent:main:subagent:7c\xa5tally\xb1Count the tallies"

    spelled_out = (
        blake2b(b"tallystick claim: run.1\n" + packed_run, digest_size=16),
        blake2b(b"tallystick claim: idempotency key.1\n" + b"\xa5key-1", digest_size=16),
    )

    assert tuple(digest.digest() for digest in spelled_out) == claims_of(both)
    assert claims_of(run) == claims_of(both)[:1]
    assert ["da24bd540b269afc9e8cb3d0add3525a", "bd1158df24c847631e34c9783c8a36e4"] == [
        claim.hex() for claim in claims_of(both)
    ]


@given(creations())
def test_each_identity_that_a_creation_has_makes_one_claim(creation: TaskCreated) -> None:
    claims = claims_of(creation)

    assert (creation.run_id is not None) + (creation.idempotency_key is not None) == len(claims)
    assert {CLAIM_BYTES} >= {len(claim) for claim in claims}
    assert len(set(claims)) == len(claims)


@given(runs, creations())
def test_the_same_run_makes_the_same_claim_whatever_else_is_said(run: TaskCreated, other: TaskCreated) -> None:
    again = replace(other, **{name: getattr(run, name) for name in RUN}, idempotency_key=None)

    assert claims_of(run) == claims_of(again)


@given(keys, creations(), creations())
def test_the_same_key_makes_the_same_claim_whatever_else_is_said(
    key: str, one: TaskCreated, other: TaskCreated
) -> None:
    assert claims_of(replace(one, idempotency_key=key))[-1:] == claims_of(replace(other, idempotency_key=key))[-1:]


@given(runs, runs)
def test_another_run_makes_another_claim(one: TaskCreated, other: TaskCreated) -> None:
    assume(identity(one) != identity(other))

    assert claims_of(one) != claims_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"run_id": "a", "label": "bc"}, {"run_id": "ab", "label": "c"}),
        ({"run_id": "a", "label": "b"}, {"run_id": "a", "child_session": "b"}),
        ({"run_id": "a"}, {"run_id": "a", "label": "a"}),
        ({"run_id": "a"}, {"idempotency_key": "a"}),
    ],
)
def test_no_two_identities_run_into_each_other(one: dict[str, str], other: dict[str, str]) -> None:
    assert claims_of(created(**one)) != claims_of(created(**other))


# What is left of them when texts were erased.


@given(st.one_of(creations(), some.beginnings), st.booleans())
def test_as_long_as_all_is_there_all_claims_can_be_made_again(created: Any, is_aside: bool) -> None:  # noqa: FBT001
    kept = put_aside(created, EVERYTHING, lambda: salt(1))[0] if is_aside else created

    assert claims_in(created) == claims_left_in(kept)


@given(creations())
def test_of_an_erased_creation_only_the_claim_of_its_key_can_be_made_again(creation: TaskCreated) -> None:
    kept, _ = put_aside(creation, EVERYTHING, lambda: salt(1))
    erased = without(kept, put(kept))

    assert claims_of(replace(creation, run_id=None)) == claims_left_in(erased)


@given(creations())
def test_with_its_texts_it_claims_what_it_claimed(creation: TaskCreated) -> None:
    kept, _ = put_aside(creation, EVERYTHING, lambda: salt(1))

    assert claims_of(creation) == claims_in(with_texts_of(without(kept, put(kept)), creation))


@given(creations(), creations())
def test_what_was_not_erased_stays_what_it_is(creation: TaskCreated, other: TaskCreated) -> None:
    kept, _ = put_aside(creation, EVERYTHING, lambda: salt(1))

    assert creation == with_texts_of(creation, other)
    assert kept == with_texts_of(kept, other)
