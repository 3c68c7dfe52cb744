"""Pauses: what the courier tells beside the events of an endpoint that is paused, or is not any more."""

from tallystick.actors.courier.endpoint import Endpoint
from tallystick.ledger.store.port import EventLog
from tallystick.projections.pauses import note_of, paused

__all__ = ["over", "pause_note", "paused"]


def pause_note(endpoint: Endpoint) -> tuple[bytes, bytes]:
    """Return the note of how an endpoint does: empty when it is not paused, or what it would say was erased."""
    is_over = endpoint.paused_until is None or endpoint.is_unsaid
    return note_of(endpoint.name, None if is_over else endpoint.standing())


def over(event_log: EventLog) -> list[tuple[bytes, bytes]]:
    """Return the notes that end what an earlier courier has paused: the next one tries anew."""
    return [note_of(standing.name, None) for standing in paused(event_log)]
