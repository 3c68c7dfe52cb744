"""Claims: the digests by which a creation that comes again is recognised. Pure."""

from hashlib import blake2b

import msgspec

from tallystick.ledger.facts.flows import FlowCreated
from tallystick.ledger.facts.tasks import TaskAmended, TaskCreated
from tallystick.ledger.lifecycle import MEDIA_KINDS

CLAIM_BYTES = 16

# The digests are on disk: neither these prefixes nor what follows them may ever change.
_RUN = b"tallystick claim: run.1\n"
_FLOW_KEY = b"tallystick claim: flow key.1\n"
_KEY = b"tallystick claim: idempotency key.1\n"

_encode = msgspec.msgpack.Encoder().encode  # a list in msgpack can be read in one way only


def flow_claims_of(created: FlowCreated) -> tuple[bytes, ...]:
    """Return a digest of 16 bytes for the idempotency key of a flow, if it has one."""
    if created.idempotency_key is None:
        return ()
    return (blake2b(_FLOW_KEY + _encode(created.idempotency_key), digest_size=CLAIM_BYTES).digest(),)


def claims_in(fact: object) -> tuple[bytes, ...]:
    """Return the digests of the identities that a fact gives to what it creates; none for other facts."""
    if isinstance(fact, TaskCreated):
        return claims_of(fact)
    return flow_claims_of(fact) if isinstance(fact, FlowCreated) else ()


def claims_given_in(fact: object) -> tuple[bytes, ...]:
    """Return the same, and that of a key which a task was given later: all that a log has because of a fact."""
    if isinstance(fact, TaskAmended):
        return () if fact.idempotency_key is None else (_key_claim(fact.idempotency_key),)
    return claims_in(fact)


def may_exist(creation: TaskCreated | FlowCreated) -> bool:
    """Whether a creation has an identity, or is a generation, so that it may give back what exists already."""
    if isinstance(creation, FlowCreated):
        return creation.idempotency_key is not None
    return creation.run_id is not None or creation.idempotency_key is not None or creation.kind in MEDIA_KINDS


def claims_of(created: TaskCreated) -> tuple[bytes, ...]:
    """Return a digest of 16 bytes for each identity of a creation; none for one that is never deduplicated.

    The same run (id, runtime, owner, child session, label and text) always has the same digest, and so has the same
    idempotency key, whatever else the two creations say; no two identities share one.
    """
    claims: tuple[bytes, ...] = ()
    if created.run_id is not None:
        run = (
            created.run_id,
            created.runtime.value,
            created.owner,
            created.child_session,
            created.label,
            created.task,
        )
        claims = (blake2b(_RUN + _encode(run), digest_size=CLAIM_BYTES).digest(),)
    if created.idempotency_key is not None:
        claims = (*claims, _key_claim(created.idempotency_key))
    return claims


def _key_claim(key: str) -> bytes:
    return blake2b(_KEY + _encode(key), digest_size=CLAIM_BYTES).digest()
