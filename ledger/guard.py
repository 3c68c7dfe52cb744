"""The media guard: when a session gets a generation that it has already, instead of a duplicate. Pure.

What is remembered is a claim, as those of runs and keys are, in the log's index and durable with the creation: the
newest generation of a session with this kind and prompt, and the newest of them with this request key. Unlike those it
does not hold for ever: whether the task that has it stands for a further call is asked each time.
"""

from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from tallystick.ledger.claims import CLAIM_BYTES, claims_of
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.lifecycle import BLOCKED, MEDIA_KINDS, Runtime, Scope, Status
from tallystick.ledger.limits import MEDIA_GUARD_MS
from tallystick.ledger.payloads import kept
from tallystick.ledger.record import TaskRecord

# The digests are on disk: neither these prefixes nor what follows them may ever change.
_PROMPT = b"tallystick guard: prompt.1\n"
_REQUEST = b"tallystick guard: request.1\n"

_encode = msgspec.msgpack.Encoder().encode  # a list in msgpack can be read in one way only


def guards_of(created: TaskCreated, known: TaskRecord | None = None, veil: bytes | None = None) -> tuple[bytes, ...]:
    """Return the digests of a generation that a session starts: of its prompt, then of its request if it has a key.

    The prompt is the text to the letter, but for white space around it. Nothing for what is no generation.
    `known` is the task that a repeated creation has found: it becomes a generation when it was of no kind until now.
    Two prompts out of which secrets were taken may look the same and not be: what stands for their whole texts is
    their `veil`, and without one nobody can say that a session has what it asks for.
    """
    if known is not None:
        if known.task_kind is not None:
            return ()
        created = replace(
            created,
            runtime=known.runtime,
            scope=known.scope_kind,
            requester=known.requester_session_key,
            task=known.task,
            request_key=None,
        )
    if created.kind not in MEDIA_KINDS or created.runtime is not Runtime.CLI or created.scope is not Scope.SESSION:
        return ()
    prompt: tuple[str | bytes | None, ...] = (
        created.requester or created.owner,
        created.kind,
        created.task.strip(),
    )
    if "task" in created.redacted:
        if veil is None:
            return ()
        prompt = (*prompt, veil)
    guards = (_digest(_PROMPT + _encode(prompt)),)
    if created.request_key is None:
        return guards
    return (*guards, _digest(_REQUEST + _encode((*prompt, created.request_key))))


def claims_by_texts(created: TaskCreated, kind: str | None) -> tuple[bytes, ...]:
    """Return the digests that a task of a kind has by texts of its creation that are kept beside the log.

    They have no salt: whoever tries texts would find out by them what was erased.
    """
    names, claims = kept(created), set[bytes]()
    if not {"task", "label"}.isdisjoint(names):
        claims |= set(claims_of(created)) - set(claims_of(replace(created, run_id=None)))
    if "task" in names:
        claims |= set(guards_of(replace(created, kind=kind)))
    return tuple(sorted(claims))


def _digest(told: bytes) -> bytes:
    return blake2b(told, digest_size=CLAIM_BYTES).digest()


def stands(record: TaskRecord, at: int, *, same_request: bool) -> bool:
    """Return whether a generation is given back to a further call at a moment (ms), which has the same prompt.

    It is while it is active; and when the call has the same request key, too, for a while after it has succeeded with
    what was asked for.
    """
    if record.is_active:
        return True
    if not same_request or record.pruned_at is not None or record.ended_at is None:
        return False
    if record.status is not Status.SUCCEEDED or record.terminal_outcome == BLOCKED:
        return False
    return abs(at - record.ended_at) <= MEDIA_GUARD_MS  # an end that is reported for tomorrow does not hold until then


def taken_over(created: TaskCreated) -> TaskCreated:
    """Return what a further call tells the generation that it is given.

    Its key names that task from now on, and the flow that it names has the task, if the task is of none.
    """
    return TaskCreated(
        runtime=created.runtime,
        task=created.task,
        scope=created.scope,
        notify=created.notify,
        delivery=created.delivery,
        flow=created.flow,
        idempotency_key=created.idempotency_key,
    )
