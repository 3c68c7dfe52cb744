"""The neighbourhood: what a task actor asks of whoever keeps the task actors."""

from typing import Protocol, TypeVar

from tallystick.actors.envelope import Envelope
from tallystick.actors.inbox import Schedule
from tallystick.actors.journal import Journal
from tallystick.actors.telling import Telling
from tallystick.ledger.store.port import Stored

A_contra = TypeVar("A_contra", contravariant=True)
"""The kind of actor that lives there."""


class Neighbourhood(Protocol[A_contra]):
    """Where a task actor lives: its journal, its history, and how it holds back, hands on and goes."""

    journal: Journal
    telling: Telling
    holds: bool
    """Whether an actor may hold something back: not when no timer would come."""

    @property
    def schedule(self) -> Schedule:
        """Where actors queue for their turns."""
        ...

    def history(self, stream: bytes) -> list[Stored]:
        """Return what the log has of a task."""
        ...

    def hold(self, actor: A_contra, until_ms: int) -> None:
        """Let the actor write at `until_ms` what it holds back."""
        ...

    def let_go_later(self, actor: A_contra) -> None:
        """Let the actor go at the end of the turn, if nothing waits for it then."""
        ...

    def hand_on(self, actor: A_contra) -> None:
        """Let an actor that speaks for no task any more hand on what reaches it."""
        ...

    def pass_on(self, envelope: Envelope, stream: bytes) -> None:
        """Give an envelope to the actor of another task."""
        ...
