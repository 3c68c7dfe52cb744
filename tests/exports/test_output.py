"""An export is in its place when it is whole, and leaves nothing when it is not."""

import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

import pytest

import tallystick
from tallystick import Closed, InvalidInput, NotFound
from tallystick.exports.output import to_file
from tallystick.testing import HandClock, memory_ledger
from tests.cli.support import COMMAND, make_stories, tally
from tests.exports.parts import everything


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    """The folder of a ledger."""
    make_stories(tmp_path / "ledger")
    return str(tmp_path / "ledger")


def test_a_file_is_private_and_replaces_the_one_that_was_there(ledger: str, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old", "utf-8")

    tally("export", "--ledger", ledger, "--format", "csv", "--out", str(out))

    assert 0o600 == out.stat().st_mode & 0o777
    assert out.read_text("utf-8").startswith("taskId,")
    assert ["ledger", "out.csv"] == sorted(path.name for path in tmp_path.iterdir())


def test_a_failure_in_the_middle_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("old", "utf-8")

    def fail() -> None:
        with to_file(out) as stream:
            stream.write(b"half")
            raise NotFound("x")

    with pytest.raises(NotFound):
        fail()

    assert ("old", ["out"]) == (out.read_text("utf-8"), [path.name for path in tmp_path.iterdir()])


def test_a_link_stays_and_what_it_leads_to_is_replaced(ledger: str, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old", "utf-8")
    (tmp_path / "link").symlink_to("real")

    tally("export", "--ledger", ledger, "--format", "csv", "--out", str(tmp_path / "link"))

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text("utf-8").startswith("taskId,")


def test_a_pipe_is_written_to_and_not_replaced(ledger: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # never a device of the machine: whoever breaks this would replace it

    with ThreadPoolExecutor(1) as reading:
        content = reading.submit(pipe.read_bytes)
        assert 0 == tally("export", "--ledger", ledger, "--format", "ndjson", "--out", str(pipe)).code

    assert 33 == len(content.result().splitlines())
    assert pipe.is_fifo()


@pytest.mark.parametrize("place", ["nowhere/out", "ledger"])
def test_a_place_that_can_be_no_file_is_a_wrong_use(ledger: str, place: str, tmp_path: Path) -> None:
    said = tally("export", "--ledger", ledger, "--format", "csv", "--out", str(tmp_path / place), "--json")

    assert (2, "out") == (said.code, said.error["field"])


def test_a_name_that_is_no_utf_8_is_told_and_can_be_used_again(ledger: str, tmp_path: Path) -> None:
    out = tmp_path / os.fsdecode(b"\xff.csv")

    said = tally("export", "--ledger", ledger, "--format", "csv", "--out", str(out), "--json")

    assert (0, str(out)) == (said.code, said.data["path"])
    assert out.exists()


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127])
def test_a_name_may_be_as_long_as_names_may_be(ledger: str, name: str, tmp_path: Path) -> None:
    said = tally("export", "--ledger", ledger, "--format", "csv", "--out", str(tmp_path / name))
    longer = tally("export", "--ledger", ledger, "--format", "csv", "--out", str(tmp_path / f"{name}nn"), "--json")

    assert (0, {"ledger", name}) == (said.code, {path.name for path in tmp_path.iterdir()})
    assert (2, "out") == (longer.code, longer.error["field"])


def test_links_that_lead_to_each_other_can_be_no_file(ledger: str, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")

    said = tally("export", "--ledger", ledger, "--format", "csv", "--out", str(tmp_path / "one"), "--json")

    assert (2, "out") == (said.code, said.error["field"])


@pytest.mark.parametrize(
    "name", ["log/data.mdb", "log/archive/new.ndjson", "views/data.mdb", "owner.lock", "tallystick.toml"]
)
@pytest.mark.parametrize("by", ["its name", "a link"])
def test_nothing_of_the_ledger_is_replaced_by_an_export_of_it(ledger: str, name: str, by: str, tmp_path: Path) -> None:
    out = Path(ledger, name)
    out.parent.mkdir(exist_ok=True)
    before = everything(Path(ledger))
    if by == "a link":
        (tmp_path / "link").symlink_to(out)
        out = tmp_path / "link"

    said = tally("export", "--ledger", ledger, "--format", "ndjson", "--out", str(out), "--json")

    assert (2, "out") == (said.code, said.error["field"])
    assert before == everything(Path(ledger))


@pytest.mark.slow
def test_a_reader_that_left_early_is_no_failure(ledger: str) -> None:
    words = [*COMMAND, "export", "--ledger", ledger, "--format", "ndjson"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"" == process.stderr.read()
    assert 0 == process.returncode


def test_standard_output_has_the_export_alone_and_what_is_said_of_it_is_beside(ledger: str) -> None:
    words = [*COMMAND, "export", "--ledger", ledger, "--format", "ndjson", "--json", "--out", "-"]

    done = subprocess.run(words, capture_output=True, check=True)

    assert 33 == len(done.stdout.splitlines())
    assert b'"events": 31' in done.stderr


def test_a_program_exports_to_a_stream_or_a_path_and_hears_what_it_wrote(tmp_path: Path) -> None:
    with memory_ledger() as ledger:
        ledger.create(runtime="cli", task="x", owner="o").succeed()
        out = io.BytesIO()
        streamed = ledger.export("ndjson", out)
        written = ledger.export("csv", tmp_path / "out.csv", rows="events")

        assert (3, None, True) == (streamed.events, streamed.path, streamed.is_whole)
        assert (str(tmp_path / "out.csv"), 3) == (written.path, written.events)
        assert len(out.getvalue()) == streamed.bytes
        with pytest.raises(InvalidInput, match="out"):
            ledger.export("ndjson", 7)  # type: ignore[arg-type]  # a file descriptor is none of them
    with pytest.raises(Closed):
        ledger.export("ndjson", io.BytesIO())


class Silent:
    """A stream that does not say how much it took, as those of web frameworks do."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, content: bytes) -> None:
        self.content += content


def test_a_stream_that_does_not_say_how_much_it_took_has_all_of_it_once() -> None:
    with memory_ledger(clock=HandClock()) as ledger:
        ledger.create(runtime="cli", task="x", owner="o").succeed()
        for form in ("ndjson", "csv", "parquet", "xes", "ocel", "cloudevents"):
            out, silent = io.BytesIO(), Silent()
            ledger.export(form, out)
            made = ledger.export(form, silent)  # type: ignore[arg-type]  # it is less than a stream

            assert out.getvalue() == silent.content
            assert len(silent.content) == made.bytes


def test_a_stream_that_does_not_wait_is_an_error_when_it_takes_nothing_more() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with memory_ledger() as ledger, open(reader, "rb"), open(writer, "wb", buffering=0) as out:  # noqa: PTH123
        with suppress(BlockingIOError):
            while os.write(writer, bytes(4_096)):
                pass
        with pytest.raises(BlockingIOError, match="takes nothing more"):
            ledger.export("ndjson", cast("BinaryIO", out))


async def _exported(folder: Path) -> tuple[int, int]:
    async with tallystick.open_async(folder) as ledger:
        await ledger.create(runtime="cli", task="x", owner="o")
        made = await ledger.export("ndjson", folder / "out")
        return made.events, made.head


def test_asyncio_exports_on_another_thread(tmp_path: Path) -> None:
    import asyncio

    assert (1, 1) == asyncio.run(_exported(tmp_path))


@pytest.mark.slow
def test_binary_formats_are_not_printed_on_a_terminal(ledger: str) -> None:
    import pty

    parent, child = pty.openpty()
    words = [*COMMAND, "export", "--ledger", ledger, "--format", "parquet"]
    done = subprocess.run(words, stdout=child, stderr=subprocess.PIPE, check=False, encoding="utf-8")
    os.close(child)
    os.close(parent)

    assert 2 == done.returncode
    assert "--out FILE" in done.stderr


def test_a_command_that_exports_a_table_for_spreadsheets_loads_no_library_of_others(ledger: str) -> None:
    script = (
        "import sys\nfrom tallystick.cli.program import run\n"
        f"run(['export', '--ledger', {ledger!r}, '--format', 'csv'])\n"
        "print(*[name for name in ('pyarrow', 'numpy', 'pykka', 'zstandard', 'sqlite3') if name in sys.modules],"
        " file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)

    assert "" == done.stderr.strip()


@pytest.mark.parametrize("words", [[], ["--format", "xml"]])
def test_whoever_names_no_format_that_there_is_hears_of_all_that_there_are(words: list[str]) -> None:
    said = tally("export", *words)

    assert (2, "") == (said.code, said.out)
    assert "ndjson, cloudevents, csv, parquet, xes, ocel, pnml, tiles, bundle." in said.err
