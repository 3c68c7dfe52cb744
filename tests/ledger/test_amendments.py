"""What a creation that comes again adds to a record: blanks are filled, nothing is overwritten."""

from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import TaskAmended
from tests.story import BEGIN_MS, OTHER_ID, TASK_ID, Story, created, differences

THEN_MS = BEGIN_MS + 3_000
FULL = created(
    runtime="cli",
    label="tally",
    requester="agent:main:other",
    child_session="agent:main:subagent:7c",
    run_id="run-1",
    kind="image_generation",
    source_id="job-7",
    parent=OTHER_ID,
    root=OTHER_ID,
    flow="0198c2f0-7b7e-7cc3-8a53-0000000000f1",
    agent="main",
    requester_agent="other",
    origin=Origin(channel="telegram", to=-100, account="bot", thread=77),
    notify="state_changes",
    timeout_ms=60_000,
    backing={"pid": 7},
    metadata={"repo": "a/b"},
    idempotency_key="key-1",
)


def test_an_amendment_fills_blanks_only() -> None:
    blank = TaskAmended(
        kind="k",
        source_id="s",
        parent=TASK_ID,
        flow="0198c2f0-7b7e-7cc3-8a53-0000000000f2",
        agent="a",
        requester_agent="r",
        origin=Origin(channel="c", to="t"),
        timeout_ms=1,
        backing={"pid": 8},
        metadata={"repo": "c/d", "branch": "main"},
        idempotency_key="key-1",
    )
    full, story = Story(FULL), Story(created())

    assert {"metadata": {"branch": "main", "repo": "a/b"}, "last_event_at": THEN_MS} == {
        name: value for name, value in differences(full, blank, occurred_at=THEN_MS).items() if name != "further_keys"
    }
    assert {
        "last_event_at": THEN_MS,
        "task_kind": "k",
        "source_id": "s",
        "parent_task_id": TASK_ID,
        "parent_flow_id": "0198c2f0-7b7e-7cc3-8a53-0000000000f2",
        "agent_id": "a",
        "requester_agent_id": "r",
        "origin": Origin(channel="c", to="t"),
        "timeout_ms": 1,
        "backing": {"pid": 8},
        "metadata": {"repo": "c/d", "branch": "main"},
        "idempotency_key": "key-1",
    } == differences(story, blank, occurred_at=THEN_MS)
    assert {"root_task_id": OTHER_ID} == differences(story, TaskAmended(root=OTHER_ID))


def test_a_further_key_is_kept_beside_the_first() -> None:
    story = Story(FULL)

    assert {"further_keys": ("key-2",)} == differences(story, TaskAmended(idempotency_key="key-2"))
    assert {} == differences(story, TaskAmended(kind="music_generation"))
