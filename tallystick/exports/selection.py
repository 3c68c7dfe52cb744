"""The selection: which part of a ledger is exported. Pure."""

from typing import Any, Literal, TypeAlias

from msgspec import Struct

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.events import Event

Rows: TypeAlias = Literal["events", "tasks"]
EVENTS: Rows = "events"
TASKS: Rows = "tasks"


class Selection(Struct, frozen=True, kw_only=True):
    """What is exported: events of the log, or tasks.

    `lookup` names a task or a flow, as timelines do. `since` and `until` (ms) are moments at which events were
    recorded, or tasks were created: from `since` on, and before `until`. `after` and `until_position` are positions:
    behind the first, and up to the second; they choose events alone. Raises `InvalidInput`.
    """

    rows: Rows = EVENTS
    lookup: str | None = None
    since: int | None = None
    until: int | None = None
    after: int | None = None
    until_position: int | None = None

    def __post_init__(self) -> None:
        fields.moment("since", self.since)
        fields.moment("until", self.until)
        if self.lookup is not None:
            fields.required_key("lookup", self.lookup)
        for name, least in (("after", 0), ("until_position", 1)):
            value = getattr(self, name)
            if value is not None:
                fields.whole(name, value, least=least)
                if self.rows == TASKS:
                    raise InvalidInput(name, value, 'nothing beside rows of tasks; rows="events" has positions')

    @property
    def is_whole(self) -> bool:
        """Whether it is every event of the log."""
        return self.rows == EVENTS and not self.said()

    def said(self) -> dict[str, Any]:
        """Return what was said of it, by the names that JSON has; nothing for all there is."""
        said = {
            "lookup": self.lookup,
            "since": self.since,
            "until": self.until,
            "after": self.after or None,
            "untilPosition": self.until_position,
        }
        return {name: value for name, value in said.items() if value is not None}

    def has(self, event: Event) -> bool:
        """Whether an event is in its span of time."""
        return self.spans(event.recorded_at)

    def spans(self, at: int) -> bool:
        """Whether a moment (ms) is in its span of time."""
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)
