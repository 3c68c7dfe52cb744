"""What Hypothesis draws of things that a task opens, closes, and leaves to others to be closed."""

from hypothesis import strategies as st

from tallystick.ledger.facts.resources import (
    TaskCleanedUp,
    TaskCleanupBegun,
    TaskResourceClosed,
    TaskResourceOpened,
)

_kinds, _names = st.sampled_from(["browser_tab", "process"]), st.sampled_from(["one", "two"])
_evidence = st.sampled_from([None, {"pid": 4711, "ticks": 90_210}, {"profile": "work"}])

openings = st.builds(TaskResourceOpened, kind=_kinds, name=_names, evidence=_evidence)
closings = st.builds(TaskResourceClosed, kind=_kinds, name=_names)
cleanups = st.one_of(
    st.just(TaskCleanupBegun()),
    st.builds(
        TaskCleanedUp,
        closed=st.lists(_names, max_size=2).map(tuple),
        failed=st.sampled_from([None, {"one": "boom"}]),
    ),
)
