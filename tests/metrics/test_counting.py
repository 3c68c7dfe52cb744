"""What is counted is what the log says, whatever is done; and no error of who counts reaches anybody."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallystick
from tallystick import Permanent, Receipt, Retryable
from tallystick.actors.metrics import (
    ATTEMPTS,
    BATCH,
    CHANNEL_KINDS,
    COMMIT,
    CREATED,
    DELIVERIES,
    DURATION,
    EVENTS,
    LOST,
    METRICS,
    OUTCOMES,
    RECOVERED,
    REGISTERED,
    Sort,
)
from tallystick.channels import KINDS
from tallystick.ledger.facts.deliveries import OF_DELIVERIES
from tallystick.ledger.lifecycle import Runtime
from tallystick.testing import HandClock, memory_ledger
from tests.metrics.parts import Kept

OWNER = "agent:main:main"


class Broken:
    """Keeps nothing, and says so."""

    def add(self, *_: object) -> None:
        raise RuntimeError("no room for numbers")

    observe = add

    def show(self, gauges: object) -> Any:
        del gauges
        return lambda: None


VERBS = ("start", "succeed", "block", "fail", "time_out", "cancel", "lose", "recover")

steps = st.lists(
    st.tuples(st.sampled_from(list(Runtime)), st.lists(st.sampled_from(VERBS), max_size=4)), min_size=1, max_size=6
)


def perform(task: tallystick.Task, verb: str) -> None:
    match verb:
        case "start":
            task.start()
        case "succeed" | "recover":
            task.succeed("done")
        case "block":
            task.succeed("no access", outcome="blocked")
        case "fail":
            task.fail("it broke")
        case "time_out":
            task.time_out()
        case "cancel":
            task.cancel("enough", wait_ms=0)
        case _:
            task.settle("lost", "nobody knows where it is")


@given(steps)
def test_whatever_happens_the_counters_say_what_the_log_says(lives: list[tuple[Runtime, list[str]]]) -> None:
    kept, clock = Kept(), HandClock()
    with memory_ledger(clock=clock, metrics=kept) as ledger:
        for runtime, verbs in lives:
            owner = None if runtime is Runtime.CRON else OWNER
            task = ledger.create(runtime=runtime, task="work", owner=owner)
            for verb in verbs:
                clock.advance(500)
                with suppress(tallystick.Refused):
                    perform(task, verb)
        events = list(ledger.events())
        records = ledger.list(limit=100).tasks

    assert len(events) == kept.counted[EVENTS.name, ()] == sum(kept.observed[BATCH.name, ()])
    assert len(kept.observed[BATCH.name, ()]) == len(kept.observed[COMMIT.name, ()])
    for runtime in Runtime:
        assert sum(each is runtime for each, _ in lives) == kept.counted[CREATED.name, (runtime,)]
    told = Counter(OUTCOMES[type(event.data)] for event in events if type(event.data) in OUTCOMES)
    assert told == {key[1][0]: count for key, count in kept.counted.items() if key[0] == DELIVERIES.name}
    ended = Counter(
        (DURATION.name, (record.runtime.value, record.status.value)) for record in records if record.ended_at
    )
    observed = {key: len(values) for key, values in kept.observed.items() if key[0] == DURATION.name}
    assert all(observed[key] >= count for key, count in ended.items())
    recovered = sum(event.type == "task-recovered.1" for event in events)
    assert recovered == sum(count for key, count in kept.counted.items() if key[0] == RECOVERED.name)
    assert sum(observed.values()) == sum(ended.values()) + recovered


def test_a_duration_counts_from_the_start_as_reported_and_is_never_negative() -> None:
    kept, clock = Kept(), HandClock()
    with memory_ledger(clock=clock, metrics=kept) as ledger:
        task = ledger.create(runtime="acp", task="work", owner=OWNER)
        clock.advance(60_000)
        task.start()
        clock.advance(1_500)
        task.succeed("done")
        early = ledger.create(runtime="acp", task="work", owner=OWNER)
        early.fail("it broke", occurred_at=clock() - 5_000)

    assert [1.5] == kept.observed[DURATION.name, ("acp", "succeeded")]
    assert [0.0] == kept.observed[DURATION.name, ("acp", "failed")]


def test_a_loss_is_counted_by_its_rule() -> None:
    kept, clock = Kept(), HandClock()
    verdicts = {
        "dead": lambda: tallystick.Verdict.dead({"detail": "gone"}),
        "away": lambda: tallystick.Verdict.missing({"detail": "away"}),
    }
    with memory_ledger(clock=clock, metrics=kept) as ledger:
        ledger.probe("acp", lambda task: verdicts[task.task]())
        for name in ("dead", "away"):
            ledger.create(runtime="acp", task=name, owner=OWNER).start()
        ledger.create(runtime="cli", task="settled", owner=OWNER).settle("lost", "nobody knows")
        for _ in range(3):
            clock.advance(200_000)
            ledger.sweep()

    assert {("acp", "proved_dead"): 1, ("acp", "grace_over"): 1, ("cli", "settled"): 1} == {
        key[1]: count for key, count in kept.counted.items() if key[0] == LOST.name
    }


def test_every_answer_of_a_channel_is_counted() -> None:
    kept, clock = Kept(), HandClock()
    answers: Iterator[Any] = iter([Retryable("not now"), RuntimeError("who knows"), Receipt(), Permanent("never")])

    def send(_delivery: tallystick.Delivery) -> Receipt:
        answer = next(answers)
        if isinstance(answer, Receipt):
            return answer
        raise answer

    with memory_ledger(clock=clock, metrics=kept) as ledger:
        ledger.channel("chat", send)
        for _ in range(2):
            task = ledger.create(runtime="acp", task="x", owner=OWNER, origin=tallystick.Origin(channel="chat", to="1"))
            task.succeed("done")
            for _ in range(3):
                ledger.sweep()
                ledger.settled()
                clock.advance(600_000)

    assert {
        (REGISTERED, "attempted"): 1,
        (REGISTERED, "unknown"): 1,
        (REGISTERED, "delivered"): 1,
        (REGISTERED, "failed"): 1,
    } == {key[1]: count for key, count in kept.counted.items() if key[0] == ATTEMPTS.name}


def test_numbers_that_cannot_be_kept_are_logged_once_and_facts_go_on(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "tallystick"), memory_ledger(metrics=Broken()) as ledger:
        for _ in range(3):
            ledger.create(runtime="acp", task="work", owner=OWNER).succeed("done")
        assert 3 == ledger.counts().total

    assert ["metrics_failed"] == [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("wrong", [7, object(), Kept])
def test_what_keeps_no_numbers_is_refused_at_once(wrong: Any, tmp_path: Path) -> None:
    with pytest.raises(tallystick.InvalidInput, match="PrometheusMetrics"):
        tallystick.open(tmp_path / "ledger", metrics=wrong)

    assert not (tmp_path / "ledger").exists()


def test_a_ledger_that_is_only_read_has_no_numbers_of_its_own(tmp_path: Path) -> None:
    tallystick.open(tmp_path / "ledger").close()

    with pytest.raises(tallystick.InvalidInput, match="its owner"):
        tallystick.open(tmp_path / "ledger", read_only=True, metrics=Kept())


def test_names_follow_the_conventions_and_labels_have_closed_sets_that_fit_the_code() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert metric.name.startswith("tallystick_")
        assert metric.help.endswith(".")
        assert (metric.sort is Sort.COUNTER) == metric.name.endswith("_total")
        assert (metric.sort is Sort.HISTOGRAM) == bool(metric.bounds)
        assert list(metric.bounds) == sorted(set(metric.bounds))
        for label in metric.labels:
            assert 0 < len(label.values) == len(set(label.values)) <= 20
    assert {*KINDS, REGISTERED} == set(CHANNEL_KINDS.values)
    assert set(OUTCOMES) == OF_DELIVERIES
