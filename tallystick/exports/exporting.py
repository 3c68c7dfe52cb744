"""Exporting: a part of a ledger, or all of it, written to a stream in one of the formats."""

import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

from msgspec import Struct

from tallystick.exports.formats import FORMATS, format_named, writer_of
from tallystick.exports.output import Counting, check_apart, compressed, is_compressed, to_file
from tallystick.exports.selection import TASKS, Rows, Selection
from tallystick.exports.source import Source, Told, nobody
from tallystick.ledger.errors import InvalidInput
from tallystick.readings import Readings

__all__ = ["FORMATS", "Exported", "export", "export_for", "selection_of"]


class Exported(Struct, frozen=True, kw_only=True):
    """An export that was written: what it has, and of which ledger.

    `damaged` records could not be read and `deleted` ones are gone with their archive: the file says so in their
    places. `head` is the length of the log then and `root_hash` its root; `is_whole` is every event of it, so that it
    can be imported, if the format can. `is_sound` is False when a record was damaged, or is not what was written.
    """

    format: str
    rows: Rows
    path: str | None
    events: int
    tasks: int
    damaged: int
    deleted: int
    head: int
    root_hash: bytes | None
    bytes: int
    is_whole: bool
    is_sound: bool
    seconds: float


def selection_of(format: str, *, rows: str | None = None, **selected: object) -> Selection:
    """Return what is exported in a format when this was said. Raises `InvalidInput`."""
    possible = format_named(format).rows
    if rows is None:
        rows = possible[0]
    elif rows not in possible:
        raise InvalidInput("rows", rows, f"{' or '.join(possible)}: {format} has no others")
    said = {name: value for name, value in selected.items() if value is not None}
    for name, value in said.items():
        if name not in Selection.__struct_fields__:
            raise InvalidInput(name, value, f"only {', '.join(Selection.__struct_fields__)}")
    return Selection(rows=rows, **said)  # type: ignore[arg-type]  # it looks at them


def export_for(
    readings: Readings,
    format: str,
    out: object,
    *,
    now: int,
    origin: str | None = None,
    rows: str | None = None,
    **selected: object,
) -> Exported:
    """Write what a program wants, to what it wants it written to. Raises as `export`."""
    selection = selection_of(format, rows=rows, **selected)
    if isinstance(out, str | os.PathLike):
        out = Path(os.fspath(out))
    elif not callable(getattr(out, "write", None)):
        raise InvalidInput("out", out, "a stream of bytes, or the path of a file")
    return export(readings, format, cast("BinaryIO | Path", out), selection, now=now, origin=origin)


def export(
    readings: Readings,
    format: str,
    out: BinaryIO | Path,
    selection: Selection,
    *,
    now: int,
    origin: str | None = None,
    told: Told = nobody,
) -> Exported:
    """Write what is selected of a ledger, as of now, to a stream or a file.

    A file is there when it is whole, compressed if its name ends in ".zst"; it replaces nothing of the ledger. Raises
    `InvalidInput`, `NotFound`, `Full`, `StoreError`; then no file is left.
    """
    began = time.monotonic()
    write = writer_of(format)
    if isinstance(out, Path) and readings.folder is not None:
        check_apart(out, readings.folder)
    source = Source(readings, selection, made_at=now, origin=origin, told=told)
    path = out if isinstance(out, Path) else None
    with ExitStack() as stack:
        below = stack.enter_context(to_file(out)) if isinstance(out, Path) else out
        counting = Counting(below)
        stream = cast("BinaryIO", counting)
        if is_compressed(path):
            stream = stack.enter_context(compressed(counting))
        write(source, stream)
    return Exported(
        format=format,
        rows=selection.rows,
        path=None if path is None else str(path.absolute()),
        events=source.event_count,
        tasks=source.task_count if selection.rows == TASKS else 0,
        damaged=source.damaged,
        deleted=source.deleted,
        bytes=counting.written,
        head=source.size,
        root_hash=source.root_hash,
        is_whole=selection.is_whole,
        is_sound=source.is_sound,
        seconds=round(time.monotonic() - began, 3),
    )
