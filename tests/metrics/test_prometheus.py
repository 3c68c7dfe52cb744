"""Prometheus sees over HTTP what the ledger counts and shows."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

import tallystick
from tallystick.actors.metrics import METRICS
from tallystick.prometheus import PrometheusMetrics
from tests.metrics.parts import Key, scraped

OWNER = "agent:main:main"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def port(registry: CollectorRegistry) -> Iterator[int]:
    """A server that shows the registry."""
    server, thread = prometheus_client.start_http_server(0, addr="127.0.0.1", registry=registry)
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_scrape_sees_what_was_done_and_what_is(registry: CollectorRegistry, port: int, tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger", metrics=PrometheusMetrics(registry)) as ledger:
        for _ in range(3):
            task = ledger.create(runtime="acp", task="work", owner=OWNER)
            task.start()
        task.succeed("done")
        found = scraped(port)

    assert 3 == found["tallystick_tasks_created_total", ("acp",)]
    assert (2, 1) == (found["tallystick_tasks", ("acp", "running")], found["tallystick_tasks", ("acp", "succeeded")])
    assert 1 == found["tallystick_task_duration_seconds_count", ("acp", "succeeded")]
    assert found["tallystick_events_total", ()] == found["tallystick_log_events", ()]
    assert found["tallystick_events_total", ()] == found["tallystick_batch_events_sum", ()]
    assert found["tallystick_commit_duration_seconds_sum", ()] > 0


def test_asyncio_has_the_same_numbers(registry: CollectorRegistry, port: int, tmp_path: Path) -> None:
    async def work() -> dict[Key, float]:
        async with tallystick.open_async(tmp_path / "ledger", metrics=PrometheusMetrics(registry)) as ledger:
            await ledger.create(runtime="cli", task="work", owner=OWNER)
            return await asyncio.to_thread(scraped, port)

    assert 1 == asyncio.run(work())["tallystick_tasks_created_total", ("cli",)]


def test_counters_go_on_when_the_ledger_is_opened_again_and_gauges_go_with_it(
    registry: CollectorRegistry, port: int, tmp_path: Path
) -> None:
    metrics = PrometheusMetrics(registry)
    for count in (1, 2):
        with tallystick.open(tmp_path / "ledger", metrics=metrics) as ledger:
            ledger.create(runtime="cli", task="work", owner=OWNER)
            assert count == scraped(port)["tallystick_tasks", ("cli", "queued")]
        closed = scraped(port)
        assert count == closed["tallystick_tasks_created_total", ("cli",)]
        assert ("tallystick_tasks", ("cli", "queued")) not in closed


def test_two_open_ledgers_do_not_share_numbers(registry: CollectorRegistry, tmp_path: Path) -> None:
    metrics = PrometheusMetrics(registry)
    with tallystick.open(tmp_path / "one", metrics=metrics):
        with pytest.raises(tallystick.InvalidInput, match="each one"):
            tallystick.open(tmp_path / "two", metrics=metrics)
        tallystick.open(tmp_path / "two").close()  # the one that was refused has let go of it
    with pytest.raises(tallystick.InvalidInput, match="each ledger one"):
        PrometheusMetrics(registry)


def test_every_metric_is_exposed_as_prometheus_reads_it(registry: CollectorRegistry, tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger", metrics=PrometheusMetrics(registry)):
        text = prometheus_client.generate_latest(registry).decode()

    families = {family.name: family for family in text_string_to_metric_families(text)}
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total")]
        assert (metric.sort.value, metric.help) == (family.type, family.documentation)


def test_the_registry_of_prometheus_client_is_taken_when_none_is_given(tmp_path: Path) -> None:
    metrics = PrometheusMetrics()
    try:
        with tallystick.open(tmp_path / "ledger", metrics=metrics):
            assert b"tallystick_log_events 0.0" in prometheus_client.generate_latest()
    finally:
        metrics.leave()
    assert b"tallystick_" not in prometheus_client.generate_latest()


def test_where_prometheus_client_is_missing_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)

    with pytest.raises(tallystick.InvalidInput, match=r"pip install tallystick\[metrics\]"):
        PrometheusMetrics()
