"""Agents behind connections that the gateway made itself: without a process, and with clients of both styles."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from acp import PROTOCOL_VERSION, connect_to_agent, run_agent, text_block

import tallystick
from tallystick import AsyncLedger
from tallystick.ledger.verdict import Finding
from tallystick.runtimes.acp import RecordedAgent, RecordedSessions
from tests.runtimes.agent import TestAgent as ScriptedAgent
from tests.runtimes.cron import on_a_loop
from tests.runtimes.sessions import OWNER, Heard


@asynccontextmanager
async def connected(ledger: AsyncLedger, folder: Path, client: Any) -> AsyncIterator[tuple[RecordedAgent, Any]]:
    """An agent at the other end of a socket, and the agent's own end of it."""
    ends: asyncio.Queue[Any] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.put_nowait(writer)
        await run_agent(cast("Any", ScriptedAgent()), writer, reader, use_unstable_protocol=True)

    sessions = RecordedSessions(ledger)
    async with await asyncio.start_unix_server(serve, folder / "agent.sock"):
        reader, writer = await asyncio.open_unix_connection(folder / "agent.sock")
        connection = connect_to_agent(sessions.client(client), writer, reader)
        agent = sessions.agent(connection, about={"owner": OWNER})
        await agent.initialize(protocol_version=PROTOCOL_VERSION)
        far = await ends.get()
        try:
            yield agent, far
        finally:
            agent.leave()
            await connection.close()
            await agent.left()
            for end in (writer, far):
                end.close()


@on_a_loop
async def test_an_agent_without_a_process_is_backed_by_this_one_and_its_client_may_come_from_a_factory(
    tmp_path: Path,
) -> None:
    client = Heard()
    async with tallystick.open_async(tmp_path / "ledger") as ledger:
        async with connected(ledger, tmp_path, lambda _connection: client) as (agent, _):
            session = (await agent.new_session("/srv")).session_id
            await agent.prompt(session, [text_block("work")])
        record = (await ledger.find(session)).record

    backing = record.backing or {}
    assert ("succeeded", "acp", os.getpid()) == (record.status, backing["protocol"], backing["pid"])
    assert 10 == len(client.calls)


@on_a_loop
async def test_a_connection_that_breaks_fails_the_task(tmp_path: Path) -> None:
    client = Heard()
    async with (
        tallystick.open_async(tmp_path / "ledger") as ledger,
        connected(ledger, tmp_path, client) as (agent, far),
    ):
        session = (await agent.new_session("/srv")).session_id
        prompting = asyncio.create_task(agent.prompt(session, [text_block("hang")]))
        await client.updated.wait()
        far.close()
        with pytest.raises(ConnectionError):
            await prompting
        record = (await ledger.find(session)).record

    assert ("failed", "the connection to the agent broke: ConnectionError: Connection closed", "thinking") == (
        record.status,
        record.error,
        record.terminal_summary,
    )


@on_a_loop
async def test_a_connection_that_is_closed_from_here_cancels_the_task_unconfirmed(tmp_path: Path) -> None:
    client = Heard()
    async with tallystick.open_async(tmp_path / "ledger") as ledger:
        async with connected(ledger, tmp_path, client) as (agent, _far):
            session = (await agent.new_session("/srv")).session_id
            prompting = asyncio.create_task(agent.prompt(session, [text_block("hang")]))
            await client.updated.wait()
        with pytest.raises(ConnectionError):
            await prompting
        record = (await ledger.find(session)).record

    assert ("cancelled", False) == (record.status, record.cancel_confirmed)


@on_a_loop
async def test_a_session_can_be_resumed(tmp_path: Path) -> None:
    async with tallystick.open_async(tmp_path / "ledger") as ledger:
        async with connected(ledger, tmp_path, Heard()) as (agent, _):
            session = (await agent.new_session("/srv", about={"label": "first"})).session_id
            await agent.prompt(session, [text_block("silent")])
            await agent.resume_session("/srv", session_id=session, about={"label": "second"})
            await agent.prompt(session, [text_block("work")])
        tasks = (await ledger.list(session=session)).tasks

    assert [("second", "succeeded"), ("first", "succeeded")] == [(task.label, task.status) for task in tasks]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@on_a_loop
async def test_a_client_of_the_older_style_gets_its_calls_too(tmp_path: Path) -> None:
    class Older:
        def __init__(self) -> None:
            self.told: list[str] = []

        async def sessionUpdate(self, params: Any) -> None:  # noqa: N802 - as it was called then
            self.told.append(params.update.session_update)

    client = Older()
    async with tallystick.open_async(tmp_path / "ledger") as ledger, connected(ledger, tmp_path, client) as (agent, _):
        session = (await agent.new_session("/srv")).session_id
        await agent.prompt(session, [text_block("work")])
        record = (await ledger.find(session)).record

    assert (10, 2, "Done: two lines changed.") == (len(client.told), record.tool_use_count, record.terminal_summary)


@on_a_loop
async def test_an_agent_without_a_process_is_alive_as_long_as_it_is_connected(tmp_path: Path) -> None:
    client = Heard()
    async with tallystick.open_async(tmp_path / "ledger") as ledger, connected(ledger, tmp_path, client) as (agent, _):
        session = (await agent.new_session("/srv")).session_id
        prompting = asyncio.create_task(agent.prompt(session, [text_block("hang")]))
        await client.updated.wait()
        record = (await ledger.find(session)).record
        found = agent.sessions.probe(record).finding
        await agent.cancel(session_id=session)
        await prompting

    assert Finding.ALIVE is found
