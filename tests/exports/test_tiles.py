"""The tiles of a ledger are a folder that any static web server can serve, and go on from what is in it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tallystick.ledger.proofs.checkpoint import parse_checkpoint
from tallystick.ledger.proofs.note import parse_note
from tallystick.ledger.proofs.tiles import parse_bundle
from tallystick.ledger.store.tree import leaf_hash, root_from_leaves
from tallystick.proofs import verify_checkpoint
from tests.cli.support import make_stories, tally
from tests.exports.parts import bodies, everything
from tests.notary.parts import Place

EVENTS = 31


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.new_key()
    make_stories(made.ledger)
    made.written(0)
    return made


@pytest.fixture
def words(place: Place) -> list[str]:
    return ["export", "--ledger", str(place.ledger), "--format", "tiles", "--json", "--out"]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """What `python -m http.server` does with a folder, on loopback, until the block is left."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def fetched(address: str) -> bytes:
    with urlopen(address, timeout=10) as answer:  # noqa: S310 - the server of this test
        content: bytes = answer.read()
    return content


def test_what_a_web_server_gives_is_the_whole_log_under_a_checkpoint_that_the_key_signed(
    place: Place, words: list[str], tmp_path: Path
) -> None:
    made = tally(*words, str(tmp_path / "public"))

    assert (0, EVENTS, place.origin) == (made.code, made.data["size"], made.data["origin"])
    with served(tmp_path / "public") as address:
        note = fetched(f"{address}/checkpoint")
        hashes = fetched(f"{address}/tile/0/000.p/{EVENTS}")
        records = parse_bundle(fetched(f"{address}/tile/entries/000.p/{EVENTS}"))
    verify_checkpoint(note, place.verifiers[0])
    assert [body for _, body in bodies(place.ledger)] == list(records)
    assert b"".join(map(leaf_hash, records)) == hashes
    assert root_from_leaves(list(map(leaf_hash, records))) == parse_checkpoint(parse_note(note).text).root_hash


def test_a_second_export_writes_only_what_is_new(place: Place, words: list[str], tmp_path: Path) -> None:
    out = str(tmp_path / "public")
    first = tally(*words, out).data
    again = tally(*words, out).data
    with place.open(0) as ledger:
        ledger.create(runtime="cli", task="later", owner="o")
    later = tally(*words, out).data

    assert (1, 1, 0) == (first["tiles"], first["bundles"], first["kept"])
    assert (0, 0, 2) == (again["tiles"], again["bundles"], again["kept"])
    assert (1, 1, EVENTS + 1) == (later["tiles"], later["bundles"], later["size"])


def test_a_folder_with_the_tiles_of_another_log_stays_as_it_is(words: list[str], tmp_path: Path) -> None:
    out = tmp_path / "public"
    tally(*words, str(out))
    before = everything(out)
    (tmp_path / "elsewhere").mkdir()
    other = Place(tmp_path / "elsewhere", "example.org/another")
    other.new_key()
    make_stories(other.ledger)
    other.written(0)

    done = tally("export", "--ledger", str(other.ledger), "--format", "tiles", "--out", str(out))

    assert (2, before) == (done.code, everything(out))


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ([], "out"),
        (["--out", "-"], "out"),
        (["--out", "public", "--since", "1h"], "since"),
        (["--out", "public", "--until-position", "3"], "until-position"),
        (["--out", "public", "run-7"], "lookup"),
    ],
)
def test_standard_output_and_a_part_of_the_log_are_refused(words: list[str], more: list[str], field: str) -> None:
    done = tally(*words[:-1], *more)

    assert (2, field) == (done.code, done.error["field"])


def test_without_a_key_or_a_checkpoint_it_says_what_to_do(place: Place, words: list[str], tmp_path: Path) -> None:
    place.written()
    done = tally(*words, str(tmp_path / "public"))

    assert 1 == done.code
    assert "[integrity] key" in done.error["message"]
    assert not (tmp_path / "public").exists()
