"""The neighbourhood: what an actor of a task or a flow asks of whoever keeps the actors of its kind."""

from typing import Any, Protocol

from tallystick.actors.envelope import Envelope, Reply
from tallystick.actors.inbox import Schedule
from tallystick.actors.journal import Journal
from tallystick.actors.telling import Telling
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Pruned, TallystickError
from tallystick.ledger.facts.flows import FlowErased
from tallystick.ledger.facts.tasks import TaskErased
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.lifecycle import Scope
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import Stored

NEEDED = "Somebody began to need it after it was looked at: look again."
"""Why what was to be pruned is kept."""


class Neighbourhood(Protocol):
    """Where an actor of a stream lives: its journal, its history, and how it hands on and goes."""

    journal: Journal

    @property
    def schedule(self) -> Schedule:
        """Where actors queue for their turns."""
        ...

    def history(self, stream: bytes) -> list[Stored]:
        """Return what the log has of a stream."""
        ...

    def epitaph(self, stream: bytes) -> Pruned | None:
        """Return what is told of a task or a flow whose history was deleted; None where nobody can tell."""
        ...

    def let_go_later(self, actor: Any) -> None:
        """Let the actor go at the end of the turn, if nothing waits for it then."""
        ...

    def hand_on(self, actor: Any) -> None:
        """Let an actor that speaks for nothing any more hand on what reaches it."""
        ...

    def pass_on(self, envelope: Envelope, stream: bytes) -> None:
        """Give an envelope to the actor of another stream of the kind."""
        ...


class Linked(Protocol):
    """A task, as a flow's actor speaks to it in its own turn."""

    def link(self, flow_id: str, command: Command) -> None:
        """Say that the task is one of this flow from now on."""
        ...

    def gone(self) -> Pruned | None:
        """Return what those hear who ask for it, if it was pruned."""
        ...


class Linking(Protocol):
    """A flow, as a task's actor speaks to it in its own turn."""

    def refusal_of(self, owner: str | None, scope: Scope, task: TaskRecord | None) -> TallystickError | None:
        """Return why a task of this owner cannot join; None when it can. Raises `Corrupt`.

        `task` is the task as it is, if it is there already: then its own owner counts.
        """
        ...

    def joined(self, task_id: str, command: Command) -> None:
        """A task has joined."""
        ...

    def erasable(self, of_task: TaskErased) -> FlowErased | None:
        """Return with what goes what it says of the task that it mirrors, if anything is kept. Raises `Corrupt`."""
        ...

    def erase(self, erasure: FlowErased, command: Command) -> None:
        """Erase it with the content of its task."""
        ...


class FlowsNearby(Protocol):
    """The flows that a task may join."""

    def actor(self, stream: bytes) -> Linking:
        """Return the actor of a flow."""
        ...


class TaskNeighbourhood(Neighbourhood, Protocol):
    """Where a task's actor lives: besides, whom to tell, other tasks and flows, and how it holds back."""

    telling: Telling
    holds: bool
    """Whether an actor may hold something back: not when no timer would come."""

    @property
    def flows(self) -> FlowsNearby:
        """The flows that a task may join."""
        ...

    def known(self, stream: bytes) -> TaskRecord | None:
        """Return what is known of another task in this turn, held events included. Raises `Corrupt`."""
        ...

    def need(self, stream: bytes) -> None:
        """Take note that a task is needed since this turn, and all of the tree of which it is the root.

        None of their own events says so.
        """
        ...

    def is_needed_since(self, stream: bytes, position: int) -> bool:
        """Whether somebody began to need a task or its tree behind a position, or nobody can tell. Raises `Corrupt`."""
        ...

    def repeat(self, creation: Command, stream: bytes, future: Reply | None) -> None:
        """Have another task answer, in this turn, a creation that it stands for."""
        ...

    def hold(self, actor: Any, until_ms: int) -> None:
        """Let the actor write at `until_ms` what it holds back."""
        ...


class TasksNearby(Protocol):
    """The tasks that a flow links or mirrors."""

    def actor(self, stream: bytes) -> Linked:
        """Return the actor of a task."""
        ...

    def known(self, stream: bytes) -> TaskRecord | None:
        """Return what is known of a task in this turn, held events included. Raises `Corrupt`."""
        ...

    def need(self, stream: bytes) -> None:
        """Take note that a task is needed since this turn, and all of the tree of which it is the root.

        None of their own events says so.
        """
        ...

    def is_needed_since(self, stream: bytes, position: int) -> bool:
        """Whether somebody began to need a task or its tree behind a position, or nobody can tell. Raises `Corrupt`."""
        ...


class FlowNeighbourhood(Neighbourhood, Protocol):
    """Where a flow's actor lives: besides, the tasks."""

    @property
    def tasks(self) -> TasksNearby:
        """The tasks that a flow links or mirrors."""
        ...

    def known(self, stream: bytes) -> FlowRecord | None:
        """Return what a flow's own events tell in this turn; None when it has none. Raises `Corrupt`."""
        ...
