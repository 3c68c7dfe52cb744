"""The query of flows: which ones a list shows, and where its next page begins. Pure."""

from collections.abc import Mapping
from typing import Any, Self

import msgspec
from msgspec import Struct

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.lifecycle import FlowMode, FlowStatus
from tallystick.ledger.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from tallystick.projections.cursor import Cursor
from tallystick.projections.places import Span

_STATUSES = tuple(status.value for status in FlowStatus)
_MODES = tuple(mode.value for mode in FlowMode)


class FlowQuery(Struct, frozen=True, kw_only=True):
    """Which flows to list, newest first: all that every filter lets through. Raises `InvalidInput`."""

    status: str | None = None
    owner: str | None = None
    controller: str | None = None
    mode: str | None = None
    limit: int = PAGE_ROWS_DEFAULT
    cursor: str | None = None

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            given = getattr(self, name)
            if given is not None:
                msgspec.structs.force_setattr(self, name, check(name, given))
        fields.whole("limit", self.limit, least=1, most=PAGE_ROWS_MAX)
        self.span()

    @classmethod
    def of(cls, filters: Mapping[str, Any]) -> Self:
        """Return the query with these filters, by name. Raises `InvalidInput` for one that is none."""
        for name, value in filters.items():
            if name not in cls.__struct_fields__:
                raise InvalidInput(name, value, f"only {', '.join(cls.__struct_fields__)}")
        return cls(**filters)

    def span(self) -> Span:
        """Return the places that the cursor leaves."""
        return Span(b"", self._cursor().place_in(self.cursor))

    def cursor_at(self, place: bytes) -> str:
        """Return the cursor of the page after the flow at a place."""
        return self._cursor().at(place)

    def _cursor(self) -> Cursor:
        return Cursor([self.status, self.owner, self.controller, self.mode])

    def lets_through(self, record: FlowRecord) -> bool:
        """Whether a flow passes every filter."""
        return (
            (self.status is None or record.status == self.status)
            and (self.owner is None or record.owner_key == self.owner)
            and (self.controller is None or record.controller_id == self.controller)
            and (self.mode is None or record.sync_mode == self.mode)
        )


class FlowPage(Struct, frozen=True, kw_only=True):
    """Some flows, newest first, and the cursor with which the same query goes on; None at the end."""

    flows: list[FlowRecord]
    next_cursor: str | None = None


def _member(allowed: tuple[str, ...]) -> Any:
    def check(field: str, value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise InvalidInput(field, value, ", ".join(allowed))
        return str(value)

    return check


_CHECKS: dict[str, Any] = {
    "status": _member(_STATUSES),
    "owner": fields.required_key,
    "controller": fields.required_key,
    "mode": _member(_MODES),
}
