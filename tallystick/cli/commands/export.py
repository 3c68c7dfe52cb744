"""`tally export`: what the ledger has, in a form that other programs read."""

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from tallystick.cli.answer import EXIT_DAMAGED, EXIT_OK, Answer, heard, hush, present
from tallystick.cli.bar import bar
from tallystick.cli.call import Call
from tallystick.cli.command import LOOKUP, PATH, OneOf
from tallystick.cli.command import command as _command
from tallystick.cli.flow_lookup import either_id_of
from tallystick.cli.screen import Screen, screen_of
from tallystick.cli.times import moment, now_ms
from tallystick.exports.formats import FOLDERS, FORMATS
from tallystick.exports.selection import EVENTS, TASKS
from tallystick.ledger.errors import InvalidInput
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.exports.exporting import Exported

_SAID = {**{name: form.says for name, form in FORMATS.items()}, **FOLDERS}
_FORMATS = "\n".join(f"    {name:<12} {says}" for name, says in _SAID.items())


@_command(
    "export",
    json="""{ok, format, rows, path, events, tasks, damaged, deleted, bytes, head, rootHash, whole, seconds};
    with the export itself on standard output, on standard error
    tiles: {ok, format, path, origin, size, rootHash, tiles, bundles, kept, removed, bytes, minimumIndex}
    bundle: {ok, format, path, origin, size, rootHash, events, damaged, deleted, attested, files, bytes}""",
    help=f"""\b
{_FORMATS}

    Goes to standard output, or to the file that --out names, which is there when it is whole; a name that ends in .zst
    is compressed. LOOKUP is one task or flow, as in "tally timeline". T is a moment ("2026-09-21T14:15"), a duration
    until now ("2h") or milliseconds: of events, when they were recorded; of tasks, when they were created.

    Records that cannot be read, and those that were deleted with their archive, are in the export as lines that say so.
    Exits with 4 when some were damaged.

    "tiles" and "bundle" need --out, and a checkpoint: one that is signed now, as in "tally prove", or the newest that
    is kept. Tiles go on from what is in the folder. A bundle is new; "tally verify --bundle" verifies it.""",
)
@click.option("--format", "format_", type=OneOf(_SAID), required=True, help="What to write.")
@click.option("--rows", type=OneOf((EVENTS, TASKS)), help="Of a table: a row for each task, or for each event.")
@click.option("--since", metavar="T", help="From this moment on.")
@click.option("--until", metavar="T", help="Before this moment.")
@click.option("--after", type=int, metavar="N", help="Events behind this position.")
@click.option("--until-position", type=int, metavar="N", help="Events up to this position.")
@click.option("--out", type=PATH, metavar="FILE", help="Write this file, or folder; - is standard output.")
@click.argument("lookup", required=False, type=LOOKUP)
def command(call: Call, *, format_: str, out: Path | None, **given: Any) -> Answer | int:
    """Export a ledger."""
    from tallystick.config import load
    from tallystick.exports.exporting import export, selection_of
    from tallystick.exports.formats import writer_of

    if format_ not in _SAID:
        raise InvalidInput("format", format_, ", ".join(_SAID))
    now = now_ms()
    for name in ("since", "until"):
        if given[name] is not None:
            given[name] = moment(name, given[name], now)
    if format_ in FOLDERS:
        from tallystick.cli.folders import bundle, tiles

        if out is None or str(out) == "-":
            raise InvalidInput("out", "standard output" if out else None, "a folder: --out FOLDER")
        if format_ == "bundle":
            return bundle(call, out, now, **given)
        said = next((name for name, value in given.items() if value is not None), None)
        if said is not None:
            raise InvalidInput(said.replace("_", "-"), given[said], "nothing with tiles, which are of the whole log")
        return tiles(call, out)
    selection = selection_of(format_, **given)
    writer_of(format_)  # before anything is opened: what cannot be written need not be read
    origin = load(call.folder, call.config, channels=False).integrity.origin
    is_piped = out is None or str(out) == "-"
    if is_piped and FORMATS[format_].is_binary and sys.stdout.isatty():
        raise InvalidInput("out", "a terminal", "a file or a pipe: --out FILE")
    with call.readings() as readings, bar("Exporting") as told:
        if selection.lookup is not None:
            selection = replace(selection, lookup=either_id_of(readings, selection.lookup)[0])
        target = sys.stdout.buffer if is_piped or out is None else out
        try:
            with heard() if is_piped else nullcontext():
                made = export(readings, format_, target, selection, now=now, origin=origin, told=told)
                sys.stdout.flush()
        except BrokenPipeError:
            hush()
            return EXIT_OK
    code = EXIT_OK if made.is_sound else EXIT_DAMAGED
    answer = Answer(as_data(made), lambda screen: _lines(screen, made), code)
    if not is_piped:
        return answer
    if call.json:
        from tallystick.cli.answer import as_json

        print(as_json(answer.data), file=sys.stderr)
    elif not made.is_sound or made.deleted:
        print(*_gaps(screen_of(sys.stderr), made), sep="\n", file=sys.stderr)
    return code


def as_data(made: "Exported") -> dict[str, Any]:
    """Return an export as JSON says it."""
    return present(
        ok=made.is_sound,
        format=made.format,
        rows=made.rows,
        path=made.path,
        events=made.events,
        tasks=made.tasks if made.rows == TASKS else None,
        damaged=made.damaged,
        deleted=made.deleted,
        bytes=made.bytes,
        head=made.head,
        rootHash=None if made.root_hash is None else made.root_hash.hex(),
        whole=made.is_whole,
        seconds=made.seconds,
    )


def _lines(screen: Screen, made: "Exported") -> Iterator[str]:
    what = f"{made.tasks:,} tasks" if made.rows == TASKS else f"{made.events:,} events"
    yield f"exported   {plain(made.path or '')}"
    yield f"has        {what}, of a log with {made.head:,}"
    if made.root_hash is not None and made.is_whole:
        yield f"root hash  {made.root_hash.hex()}"
    yield f"size       {made.bytes:,} bytes"
    yield f"took       {made.seconds:.2f} s"
    yield from _gaps(screen, made)


def _gaps(screen: Screen, made: "Exported") -> Iterator[str]:
    if made.deleted:
        yield f"{made.deleted:,} events were deleted with their archive: the export says so in their places."
    if made.damaged:
        noun = "record is" if made.damaged == 1 else "records are"
        yield screen.colour(f'{made.damaged:,} {noun} damaged: the export says so. See "tally verify".', "red")
    elif not made.is_sound:
        yield screen.colour('The root of what was written is not that of the log. See "tally verify".', "red")
