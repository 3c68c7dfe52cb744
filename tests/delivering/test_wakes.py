"""Wakes: whoever runs a session is told at once that something waits there, in this process and in others."""

import asyncio
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import tallystick
from tallystick import InvalidInput
from tallystick.ledger.delivery import Delivery, Permanent, Receipt
from tallystick.ledger.limits import WAKE_COALESCED_MS
from tallystick.sharing.wakes import WAKES_FOLDER
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.delivering.parts import PATIENCE_S, SESSION, Channel, Woken, ended
from tests.face.parts import Process, wait_until

LISTEN = """
    import sys, tallystick
    with tallystick.join(sys.argv[1]) as ledger:
        ledger.on_wake(lambda session: print(session, len(ledger.session(session).take()), flush=True))
        print("listening", flush=True)
        sys.stdin.readline()
"""


def quiet(ledger: Ledger, session: str = SESSION) -> None:
    """Let something wait in a session."""
    ended(ledger, owner=session, origin=None)


@pytest.fixture
def woken(ledger: Ledger) -> Woken:
    heard = Woken()
    ledger.on_wake(heard)
    return heard


def test_a_session_is_woken_at_once(ledger: Ledger, woken: Woken) -> None:
    quiet(ledger)
    assert [SESSION] == woken.wait(1)
    quiet(ledger, "agent:other")
    assert [SESSION, "agent:other"] == woken.wait(2)


def test_what_could_not_be_sent_wakes_the_session(ledger: Ledger, chat: Channel, woken: Woken) -> None:
    chat.answer = Permanent("no such chat")
    ended(ledger)
    assert [SESSION] == woken.wait(1)


def test_wakes_within_a_quarter_of_a_second_become_one(ledger: Ledger, clock: HandClock, woken: Woken) -> None:
    for _ in range(5):
        quiet(ledger)
    woken.wait(1)
    clock.advance(WAKE_COALESCED_MS - 1)
    ledger.sweep()
    quiet(ledger, "marker")
    assert [SESSION, "marker"] == woken.wait(2)
    clock.advance(1)
    ledger.sweep()
    assert [SESSION, "marker", SESSION] == woken.wait(3)
    clock.advance(WAKE_COALESCED_MS)
    quiet(ledger)
    assert [SESSION, "marker", SESSION, SESSION] == woken.wait(4)


@pytest.mark.slow
def test_by_the_clock_of_the_machine_the_last_of_many_is_not_forgotten(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        seen: list[int] = []
        complete = threading.Event()

        def look(session: str) -> None:
            seen.append(len(ledger.session(session).take(limit=1_000)))
            if seen[-1] == 60:
                complete.set()

        ledger.on_wake(look)
        for _ in range(60):
            quiet(ledger)
        assert complete.wait(PATIENCE_S)
        assert len(seen) < 60


def test_who_listens_later_is_told_what_waits_already(folder: Path, clock: HandClock) -> None:
    with tallystick.open(folder, clock=clock) as ledger:
        quiet(ledger, "a")
        quiet(ledger, "b")
        ledger.sweep()
        clock.advance(WAKE_COALESCED_MS)
        woken = Woken()
        ledger.on_wake(woken)
        assert ["a", "b"] == sorted(woken.wait(2))
    with tallystick.open(folder, clock=clock) as ledger:
        ledger.sweep()
        clock.advance(WAKE_COALESCED_MS)
        woken = Woken()
        ledger.on_wake(woken)
        assert ["a", "b"] == sorted(woken.wait(2))


def test_who_is_busy_with_a_session_is_told_again_of_what_came_meanwhile(ledger: Ledger, clock: HandClock) -> None:
    """He may have looked before it came."""
    entered, opened, seen = threading.Semaphore(0), threading.Event(), list[int]()
    enough = threading.Event()

    def look(session: str) -> None:
        seen.append(len(ledger.session(session).take()))
        entered.release()
        assert opened.wait(PATIENCE_S)
        if len(seen) == 2:
            enough.set()

    ledger.on_wake(look)
    quiet(ledger)
    assert entered.acquire(timeout=PATIENCE_S)
    clock.advance(WAKE_COALESCED_MS)
    quiet(ledger)
    ledger.sweep()
    opened.set()
    assert enough.wait(PATIENCE_S)
    assert [1, 2] == seen


def test_callbacks_that_raise_or_hang_keep_no_other_waiting(folder: Path) -> None:
    never = threading.Event()

    def hang(_session: str) -> None:
        assert never.wait(3 * PATIENCE_S)

    def fail(session: str) -> None:
        raise RuntimeError(session)

    with tallystick.open(folder) as ledger:
        woken = Woken()
        for callback in (hang, fail, woken):
            ledger.on_wake(callback)
        for number in range(40):
            quiet(ledger, f"session {number}")
        assert {f"session {number}" for number in range(40)} <= set(woken.wait(40))
        never.set()


def test_a_coroutine_function_is_woken_on_the_loop_of_its_ledger(folder: Path) -> None:
    async def story() -> None:
        heard: asyncio.Queue[tuple[str, asyncio.AbstractEventLoop]] = asyncio.Queue()

        async def callback(session: str) -> None:
            await heard.put((session, asyncio.get_running_loop()))

        async with tallystick.open_async(folder) as ledger:
            await ledger.on_wake(callback)
            task = await ledger.create(runtime="subagent", task="Count", owner=SESSION)
            await task.succeed()
            assert (SESSION, asyncio.get_running_loop()) == await asyncio.wait_for(heard.get(), PATIENCE_S)
            session = ledger.session(SESSION)
            [event] = await session.take()
            assert 1 == await session.ack(event.position)
            assert [] == await session.take()
            async with tallystick.join_async(folder) as joined:
                await joined.on_wake(callback)
                again = await joined.create(runtime="subagent", task="Count", owner="other")
                await again.succeed()
                for _ in range(2):
                    assert ("other", asyncio.get_running_loop()) == await asyncio.wait_for(heard.get(), PATIENCE_S)

    asyncio.run(story())


@pytest.mark.slow
def test_another_process_is_woken_at_once_and_of_what_waits_already(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        quiet(ledger, "before")
        with Process(LISTEN, folder) as listener:
            assert {"listening", "before 1"} == {listener.hear(), listener.hear()}
            quiet(ledger, "after")
            assert "after 1" == listener.hear()
            listener.say()
            assert 0 == listener.end()
        assert [] == sockets(folder)


def sockets(folder: Path) -> list[Path]:
    return list((folder / WAKES_FOLDER).glob("*.sock"))


@pytest.mark.slow
def test_a_socket_whose_process_was_killed_is_removed_and_a_fresh_one_is_left_alone(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        with Process(LISTEN, folder) as listener:
            assert "listening" == listener.hear()
            [old] = sockets(folder)
            listener.kill()
        os.utime(old, (1, 1))
        fresh = folder / WAKES_FOLDER / "fresh.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left_behind:
            left_behind.bind(str(fresh))
        quiet(ledger)
        wait_until(lambda: not old.exists())
        assert [fresh] == sockets(folder)


def test_closing_does_not_wait_for_a_callback_that_hangs(folder: Path) -> None:
    never, entered = threading.Event(), threading.Event()

    def hang(_session: str) -> None:
        entered.set()
        assert never.wait(3 * PATIENCE_S)

    with tallystick.open(folder) as ledger, tallystick.join(folder) as joined, ThreadPoolExecutor(1) as other:
        joined.on_wake(hang)
        quiet(ledger)
        assert entered.wait(PATIENCE_S)
        other.submit(joined.close).result(PATIENCE_S / 2)
        never.set()


def test_who_only_reads_hears_wakes_too(folder: Path) -> None:
    with tallystick.open(folder) as ledger, tallystick.open(folder, read_only=True) as reader:
        woken = Woken()
        reader.on_wake(woken)
        quiet(ledger)
        assert [SESSION] == woken.wait(1)


def test_a_callback_that_is_none_is_refused(ledger: Ledger) -> None:
    with pytest.raises(InvalidInput, match="callback"):
        ledger.on_wake("call me")  # type: ignore[arg-type]


@pytest.mark.slow
def test_thousands_of_sessions_that_are_woken_at_the_opening_keep_no_message_waiting(folder: Path) -> None:
    count = 3_000
    with tallystick.open(folder) as ledger:
        with ledger.batch() as batch:
            for number in range(count):
                batch.create(runtime="subagent", task="Count", owner=f"session {number}").succeed()
        ledger.settled()
    with tallystick.open(folder) as ledger:
        woken, arrived = Woken(), threading.Event()
        ledger.on_wake(woken)

        def send(_delivery: Delivery) -> Receipt:
            arrived.set()
            return Receipt()

        ledger.channel("chat", send)
        ended(ledger)
        assert arrived.wait(PATIENCE_S)
        assert len(woken.sessions) < count
        assert {f"session {number}" for number in range(count)} == set(woken.wait(count))
