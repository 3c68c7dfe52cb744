"""What the faces ask of whoever writes: the actors of this process, or those of the ledger's owner elsewhere."""

from collections.abc import Callable
from typing import Any, Protocol

from tallystick.actors.envelope import Reply
from tallystick.actors.stream import AwaitEnd
from tallystick.ledger.commands import Command
from tallystick.ledger.lifecycle import Runtime


class Addressee(Protocol):
    """Whom a command for one task is sent to."""

    @property
    def stream(self) -> bytes:
        """The task's id, sixteen bytes."""
        ...


class Facts(Protocol):
    """Takes commands and answers them when what they say is durable."""

    def newborn(self, stream: bytes) -> Addressee:
        """Return whom a creation under this fresh id is sent to."""
        ...

    def actor(self, stream: bytes) -> Addressee:
        """Return whom commands for a task are sent to."""
        ...

    def newborn_flow(self, stream: bytes) -> Addressee:
        """Return whom the creation of a flow under this fresh id is sent to."""
        ...

    def flow(self, stream: bytes) -> Addressee:
        """Return whom commands for a flow are sent to."""
        ...

    def send(self, actor: Any, message: Command | AwaitEnd, future: Reply) -> None:
        """Send a command to who one of the two above returned; `future` gets the answer when it is durable.

        Raises `Busy` when too much waits already and `Closed` after `close`: nothing was accepted then.
        """
        ...

    def listen(self, listener: Callable[[int], None]) -> Callable[[], None]:
        """Call `listener(position)` after each commit, on a thread of its own choice; returns what ends it."""
        ...

    def reach(self, position: int, timeout_s: float) -> None:
        """Wait until every read model that is kept up here has seen `position`."""
        ...

    def follow(self, runtime: Runtime) -> None:
        """Look from time to time into what runs of a runtime that has a probe now."""
        ...

    def sweep(self) -> None:
        """Do what is due now, and wait until it is durable."""
        ...

    def close(self) -> object:
        """End it all in order: commit and answer what was accepted."""
        ...
