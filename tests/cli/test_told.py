"""Those whom the demo tells: an endpoint that verifies what it is sent, and an agent that is woken."""

from pathlib import Path
from urllib.error import HTTPError

import pytest

import tallystick
from tallystick.channels import build
from tallystick.cli.demo.told import CHANNEL, Agent, Endpoint, wait_until_told
from tests.cli.support import OWNER

MESSAGE = tallystick.Delivery(
    id="task-terminal:t:failed:default",
    task_id="t",
    text="Background task failed: mails.",
    route=tallystick.Origin(channel=CHANNEL, to="alerts"),
    attempt=3,
)


def test_a_signed_message_is_verified_and_one_without_a_signature_turned_away(tmp_path: Path) -> None:
    endpoint = Endpoint(tmp_path)
    sender = build(CHANNEL, endpoint.settings())
    assert sender is not None
    with endpoint.up():
        sender.send(MESSAGE)
        with pytest.raises(HTTPError, match="401") as refused:
            endpoint.post(MESSAGE)
        refused.value.close()
    sender.close()

    heard = {"id": MESSAGE.id, "attempt": 3, "signed": True, "to": "alerts", "text": MESSAGE.text}
    assert [heard] == endpoint.received()


def test_without_the_libraries_the_demo_brings_its_own_sender(tmp_path: Path) -> None:
    endpoint = Endpoint(tmp_path, is_signed=False)
    origin = tallystick.Origin(channel=CHANNEL, to="alerts")
    config = tallystick.Config(channel={CHANNEL: endpoint.settings()}, outbox={"first": 50, "ceiling": 50})
    with tallystick.open(tmp_path / "ledger", config=config) as ledger:
        endpoint.serve(ledger)
        task = ledger.create(runtime="subagent", task="Count", owner=OWNER, origin=origin)
        task.succeed("3 counted")
        ledger.settled()
        assert "pending" == ledger.get(task.id).record.delivery_status
        with endpoint.up():
            wait_until_told(ledger)
        [message] = endpoint.received()

    assert (f"task-terminal:{task.id}:succeeded:default", False) == (message["id"], message["signed"])
    assert message["attempt"] > 1


def test_an_agent_that_is_woken_takes_what_waits_in_its_session_alone(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger") as ledger:
        ledger.create(runtime="subagent", task="before", owner=OWNER).succeed("1")
        ledger.create(runtime="subagent", task="of others", owner="agent:other:main").succeed("2")
        with Agent(ledger, OWNER) as agent:
            ledger.create(runtime="subagent", task="after", owner=OWNER).succeed("3")
            for event in ledger.subscribe():
                if event.type == "delivery-delivered.1" and len(agent.taken) > 1:
                    break

        assert ["Background task done: before. 1", "Background task done: after. 3"] == [
            event.text for event in agent.taken
        ]
        assert 1 <= agent.wakes <= 3
        assert 1 == ledger.status().outbox.queued
