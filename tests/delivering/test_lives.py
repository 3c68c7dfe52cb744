"""From one life of the gateway to the next: nothing that waits is lost, and what was sent is known to have been."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import tallystick
from tallystick import Config, InvalidInput
from tallystick.actors.system import System
from tallystick.building import assemble
from tallystick.ledger.delivery import Receipt, Retryable
from tallystick.ledger.errors import Full
from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import DeliveryDelivered
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.ledger.limits import DELIVERIES_AT_ONCE, ENDPOINT_FAILURES_MAX, OUTCOMES_AT_ONCE
from tallystick.ledger.payloads import Payloads
from tallystick.ledger.store.port import NO_CLAIMS, NO_NOTES, NO_PAYLOADS
from tallystick.readings import Readings, due_rules
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.actors.parts import FullLog, GatedLog, full
from tests.delivering.parts import (
    ARRIVED,
    DAY,
    HOUR,
    MINUTE,
    PATIENCE_S,
    SECOND,
    Channel,
    Gate,
    begun,
    ended,
    how,
    pauses,
    told,
    types,
    until_dealt_with,
    waiting_texts,
)
from tests.face.parts import wait_until

Reopen = Callable[[], Ledger]


@pytest.fixture
def life(folder: Path, clock: HandClock) -> Iterator[Reopen]:
    """Ends the life of the gateway before, and begins another."""
    lives: list[Ledger] = []

    def begin() -> Ledger:
        for ledger in lives:
            ledger.close()
        lives.append(tallystick.open(folder, clock=clock))
        return lives[-1]

    yield begin
    for ledger in lives:
        ledger.close()


@contextmanager
def ledger_on(log: FullLog, clock: HandClock) -> Iterator[Ledger]:
    settings = Config()
    readings = Readings(log, None, rules=due_rules(settings))
    with Ledger(assemble(readings, [], settings, clock=clock, actor="test")) as ledger:
        yield ledger


def test_what_waits_at_the_end_of_a_life_is_sent_in_the_next(life: Reopen) -> None:
    first, chat = life(), Channel()
    first.channel("chat", Channel(Retryable("down")))
    tasks = [ended(first, f"number {number}") for number in range(3)]
    first.settled()
    second = life()
    second.channel("chat", chat)
    second.settled()
    assert [] == chat.given  # it is not due yet: that was written down, too
    clock_of(second).advance(6 * SECOND)
    second.sweep()

    assert [2, 2, 2] == [delivery.attempt for delivery in chat.given]
    assert {DeliveryStatus.DELIVERED} == {how(second, task) for task in tasks}
    third = life()
    third.channel("chat", chat)
    third.sweep()
    assert 3 == len(chat.given)


def clock_of(ledger: Ledger) -> HandClock:
    clock = ledger._house.clock  # noqa: SLF001 - the fixture's
    assert isinstance(clock, HandClock)
    return clock


def test_a_channel_that_was_registered_once_counts_as_served_and_its_messages_wait_for_it(life: Reopen) -> None:
    life().channel("chat", Channel())
    second = life()
    task = ended(second)
    second.sweep()

    assert (DeliveryStatus.PENDING, []) == (how(second, task), waiting_texts(second))
    second.sweep()
    [standing] = pauses(second)
    assert ("chat:-100123", "nobody serves the channel chat") == (standing.name, standing.error)
    third, chat = life(), Channel()
    assert [] == chat.given
    third.channel("chat", chat)
    third.settled()
    assert [task.id] == [delivery.task_id for delivery in chat.given]
    third.sweep()
    assert [] == pauses(third)


def test_a_channel_that_nobody_registers_again_leaves_the_message_to_the_session_after_a_day(life: Reopen) -> None:
    life().channel("chat", Channel())
    second = life()
    task = ended(second)
    second.sweep()
    clock_of(second).advance(DAY - 1)
    second.sweep()
    assert DeliveryStatus.PENDING == how(second, task)
    clock_of(second).advance(10 * MINUTE)
    second.sweep()

    assert DeliveryStatus.FAILED == how(second, task)
    assert "not delivered within 86400 s: nobody serves the channel chat" == told(second, task).error
    assert 1 == len(waiting_texts(second))


def test_a_window_that_ended_while_nobody_was_there_is_over(life: Reopen) -> None:
    first = life()
    first.channel("chat", Channel(Retryable("down")))
    task = ended(first)
    first.settled()
    clock_of(first).advance(3 * DAY)
    second, chat = life(), Channel()
    second.channel("chat", chat)
    second.sweep()

    assert [] == chat.given
    assert DeliveryStatus.FAILED == how(second, task)
    assert 1 == len(waiting_texts(second))


def test_what_nobody_tried_to_send_is_tried_after_a_downtime_longer_than_the_window(life: Reopen) -> None:
    life().channel("chat", Channel())
    second = life()
    task = ended(second)
    second.close()
    clock_of(second).advance(3 * DAY)
    third, chat = life(), Channel()
    third.sweep()
    assert DeliveryStatus.PENDING == how(third, task)
    third.channel("chat", chat)
    third.sweep()

    assert [task.id] == [delivery.task_id for delivery in chat.given]
    assert DeliveryStatus.DELIVERED == how(third, task)


def test_what_nobody_tried_to_send_waits_a_day_from_the_opening_for_its_channel(life: Reopen) -> None:
    life().channel("chat", Channel())
    second = life()
    task = ended(second)
    second.close()
    clock_of(second).advance(3 * DAY)
    third = life()
    third.sweep()
    clock_of(third).advance(DAY - 1)
    third.sweep()
    assert DeliveryStatus.PENDING == how(third, task)
    clock_of(third).advance(10 * MINUTE)
    third.sweep()
    assert DeliveryStatus.FAILED == how(third, task)


@pytest.mark.parametrize("back", [MINUTE, HOUR, 3 * DAY])
def test_what_nobody_tried_to_send_does_not_wait_for_a_clock_that_was_set_back(life: Reopen, back: int) -> None:
    life().channel("chat", Channel())
    second = life()
    task = ended(second)
    second.close()
    clock_of(second).advance(-back)
    third = life()
    third.channel("chat", Channel())
    third.sweep()
    assert DeliveryStatus.DELIVERED == how(third, task)


@pytest.mark.parametrize("back", [HOUR, 3 * DAY])
def test_what_was_tried_does_not_wait_for_a_clock_that_was_set_back(life: Reopen, back: int) -> None:
    first = life()
    chat = Channel(Retryable("busy"))
    first.channel("chat", chat)
    task = ended(first)
    first.settled()
    clock_of(first).advance(-back)
    for _ in range(3):
        first.sweep()
    assert 2 == len(chat.given), "it is tried again, and not again and again"
    chat.answer = ARRIVED
    clock_of(first).advance(10 * MINUTE)
    first.sweep()
    assert DeliveryStatus.DELIVERED == how(first, task)


def test_a_pause_ends_with_the_life_that_it_was_made_in(life: Reopen) -> None:
    first = life()
    first.channel("chat", Channel(Retryable("down")))
    for _ in range(ENDPOINT_FAILURES_MAX):
        ended(first)
        first.settled()
    first.sweep()
    assert 1 == len(pauses(first))
    second, chat = life(), Channel()
    second.sweep()
    second.channel("chat", chat)
    second.sweep()
    assert [] == pauses(second)
    clock_of(second).advance(6 * SECOND)
    second.sweep()

    assert ENDPOINT_FAILURES_MAX == len(chat.given)
    assert [] == second.deliveries()


def test_closing_waits_for_what_is_being_sent_and_records_it(life: Reopen, folder: Path) -> None:
    ledger = life()
    gate = Gate(Receipt(id="at last"))
    ledger.channel("chat", Channel(gate))
    task = ended(ledger)
    assert gate.entered.wait(PATIENCE_S)
    system = ledger._house.system  # noqa: SLF001 - the gate opens when closing has begun
    opened = opened_when_closing(system, gate)
    ledger.close()
    opened()

    with tallystick.open(folder, read_only=True) as after:
        assert (DeliveryStatus.DELIVERED, "at last") == (told(after, task).status, told(after, task).receipt)


def opened_when_closing(system: System, gate: Gate) -> Callable[[], None]:
    def open_it() -> None:
        wait_until(system.is_closed)
        gate.opened.set()

    thread = threading.Thread(target=open_it)
    thread.start()
    return thread.join


def test_a_ledger_whose_channels_cannot_be_made_is_not_opened_and_says_so_at_once(folder: Path) -> None:
    settings = Config(channel={"ops": {"kind": "telegram", "token_env": "TALLYSTICK_NO_SUCH_TOKEN"}})
    with pytest.raises(InvalidInput, match="token_env"):
        tallystick.open(folder, config=settings)
    with tallystick.open(folder) as ledger:
        assert 0 == ledger.counts().total


def test_an_outcome_that_could_not_be_written_is_written_later_and_nothing_is_sent_twice_meanwhile(
    clock: HandClock,
) -> None:
    log = FullLog()
    with ledger_on(log, clock) as ledger:
        gate = Gate(Receipt(id="7"))
        chat = Channel(gate)
        ledger.channel("chat", chat)
        task = ended(ledger)
        assert gate.entered.wait(PATIENCE_S)
        log.failures.extend(full() for _ in range(3))
        gate.opened.set()
        ledger.settled()  # the first write failed, and the second
        assert DeliveryStatus.PENDING == how(ledger, task)
        clock.advance(HOUR)
        while log.failures:
            ledger.settled()
            assert 1 == len(chat.given)
        ledger.sweep()

        assert (1, DeliveryStatus.DELIVERED) == (len(chat.given), how(ledger, task))
        assert "7" == told(ledger, task).receipt


def test_an_outcome_that_could_not_be_written_is_tried_once_more_at_closing(clock: HandClock) -> None:
    log = FullLog()
    with ledger_on(log, clock) as ledger:
        gate = Gate()
        ledger.channel("chat", Channel(gate))
        ended(ledger)
        assert gate.entered.wait(PATIENCE_S)
        log.failures.append(full())
        gate.opened.set()
        ledger.settled()
    assert not log.failures
    assert [1, 3, 1] == [events for events in log.appended if events]  # the last one is the outcome


class BrokenDisk(FullLog):
    """A log that has no room for outcomes, if it is broken."""

    is_broken = False

    def append(
        self,
        events: Sequence[Event],
        claims: Mapping[bytes, bytes] = NO_CLAIMS,
        notes: Mapping[bytes, bytes] = NO_NOTES,
        payloads: Mapping[int, Payloads] = NO_PAYLOADS,
    ) -> None:
        if self.is_broken and any(isinstance(event.data, DeliveryDelivered) for event in events):
            raise full()
        super().append(events, claims, notes, payloads)


@pytest.mark.slow
def test_while_outcomes_cannot_be_written_few_messages_are_sent_and_each_once(clock: HandClock) -> None:
    """What is sent and not recorded would be sent again after a crash."""
    log, count = BrokenDisk(), 2 * OUTCOMES_AT_ONCE + 50
    with ledger_on(log, clock) as ledger:
        chat = Channel(Retryable("down", after_ms=MINUTE))
        ledger.channel("chat", chat)
        ended(ledger)
        ledger.settled()
        for number in range(count):
            ended(ledger, origin={"channel": "chat", "to": number})
        ledger.settled()
        chat.given.clear()
        chat.answer = ARRIVED
        log.is_broken = True
        clock.advance(MINUTE)
        for _ in range(4):
            with suppress(Full):  # it says so where something of its own could not be written
                ledger.sweep()
            assert len(chat.given) <= OUTCOMES_AT_ONCE + DELIVERIES_AT_ONCE
        assert len(chat.given) >= OUTCOMES_AT_ONCE
        log.is_broken = False
        until_dealt_with(ledger, lambda: not ledger.deliveries(), lambda: None, rounds=9)

        assert count + 1 == len(chat.given) == len({delivery.id for delivery in chat.given})


def test_a_slow_disk_makes_no_message_go_twice(clock: HandClock) -> None:
    log = GatedLog()
    log.gate.set()
    with ledger_on(log, clock) as ledger:
        chat = Channel()
        ledger.channel("chat", chat)
        tasks = [begun(ledger) for _ in range(50)]
        for task in tasks:
            task.succeed()
        ledger.settled()
        assert 50 == len(chat.given)
        assert 50 == len({delivery.id for delivery in chat.given})
        assert [["delivery-queued.1", "delivery-delivered.1"]] * 50 == [types(ledger, task) for task in tasks]


def test_messages_are_sent_by_the_clock_of_the_machine_without_anybody_asking(folder: Path) -> None:
    with tallystick.open(folder, config=Config(outbox={"first": 20, "ceiling": 40})) as ledger:
        answers: list[object] = [Retryable("busy"), ValueError("bug"), Retryable("busy", after_ms=30)]
        chat = Channel(lambda _delivery: answers.pop(0) if answers else ARRIVED)
        ledger.channel("chat", chat)
        task = ended(ledger)
        with ledger.subscribe() as events:
            assert next(event for event in events if event.type == "delivery-delivered.1").task_id == task.id

        assert [1, 2, 3, 4] == [delivery.attempt for delivery in chat.given]
        assert DeliveryStatus.DELIVERED == how(ledger, task)
