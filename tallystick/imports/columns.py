"""The columns of a row, one value at a time: what it may be, and what a row that contradicts itself is told. Pure."""

from collections.abc import Iterable
from typing import Any, TypeVar

from msgspec import Struct

from tallystick.imports.database import Row
from tallystick.ledger.fields import INTEGER_MAX, INTEGER_MIN
from tallystick.ledger.limits import TIME_MS_MAX

Member = TypeVar("Member", bound=str)

SHOWN_CHARACTERS = 80
_MOMENT = f"whole milliseconds since 1970 (UTC), from 0 to {TIME_MS_MAX}"


class Quarantined(Struct, frozen=True, kw_only=True):
    """A row that was left out: which, the column that cannot be so, what stands there, and why that cannot be."""

    table: str
    row: str
    field: str
    value: str
    why: str


class Contradiction(Exception):
    """A row cannot be so."""

    def __init__(self, field: str, value: object, why: str) -> None:
        super().__init__(field)
        self.field, self.value, self.why = field, shown(value), why

    def of(self, table: str, row: str) -> Quarantined:
        """Return what is told of the row."""
        return Quarantined(table=table, row=row, field=self.field, value=self.value, why=self.why)


def shown(value: object) -> str:
    """Return a value as it is told: a text as it is, cut when it is long; nothing for none."""
    said = "" if value is None else value if isinstance(value, str) else repr(value)
    said = said.encode("utf-8", "replace").decode()
    return said if len(said) <= SHOWN_CHARACTERS else f"{said[: SHOWN_CHARACTERS - 1]}…"


class Columns:
    """One row. Each question raises `Contradiction` for a value that it cannot answer with."""

    def __init__(self, row: Row) -> None:
        self._row = row

    def raw(self, name: str) -> object:
        """Return what stands there."""
        return self._row.get(name)

    def text(self, name: str) -> str | None:
        """Return a text; None for a blank."""
        value = self.raw(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise Contradiction(name, value, "it is no text")
        return value

    def needed(self, name: str) -> str:
        """Return a text that must be there."""
        value = self.text(name)
        if value is None:
            raise Contradiction(name, None, "it is blank")
        return value

    def number(self, name: str) -> int | None:
        """Return a whole number; None for none."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, int) or not INTEGER_MIN <= value <= INTEGER_MAX:
            raise Contradiction(name, value, "it is no whole number")
        return value

    def moment(self, name: str) -> int | None:
        """Return a moment; None for none."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, int) or not 0 <= value <= TIME_MS_MAX:
            raise Contradiction(name, value, f"it is no moment: {_MOMENT}")
        return value

    def needed_moment(self, name: str) -> int:
        """Return a moment that must be there."""
        value = self.moment(name)
        if value is None:
            raise Contradiction(name, None, "it is blank")
        return value

    def one_of(self, name: str, members: Iterable[Member], absent: Member | None = None) -> Member:
        """Return the member of a closed set that stands there; `absent` for a blank, if there may be one."""
        value = self.text(name)
        if value is None and absent is not None:
            return absent
        known: dict[Any, Member] = {str(member): member for member in members}
        if value not in known:
            raise Contradiction(name, value, f"it is not one of {', '.join(sorted(known))}")
        return known[value]
