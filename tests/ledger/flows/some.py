"""What Hypothesis draws for flows: facts and tales, from pools small enough for things to come twice."""

from typing import Any

from hypothesis import strategies as st

from tallystick.ledger.events import FlowFact
from tallystick.ledger.facts.flows import (
    FlowCancelled,
    FlowCancelRequested,
    FlowFailed,
    FlowFinished,
    FlowNoted,
    FlowPruned,
    FlowResumed,
    FlowSettled,
    FlowStepClaimed,
    FlowTaskLinked,
    FlowWaitingSet,
)
from tallystick.ledger.fields import INTEGER_MAX, INTEGER_MIN
from tallystick.ledger.lifecycle import FLOW_SETTLED_AS
from tests.ledger.flows.tale import MIRROR, Tale, begun
from tests.strategies import TASK_IDS, keys, maybe, words

STEPS = ("build", "test", "ship")
NAMES = (None, "bot-1", "bot-2")

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(INTEGER_MIN, INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
"""JSON values as Python has them."""

steps, names = st.sampled_from(STEPS), st.sampled_from(NAMES)
said: dict[str, st.SearchStrategy[Any]] = {"step": maybe(steps), "state": maybe(json_values)}

claims = st.builds(FlowStepClaimed, step=steps, claimant=names)
waits = st.builds(
    FlowWaitingSet,
    wait=json_values,
    blocked_task=maybe(st.sampled_from(TASK_IDS)),
    blocked_summary=maybe(words),
    **said,
)
resumptions = st.builds(FlowResumed, **said)
links = st.builds(FlowTaskLinked, task=st.sampled_from(TASK_IDS))
ends: st.SearchStrategy[FlowFact] = st.one_of(
    st.builds(FlowFinished, summary=maybe(words), state=maybe(json_values)),
    st.builds(FlowFailed, error=words, state=maybe(json_values)),
)
cancel_requests = st.builds(FlowCancelRequested, reason=maybe(words))
cancels = st.builds(FlowCancelled)
settlements = st.builds(FlowSettled, status=st.sampled_from(sorted(FLOW_SETTLED_AS)), reason=words)
CODES = ("stale_waiting", "blocked_task_missing", "cancel_stuck")
notes = st.builds(
    FlowNoted,
    codes=st.lists(st.sampled_from(CODES), min_size=1, max_size=2, unique=True).map(tuple),
    reason=maybe(words),
)
prunings = st.builds(FlowPruned, reason=maybe(words))
beginnings = st.builds(begun, controller=keys, step=maybe(steps), idempotency_key=maybe(keys))

moves: st.SearchStrategy[FlowFact] = st.one_of(
    claims,
    claims,
    claims,
    waits,
    waits,
    resumptions,
    resumptions,
    links,
    ends,
    cancel_requests,
    cancels,
    settlements,
    notes,
    notes,
    prunings,
    beginnings,
)
"""Whatever may be asked of a flow."""


@st.composite
def tales(draw: st.DrawFn, *, most: int = 12) -> Tale:
    """A flow after everything that was asked of it, each thing admitted or refused; now and then one that mirrors."""
    tale = Tale(beginning=draw(st.one_of(beginnings, beginnings, st.just(MIRROR))))
    for _ in range(draw(st.integers(0, most))):
        expected = draw(st.one_of(st.none(), st.none(), st.integers(1, tale.record.revision + 1)))
        tale.tell(draw(moves), expected=expected, after_ms=draw(st.integers(0, 2)))
    return tale
