"""NDJSON: every event on a line of its own, so that the very same log can be made of the file again."""

from importlib.metadata import version
from typing import BinaryIO

from tallystick.exports.lines import FIRST, FORMAT, VERSION, End, Gone, Header, Line, event_line, written
from tallystick.exports.source import Source
from tallystick.ledger.events import Event
from tallystick.ledger.limits import EXPORT_SLICE_EVENTS
from tallystick.ledger.payloads import Payloads
from tallystick.ledger.store.port import Body, Deleted, Stored
from tallystick.ledger.store.tree import HASH_BYTES, Tree, leaf_hash

_NO_HASH = bytes(HASH_BYTES)


def write(source: Source, out: BinaryIO) -> None:
    """Write the header, a line for each record, and the end."""
    is_whole = source.selection.is_whole
    header = Header(
        format=FORMAT,
        version=VERSION if source.has_payloads else FIRST,
        made_at=source.made_at,
        made_by=f"tallystick {version('tallystick')}",
        ledger=source.identity,
        size=source.size,
        whole=is_whole,
        root_hash=source.root_hash if is_whole else None,
        selection=source.selection.said() or None,
    )
    out.write(written(header) + b"\n")
    tree, leaves, lines = Tree(), [], []
    for stored, body, payloads in source.entries():
        leaf = leaf_hash(body) if isinstance(stored, Event) and isinstance(body, bytes) else None
        if leaf is None:
            leaf = source.leaf_at(stored.position)
        lines.append(_line(stored, body, leaf, payloads))
        leaves.append(_NO_HASH if leaf is None else leaf)
        if len(lines) == EXPORT_SLICE_EVENTS:
            out.write(b"\n".join(lines) + b"\n")
            tree = tree.extend(leaves).tree
            leaves, lines = [], []
    tree = tree.extend(leaves).tree
    end = End(
        end=True,
        events=source.event_count,
        damaged=source.damaged,
        deleted=source.deleted,
        root_hash=tree.edge.root() if is_whole else None,
    )
    out.write(b"\n".join([*lines, written(end)]) + b"\n")
    source.computed_root = end.root_hash


def _line(stored: Stored, body: Body, leaf: bytes | None, payloads: Payloads) -> bytes:
    if isinstance(stored, Event):
        assert isinstance(body, bytes), "what can be read has bytes"
        return event_line(stored, body, payloads)
    if isinstance(stored, Deleted):
        gone = Gone(by=stored.by, at=stored.at, reason=stored.reason)
        return written(Line(position=stored.position, deleted=gone, leaf_hash=leaf))
    kept = body if isinstance(body, bytes) else None
    return written(Line(position=stored.position, damaged=stored.detail, leaf_hash=leaf, body=kept))
