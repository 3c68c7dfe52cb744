"""The check of the claims: every creation has those that it is owed, and none belongs to a stream without events."""

from collections.abc import Sequence

from tallystick.ledger.claims import claims_in, claims_left_in, with_texts_of
from tallystick.ledger.events import Event
from tallystick.ledger.ids import ID_BYTES
from tallystick.ledger.store.codec import read_body
from tallystick.ledger.store.findings import Findings, Kind
from tallystick.ledger.store.payload_check import fitted, kept_at
from tallystick.ledger.store.port import EventLog


class ClaimCheck:
    """Takes the events of a log, then tells what the claims say otherwise."""

    def __init__(self, log: EventLog, findings: Findings) -> None:
        self._log = log
        self._findings = findings

    def add(self, events: Sequence[Event]) -> None:
        """Hold the creations among these events to the claims that are stored, but for those that were erased."""
        first = [event for event in events if event.version == 1]  # what creates is the first event of its stream
        owed = {claim: event for event in first for claim in claims_left_in(event.data)}
        held = self._log.claimed_all(list(owed)) if owed else {}
        for claim, event in owed.items():
            holder = held.get(claim)
            if holder != event.stream and (holder is None or not self._owes(holder, claim, event)):
                name = "nobody" if holder is None else holder.hex()
                self._findings.add(event.position, Kind.CLAIM, f"the claim {claim.hex()} of this creation has {name}")

    def _owes(self, stream: bytes, claim: bytes, event: Event) -> bool:
        """Whether a stream was created with a claim of an event: then a later creation took it over, as it may.

        When its texts were erased, they may have been those of the event.
        """
        created = self._first(stream) if len(stream) == ID_BYTES else None
        return created is not None and claim in claims_in(with_texts_of(created.data, event.data))

    def _first(self, stream: bytes) -> Event | None:
        """The event that a stream begins with, with what of it is kept as it was put there."""
        for position in self._log.positions([stream]).get(stream, ())[:1]:
            [body] = self._log.records(position, position)
            stored = read_body(position, body)
            if isinstance(stored, Event):
                return fitted(stored, kept_at(self._log, position))
        return None

    def strangers(self) -> None:
        """Name the claims of streams that are not there."""
        for rows in self._log.claims():
            known = self._log.known_streams([stream for _, stream in rows if len(stream) == ID_BYTES])
            for claim, stream in rows:
                if stream not in known:
                    detail = f"{claim.hex()} is claimed by {stream.hex()}, which has no event"
                    self._findings.add(0, Kind.CLAIM, detail)
