"""Routing: who is told, and on which way. Pure."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from msgspec import Struct, field

from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.lifecycle import BLOCKED, Runtime, Status
from tallystick.ledger.record import TaskRecord

StoredRoute: TypeAlias = Callable[[str], Origin | None]
"""Answers which way a session was last reached on."""

NO_TARGETS: Mapping[str, str | int] = {}

_SHARED = frozenset({"group", "channel"})


class Monitor(Struct, frozen=True, gc=False):
    """A further route for what happens to some tasks, whatever their policy. None lets everything through.

    Without a status it is for every end of a task.
    """

    name: str
    route: Origin
    runtime: Runtime | None = None
    status: str | None = None
    owner: str | None = None

    def concerns(self, record: TaskRecord) -> bool:
        """Whether what a record shows now goes there, too."""
        if self.runtime is not None and self.runtime is not record.runtime:
            return False
        if self.owner is not None and self.owner != record.owner_key:
            return False
        if self.status is None:
            return not record.is_active
        return self.status == record.shown_status or (
            self.status == Status.SUCCEEDED and record.shown_status == BLOCKED
        )


class Routing(Struct, frozen=True):
    """What routes depend on besides the task: the monitors, and the channels that somebody serves."""

    monitors: tuple[Monitor, ...] = ()
    channels: frozenset[str] = frozenset()
    targets: Mapping[str, str | int] = field(default_factory=dict)
    """Whom a channel reaches when an origin names nobody there."""


def direct_route(record: TaskRecord, routing: Routing, stored: StoredRoute) -> Origin | None:
    """Return the way directly to the one who asked; None when the message has to go through the session.

    Sessions that several people read are never told directly: whoever owns the session decides what to say there.
    """
    session = record.requester_session_key
    if record.origin is None or session is None or is_shared(session) or is_shared(record.owner_key or ""):
        return None
    route = filled(record.origin, lambda: stored(session), routing.targets)
    return route if route is not None and route.channel in routing.channels else None


def filled(
    origin: Origin, stored: Callable[[], Origin | None], targets: Mapping[str, str | int] = NO_TARGETS
) -> Origin | None:
    """Return a route without blanks for channel and target, from what is stored where it is needed.

    Account and thread are taken over only when the target is the stored one; what the origin says stays to the letter.
    None when something is missing.
    """
    if (
        origin.channel is not None
        and origin.to is not None
        and origin.account is not None
        and origin.thread is not None
    ):
        return origin
    known = stored()
    if known is None:
        known = Origin()
    channel = known.channel if origin.channel is None else origin.channel
    is_same = channel is not None and channel == known.channel
    to = known.to if origin.to is None and is_same else origin.to
    if to is None and channel is not None:
        to = targets.get(channel)
    if channel is None or to is None:
        return None
    is_same = is_same and same_address(to, known.to) and origin.account in (None, known.account)
    account = known.account if origin.account is None and is_same else origin.account
    thread = known.thread if origin.thread is None and is_same else origin.thread
    return Origin(channel, to, account, thread)


def same_address(one: str | int | None, other: str | int | None) -> bool:
    """Whether two parts of an address mean the same: a number may be spelled as text."""
    return one is not None and other is not None and str(one) == str(other)


def is_shared(session: str) -> bool:
    """Whether the key of a session is that of a group or a channel, such as "agent:main:telegram:group:-100123"."""
    return not _SHARED.isdisjoint(session.split(":"))
