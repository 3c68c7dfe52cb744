"""The claims of flows: what makes two creations of a flow the same, and bytes that are on disk for ever."""

from hashlib import blake2b

from hypothesis import given
from msgspec.structs import replace

from tallystick.ledger.claims import CLAIM_BYTES, claims_in, claims_of, flow_claims_of, may_exist
from tallystick.ledger.facts.flows import FlowCreated, FlowResumed
from tests.ledger.flows.some import beginnings
from tests.ledger.flows.tale import MIRROR, begun
from tests.story import created
from tests.strategies import keys


def test_the_bytes_of_a_flows_claim_never_change() -> None:
    spelled_out = blake2b(b"tallystick claim: flow key.1\n" + b"\xa5key-1", digest_size=16)

    assert (spelled_out.digest(),) == flow_claims_of(begun(idempotency_key="key-1"))
    assert "09659b676db696d5b57ccdece0900632" == spelled_out.hexdigest()


@given(beginnings)
def test_a_flow_claims_its_key_and_nothing_without_one(beginning: FlowCreated) -> None:
    claims = flow_claims_of(beginning)

    assert claims == claims_in(beginning)
    assert (beginning.idempotency_key is not None) == may_exist(beginning) == bool(claims)
    assert {CLAIM_BYTES} >= {len(claim) for claim in claims}


@given(keys, beginnings, beginnings)
def test_the_same_key_makes_the_same_claim_whatever_else_is_said_of_a_flow(
    key: str, one: FlowCreated, other: FlowCreated
) -> None:
    assert flow_claims_of(replace(one, idempotency_key=key)) == flow_claims_of(replace(other, idempotency_key=key))


@given(keys)
def test_a_task_and_a_flow_with_one_key_stay_apart(key: str) -> None:
    assert not set(claims_of(created(idempotency_key=key))) & set(flow_claims_of(begun(idempotency_key=key)))


def test_what_creates_nothing_claims_nothing() -> None:
    assert () == claims_in(FlowResumed()) == flow_claims_of(MIRROR)
