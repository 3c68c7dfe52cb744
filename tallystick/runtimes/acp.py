"""ACP: the child sessions of agents that speak the Agent Client Protocol, each run as an `acp` task."""

import asyncio
import uuid
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, Self, cast
from weakref import WeakKeyDictionary

from acp import RequestError, spawn_agent_process
from acp.interfaces import Agent, Client

from tallystick.actors.log import logger
from tallystick.aio import AsyncLedger
from tallystick.ledger import intake
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.stopped import Stopped
from tallystick.ledger.verdict import Verdict
from tallystick.runtimes.child import Child
from tallystick.runtimes.peer import Peer, judged_from_outside, signal_name
from tallystick.runtimes.reporter import Reporter
from tallystick.runtimes.turn import End, Progress, Turn, usage_of
from tallystick.sync import Ledger

log = logger("runtimes")

CHILDREN_MAX = 10_000  # runs that are under way, or whose end the ledger does not have
CANCEL_WAIT_S = 10.0  # for an agent to confirm a cancel
EXIT_WAIT_S = 5.0  # for the exit code of a process whose connection is gone
DRAIN_S = 1.0  # for an answer that is still in the pipe when the process has ended

ToClient = Callable[[Agent], Client] | Client


class RecordedSessions:
    """Records the child sessions of any number of agents in one ledger; made and used on one event loop.

    The protocol never waits for the ledger: what an agent tells is sent on at once. Whoever opens a session waits
    until its task is recorded, and whoever prompts one until its end is. What the ledger refuses disturbs no session:
    it is logged and counted (`refusals`, `last_error`), and an end that it refused is kept for `probe`.
    """

    def __init__(self, ledger: Ledger | AsyncLedger, *, cancel_wait_s: float = CANCEL_WAIT_S) -> None:
        self.refusals = 0
        self.last_error: BaseException | None = None
        self.reporter = Reporter(ledger)
        self._ledger, self._cancel_wait_s = ledger, cancel_wait_s
        self._loop = asyncio.get_running_loop()
        self._children: dict[tuple[str, str], tuple[Child, RecordedAgent]] = {}
        self._noting: WeakKeyDictionary[Agent, _Noting] = WeakKeyDictionary()

    def install(self) -> Self:
        """Make `probe` and `cancel` the ledger's for the runtime acp, instead of any before. Returns itself."""
        self._ledger.probe("acp", self.probe)
        self._ledger.canceller("acp", self.cancel)
        return self

    @asynccontextmanager
    async def spawn(
        self, to_client: ToClient, command: str, *args: str, about: Mapping[str, Any], **options: Any
    ) -> AsyncIterator[tuple["RecordedAgent", Process]]:
        """Start an agent as `acp.spawn_agent_process` does, which takes the options, and record its sessions.

        `about` says of every session what `create` takes: `owner` at least, or a session says it itself. Leaving the
        block ends the agent; what it worked on is cancelled.
        """
        agent: RecordedAgent | None = None
        try:
            async with spawn_agent_process(self.client(to_client), command, *args, **options) as (connection, process):
                agent = self.agent(connection, about=about, process=process)
                try:
                    yield agent, process
                finally:
                    agent.leave()
        finally:
            if agent is not None:
                await agent.left()

    def client(self, to_client: ToClient) -> Client:
        """Return what a connection takes for your client: every call is handed on, and the updates are noted."""
        if callable(to_client):
            return cast("Client", lambda connection: self.client(to_client(connection)))
        return cast("Client", _Noting(to_client, self._noting))

    def agent(self, connection: Agent, *, about: Mapping[str, Any], process: Process | None = None) -> "RecordedAgent":
        """Return an agent at the other end of a connection, which was made with `client`, to open sessions with."""
        agent = RecordedAgent(self, connection, about, process)
        noting = self._noting.get(connection)
        if noting is None:
            raise InvalidInput("connection", connection, "one whose client was made with `client`")
        noting.agent = agent
        return agent

    def probe(self, task: TaskRecord) -> Verdict:
        """Answer whether the session behind a task is at work: here, or in the process that started it."""
        known = self._children.get((task.run_id or "", task.child_session_key or ""))
        if known is None:
            return judged_from_outside(task)
        child, agent = known
        evidence: dict[str, object] = {"session": child.session_id}
        ended = child.verdict(evidence)
        if ended is not None:
            return ended
        if agent.process is None or agent.process.returncode is None:
            return Verdict.alive(evidence)
        evidence["exit"] = agent.process.returncode
        is_told = child.working is not None and not child.working.done()
        return Verdict.missing(evidence) if is_told else Verdict.dead(evidence)

    probe.recovers = True  # type: ignore[attr-defined]  # ends that the ledger refused may belong to lost tasks

    async def cancel(self, task: TaskRecord) -> Stopped:
        """Stop a session's work through the protocol: ask the agent, and wait until it has answered the prompt.

        Not confirmed when it does not answer in `cancel_wait_s`, or when the session is not one of this process.
        """
        if asyncio.get_running_loop() is self._loop:
            return await self._cancel(task)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._cancel(task), self._loop))

    async def _cancel(self, task: TaskRecord) -> Stopped:
        known = self._children.get((task.run_id or "", task.child_session_key or ""))
        if known is None:
            return Stopped(confirmed=False, detail="no agent of this process has its session")
        child, agent = known
        working = child.working
        if working is None or working.done():
            return Stopped(detail="the session had nothing to do")
        asking = asyncio.ensure_future(agent.connection.cancel(session_id=child.session_id))
        _, late = await asyncio.wait({working}, timeout=self._cancel_wait_s)
        asking.cancel()  # a connection that is broken may never have sent it
        (problem,) = await asyncio.gather(asking, return_exceptions=True)
        if late:
            why = f": {problem}" if isinstance(problem, Exception) else ""
            return Stopped(confirmed=False, detail=f"the agent did not stop within {self._cancel_wait_s:g} s{why}")
        if child.end is not None and child.end.status == "cancelled":
            return Stopped(confirmed=child.end.confirmed, detail=child.end.summary)
        return Stopped(detail="it ended by itself in between")

    def remember(self, child: Child, agent: "RecordedAgent") -> None:
        """Know a child by its run, until the ledger knows how it ended; of too many the oldest that has is given up."""
        self._children[child.key] = child, agent
        if len(self._children) > CHILDREN_MAX:
            ended = (key for key, (known, _) in self._children.items() if known.end is not None)
            self._children.pop(next(ended, child.key))

    def forget(self, child: Child) -> None:
        """Know a child no more, if the ledger knows how it ended."""
        if child.is_recorded:
            self._children.pop(child.key, None)
            child.turn = Turn()  # its session may live long, and takes no more of what was said

    def refused(self, error: BaseException) -> None:
        """Take note of what the ledger has refused."""
        self.refusals += 1
        self.last_error = error


class RecordedAgent:
    """An agent at the other end of a connection: what opens sessions and prompts them is recorded, the rest handed on.

    Each session is a task from its opening, and each further prompt in it a task of its own.
    """

    def __init__(
        self, sessions: RecordedSessions, connection: Agent, about: Mapping[str, Any], process: Process | None
    ) -> None:
        self.connection, self.process = connection, process
        self._peer = Peer(process)
        self.sessions, self._about = sessions, dict(about)
        self._current: dict[str, Child] = {}
        self._used: dict[str, dict[str, int | float]] = {}
        self._is_leaving = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    async def new_session(self, cwd: str, *, about: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Open a session and create its task. `about` is what `create` takes: task, label, requester, and so on.

        Raises `InvalidInput` before the agent hears anything when `about` says what is not allowed.
        """
        given = self._given(about, f"a session in {cwd}")
        response = await self.connection.new_session(cwd=cwd, **options)
        await self._open(response.session_id, given)
        return response

    async def load_session(
        self, cwd: str, session_id: str, *, about: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """As `new_session`, with one that the agent knows: what it replays is not recorded again."""
        given = self._given(about, f"a session in {cwd}")
        response = await self.connection.load_session(cwd=cwd, session_id=session_id, **options)
        await self._open(session_id, given)
        return response

    async def resume_session(
        self, cwd: str, session_id: str, *, about: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """As `load_session`."""
        given = self._given(about, f"a session in {cwd}")
        response = await self.connection.resume_session(cwd=cwd, session_id=session_id, **options)
        await self._open(session_id, given)
        return response

    async def prompt(self, session_id: str, prompt: list[Any], **options: Any) -> Any:
        """Prompt a session and wait until the agent has answered and the ledger has how it ended.

        Whoever stops waiting stops neither the agent nor the record. A prompt of a session that was not opened here, or
        that is at work already, is handed on and not recorded. Raises `ConnectionError` when the agent's process ends.
        """
        child = self._current.get(session_id)
        if child is not None and child.end is not None:
            child = await self._open(session_id, {**child.given, "run_id": None, "idempotency_key": None})
        if child is None or child.working is not None:
            return await self.connection.prompt(session_id=session_id, prompt=prompt, **options)
        child.working = asyncio.ensure_future(self._work(child, prompt, options))
        child.working.add_done_callback(_looked_at)
        return await asyncio.shield(child.working)

    async def close_session(self, session_id: str, **options: Any) -> Any:
        """Close a session. If it was not prompted, its task is cancelled."""
        response = await self.connection.close_session(session_id=session_id, **options)
        child = self._current.get(session_id)
        if child is not None and (child.working is None or child.working.done()):
            await child.finish(End(status="cancelled", error="the session was closed", summary="it was not prompted"))
            self.sessions.forget(child)
            self._current.pop(session_id, None)
            self._used.pop(session_id, None)
        return response

    def note(self, session_id: str, note: Callable[[Child], Progress | None]) -> None:
        """Note what the agent tells of a session that it works on. What is replayed into one that rests is no news."""
        child = self._current.get(session_id)
        if child is not None and child.working is not None and child.end is None:
            progress = note(child)
            if progress is not None:
                child.progress(progress)

    def leave(self) -> None:
        """The connection is being closed from this side: what still works is cancelled by that, and has not failed."""
        self._is_leaving = True

    async def left(self) -> None:
        """Wait until what became of every session is recorded, after the connection was closed."""
        children = tuple(self._current.values())
        working = {child.working for child in children if child.working is not None}
        if working:
            await asyncio.wait(working)
        for child in children:
            await child.finish(End(status="cancelled", error="the agent was closed", summary="it was not prompted"))
            self.sessions.forget(child)

    def _given(self, about: Mapping[str, Any] | None, task: str) -> dict[str, Any]:
        """Return what is said of a session, complete and allowed."""
        given = {"task": task, **self._about, **(about or {}), "runtime": "acp"}
        for field in ("backing", "child_session"):
            if given.get(field) is not None:
                raise InvalidInput(field, given[field], "nothing: the agent and its session say it")
        intake.created(**given)
        return given

    async def _open(self, session_id: str, given: Mapping[str, Any]) -> Child:
        told = {
            **given,
            "run_id": given.get("run_id") or f"{session_id}/{uuid.uuid4().hex[:12]}",
            "child_session": session_id,
            "backing": self._peer.backing(session_id),
        }
        known = self._current.get(session_id)
        if known is not None and known.end is None:
            return known  # it was opened before, and is what it was
        child = Child(self.sessions.reporter, self.sessions.refused, session_id, told)
        self._current[session_id] = child
        self.sessions.remember(child, self)
        await child.create()
        return child

    async def _work(self, child: Child, prompt: list[Any], options: Mapping[str, Any]) -> Any:
        child.start()
        try:
            response = await self._answer(self.connection.prompt(session_id=child.session_id, prompt=prompt, **options))
        except Exception as error:
            await child.finish(await self._broken(child, error))
            raise
        else:
            await child.finish(child.turn.ended(response.stop_reason, self._used_since(child.session_id, response)))
        finally:
            self.sessions.forget(child)
        return response

    async def _answer(self, prompting: Any) -> Any:
        """Wait for an answer, but not longer than there is somebody to give it.

        What the agent has started may hold its end of the pipe open, and then nothing else tells that it is gone.
        """
        asking = asyncio.ensure_future(prompting)
        if self.process is None:
            return await asking
        ending = asyncio.ensure_future(self._peer.ended())
        try:
            await asyncio.wait({asking, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                await asyncio.wait({asking}, timeout=DRAIN_S)
            if not asking.done():
                raise ConnectionError("the agent's process has ended")
            return asking.result()
        finally:
            asking.cancel()
            ending.cancel()

    async def _broken(self, child: Child, error: Exception) -> End:
        """Say how a prompt ended that has no answer."""
        said = child.turn.last_message
        if isinstance(error, RequestError):
            data = "" if error.data is None else f" {error.data}"
            return End(status="failed", error=f"the agent answered: {error} ({error.code}){data}", summary=said)
        code = await self._peer.exit(EXIT_WAIT_S)
        if self._is_leaving:
            return End(
                status="cancelled",
                error="the agent was closed",
                summary="the connection to the agent" if code is None else "the agent's process",
                confirmed=code is not None,
            )
        if code is None:
            return End(status="failed", error=f"the connection to the agent broke: {_in_words(error)}", summary=said)
        if code >= 0:
            ended = f"the agent's process ended with exit code {code} while it was at work"
            return End(status="failed", error=ended, exit_code=code, summary=said)
        name = signal_name(-code)
        return End(status="failed", error=f"the agent's process was ended by {name}", signal=name, summary=said)

    def _used_since(self, session_id: str, response: Any) -> dict[str, int | float]:
        """Return what one turn has used: an agent counts over the whole session."""
        used, before = usage_of(response), self._used.get(session_id, {})
        self._used[session_id] = used
        return {name: max(amount - before.get(name, 0), 0) for name, amount in used.items()}


class _Noting:
    """A client whose calls are handed on unchanged; what the ledger wants to know of them is noted on the way."""

    def __init__(self, client: Any, known: MutableMapping[Agent, "_Noting"]) -> None:
        self._client, self._known = client, known
        self.agent: RecordedAgent | None = None

    def on_connect(self, connection: Agent) -> None:
        """Learn whose client this is."""
        self._known[connection] = self
        connected = getattr(self._client, "on_connect", None)
        if connected is not None:
            connected(connection)

    def __getattr__(self, name: str) -> Any:
        called = getattr(self._client, name)
        if name in ("session_update", "sessionUpdate"):
            return self._noting(called, "update", lambda child, update: child.turn.follow(update))
        if name in ("request_permission", "requestPermission"):
            return self._noting(called, "tool_call", lambda child, call: child.turn.asks(call))
        return called

    def _noting(self, called: Any, field: str, note: Callable[[Child, Any], Progress | None]) -> Any:
        async def noting(*args: Any, **kwargs: Any) -> Any:
            # By names, or as one object that has them: a client may be written either way.
            said = kwargs or {name: getattr(args[0], name, None) for name in ("session_id", field)}
            try:
                if self.agent is not None:
                    self.agent.note(str(said.get("session_id")), lambda child: note(child, said.get(field)))
            except Exception:  # what the agent told is the client's, whatever the ledger makes of it
                log.exception("update_not_noted", session=str(said.get("session_id")))
            return await called(*args, **kwargs)

        return noting


def _looked_at(working: "asyncio.Future[Any]") -> None:
    """Whoever waited may have gone: then nobody else looks at how it ended."""
    if not working.cancelled():
        working.exception()


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
