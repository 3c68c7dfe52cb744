"""CSV: a table as RFC 4180 has it, in UTF-8, that no spreadsheet takes for a program.

A spreadsheet computes a cell that begins with one of `=`, `+`, `-`, `@`, a tab or a carriage return, and what agents
write is not to be trusted with that. So a text that begins with one of these, or with an apostrophe, gets an apostrophe
in front; whoever wants the text to the letter takes one away from each cell that begins with one. Numbers are as they
are.
"""

import csv
import io
from typing import Any, BinaryIO

import msgspec

from tallystick.exports.source import Source
from tallystick.exports.table import Column, Kind, columns_of, rows_of
from tallystick.ledger.limits import EXPORT_SLICE_EVENTS

COMPUTED = ("=", "+", "-", "@", "\t", "\r")
"""What begins a cell that is computed."""

_GUARD = "'"
_GUARDED = (*COMPUTED, _GUARD)
_PLAIN = frozenset({Kind.NUMBER, Kind.MOMENT})
_AS_JSON = frozenset({Kind.TEXTS, Kind.PAIRS, Kind.AMOUNTS})


def write(source: Source, out: BinaryIO) -> None:
    """Write a row with the names of the columns, then the rows."""
    columns = columns_of(source)
    text = io.StringIO()
    table = csv.writer(text)  # its line breaks are those of the RFC
    table.writerow([column.name for column in columns])
    for number, row in enumerate(rows_of(source), 1):
        table.writerow([cell(column, value) for column, value in zip(columns, row, strict=True)])
        if number % EXPORT_SLICE_EVENTS == 0:
            out.write(text.getvalue().encode())
            text.seek(0)
            text.truncate()
    out.write(text.getvalue().encode())


def cell(column: Column, value: Any) -> str:
    """Return what stands in a cell; nothing where there is no value."""
    if value is None:
        return ""
    if column.kind in _PLAIN:
        return str(value)
    if column.kind is Kind.FLAG:
        return "true" if value else "false"
    text = msgspec.json.encode(value).decode() if column.kind in _AS_JSON else str(value)
    return f"{_GUARD}{text}" if text.startswith(_GUARDED) else text
