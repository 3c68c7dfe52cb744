"""An ACP agent for the tests, in a process of its own: it does what it is prompted to do, in the protocol's words."""

import asyncio
import os
import signal
import subprocess
import sys
from typing import Any
from uuid import uuid4

from acp import (
    PROTOCOL_VERSION,
    InitializeResponse,
    LoadSessionResponse,
    NewSessionResponse,
    PromptResponse,
    RequestError,
    plan_entry,
    run_agent,
    start_tool_call,
    update_agent_message_text,
    update_plan,
    update_tool_call,
)
from acp.schema import CloseSessionResponse, PermissionOption, ResumeSessionResponse, ToolCallUpdate, Usage


class TestAgent:
    """Each text that it is prompted with is the name of one of its methods."""

    def __init__(self, session: str | None = None) -> None:
        self.client: Any = None
        self.session = session
        self.cancels: dict[str, asyncio.Event] = {}
        self.turns = 0

    def on_connect(self, client: Any) -> None:
        self.client = client

    async def initialize(self, **_: Any) -> InitializeResponse:
        return InitializeResponse(protocol_version=PROTOCOL_VERSION)

    async def new_session(self, **_: Any) -> NewSessionResponse:
        session = self.session or f"session-{uuid4().hex}"
        self.cancels[session] = asyncio.Event()
        return NewSessionResponse(session_id=session)

    async def close_session(self, session_id: str, **_: Any) -> CloseSessionResponse:
        del self.cancels[session_id]
        return CloseSessionResponse()

    async def resume_session(self, **_: Any) -> ResumeSessionResponse:
        return ResumeSessionResponse()

    async def load_session(self, session_id: str, **_: Any) -> LoadSessionResponse:
        self.cancels[session_id] = asyncio.Event()
        await self._say(session_id, "what was said before")
        return LoadSessionResponse()

    async def cancel(self, session_id: str, **_: Any) -> None:
        self.cancels[session_id].set()

    async def prompt(self, session_id: str, prompt: list[Any], **_: Any) -> PromptResponse:
        self.turns += 1
        self.cancels[session_id].clear()
        reason = await getattr(self, prompt[0].text)(session_id)
        used = 100 * self.turns
        usage = Usage(total_tokens=used + self.turns, input_tokens=used, output_tokens=self.turns)
        return PromptResponse(stop_reason=reason or "end_turn", usage=usage)

    async def _say(self, session: str, *parts: str) -> None:
        for part in parts:
            await self.client.session_update(session_id=session, update=update_agent_message_text(part))

    async def work(self, session: str) -> None:
        """A plan, two tools, and a message before and after them."""
        tell = self.client.session_update
        todo = [plan_entry("Read the file", status="in_progress"), plan_entry("Write it")]
        await tell(session_id=session, update=update_plan(todo))
        await self._say(session, "I will ", "read it.")
        await tell(session_id=session, update=start_tool_call("call-1", "Reading notes.txt", kind="read"))
        await tell(session_id=session, update=update_tool_call("call-1", status="completed"))
        done = [plan_entry("Read the file", status="completed"), plan_entry("Write it", status="completed")]
        await tell(session_id=session, update=update_plan(done))
        await tell(session_id=session, update=start_tool_call("call-2", "Frobnicate", kind="other"))
        await tell(session_id=session, update=start_tool_call("call-2", "Frobnicate", kind="other"))
        await self._say(session, "Done: ", "two lines changed.")

    async def ask(self, session: str) -> None:
        answer = await self.client.request_permission(
            session_id=session,
            tool_call=ToolCallUpdate(tool_call_id="call-1", title="Delete everything"),
            options=[PermissionOption(option_id="no", name="No", kind="reject_once")],
        )
        content = await self.client.read_text_file(session_id=session, path="/notes.txt")
        await self._say(session, f"{answer.outcome.outcome}: {content.content}")

    async def silent(self, _session: str) -> None:
        """End without a word."""

    async def refuse(self, session: str) -> str:
        await self._say(session, "I will not do that.")
        return "refusal"

    async def run_out(self, session: str) -> str:
        await self._say(session, "The first chap")
        return "max_tokens"

    async def go_round(self, _session: str) -> str:
        return "max_turn_requests"

    async def hang(self, session: str) -> str:
        await self._say(session, "thinking")
        await self.cancels[session].wait()
        return "cancelled"

    async def finish_all_the_same(self, session: str) -> None:
        await self._say(session, "thinking")
        await self.cancels[session].wait()
        await self._say(session, " — done in time")

    async def go_on_all_the_same(self, session: str) -> None:
        await self._say(session, "I hear nothing")
        await self.cancels[session].wait()
        self.cancels[session].clear()
        for number in range(50):
            await self._say(session, f" {number}")
        await self.cancels[session].wait()

    async def ignore(self, session: str) -> None:
        await self._say(session, "I hear nothing")
        await asyncio.Event().wait()

    async def raise_error(self, _session: str) -> None:
        raise RequestError(-32000, "the model is overloaded")

    async def crash(self, session: str) -> None:
        await self._say(session, "something is")
        os._exit(3)

    async def be_killed(self, _session: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    async def leave_a_child_behind(self, _session: str) -> None:
        """End while something that was started holds the pipe open."""
        hold = "import select; end = select.poll(); end.register(0, select.POLLIN); end.poll()"
        subprocess.Popen([sys.executable, "-c", hold])  # noqa: ASYNC220 - the rest of the agent ends here
        os._exit(4)


if __name__ == "__main__":
    asyncio.run(run_agent(TestAgent(*sys.argv[1:]), use_unstable_protocol=True))  # type: ignore[arg-type]  # it has what these tests use
