"""The promise of signs of life: an event the first time, nothing new after that, and no promise after the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger import intake
from tallystick.ledger.errors import InvalidInput, Refused
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.tasks import TaskFailed, TaskLateSignal, TaskLeased, TaskStarted
from tallystick.ledger.limits import LEASE_MS, LEASE_MS_MIN
from tallystick.ledger.refusal import NOTHING, Refusal
from tests import strategies as some
from tests.story import Story, created, differences, evidence, refusal

MINUTE = TaskLeased(ttl_ms=60_000)


@given(some.stories(st.one_of(some.reports, some.unfinished)), st.sampled_from([1_000, 60_000, 3_600_000]))
def test_a_promise_is_an_event_when_it_is_new_and_the_task_is_active(story: Story, ttl_ms: int) -> None:
    record, promise = story.record, TaskLeased(ttl_ms=ttl_ms)
    answer = story.tell(promise)
    if record.is_active:
        assert (NOTHING if record.lease_ms == ttl_ms else (promise,)) == answer
        assert ttl_ms == story.record.lease_ms
        assert NOTHING == story.tell(promise)
    else:
        assert isinstance(answer, Refusal)
        assert record.lease_ms == story.record.lease_ms


@pytest.mark.parametrize("facts", [[], [TaskStarted()]], ids=["queued", "running"])
def test_a_promise_changes_nothing_but_itself(facts: list[AnyFact]) -> None:
    story = Story(created(), *facts)
    changed = differences(story, MINUTE)
    assert changed.pop("last_event_at", story.now_ms) == story.now_ms
    assert {"lease_ms": 60_000} == changed


def test_another_promise_takes_the_place_of_the_first() -> None:
    story = Story(created(), TaskStarted(), MINUTE, TaskLeased(ttl_ms=5_000), MINUTE)
    assert 60_000 == story.record.lease_ms


def test_a_promise_after_the_end_is_refused_and_kept_as_evidence() -> None:
    story = Story(created(), TaskStarted(), TaskFailed(error="no"))
    answer = story.ask(MINUTE)
    assert "keep_alive" == refusal(answer, Refused).attempted
    assert TaskLateSignal(signal="keep_alive", status=story.record.status, content={"ttlMs": 60_000}) == evidence(
        answer
    )


@pytest.mark.parametrize("ttl_ms", [None, 0, -1, LEASE_MS_MIN - 1, 2**63, 1.5, "60000", True])
def test_a_promise_that_a_busy_machine_would_break_is_none(ttl_ms: object) -> None:
    with pytest.raises(InvalidInput, match="ttl_ms"):
        intake.leased(ttl_ms)  # type: ignore[arg-type]


@pytest.mark.parametrize("ttl_ms", [LEASE_MS_MIN, LEASE_MS])
def test_a_promise_is_kept_to_the_millisecond(ttl_ms: int) -> None:
    assert TaskLeased(ttl_ms=ttl_ms) == intake.leased(ttl_ms)
