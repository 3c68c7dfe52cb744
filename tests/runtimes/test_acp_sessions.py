"""Child sessions of a real agent process: every run is a task that says how the agent got on and how it ended."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from acp import PROTOCOL_VERSION, RequestError, text_block

import tallystick
from tallystick.ledger.facts.deliveries import DeliveryQueued
from tallystick.ledger.facts.tasks import TaskFailed
from tallystick.runtimes.acp import RecordedSessions
from tests.runtimes.cron import on_a_loop
from tests.runtimes.sessions import AGENT, OWNER, Heard, gateway, story


@on_a_loop
async def test_a_session_is_a_task_with_its_plan_its_tools_and_its_last_message(tmp_path: Path) -> None:
    about = {"label": "notes", "requester": "agent:main:chat", "agent": "tidier", "metadata": {"repo": "a/b"}}
    async with tallystick.open_async(tmp_path) as ledger, gateway(RecordedSessions(ledger), **about) as here:
        opened = (await ledger.find(here.session)).record
        response = await here.prompt("work")
        task = (await ledger.find(here.session)).record
        told = await story(ledger, here.session)

    assert ("queued", "Tidy the notes", "notes", OWNER, "agent:main:chat", "tidier", {"repo": "a/b"}) == (
        opened.status,
        opened.task,
        opened.label,
        opened.owner_key,
        opened.requester_session_key,
        opened.agent_id,
        opened.metadata,
    )
    backing = opened.backing or {}
    assert (here.process.pid, here.session, os.getpid()) == (backing["pid"], backing["session"], backing["runner"])
    assert "end_turn" == response.stop_reason
    assert ("acp", "succeeded", None, "Done: two lines changed.") == (
        task.runtime,
        task.status,
        task.terminal_outcome,
        task.terminal_summary,
    )
    assert (2, "Frobnicate", 2, 2) == (
        task.tool_use_count,
        task.last_tool_name,
        task.progress_step,
        task.progress_steps,
    )
    assert {"inputTokens": 100, "outputTokens": 1} == task.usage
    assert (["created", "started", "progressed"], ["succeeded", "delivery-queued"]) == (told[:3], told[-2:])


@on_a_loop
async def test_the_client_of_the_gateway_gets_every_call(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger, gateway(RecordedSessions(ledger)) as here:
        await here.prompt("ask")
        task = (await ledger.find(here.session)).record

    assert [(here.session, said) for said in ("permission", "/notes.txt", "agent_message_chunk")] == here.client.calls
    assert here.client.connection is here.agent.connection
    assert "cancelled: two lines" == task.terminal_summary


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("refuse", "refused: I will not do that."),
        ("run_out", "stopped at the limit of tokens: The first chap"),
        ("go_round", "stopped at the limit of requests"),
    ],
)
@on_a_loop
async def test_an_agent_that_stops_before_it_is_done_leaves_a_blocked_task(
    tmp_path: Path, text: str, summary: str
) -> None:
    async with tallystick.open_async(tmp_path) as ledger, gateway(RecordedSessions(ledger)) as here:
        await here.prompt(text)
        record = (await ledger.find(here.session)).record

    assert ("succeeded", "blocked", summary) == (record.status, record.shown_status, record.terminal_summary)


@on_a_loop
async def test_each_further_prompt_of_a_session_is_a_task_of_its_own(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger, gateway(RecordedSessions(ledger), run_id="run-1") as here:
        for text in ("silent", "work"):
            await here.prompt(text)
        second, first = (await ledger.list(session=here.session)).tasks

    assert ("run-1", True) == (first.run_id, (second.run_id or "").startswith(f"{here.session}/"))
    assert [("succeeded", None), ("succeeded", "Done: two lines changed.")] == [
        (task.status, task.terminal_summary) for task in (first, second)
    ]
    assert [{"inputTokens": 100, "outputTokens": 1}] * 2 == [first.usage, second.usage]


@pytest.mark.parametrize(
    ("text", "error", "exit_code", "signal"),
    [
        ("crash", "the agent's process ended with exit code 3 while it was at work", 3, None),
        ("be_killed", "the agent's process was ended by SIGKILL", None, "SIGKILL"),
        pytest.param(
            "leave_a_child_behind",
            "the agent's process ended with exit code 4 while it was at work",
            4,
            None,
            marks=pytest.mark.slow,
        ),
    ],
)
@on_a_loop
async def test_an_agent_whose_process_ends_has_failed(
    tmp_path: Path, text: str, error: str, exit_code: int | None, signal: str | None
) -> None:
    async with tallystick.open_async(tmp_path) as ledger:
        async with gateway(RecordedSessions(ledger)) as here:
            with pytest.raises(ConnectionError):
                await here.prompt(text)
        record = (await ledger.find(here.session)).record
        fact, message = [event.data for event in (await ledger.timeline(record.task_id))[-2:]]
        await asyncio.gather(here.process.stdout.read(), here.process.stderr.read())  # whoever held them has ended

    assert ("failed", error) == (record.status, record.error)
    assert isinstance(fact, TaskFailed)
    assert (exit_code, signal) == (fact.exit_code, fact.signal)
    assert isinstance(message, DeliveryQueued)
    assert f"Background task failed: {record.label or record.task}. {error}" == message.text


@on_a_loop
async def test_a_prompt_that_is_answered_with_an_error_has_failed_and_the_session_goes_on(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger, gateway(RecordedSessions(ledger)) as here:
        with pytest.raises(RequestError):
            await here.prompt("raise_error")
        failed = (await ledger.find(here.session)).record
        await here.prompt("work")
        after = (await ledger.find(here.session)).record

    assert ("failed", "the agent answered: the model is overloaded (-32000)") == (failed.status, failed.error)
    assert "succeeded" == after.status


@on_a_loop
async def test_leaving_the_block_cancels_what_is_at_work_and_what_was_never_prompted(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger:
        async with gateway(RecordedSessions(ledger)) as here:
            idle = await here.agent.new_session("/srv")
            prompting = await here.prompted("ignore")
        with pytest.raises(ConnectionError):
            await prompting
        at_work, unused = [(await ledger.find(session)).record for session in (here.session, idle.session_id)]

    assert ("cancelled", "the agent was closed", "the agent's process", True) == (
        at_work.status,
        at_work.error,
        at_work.terminal_summary,
        at_work.cancel_confirmed,
    )
    assert ("cancelled", "a session in /srv", None) == (unused.status, unused.task, unused.started_at)


@on_a_loop
async def test_who_stops_waiting_stops_neither_the_agent_nor_the_record(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger, gateway(RecordedSessions(ledger)) as here:
        prompting = await here.prompted("finish_all_the_same")
        async with ledger.subscribe() as events:
            prompting.cancel()
            await here.agent.cancel(session_id=here.session)
            async for event in events:
                if event.type == "task-succeeded.1":
                    break
        task = (await ledger.find(here.session)).record

    assert prompting.cancelled()
    assert "thinking — done in time" == task.terminal_summary


@on_a_loop
async def test_what_is_replayed_into_a_loaded_session_is_not_recorded_again(tmp_path: Path) -> None:
    sessions_of: list[str] = []
    async with tallystick.open_async(tmp_path) as ledger, gateway(RecordedSessions(ledger)) as here:
        await here.agent.load_session("/srv", session_id="session-7", about={"task": "Go on"})
        while ("session-7", "agent_message_chunk") not in here.client.calls:
            here.client.updated.clear()
            await here.client.updated.wait()
        sessions_of += await story(ledger, "session-7")
        await here.agent.prompt("session-7", [text_block("work")])
        task = (await ledger.find("session-7")).record

    assert ["created"] == sessions_of
    assert ("Go on", "succeeded") == (task.task, task.status)


@on_a_loop
async def test_agents_that_give_their_sessions_the_same_id_are_kept_apart(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger:
        sessions = RecordedSessions(ledger)
        async with gateway(sessions, "one", run_id="run-1") as here, gateway(sessions, "one", label="other") as there:
            prompting = await here.prompted("hang")
            await there.prompt("work")
            await here.agent.cancel(session_id="one")
            await prompting
        by_label = {task.label: task for task in (await ledger.list(session="one")).tasks}

    assert ("cancelled", None) == (by_label[None].status, by_label[None].tool_use_count)
    assert ("succeeded", 2) == (by_label["other"].status, by_label["other"].tool_use_count)


@on_a_loop
async def test_a_session_that_is_closed_without_a_prompt_is_cancelled(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger, gateway(RecordedSessions(ledger)) as here:
        await here.agent.close_session(session_id=here.session)
        record = (await ledger.find(here.session)).record

    assert ("cancelled", "the session was closed") == (record.status, record.error)


@on_a_loop
async def test_a_session_that_is_opened_twice_is_one_task(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger, gateway(RecordedSessions(ledger)) as here:
        await here.agent.load_session("/srv", session_id=here.session)
        await here.prompt("work")
        assert 1 == (await ledger.counts()).total


@on_a_loop
async def test_an_agent_can_only_be_recorded_if_its_client_is(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger, gateway(RecordedSessions(ledger)) as here:
        with pytest.raises(tallystick.InvalidInput, match="connection"):
            RecordedSessions(ledger).agent(here.agent.connection, about={"owner": OWNER})


@on_a_loop
async def test_what_may_not_be_said_of_a_session_is_refused_before_the_agent_hears_of_it(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger, gateway(RecordedSessions(ledger)) as here:
        for about in ({"owner": ""}, {"colour": "red"}, {"backing": {"pid": 1}}, {"child_session": "x"}):
            with pytest.raises(tallystick.InvalidInput):
                await here.agent.new_session("/srv", about=about)
        assert 1 == (await ledger.counts()).total


@on_a_loop
async def test_a_ledger_that_is_closed_disturbs_no_session(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with tallystick.open_async(tmp_path) as ledger:
        sessions = RecordedSessions(ledger)
        async with gateway(sessions) as here:
            await ledger.close()
            response = await here.prompt("work")
            again = await here.prompt("refuse")

    assert ("end_turn", "refusal") == (response.stop_reason, again.stop_reason)
    assert isinstance(sessions.last_error, tallystick.Closed)
    assert sessions.refusals >= 2
    logged = [each.message for each in caplog.records if each.name == "tallystick.runtimes"]
    assert ({"session_unrecorded"}, True) == (set(logged), len(logged) < 8)


@on_a_loop
async def test_a_session_whose_id_no_ledger_takes_works_all_the_same(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger:
        sessions = RecordedSessions(ledger)
        async with gateway(sessions, "s" * 10_000) as here:
            response = await here.prompt("work")
        assert 0 == (await ledger.counts()).total

    assert "end_turn" == response.stop_reason
    assert isinstance(sessions.last_error, tallystick.InvalidInput)


@on_a_loop
async def test_an_agent_that_dies_at_once_breaks_the_gateway_as_it_would_without_a_ledger(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path) as ledger:
        sessions, client = RecordedSessions(ledger), cast("Any", Heard())
        with pytest.raises(ConnectionError):
            async with sessions.spawn(client, sys.executable, "-c", "", about={"owner": OWNER}) as (agent, _process):
                await agent.initialize(protocol_version=PROTOCOL_VERSION)
        with pytest.raises(FileNotFoundError):
            async with sessions.spawn(client, str(AGENT) + ".gone", about={"owner": OWNER}):
                pass
        assert 0 == (await ledger.counts()).total
