"""The check of the claims: every creation has those that it is owed, and none belongs to a stream without events."""

from collections.abc import Sequence

from tallystick.ledger.claims import claims_in
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.ids import ID_BYTES
from tallystick.ledger.store.findings import Findings, Kind
from tallystick.ledger.store.port import EventLog


class ClaimCheck:
    """Takes the events of a log, then tells what the claims say otherwise."""

    def __init__(self, log: EventLog, findings: Findings) -> None:
        self._log = log
        self._findings = findings

    def add(self, events: Sequence[Event]) -> None:
        """Hold the creations among these events to the claims that are stored."""
        first = [event for event in events if event.version == 1]  # what creates is the first event of its stream
        owed = {claim: event for event in first for claim in claims_in(event.data)}
        held = self._log.claimed_all(list(owed)) if owed else {}
        for claim, event in owed.items():
            holder = held.get(claim)
            if holder != event.stream and (holder is None or not self._owes(holder, claim)):
                name = "nobody" if holder is None else holder.hex()
                self._findings.add(event.position, Kind.CLAIM, f"the claim {claim.hex()} of this creation has {name}")

    def _owes(self, stream: bytes, claim: bytes) -> bool:
        """Whether a stream was created with a claim: then a later creation took it over, as it may."""
        if len(stream) != ID_BYTES:
            return False
        try:
            created = [record.data for record in self._log.stream(stream) if isinstance(record, Event)][:1]
        except Corrupt:  # its index has what is no position
            return False
        return any(claim in claims_in(data) for data in created)

    def strangers(self) -> None:
        """Name the claims of streams that are not there."""
        for rows in self._log.claims():
            known = self._log.known_streams([stream for _, stream in rows if len(stream) == ID_BYTES])
            for claim, stream in rows:
                if stream not in known:
                    detail = f"{claim.hex()} is claimed by {stream.hex()}, which has no event"
                    self._findings.add(0, Kind.CLAIM, detail)
