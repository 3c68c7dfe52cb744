"""The erasure of later: who erased what is blank in a past that is asked for, where that past itself cannot say so."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from tallystick.cli.facts import words
from tallystick.cli.screen import Screen
from tallystick.cli.summary import erased_words
from tallystick.ledger.content import Erased
from tallystick.ledger.events import ERASURES, Event
from tallystick.ledger.facts.flows import FlowErased
from tallystick.ledger.facts.tasks import TaskErased
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.ledger.store.port import EventLog

Blank: TypeAlias = tuple[int, str, Sequence[str]]
"""Of an event of a past its position, whose it is, and which of its fields are blank."""


class Later(Erased, frozen=True, kw_only=True):
    """An erasure of after the moment that was asked for, and which fields are blank for it."""

    fields: tuple[str, ...]


def erased_later(log: EventLog, stream: bytes, past: Sequence[Blank], *, is_flow: bool) -> Later | None:
    """Return the erasure that took what is blank in a past, the newest of several; None when nothing is.

    What an erasure took that is of this past is no news, and what nobody erased is damage, which `verify` names.
    """
    if not any(fields for _, _, fields in past):
        return None
    seen = {position for position, _, _ in past}
    erasures = [event for event in _history(log, stream, is_flow=is_flow) if event.data.__class__ in ERASURES]
    by: Event | None = None
    gone: list[str] = []
    for position, whose, fields in past:
        own = (whose, mirror_of(whose))  # with a task goes what the flow that mirrors it says
        taken = next((each for each in erasures if each.position > position and each.task_id in own), None)
        if fields and taken is not None and taken.position not in seen:
            by = taken if by is None or taken.position > by.position else by
            gone += fields
    if by is None:
        return None
    assert isinstance(by.data, TaskErased | FlowErased), "what an erasure is"
    return Later(at=by.occurred_at, by=by.actor, reason=by.data.reason, fields=tuple(dict.fromkeys(gone)))


def _history(log: EventLog, stream: bytes, *, is_flow: bool) -> Sequence[Event]:
    if is_flow:
        from tallystick.projections import flow_history

        return flow_history.timeline(log, stream)
    return [stored for stored in log.stream(stream) if isinstance(stored, Event)]


def later_lines(screen: Screen, later: Later | None, now: int) -> Iterator[str]:
    """Yield who erased what, when and why."""
    if later is not None:
        yield from screen.named("erased later", erased_words(later, now))
        yield from screen.named("", ", ".join(words(name) for name in later.fields))
