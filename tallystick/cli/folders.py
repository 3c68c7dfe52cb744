"""The exports that are folders: tiles for a web server, and bundles of evidence."""

import getpass
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tallystick.cli.answer import EXIT_DAMAGED, EXIT_OK, Answer, present
from tallystick.cli.bar import bar
from tallystick.cli.call import Call
from tallystick.cli.flow_lookup import either_id_of
from tallystick.cli.screen import Screen
from tallystick.ledger.errors import InvalidInput
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.exports.bundle import Bundled
    from tallystick.tiles import TilesWritten


def tiles(call: Call, out: Path) -> Answer:
    """Write the whole log as files for a static web server, or what is new of it."""
    from tallystick.config import load
    from tallystick.ledger.store.disk import DiskLog
    from tallystick.projections.attested import cosigned
    from tallystick.proving import beside
    from tallystick.tiles import write_tiles

    settings = load(call.folder, call.config, channels=False).integrity
    with call.readings() as readings, bar("Exporting") as told:
        if not isinstance(readings.log, DiskLog):
            raise InvalidInput("ledger", str(call.folder), "a ledger on disk")
        checkpoint = cosigned(readings.log, beside(readings.log, settings))
        written = write_tiles(readings.log, out, checkpoint, progress=told)
    data = {
        "ok": True,
        "format": "tiles",
        "path": written.path,
        "origin": written.origin,
        "size": written.size,
        "rootHash": written.root_hash.hex(),
        "tiles": written.tiles,
        "bundles": written.bundles,
        "kept": written.kept,
        "removed": written.removed,
        "bytes": written.bytes,
        "minimumIndex": written.minimum_index,
    }
    return Answer(data, lambda screen: _tile_lines(screen, written))


def _tile_lines(_screen: Screen, written: "TilesWritten") -> Iterator[str]:
    yield f"exported   {plain(written.path)}"
    yield f"log        {plain(written.origin)}, {written.size:,} records"
    yield f"root hash  {written.root_hash.hex()}"
    files = f"{written.tiles:,} tiles of hashes, {written.bundles:,} bundles of records"
    yield f"written    {files}, {written.bytes:,} bytes"
    yield f"kept       {written.kept:,} files that were there"
    if written.minimum_index:
        yield f"deleted    {written.minimum_index:,} records, with their archives: only their hashes are there"


def bundle(call: Call, out: Path, now: int, **given: Any) -> Answer:
    """Write the evidence of what is selected."""
    from tallystick.config import load
    from tallystick.exports.bundle import write_bundle
    from tallystick.exports.selection import EVENTS, Selection

    if given.pop("rows") not in (None, EVENTS):
        raise InvalidInput("rows", "tasks", "events: a bundle has no others")
    selection = Selection(**{name: value for name, value in given.items() if value is not None})
    settings = load(call.folder, call.config, channels=False).integrity
    with call.readings() as readings, bar("Exporting") as told:
        if selection.lookup is not None:
            selection = replace(selection, lookup=either_id_of(readings, selection.lookup)[0])
        made = write_bundle(readings, out, selection, settings, now=now, by=_somebody(), told=told)
    about = made.about
    data = present(
        ok=not about.damaged,
        format="bundle",
        path=made.path,
        origin=about.ledger,
        size=about.size,
        rootHash=about.root_hash,
        events=about.events,
        damaged=about.damaged,
        deleted=about.deleted,
        attested=made.attested,
        files=made.files,
        bytes=made.bytes,
    )
    code = EXIT_DAMAGED if about.damaged else EXIT_OK
    return Answer(data, lambda screen: _bundle_lines(screen, made), code)


def _somebody() -> str:
    """Who this is, as this host calls them."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def _bundle_lines(screen: Screen, made: "Bundled") -> Iterator[str]:
    about = made.about
    yield f"exported   {plain(made.path)}"
    yield f"has        {about.events:,} events, each with its proof, in {made.files:,} files, {made.bytes:,} bytes"
    yield f"log        {plain(about.ledger)}, {about.size:,} records"
    yield f"root hash  {about.root_hash}"
    if made.attested is None:
        yield 'seen by    nobody else: it has only the ledger\'s own signature. "tally attest" asks others.'
    else:
        yield f"seen by    others, up to position {made.attested:,}"
    if about.deleted:
        yield f"{about.deleted:,} events were deleted with their archive: only their hashes are here."
    if about.damaged:
        noun = "record is" if about.damaged == 1 else "records are"
        yield screen.colour(f'{about.damaged:,} {noun} damaged: the bundle says so. See "tally verify".', "red")
