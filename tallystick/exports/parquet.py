"""Parquet: a table with typed columns, written in groups of rows.

Moments are timestamps in UTC with milliseconds, closed sets are dictionaries, metadata and usage are maps. What has no
type of its own is JSON text.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO, cast

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tallystick.exports.source import Source
from tallystick.exports.table import Column, Kind, Row, columns_of, rows_of

GROUP_ROWS = 32_768  # in memory at a time, and in one group of the file
METADATA = b"tallystick"
"""The key of what the file says of itself: JSON."""

_TYPES: dict[Kind, pa.DataType] = {
    Kind.TEXT: pa.string(),
    Kind.WORD: pa.dictionary(pa.int32(), pa.string()),
    Kind.NUMBER: pa.int64(),
    Kind.MOMENT: pa.timestamp("ms", tz="UTC"),
    Kind.FLAG: pa.bool_(),
    Kind.TEXTS: pa.list_(pa.string()),
    Kind.PAIRS: pa.map_(pa.string(), pa.string()),
    Kind.AMOUNTS: pa.map_(pa.string(), pa.float64()),
    Kind.JSON: pa.string(),
}

_OF_64_BITS = range(-(2**63), 2**63)

assert set(_TYPES) == set(Kind), "a kind of column without a type"


def write(source: Source, out: BinaryIO) -> None:
    """Write all rows; a group of them is in memory at a time."""
    columns = columns_of(source)
    schema = pa.schema([(column.name, _TYPES[column.kind]) for column in columns], metadata={METADATA: _said(source)})
    sink = pa.PythonFile(_Sink(out), mode="w")
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for rows in _groups(rows_of(source)):
            writer.write_batch(pa.record_batch(_arrays(columns, rows, schema), schema=schema))


def _groups(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while group := list(islice(rows, GROUP_ROWS)):
        yield group


def _arrays(columns: tuple[Column, ...], rows: list[Row], schema: pa.Schema) -> list[pa.Array]:
    return [
        pa.array([_value(column, row[place]) for row in rows], type=schema.field(place).type)
        for place, column in enumerate(columns)
    ]


def _value(column: Column, value: Any) -> Any:
    """Return a value as its column takes it; none for a number that only a record can have that was changed."""
    if value is None:
        return None
    if column.kind in (Kind.NUMBER, Kind.MOMENT):
        return value if value in _OF_64_BITS else None
    return list(value.items()) if column.kind in (Kind.PAIRS, Kind.AMOUNTS) else value


def _said(source: Source) -> bytes:
    """What the file says of itself."""
    return msgspec.json.encode(
        {
            "madeAt": source.made_at,
            "ledger": source.identity,
            "size": source.size,
            "rootHash": source.root_hash,
            "rows": source.selection.rows,
            "selection": source.selection.said(),
        }
    )


class _Sink:
    """A stream of bytes as pyarrow wants a file: it asks where it stands, and never goes back."""

    def __init__(self, out: BinaryIO) -> None:
        self._out, self._at = out, 0
        self.closed = False

    def write(self, content: Any) -> int:
        """Pass it on."""
        raw = bytes(cast("bytes", content))
        self._out.write(raw)
        self._at += len(raw)
        return len(raw)

    def tell(self) -> int:
        """Return how much was written."""
        return self._at

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Leave the stream open: whoever opened it closes it."""
        self.closed = True

    def readable(self) -> bool:
        """It is not."""
        return False

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is not."""
        return False
