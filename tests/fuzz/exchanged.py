"""What is exchanged: exports, bundles of evidence and databases of OpenClaw, whoever made them."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import msgspec
from zstandard import ZstdCompressor

from tallystick.exports import manifest
from tallystick.exports.evidence import Evidence, verify_bundle
from tallystick.exports.lines import FORMAT, End, Header, Line, NoLine, event_line, read_line, restored, written
from tallystick.imports.database import COLUMNS, DELIVERIES, FLOWS, TASKS, Tables
from tallystick.imports.database import read as read_database
from tallystick.imports.exported import ExportFile
from tallystick.imports.planning import plan
from tallystick.imports.rebuild import rebuild
from tallystick.ledger.errors import Corrupt, InvalidInput, NewerFormat, NotProved
from tallystick.ledger.payloads import filled
from tallystick.ledger.store import codec
from tallystick.ledger.store.tree import Tree, leaf_hashes
from tests.aside import kept_log
from tests.exports.evidence import bundled, contents, listed
from tests.exports.parts import FLOW, NOW_MS, active, exported, fill, logged, make_openclaw, read, task
from tests.fuzz.records import EVENTS, bodies, cut, joined
from tests.fuzz.target import Target, place
from tests.notary.parts import Place
from tests.story import Story

# Exports.


@cache
def _export() -> bytes:
    return exported(read(logged(EVENTS)))[0]


@cache
def _export_of_kept() -> bytes:
    """The same of a log that keeps all content beside itself."""
    return exported(read(kept_log(EVENTS)))[0]


def _lines() -> list[bytes]:
    return [line for whole in (_export(), _export_of_kept()) for line in whole.splitlines()[1:]]


def _file(data: bytes) -> None:
    path = place("exports") / "export.ndjson"
    path.write_bytes(data)
    found = ExportFile.open(path)
    found.verify()
    roots = {log.tree_head().root_hash for log in (logged(EVENTS), kept_log(EVENTS))}
    assert found.header.root_hash in roots


def _line(data: bytes) -> None:
    line = read_line(data)
    if not isinstance(line, End) and not line.is_gap:
        found = restored(line)
        event = filled(codec.decode(found.body), found.payloads)
        again = read_line(event_line(event, found.body, found.payloads))
        assert isinstance(again, Line)
        assert found == restored(again)


def _forged(data: bytes) -> None:
    """Records that can be read, with the root that they have: the log of them is made, or they are refused."""
    found: list[bytes] = []
    lines: list[bytes] = []
    for body in cut(data):
        try:
            lines.append(event_line(codec.decode(body), body))
        except Corrupt:
            continue
        found.append(body)
    root = Tree().extend(leaf_hashes(found)).tree.edge.root()
    size = len(found)
    header = Header(
        format=FORMAT, version=1, made_at=1, made_by="me", ledger="x", size=size, whole=True, root_hash=root
    )
    end = End(end=True, events=size, damaged=0, deleted=0, root_hash=root)
    path = place("exports") / "forged.ndjson"
    path.write_bytes(b"\n".join([written(header), *lines, written(end), b""]))
    ledger = place("exports") / "ledger"
    try:
        assert root == rebuild(path, ledger, now=NOW_MS).root_hash
    finally:
        _remove(ledger)


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


# Bundles.


@cache
def _bundle() -> tuple[Place, Path, Evidence]:
    """A place with a key, a bundle, and what it shows."""
    made = Place(place("bundles"))
    made.new_key()
    folder = made.beside / "bundle"
    bundled(logged(EVENTS), made, folder)
    return made, folder, verify_bundle(folder, made.verifiers[0])


@cache
def _zips() -> list[bytes]:
    """The same bundle in zips of both kinds that are read."""
    made, folder, _ = _bundle()
    found: list[bytes] = []
    for compression in (ZIP_STORED, ZIP_DEFLATED):
        path = made.beside / "bundle.zip"
        with ZipFile(path, "w", compression) as archive:
            for name, content in contents(folder).items():
                archive.writestr(name, content)
        found.append(path.read_bytes())
    return found


def _zip(data: bytes) -> None:
    made, _, evidence = _bundle()
    path = made.beside / "spoiled.zip"
    path.write_bytes(data)
    assert evidence == verify_bundle(path, made.verifiers[0])


@cache
def _parts() -> list[str]:
    """The files of the bundle; of the proofs the first three."""
    _, folder, _ = _bundle()
    names = sorted(contents(folder))
    return [name for name in names if not name.startswith("proofs/")] + [manifest.proof_path(at) for at in (1, 2, 3)]


def _part(data: bytes) -> None:
    """One file of a bundle was replaced, and the manifest says so."""
    made, folder, evidence = _bundle()
    name = _parts()[data[0] % len(_parts())]
    path = folder / name
    sound, said = path.read_bytes(), (folder / manifest.MANIFEST).read_bytes()
    try:
        path.write_bytes(data[1:])
        if name != manifest.MANIFEST:
            listed(folder)
        assert evidence == verify_bundle(folder, made.verifiers[0])
    finally:
        path.write_bytes(sound)
        (folder / manifest.MANIFEST).write_bytes(said)


# OpenClaw.


@cache
def _database() -> bytes:
    path = place("databases") / "openclaw.sqlite"
    make_openclaw(path)
    fill(path, TASKS, task("a"), active("b"))
    fill(path, FLOWS, FLOW)
    fill(path, DELIVERIES, {"task_id": "a", "requester_origin_json": '{"channel":"c"}'})
    return path.read_bytes()


def _planned(tables: Tables) -> None:
    found = plan(tables)
    imported = len(found.tasks) + found.deliveries + len(found.flows) + len(found.mirrors)
    rows = len(tables.tasks) + len(tables.deliveries) + len(tables.flows)
    assert rows == imported + len(found.quarantined)
    for told in found.tasks:
        story = Story(told.created)
        for move in told.moves:
            story.tell(move.fact, occurred_at=move.at)
        assert (told.status, told.ended_at) == (story.record.status, story.record.ended_at)


def _openclaw(data: bytes) -> None:
    path = place("databases") / "spoiled.sqlite"
    path.write_bytes(data)
    _planned(read_database(path))


_Rows = Mapping[str, Any]
_read_rows = msgspec.msgpack.Decoder(tuple[list[_Rows], list[_Rows], list[_Rows]]).decode
_SQLITE = (type(None), int, float, str, bytes)


def _rows(data: bytes) -> None:
    """Rows of the tables, as far as a database can have such values."""
    given = []
    for table, rows in zip((TASKS, DELIVERIES, FLOWS), _read_rows(data), strict=True):
        blank = dict.fromkeys(COLUMNS[table])
        given.append(
            tuple({**blank, **{name: said for name, said in row.items() if isinstance(said, _SQLITE)}} for row in rows)
        )
    _planned(Tables(*given))


_UNREAD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # no rows at all
_NAMES = (*COLUMNS[TASKS], *COLUMNS[FLOWS], "succeeded", "queued", "task_mirrored", "managed", "blocked")
_LINE_NAMES = (*json.loads(_export().splitlines()[1]), "damaged", "deleted", "body", "leafHash", "end", "rootHash")
_IMPORT = (InvalidInput, NewerFormat)

TARGETS = (
    Target(
        name="export",
        seeds=lambda: [_export(), _export_of_kept(), ZstdCompressor().compress(_export())],
        read=_file,
        refusals=_IMPORT,
        words=_LINE_NAMES,
    ),
    Target(name="line", seeds=_lines, read=_line, refusals=(NoLine,), words=_LINE_NAMES),
    Target(name="export-forged", seeds=lambda: [joined(*bodies())], read=_forged, refusals=_IMPORT),
    Target(name="bundle-zip", seeds=_zips, read=_zip, refusals=(InvalidInput, NotProved)),
    Target(
        name="bundle-part",
        seeds=lambda: [bytes([number]) + (_bundle()[1] / name).read_bytes() for number, name in enumerate(_parts())],
        read=_part,
        refusals=(InvalidInput, NotProved, IndexError),
        words=_LINE_NAMES,
    ),
    Target(
        name="openclaw",
        seeds=lambda: [_database()],
        read=_openclaw,
        refusals=(InvalidInput,),
        words=("CREATE TABLE", "CREATE VIEW", "AS SELECT", "WITH RECURSIVE", *_NAMES),
    ),
    Target(
        name="openclaw-rows",
        seeds=lambda: [
            msgspec.msgpack.encode(([task("a"), active("b")], [{"task_id": "a"}], [FLOW])),
            msgspec.msgpack.encode(
                ([task("a", parent_flow_id="m")], [], [{**FLOW, "flow_id": "m", "sync_mode": "task_mirrored"}])
            ),
        ],
        read=_rows,
        refusals=_UNREAD,
        words=_NAMES,
    ),
)
