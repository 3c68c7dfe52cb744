"""Who sends: the process that opened the ledger, with whatever loop it has; others write, take and are woken."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import InvalidInput, NotOwner, Origin
from tallystick.ledger.delivery import Delivery, Permanent, Receipt, Retryable
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.delivering.parts import ARRIVED, CHAT, SECOND, SESSION, Channel, ended, how


def test_a_coroutine_function_sends_on_the_loop_of_its_ledger(folder: Path, clock: HandClock) -> None:
    async def story() -> None:
        answers: list[Any] = [Permanent("no such chat"), Receipt(id="7")]
        loops: list[asyncio.AbstractEventLoop] = []

        async def send(_delivery: Delivery) -> Receipt:
            loops.append(asyncio.get_running_loop())
            await asyncio.sleep(0)
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            assert isinstance(answer, Receipt)
            return answer

        async with tallystick.open_async(folder, clock=clock) as ledger:
            await ledger.channel("chat", send)
            await ledger.redact(lambda _text: ["hunter2"])
            task = await ledger.create(runtime="subagent", task="Count", owner=SESSION, origin=CHAT)
            await task.succeed("it is hunter2")
            await ledger.settled()
            assert ["failed", "session_queued"] == [each.status.value for each in await ledger.deliveries(task.id)]
            [record] = await ledger.retry(task.id)
            assert DeliveryStatus.PENDING == record.delivery_status
            await ledger.sweep()
            assert "delivered" == (await ledger.deliveries(task.id))[0].status.value
            assert "hunter2" not in (await ledger.deliveries(task.id))[0].text
            await ledger.session(SESSION).reach(Origin("chat", 5))
            quiet = await ledger.create(runtime="subagent", task="Count", owner="other")
            await quiet.succeed()
            [record] = await ledger.dismiss(quiet.id, reason="enough")
            assert DeliveryStatus.DISMISSED == record.delivery_status
            assert [] == await ledger.deliveries()
        assert {asyncio.get_running_loop()} == set(loops)

    asyncio.run(story())


def test_a_coroutine_that_is_under_way_when_its_ledger_closes_is_recorded(folder: Path) -> None:
    async def story() -> str:
        entered, opened = asyncio.Event(), asyncio.Event()

        async def send(_delivery: Delivery) -> Receipt:
            entered.set()
            await opened.wait()
            return ARRIVED

        async with tallystick.open_async(folder) as ledger:
            await ledger.channel("chat", send)
            task = await ledger.create(runtime="subagent", task="Count", owner=SESSION, origin=CHAT)
            await task.succeed()
            await entered.wait()
            asyncio.get_running_loop().call_later(0.05, opened.set)
        return task.id

    task_id = asyncio.run(story())
    with tallystick.open(folder, read_only=True) as ledger:
        assert DeliveryStatus.DELIVERED == ledger.get(task_id).record.delivery_status


@pytest.mark.parametrize("way", ["join", "read"])
def test_only_who_opened_the_ledger_sends(folder: Path, way: str) -> None:
    with tallystick.open(folder):
        other = tallystick.join(folder) if way == "join" else tallystick.open(folder, read_only=True)
        with other:
            with pytest.raises(NotOwner):
                other.channel("chat", Channel())
            with pytest.raises(NotOwner):
                other.redact(lambda _text: [])
            with pytest.raises(NotOwner):
                other.session(SESSION).reach(Origin("chat", 1))


def test_what_ends_in_another_process_is_sent_by_the_owner(folder: Path) -> None:
    with tallystick.open(folder) as ledger, tallystick.join(folder) as joined:
        arrived = threading.Event()

        def send(_delivery: Delivery) -> Receipt:
            arrived.set()
            return ARRIVED

        ledger.channel("chat", send)
        task = ended(joined)
        assert arrived.wait(20)
        ledger.settled()
        assert DeliveryStatus.DELIVERED == how(joined, task)
        with pytest.raises(tallystick.Refused):
            joined.retry(task.id)


def test_a_guest_has_messages_sent_again_and_given_up(folder: Path, clock: HandClock) -> None:
    with tallystick.open(folder, clock=clock) as ledger, tallystick.join(folder, clock=clock) as joined:
        chat = Channel(Permanent("no such chat"))
        ledger.channel("chat", chat)
        first, second = ended(ledger), ended(ledger)
        ledger.settled()
        chat.answer = ARRIVED
        joined.retry(first.id)
        joined.dismiss(second.id)
        ledger.settled()
        assert [DeliveryStatus.DELIVERED, DeliveryStatus.DISMISSED] == [how(ledger, task) for task in (first, second)]


@pytest.mark.parametrize(("name", "sender"), [("a/b", Channel()), ("", Channel()), ("chat", None), ("chat", "send")])
def test_what_is_no_channel_is_refused(ledger: Ledger, name: str, sender: Any) -> None:
    with pytest.raises(InvalidInput):
        ledger.channel(name, sender)


def test_a_channel_that_is_misspelt_is_refused_where_others_are_known(ledger: Ledger, chat: Channel) -> None:
    with pytest.raises(InvalidInput, match=r"origin\.channel"):
        ended(ledger, origin={"channel": "caht", "to": 1})
    assert [] == chat.given


def test_registering_a_channel_again_replaces_it(ledger: Ledger, clock: HandClock, chat: Channel) -> None:
    chat.answer = Retryable("the token is wrong")
    task = ended(ledger)
    ledger.settled()
    better = Channel()
    ledger.channel("chat", better)
    clock.advance(6 * SECOND)
    ledger.sweep()

    assert (1, 1) == (len(chat.given), len(better.given))
    assert DeliveryStatus.DELIVERED == how(ledger, task)
