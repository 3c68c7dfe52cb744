"""Claims: the digests by which a creation that comes again is recognised. Pure."""

from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from tallystick.ledger.facts.flows import FlowCreated
from tallystick.ledger.facts.tasks import TaskAmended, TaskCreated
from tallystick.ledger.lifecycle import MEDIA_KINDS
from tallystick.ledger.payloads import lacking

CLAIM_BYTES = 16

# The digests are on disk: neither these prefixes nor what follows them may ever change.
_RUN = b"tallystick claim: run.1\n"
_FLOW_KEY = b"tallystick claim: flow key.1\n"
_KEY = b"tallystick claim: idempotency key.1\n"

_RUN_TEXTS = frozenset({"label", "task"})  # of what tells a run apart, this is content, which can be erased

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


def claims_left_in(fact: object) -> tuple[bytes, ...]:
    """Return those of the digests that can be made again after texts of the creation were erased."""
    if isinstance(fact, TaskCreated) and fact.run_id is not None and _lacking(fact):
        fact = replace(fact, run_id=None)
    return claims_in(fact)


def with_texts_of(fact: object, other: object) -> object:
    """Return a creation that says in place of its texts that were erased what another one says."""
    if not (isinstance(fact, TaskCreated) and isinstance(other, TaskCreated)):
        return fact
    return replace(fact, **{name: getattr(other, name) for name in _lacking(fact)})


def _lacking(created: TaskCreated) -> frozenset[str]:
    return _RUN_TEXTS.intersection(lacking(created))


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
