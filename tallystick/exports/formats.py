"""The formats: what a ledger can be exported as. Tables: they load none of them."""

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import BinaryIO, TypeAlias

from msgspec import Struct

from tallystick.exports.selection import EVENTS, TASKS, Rows
from tallystick.exports.source import Source
from tallystick.ledger.errors import InvalidInput

EXTRA = "pip install 'tallystick[export]'"

Writer: TypeAlias = Callable[[Source, BinaryIO], None]
"""Writes all that a source has."""


class Format(Struct, frozen=True, kw_only=True):
    """A format: the module that writes it, what its rows can be, the first of them unless something else is said.

    `suffix` ends the names of its files; `library` is what has to be installed for it; `is_binary` is nothing for eyes.
    """

    module: str
    says: str
    suffix: str
    rows: tuple[Rows, ...] = (EVENTS,)
    library: str | None = None
    is_binary: bool = False


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "ndjson": Format(
            module="ndjson", says="every event, a line of JSON each; lossless, and can be imported", suffix=".ndjson"
        ),
        "cloudevents": Format(
            module="cloudevents", says="every event as a CloudEvent 1.0, a line of JSON each", suffix=".ndjson"
        ),
        "csv": Format(module="spreadsheet", says="a table for spreadsheets", suffix=".csv", rows=(TASKS, EVENTS)),
        "parquet": Format(
            module="parquet",
            says="a table with typed columns",
            suffix=".parquet",
            rows=(TASKS, EVENTS),
            library="pyarrow",
            is_binary=True,
        ),
        "xes": Format(
            module="xes", says="a trace for each task, for process mining (IEEE 1849)", suffix=".xes", rows=(TASKS,)
        ),
        "ocel": Format(
            module="ocel",
            says="tasks, flows, sessions, messages and their events (OCEL 2.0)",
            suffix=".jsonocel",
            rows=(TASKS,),
        ),
        "pnml": Format(
            module="pnml",
            says="no data, but the life of a task as a Petri net, to check traces by",
            suffix=".pnml",
            rows=(TASKS,),
        ),
    }
)

FOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "tiles": "a folder with the whole log for a static web server (C2SP tlog-tiles)",
        "bundle": "a folder, or a .zip, of evidence: events, proofs, a checkpoint, and a page for people",
    }
)
"""What needs several files, and a checkpoint: `tiles.write_tiles` and `bundle.write_bundle` write them."""


def format_named(name: str) -> Format:
    """Return the format with this name. Raises `InvalidInput`, which lists them."""
    found = FORMATS.get(name)
    if found is None:
        raise InvalidInput("format", name, ", ".join(FORMATS))
    return found


def writer_of(name: str) -> Writer:
    """Load what writes a format. Raises `InvalidInput` for one that is not known, or whose library is not installed."""
    wanted = format_named(name)
    try:
        module = import_module(f"tallystick.exports.{wanted.module}")
    except ModuleNotFoundError as error:
        if wanted.library is None or error.name != wanted.library:
            raise
        raise InvalidInput("format", name, f"a format whose library is installed ({error.name}): {EXTRA}") from error
    write: Writer = module.write
    return write
