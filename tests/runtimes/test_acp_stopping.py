"""Cancels, probes and lost connections of recorded sessions, with real agents under a ledger's supervision."""

import asyncio
import threading
from pathlib import Path

import pytest
from acp import text_block

import tallystick
from tallystick.ledger.limits import GRACE_MS
from tallystick.ledger.stopped import Stopped
from tallystick.ledger.verdict import Finding
from tallystick.probes.process import backing_of, own_backing
from tallystick.runtimes.acp import RecordedSessions
from tallystick.runtimes.turn import CANCELLED_WORDS
from tallystick.testing import HandClock
from tests.face.parts import PATIENCE_S, Process
from tests.runtimes.cron import on_a_loop, stand_still
from tests.runtimes.sessions import OWNER, gateway, story


@on_a_loop
async def test_a_cancel_goes_through_the_protocol_and_is_confirmed_by_the_agent(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger, gateway(RecordedSessions(ledger).install()) as here:
        prompting = await here.prompted("hang")
        task = await ledger.find(here.session)
        record = await task.cancel("not needed any more")
        response = await prompting
        told = await story(ledger, here.session)

    assert ("cancelled", "not needed any more", CANCELLED_WORDS, True) == (
        record.status,
        record.error,
        record.terminal_summary,
        record.cancel_confirmed,
    )
    assert "cancelled" == response.stop_reason
    assert ["created", "started", "progressed", "cancel-requested", "cancelled", "delivery-queued"] == told


@on_a_loop
async def test_a_task_that_ends_while_it_is_cancelled_keeps_its_real_end(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger, gateway(RecordedSessions(ledger).install()) as here:
        prompting = await here.prompted("finish_all_the_same")
        record = await (await ledger.find(here.session)).cancel()
        await prompting

    assert ("succeeded", "thinking — done in time") == (record.status, record.terminal_summary)


@on_a_loop
async def test_an_agent_that_ignores_a_cancel_is_given_up_in_bounded_time(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger:
        sessions = RecordedSessions(ledger, cancel_wait_s=0.05)
        async with gateway(sessions) as here:
            prompting = await here.prompted("ignore")
            stopped = await sessions.cancel((await ledger.find(here.session)).record)
        with pytest.raises(ConnectionError):
            await prompting

    assert Stopped(confirmed=False, detail="the agent did not stop within 0.05 s") == stopped


@on_a_loop
async def test_what_an_agent_says_after_its_task_was_cancelled_does_not_fill_the_log(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger, gateway(RecordedSessions(ledger)) as here:
        prompting = await here.prompted("go_on_all_the_same")
        task = await ledger.find(here.session)
        await task.settle("cancelled", "by hand")
        await here.agent.cancel(session_id=here.session)
        while len(here.client.calls) < 51:
            here.client.updated.clear()
            await here.client.updated.wait()
        await here.agent.cancel(session_id=here.session)
        await prompting
        told = await story(ledger, here.session)

    assert "settled" in told
    assert told.count("late-signal") < 10


@on_a_loop
async def test_a_session_that_is_not_at_work_has_nothing_to_stop(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger:
        sessions = RecordedSessions(ledger)
        stranger = await ledger.create(runtime="acp", task="x", owner=OWNER)
        async with gateway(sessions) as here:
            found = [
                await sessions.cancel(task) for task in ((await ledger.find(here.session)).record, stranger.record)
            ]

    assert [
        Stopped(detail="the session had nothing to do"),
        Stopped(confirmed=False, detail="no agent of this process has its session"),
    ] == found


@on_a_loop
async def test_a_cancel_may_come_from_another_loop(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger:
        sessions = RecordedSessions(ledger)
        async with gateway(sessions) as here:
            prompting = await here.prompted("hang")
            record = (await ledger.find(here.session)).record
            stopped = await asyncio.to_thread(lambda: asyncio.run(sessions.cancel(record)))
            await prompting

    assert Stopped(detail=CANCELLED_WORDS) == stopped


@on_a_loop
async def test_a_session_is_alive_while_its_agent_is_and_its_end_is_known_when_the_ledger_refused_it(
    tmp_path: Path,
) -> None:
    async with tallystick.open_async(tmp_path) as ledger:
        sessions = RecordedSessions(ledger)
        async with gateway(sessions) as here:
            prompting = await here.prompted("hang")
            record = (await ledger.find(here.session)).record
            alive = sessions.probe(record)
            await ledger.close()
            await here.agent.cancel(session_id=here.session)
            await prompting
            ended = sessions.probe(record)

    assert (Finding.ALIVE, {"session": here.session}) == (alive.finding, alive.evidence)
    assert (Finding.ENDED, CANCELLED_WORDS) == (ended.finding, getattr(ended.outcome, "stopped", None))


@on_a_loop
async def test_a_session_whose_agent_ended_while_it_was_idle_is_dead(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger:
        sessions = RecordedSessions(ledger)
        async with gateway(sessions) as here:
            record = (await ledger.find(here.session)).record
            here.process.kill()
            await here.process.wait()
            found = sessions.probe(record)

    assert (Finding.DEAD, -9) == (found.finding, found.evidence["exit"])


@on_a_loop
async def test_a_ledger_that_stands_still_does_not_hold_up_the_protocol(tmp_path: Path) -> None:
    may_write = threading.Event()
    async with tallystick.open_async(tmp_path) as ledger, gateway(RecordedSessions(ledger)) as here:
        stand_still(ledger.house.facts(), may_write)
        prompting = asyncio.create_task(here.prompt("work"))
        while len(here.client.calls) < 10:
            here.client.updated.clear()
            await here.client.updated.wait()
        answered = asyncio.wait({prompting}, timeout=0)
        assert not (await answered)[0], "its end is not recorded yet"
        may_write.set()
        await prompting
        record = (await ledger.find(here.session)).record

    assert ("succeeded", 2) == (record.status, record.tool_use_count)


KILLED = """
    import asyncio, sys
    import tallystick
    from acp import PROTOCOL_VERSION, text_block
    from tallystick.runtimes.acp import RecordedSessions
    from tests.runtimes.sessions import gateway

    async def main():
        async with tallystick.open_async(sys.argv[1]) as ledger:
            async with gateway(RecordedSessions(ledger).install()) as here:
                await here.prompted("ignore")
                await ledger.sweep()
                print(here.session, flush=True)
                await asyncio.Event().wait()

    asyncio.run(main())
"""


@pytest.mark.slow
@on_a_loop
async def test_a_session_of_a_gateway_that_was_killed_is_lost(tmp_path: Path) -> None:
    with Process(KILLED, tmp_path) as killed:
        session = await asyncio.to_thread(killed.hear)
        await asyncio.to_thread(killed.kill)

    clock = HandClock()
    async with tallystick.open_async(tmp_path, clock=clock) as ledger:
        RecordedSessions(ledger).install()
        clock.at_ms = (await ledger.find(session)).record.last_event_at
        await ledger.sweep()
        clock.advance(GRACE_MS)
        await ledger.sweep()
        record = (await ledger.find(session)).record

    assert "lost" == record.status


@on_a_loop
async def test_who_has_no_connection_judges_by_the_processes(tmp_path: Path) -> None:
    with Process("input()") as agent, Process("input()") as runner, Process("input()") as other:
        there, listening, gone = (backing_of(process.pid) for process in (agent, runner, other))
        other.kill()

        def heard_by(backing: dict[str, object]) -> dict[str, object]:
            return {"runner": backing["pid"], "runnerTicks": backing["ticks"], "protocol": "acp"}

        async with tallystick.open_async(tmp_path) as ledger:
            sessions = RecordedSessions(ledger)

            async def judged(backing: dict[str, object]) -> Finding:
                task = await ledger.create(runtime="acp", task="x", owner=OWNER, backing=backing)
                return sessions.probe(task.record).finding

            assert Finding.ALIVE is await judged({**there, **heard_by(listening)})
            assert Finding.MISSING is await judged({**there, **heard_by(gone)})
            assert Finding.DEAD is await judged({**gone, **heard_by(gone)})
            assert Finding.MISSING is await judged({**own_backing(), "protocol": "acp"})
            assert Finding.UNKNOWN is await judged({"sessionFile": "x"})


@on_a_loop
async def test_a_prompt_beside_another_one_of_its_session_is_handed_on(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger, gateway(RecordedSessions(ledger)) as here:
        prompting = await here.prompted("hang")
        beside = await here.agent.prompt(here.session, [text_block("silent")])
        await here.agent.cancel(session_id=here.session)
        await asyncio.wait_for(prompting, PATIENCE_S)
        assert 1 == (await ledger.counts()).total

    assert "end_turn" == beside.stop_reason
