"""The gauges say what the ledger is in the moment in which somebody asks."""

import logging
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallystick
from tallystick.actors.metrics import FINDINGS, METRICS, Sort
from tallystick.gauges import Gauges
from tallystick.ledger.lifecycle import Runtime
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger
from tests.metrics.parts import PATIENCE_S, Kept

OWNER = "agent:main:main"


def gauges_of(ledger: Ledger) -> Gauges:
    """The gauges of an open ledger, for what nobody outside of it can set."""
    gauges = ledger._house.gauges  # noqa: SLF001 - whoever audits finds them there
    assert gauges is not None
    return gauges


@given(st.lists(st.tuples(st.sampled_from(list(Runtime)), st.sampled_from(["", "start", "end", "lose", "block"]))))
def test_tasks_are_shown_by_runtime_and_status_as_lists_show_them(lives: list[tuple[Runtime, str]]) -> None:
    kept, clock = Kept(), HandClock()
    with memory_ledger(clock=clock, metrics=kept) as ledger:
        for runtime, what in lives:
            clock.advance(1_000)
            task = ledger.create(runtime=runtime, task="work", owner=None if runtime is Runtime.CRON else OWNER)
            if what == "start":
                task.start()
            elif what == "end":
                task.succeed("done")
            elif what == "lose":
                task.settle("lost", "gone")
            elif what == "block":
                task.succeed("no", outcome="blocked")
        shown = kept.shown()
        for runtime in Runtime:
            for status in ("queued", "running", "succeeded", "lost", "blocked"):
                found = [task for task in ledger.list(limit=1_000).tasks if task.runtime is runtime]
                count = sum(task.shown_status == status for task in found)
                assert count == shown["tallystick_tasks", (runtime.value, status)]
        queued = [task.created_at for task in ledger.list(status="queued", limit=1_000).tasks]
        oldest = (clock() - min(queued)) / 1_000 if queued else 0
        assert oldest == shown["tallystick_oldest_queued_age_seconds", ()]
        assert ledger.status().head == shown["tallystick_log_events", ()]


@pytest.mark.parametrize("seen", [True, False])
def test_the_oldest_queued_task_is_found_whether_the_read_models_have_seen_it_or_not(
    tmp_path: Path, *, seen: bool
) -> None:
    kept, clock = Kept(), HandClock()
    with tallystick.open(tmp_path / "ledger", clock=clock, metrics=kept) as ledger:
        tasks = []
        for runtime in ("cli", "acp", "subagent"):
            tasks.append(ledger.create(runtime=runtime, task="work", owner=OWNER))
            clock.advance(10_000)
        if seen:
            ledger.settled()
        assert 30.0 == kept.shown()["tallystick_oldest_queued_age_seconds", ()]
        tasks[0].start()
        if seen:
            ledger.settled()
        assert 20.0 == kept.shown()["tallystick_oldest_queued_age_seconds", ()]


def test_an_open_ledger_on_disk_shows_every_gauge(tmp_path: Path) -> None:
    kept = Kept()
    with tallystick.open(tmp_path / "ledger", metrics=kept) as ledger:
        ledger.create(runtime="acp", task="work", owner=OWNER).succeed("done")
        gauges_of(ledger).findings = lambda: {"lost": 2}
        ledger.settled()
        shown = kept.shown()

    assert {metric.name for metric in METRICS if metric.sort is Sort.GAUGE} == {name for name, _ in shown}
    assert 1 == shown["tallystick_outbox_messages", ("queued",)]
    assert 0 == shown["tallystick_projection_lag_events", ("board",)]
    assert 0 < shown["tallystick_map_used_bytes", ("log",)] < shown["tallystick_map_limit_bytes", ("log",)]
    assert (2, 0) == (shown[FINDINGS.name, ("lost",)], shown[FINDINGS.name, ("undelivered",)])
    assert shown["tallystick_disk_free_bytes", ()] > 0
    assert kept.gauges is None


def test_mail_that_waits_is_shown_while_the_disk_is_slow(tmp_path: Path) -> None:
    kept, entered, opened = Kept(), threading.Event(), threading.Event()
    with tallystick.open(tmp_path / "ledger", metrics=kept) as ledger:
        tasks = [ledger.create(runtime="acp", task="work", owner=OWNER) for _ in range(3)]

        def hold(_position: int) -> None:
            entered.set()
            opened.wait(PATIENCE_S)

        leave = ledger._house.system.listen(hold)  # noqa: SLF001 - it holds the thread that commits
        threads = [threading.Thread(target=task.start) for task in tasks]
        threads[0].start()
        assert entered.wait(PATIENCE_S)
        for thread in threads[1:]:
            thread.start()
        shown = kept.shown()
        while shown["tallystick_inbox_envelopes", ()] < 2:
            shown = kept.shown()
        opened.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        leave()

    assert (2, 2) == (shown["tallystick_inbox_ready_actors", ()], shown["tallystick_inbox_envelopes", ()])


def test_what_cannot_be_read_is_left_out_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept()
    with tallystick.open(tmp_path / "ledger", metrics=kept) as ledger, caplog.at_level(logging.ERROR, "tallystick"):

        def failing() -> dict[str, int]:
            raise tallystick.StoreError("the audit cannot read")

        gauges_of(ledger).findings = failing
        shown = kept.shown()

    assert "tallystick_tasks" in {name for name, _ in shown}
    assert FINDINGS.name not in {name for name, _ in shown}
    assert [("gauges_not_read", "audit")] == [(told.getMessage(), vars(told)["part"]) for told in caplog.records]


def test_what_the_audit_finds_is_counted_by_code() -> None:
    kept, clock = Kept(), HandClock()
    with memory_ledger(clock=clock, metrics=kept) as ledger:
        ledger.create(runtime="acp", task="work", owner=OWNER)
        clock.advance(700_000)
        shown = kept.shown()
        clock.advance(-700_000)
        again = kept.shown()

    assert (1, 0) == (shown[FINDINGS.name, ("stale_queued",)], shown[FINDINGS.name, ("lost",)])
    assert shown[FINDINGS.name, ("stale_queued",)] == again[FINDINGS.name, ("stale_queued",)], "kept for a while"
