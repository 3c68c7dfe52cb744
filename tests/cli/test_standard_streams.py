"""Standard streams and files: what is full is named, what is closed hinders nobody, and bytes stay as they are."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.attesting.witness import Witness, serving
from tests.cli.support import COMMAND, OWNER, make_stories, tally
from tests.notary.parts import ORDINARY, Place

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(
    not FULL.exists() or sys.platform != "linux", reason="needs a device that is always full"
)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("streams") / "ledger"
    make_stories(folder)
    return str(folder)


def into_full(*words: str, is_buffered: bool) -> tuple[int, str]:
    """How a command ends whose standard output is full, and what it says of that."""
    others = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment = others if is_buffered else {**others, "PYTHONUNBUFFERED": "1"}
    with FULL.open("wb") as full:
        done = subprocess.run(
            [*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, env=environment, text=True, check=False
        )
    return done.returncode, done.stderr


@needs_full
@pytest.mark.slow
@pytest.mark.parametrize("is_buffered", [True, False])
@pytest.mark.parametrize(
    "words", [("list",), ("list", "--json"), ("verify",), ("watch", "--after", "0"), ("export", "--format", "ndjson")]
)
def test_standard_output_on_a_full_disk_is_named(ledger: str, words: tuple[str, ...], *, is_buffered: bool) -> None:
    code, err = into_full(*words, "--ledger", ledger, is_buffered=is_buffered)

    assert (1, "standard output: No space left on device. Not all of the answer is there.\n") == (code, err)


@needs_full
def test_a_failure_for_which_standard_output_has_no_room_is_told_elsewhere(ledger: str) -> None:
    code, err = into_full("show", "nobody", "--ledger", ledger, "--json", is_buffered=True)

    assert 1 == code
    assert err.startswith("Task not found: nobody.")
    assert "standard output: No space left on device" in err


@contextmanager
def no_file_may_grow() -> Iterator[None]:
    """As on a full disk."""
    before, bound = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, bound[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, bound)
        signal.signal(signal.SIGXFSZ, before)


def test_a_file_for_which_there_is_no_room_is_named_and_not_there(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with serving(Witness(place.new_key())) as witness:
        place.written(0, witness=witness.configured)
        with place.open(0, witness=witness.configured) as opened:
            opened.create(**ORDINARY)
            opened.attest()
    proof, seen, ledger = tmp_path / "proof", tmp_path / "seen", ("--ledger", str(place.ledger))
    seen.mkdir()
    with no_file_may_grow():
        proved, told = tally("prove", "1", "--out", str(proof), *ledger), tally("attest", "--out", str(seen), *ledger)

    assert (1, True) == (proved.code, str(proof) in proved.err)
    assert (2, True) == (told.code, str(seen) in told.err)
    assert not proof.exists()
    assert [] == list(seen.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "0<&-", "0<&- 1>&-", "0<&- 1>&- 2>&-"])
def test_with_standard_streams_that_are_closed_a_command_does_what_it_does(ledger: str, closed: str) -> None:
    before = tally("verify", "--ledger", ledger, "--json").data["events"]
    words = [*COMMAND, "run", "--ledger", ledger, "--owner", OWNER, "--", "true"]
    done = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *words], capture_output=True, check=False)
    after = tally("verify", "--ledger", ledger, "--json").data

    assert (0, b"", b"") == (done.returncode, done.stdout, done.stderr)
    assert (True, before + 3) == (after["ok"], after["events"])


ORIGIN = "example.org/gr\u00f6\u00dfe/\u6f22"  # no encoding of one byte has all of it


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_what_is_a_file_is_written_byte_by_byte_in_whatever_encoding_people_read(tmp_path: Path, encoding: str) -> None:
    place = Place(tmp_path, ORIGIN)
    verifier = place.new_key()
    place.written(0)
    with place.open(0) as opened:
        opened.create(**ORDINARY)

    def into(name: str, *words: str) -> str:
        environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
        with (tmp_path / name).open("wb") as file:
            subprocess.run([*COMMAND, *words], stdout=file, env=environment, check=True)
        return str(tmp_path / name)

    ledger, key = ("--ledger", str(place.ledger)), str(place.files[0])
    pinned = into("pinned", "keys", "show", key)
    made, proof = into("made", "checkpoint", *ledger), into("proof", "prove", "1", "--out", "-", *ledger)
    signed = into("signed", "keys", "sign", "--file", key, into("text", "checkpoint", "--unsigned", *ledger))

    assert f"{verifier}\n".encode() == Path(pinned).read_bytes()
    assert Path(made).read_bytes() == Path(signed).read_bytes()
    for given in (("--checkpoint", made, *ledger), ("--proof", proof)):
        assert 0 == tally("verify", *given, "--key", pinned).code
