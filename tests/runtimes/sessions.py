"""Parts for the tests of recorded sessions: a client that keeps what it hears, and an agent process to talk to."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from acp import PROTOCOL_VERSION, ReadTextFileResponse, RequestPermissionResponse, text_block
from acp.schema import DeniedOutcome

from tallystick import AsyncLedger
from tallystick.runtimes.acp import RecordedAgent, RecordedSessions

AGENT = Path(__file__).parent / "agent.py"
OWNER = "agent:main:main"


class Heard:
    """A client of a gateway: it keeps every call, and lets a test wait for an update."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.updated = asyncio.Event()
        self.connection: Any = None

    def on_connect(self, connection: Any) -> None:
        self.connection = connection

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        self.calls.append((session_id, update.session_update))
        self.updated.set()

    async def request_permission(self, session_id: str, **_: Any) -> RequestPermissionResponse:
        self.calls.append((session_id, "permission"))
        return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))

    async def read_text_file(self, session_id: str, path: str, **_: Any) -> ReadTextFileResponse:
        self.calls.append((session_id, path))
        return ReadTextFileResponse(content="two lines")


class Gateway:
    """An agent that was started, and a session of it."""

    def __init__(self, agent: RecordedAgent, process: Any, client: Heard, session: str) -> None:
        self.agent, self.process, self.client, self.session = agent, process, client, session

    async def prompt(self, text: str) -> Any:
        return await self.agent.prompt(self.session, [text_block(text)])

    async def prompted(self, text: str) -> "asyncio.Task[Any]":
        """Prompt the session, and return when the agent has begun to speak."""
        prompting = asyncio.create_task(self.prompt(text))
        await self.client.updated.wait()
        return prompting


@asynccontextmanager
async def gateway(sessions: RecordedSessions, *args: str, **about: Any) -> AsyncIterator[Gateway]:
    """A gateway that has started an agent and opened a session of it."""
    client: Any = Heard()  # it has what these agents call
    async with sessions.spawn(client, sys.executable, str(AGENT), *args, about={"owner": OWNER}) as (agent, process):
        await agent.initialize(protocol_version=PROTOCOL_VERSION)
        opened = await agent.new_session("/srv/notes", about={"task": "Tidy the notes", **about})
        yield Gateway(agent, process, client, opened.session_id)


async def story(ledger: AsyncLedger, session: str) -> list[str]:
    """What happened to the newest task of a session, in short."""
    events = await ledger.timeline((await ledger.find(session)).id)
    return [event.type.removeprefix("task-").removesuffix(".1") for event in events]
