"""Monitors: what the configuration sends to further routes, whatever the policy of the task."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tallystick import Config, InvalidInput, Origin
from tallystick.channels import KINDS
from tallystick.ledger.delivery import Permanent
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.monitors import monitors_of
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger
from tests.delivering.parts import SESSION, Channel, begun, ended, how, waiting_texts

OPS: dict[str, Any] = {"ops": {"kind": "registered"}}


@contextmanager
def watched(clock: HandClock, *rules: dict[str, Any]) -> Iterator[tuple[Ledger, Channel]]:
    with memory_ledger(clock=clock, config=Config(channel=OPS, route=rules)) as ledger:
        ops = Channel()
        ledger.channel("ops", ops)
        yield ledger, ops


def test_a_silent_cron_run_that_fails_reaches_the_monitor(clock: HandClock) -> None:
    rule = {"to": "ops://C01/77", "when": {"runtime": "cron", "status": "failed"}}
    with watched(clock, rule) as (ledger, ops):
        for verb in ("succeed", "fail"):
            run = ledger.create(runtime="cron", task="Nightly import", scope="system")
            getattr(run, verb)("said")
        ledger.settled()

        [delivery] = ops.given
        assert "Background task failed: Nightly import. said" == delivery.text
        assert Origin("ops", "C01", None, 77) == delivery.route
        assert DeliveryStatus.NOT_APPLICABLE == how(ledger, run)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, 5),
        ({"runtime": "subagent"}, 4),
        ({"owner": "agent:other"}, 1),
        ({"status": "failed"}, 1),
        ({"status": "succeeded"}, 4),
        ({"status": "blocked"}, 1),
        ({"status": "running"}, 4),
        ({"runtime": "acp", "status": "failed"}, 0),
    ],
)
def test_a_monitor_chooses_by_runtime_status_and_owner(clock: HandClock, when: dict[str, str], expected: int) -> None:
    with watched(clock, {"to": "ops://1", "when": when}) as (ledger, ops):
        ended(ledger, notify="silent", origin=None)
        ended(ledger, notify="silent", origin=None, owner="agent:other")
        ended(ledger, notify="silent", origin=None, runtime="cli")
        begun(ledger, notify="silent", origin=None).succeed("needs a key", outcome="blocked")
        begun(ledger, notify="silent", origin=None).fail("broke")
        ledger.settled()

        assert expected == len(ops.given)
        assert [] == waiting_texts(ledger)


def test_the_same_target_is_told_once_and_another_one_too(clock: HandClock) -> None:
    rules = ({"to": "ops://1"}, {"to": "ops://1", "when": {"runtime": "subagent"}}, {"to": "ops://2"})
    with watched(clock, *rules) as (ledger, ops):
        ended(ledger, notify="silent", origin=None)
        ledger.settled()
        assert [1, 2] == sorted(delivery.route.to for delivery in ops.given)  # type: ignore[type-var]
        assert 2 == len({delivery.id for delivery in ops.given})


def test_whom_a_monitor_tells_does_not_change_what_the_one_who_asked_is_told(clock: HandClock) -> None:
    with watched(clock, {"to": "ops://1"}) as (ledger, ops):
        ops.answer = Permanent("no such channel")
        task = ended(ledger, origin=None)
        ledger.settled()

        assert DeliveryStatus.SESSION_QUEUED == how(ledger, task)
        assert 1 == len(waiting_texts(ledger))
        [event] = ledger.session(SESSION).take()
        ledger.session(SESSION).ack(event.position)
        assert DeliveryStatus.DELIVERED == how(ledger, task)
        assert [DeliveryStatus.FAILED] == [each.status for each in ledger.deliveries()]


@pytest.mark.parametrize(
    "rule",
    [
        {"to": "nowhere://1"},
        {"to": "ops"},
        {"to": "ops://1", "when": {"runtime": "heartbeat"}},
        {"to": "ops://1", "when": {"status": "happy"}},
        {"to": "ops://1", "where": {}},
        {},
    ],
)
def test_a_rule_that_says_nothing_sensible_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="route"):
        Config(channel=OPS, route=(rule,))


def test_a_route_without_a_target_goes_to_whom_its_channel_is_for_or_is_refused_when_that_is_nobody() -> None:
    ops = {"kind": "telegram", "token": "123456:abcdefgh", "to": -1001}
    config = Config(channel={"ops": ops}, route=({"to": "ops://"},))
    [monitor] = monitors_of(config.route, config.channel, KINDS)
    assert Origin("ops", -1001) == monitor.route

    with pytest.raises(InvalidInput, match="has no `to`"):
        Config(channel={"ops": {"kind": "telegram", "token": "123456:abcdefgh"}}, route=({"to": "ops://"},))


@pytest.mark.parametrize(("to", "status"), [("registered://x", None), ("slack://C1", "queued")])
def test_a_route_that_could_never_send_is_refused(to: str, status: str | None) -> None:
    with pytest.raises(InvalidInput):
        Config(route=({"to": to, "when": {"status": status} if status else {}},))


def test_an_origin_that_names_only_a_channel_reaches_whom_that_is_for() -> None:
    ops = {"kind": "telegram", "token": "123456:abcdefgh", "to": -1001}
    with memory_ledger(config=Config(channel={"ops": ops})) as ledger:
        chat = Channel()
        ledger.channel("ops", chat)
        ledger.create(runtime="subagent", task="x", owner="o", origin=Origin("ops")).succeed()
        ledger.settled()

        assert [Origin("ops", -1001)] == [each.route for each in chat.given]
