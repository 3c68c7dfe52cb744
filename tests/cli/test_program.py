"""The program: help, failures in words and as data, exit codes, and what a terminal or a pipe makes of it all."""

import json
import os
import pty
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import click
import pytest

import tallystick
from tallystick.cli import menu
from tallystick.cli.command import LedgerCommand
from tallystick.cli.failure import failure_of
from tallystick.cli.group import LedgerGroup
from tallystick.cli.program import program
from tallystick.imports.database import TASKS
from tallystick.ledger.store.layout import FORMAT
from tests.cli.damage import set_format
from tests.cli.support import COMMAND, OWNER, make_stories, process, tally
from tests.exports.parts import fill, make_openclaw
from tests.exports.parts import task as openclaw_task

GROUPS = {"archive": menu.ARCHIVE, "flow": menu.FLOW, "keys": menu.KEYS}
"""The commands that are several."""

EVERY = {**menu.HELP, **{f"{group} {name}": text for group, texts in GROUPS.items() for name, text in texts.items()}}

# Help.


def test_help_names_every_command_by_chapter() -> None:
    said = tally("--help")

    assert (0, "") == (said.code, said.err)
    assert [f"{chapter}:" for chapter in menu.CHAPTERS] == [
        line for line in said.out.splitlines() if line.endswith(":") and line != "Options:"
    ]
    assert all(f"  {name} " in said.out for name in menu.HELP)


@pytest.mark.parametrize("name", EVERY)
def test_every_command_helps_and_takes_the_common_options(name: str) -> None:
    said = tally(*name.split(), "--help")

    assert (0, f"Usage: tally {name}") == (said.code, said.out.splitlines()[0][: len(f"Usage: tally {name}")])
    assert EVERY[name] in said.out
    assert all(option in said.out for option in ("--ledger PATH", "--config FILE", "--json", "--help"))
    assert ("JSON: " in said.out) == (name not in GROUPS)


def test_the_menu_is_what_there_is() -> None:
    folder = Path(menu.__file__).parent / "commands"
    found = {path.stem.rstrip("_") for path in folder.glob("*.py") if path.stem != "__init__"}  # `import` is Python's

    assert {name.replace(" ", "_") for name in EVERY} == found
    kinds = {name: type(program.get_command(click.Context(program), name)) for name in menu.HELP}
    assert {name: LedgerGroup if name in GROUPS else LedgerCommand for name in menu.HELP} == kinds


def test_the_version_is_that_of_the_distribution() -> None:
    assert "tally 0.1.0\n" == tally("--version").out


def test_python_runs_it_as_a_module() -> None:
    assert tally("--help").out == process("--help").out


# Failures.


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["lst"], "No such command 'lst'. Did you mean 'list'?"),
        (["list", "--stats", "x"], "No such option '--stats'. (Did you mean one of: '--status', '--text'?)"),
        (["show"], "Missing argument 'LOOKUP'."),
        (["show", "a", "b"], "Got unexpected extra argument (b)"),
        (["list", "--limit", "many"], "'many' is not a valid integer"),
        (["completion", "tcsh"], "'tcsh' is not one of 'bash', 'zsh', 'fish'."),
        (["abolish", "x"], "No such command 'abolish'."),
    ],
)
def test_wrong_usage_is_told_in_words_or_as_data(words: list[str], says: str) -> None:
    in_words, as_data = tally(*words), tally(*words, "--json")

    assert (2, "") == (in_words.code, in_words.out)
    assert in_words.err.startswith("Usage: tally")
    assert says in in_words.err
    assert (2, "") == (as_data.code, as_data.err)
    assert "UsageError" == as_data.error["type"]
    assert says in as_data.error["message"]


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("words", "field", "allowed"),
    [
        (
            ["list", "--status", "done"],
            "status",
            "queued, running, succeeded, failed, timed_out, cancelled, lost, blocked",
        ),
        (["list", "--runtime", "gpu"], "runtime", "acp, cli, cron, subagent"),
        (["list", "--limit", "0"], "limit", None),
        (["list", "--limit", "10001"], "limit", None),
        (["list", "--cursor", "AQID"], "cursor", "the next_cursor of a page of this very query"),
        (["list", "--metadata", "novalue"], "metadata", "key=value"),
        (["list", "--metadata", "=x"], "metadata", "key=value"),
        (["list", "--text", ""], "text", None),
        (["list", "--owner", "a\nb"], "owner", None),
        (["list", "--since", "last week"], "since", None),
        (["list", "--until", "99999999999999999"], "until", None),
        (["show", " "], "lookup", "text that is not blank"),
        (["board", ""], "session", "text that is not blank"),
        (["bench", "nothing"], "name", None),
        (["list", "--config", "/nowhere/at/all.toml"], "config", None),
    ],
)
def test_bad_input_names_the_field_the_value_and_what_is_allowed(
    words: list[str], field: str, allowed: str | None
) -> None:
    in_words, as_data = tally(*words), tally("--json", *words)
    error = as_data.error

    assert (2, "", 2) == (in_words.code, in_words.out, as_data.code)
    assert in_words.err.startswith(f"{field}: ")
    assert ("InvalidInput", field) == (error["type"], error["field"])
    assert error["allowed"] == (allowed or error["allowed"])
    assert f"{error['value']} is not allowed; give {error['allowed']}.\n" in in_words.err


def test_a_folder_that_has_no_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    for folder in ("nowhere", "."):
        said = tally("list", "--ledger", str(tmp_path / folder))
        assert (2, f"ledger: {str(tmp_path / folder)!r} is not allowed; give the folder of a ledger") == (
            said.code,
            said.err.partition(";")[0] + "; give the folder of a ledger",
        )
        assert '"tally run -- COMMAND" makes one' in said.err
    assert 2 == tally("list", "--ledger", str(tmp_path / "file")).code
    assert 2 == tally("run", "--ledger", str(tmp_path / "file"), "--", "true").code
    assert [tmp_path / "file"] == list(tmp_path.iterdir())


def test_a_missing_ledger_in_a_variable_is_an_error_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYSTICK_LEDGER", str(tmp_path / "nowhere"))

    assert 2 == tally("list").code
    assert 2 == tally("verify").code


def test_a_run_where_no_ledger_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    (tmp_path / "below").symlink_to(tmp_path / "file")

    said = tally("run", "--ledger", str(tmp_path / "below" / "ledger"), "--", "true")

    assert 2 == said.code
    assert f"{str(tmp_path / 'below' / 'ledger')!r} is not allowed; give a folder" in said.err


def test_what_a_newer_version_wrote_is_refused_and_left_alone(tmp_path: Path) -> None:
    make_stories(tmp_path)
    set_format(tmp_path, FORMAT + 1)
    before = (tmp_path / "log" / "data.mdb").read_bytes()

    said = tally("list", "--ledger", str(tmp_path))
    error = tally("run", "--ledger", str(tmp_path), "--json", "--", "true").error

    told = f"has format {FORMAT + 1}, this version knows {FORMAT}. Use a newer tallystick."
    assert (1, True) == (said.code, told in said.err)
    assert ("NewerFormat", FORMAT + 1, FORMAT) == (error["type"], error["found"], error["known"])
    assert before == (tmp_path / "log" / "data.mdb").read_bytes()


def test_a_store_that_is_none_is_damage(tmp_path: Path) -> None:
    make_stories(tmp_path)
    (tmp_path / "log" / "data.mdb").write_bytes(b"not a store" * 1_000)

    said, error = tally("list", "--ledger", str(tmp_path)), tally("status", "--ledger", str(tmp_path), "--json").error

    assert 4 == said.code
    assert 'Run "tally verify".' in said.err
    assert "Corrupt" == error["type"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_folder_that_may_not_be_read_is_named() -> None:
    with tempfile.TemporaryDirectory() as home:  # below pytest's own folder nobody sees anything
        Path(home).chmod(0o755)
        folder = Path(home) / "ledger"
        make_stories(folder)
        asks = f"import os, sys; os.setuid(65534); sys.argv = ['tally', 'list', '--ledger', {str(folder)!r}]; main()"
        loads = "import tallystick.readings, tallystick.cli.commands.list; from tallystick.cli import main, program"
        done = subprocess.run(
            [sys.executable, "-c", f"{loads}; {asks}"], capture_output=True, encoding="utf-8", check=False
        )

    assert (2, "") == (done.returncode, done.stdout)
    assert f"ledger: {str(folder)!r} is not allowed; give a folder that this user may read.\n" == done.stderr


def test_an_error_that_nobody_expected_is_raised() -> None:
    assert failure_of(ZeroDivisionError()) is None


def test_errors_within_errors_are_data_too() -> None:
    refused = tallystick.Refused("t", status="failed", attempted="start", position=None)
    failure = failure_of(tallystick.BatchFailed([(3, refused), (5, ValueError("odd"))]))

    assert failure is not None
    [[first, told], [second, odd]] = failure.data["refusals"]
    assert (1, "BatchFailed", 3, 5, "odd") == (failure.exit_code, failure.type, first, second, odd)
    assert {"type": "Refused", "token": "t", "status": "failed", "attempted": "start"} == {
        name: value for name, value in told.items() if name != "message"
    }


def test_an_error_of_the_system_is_told_with_its_path() -> None:
    failure = failure_of(PermissionError(13, "Permission denied", "/somewhere"))

    assert failure is not None
    assert (1, "PermissionError", {"path": "/somewhere"}) == (failure.exit_code, failure.type, failure.data)


# Pipes and terminals.


def test_a_reader_that_leaves_early_is_no_failure(ledger: str) -> None:
    for words in (["list"], ["list", "--json"], ["watch", "--after", "0"], ["show", "nobody", "--json"], ["--help"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [*COMMAND, *words, "--ledger", ledger] if words != ["--help"] else [*COMMAND, "--help"],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
        os.close(writing)
        assert (1 if "nobody" in words else 0, b"") == (done.returncode, done.stderr), words


def on_terminal(words: list[str], **environment: str) -> str:
    """What `tally` says to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    settings = {**os.environ, "TERM": "xterm", **environment}
    settings.pop("COLUMNS", None)
    subprocess.run(["stty", "cols", "80"], stdin=theirs, check=True)
    done = subprocess.run([*COMMAND, *words], stdout=theirs, stderr=theirs, env=settings, check=False)
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # nobody has the other end any more
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert 0 == done.returncode
    return said.decode().replace("\r\n", "\n")


def test_a_terminal_gets_colours_and_lines_that_fit(ledger: str, ids: Mapping[str, str]) -> None:
    said = on_terminal(["list", "--ledger", ledger])

    assert "\x1b[31mfailed" in said
    assert ids["build"] not in said
    assert ids["build"][-12:] in said


def test_no_colour_is_honoured_on_a_terminal(ledger: str) -> None:
    said = on_terminal(["list", "--ledger", ledger], NO_COLOR="1")

    assert "\x1b" not in said
    assert all(len(line) <= 80 for line in said.splitlines())


@pytest.mark.parametrize("words", [["verify"], ["replay"], ["projections", "check"]])
def test_long_work_shows_a_bar_on_a_terminal(ledger: str, words: list[str]) -> None:
    said = on_terminal([*words, "--ledger", ledger], NO_COLOR="1")

    assert "ing " in said
    assert "\x1b[" in said  # the bar clears itself


@pytest.mark.parametrize(("more", "steps"), [([], 2), (["--dry-run"], 1)], ids=["imported", "looked at"])
def test_the_import_of_a_database_shows_a_bar_on_a_terminal(tmp_path: Path, more: list[str], steps: int) -> None:
    make_openclaw(tmp_path / "openclaw.sqlite")
    fill(tmp_path / "openclaw.sqlite", TASKS, openclaw_task("a"))

    said = on_terminal(
        ["import", "--ledger", str(tmp_path / "ledger"), str(tmp_path / "openclaw.sqlite"), *more], NO_COLOR="1"
    )

    assert f"{steps}/{steps}" in said


def test_a_width_that_is_named_is_used(ledger: str) -> None:
    said = on_terminal(["list", "--ledger", ledger], NO_COLOR="1", COLUMNS="100")

    assert "Owner" not in on_terminal(["list", "--ledger", ledger], NO_COLOR="1")
    assert said


def test_text_that_the_output_cannot_encode_is_escaped(tmp_path: Path) -> None:
    with tallystick.open(tmp_path) as opened:
        opened.create(runtime="cli", task="größer als 漢字", owner=OWNER)

    said = process("list", "--ledger", tmp_path, environment={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})

    assert 0 == said.code
    assert r"gr\xf6\xdfer als \u6f22\u5b57" in said.out


# Everything hostile.

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egpj\u2066\x7f\ttab\nline two\x85three"


def test_nothing_that_is_stored_reaches_a_terminal_as_an_order(tmp_path: Path) -> None:
    with tallystick.open(tmp_path) as opened:
        task = opened.create(
            runtime="cli",
            task=HOSTILE,
            label=HOSTILE,
            owner="agent:\u202emain",
            metadata={"k": HOSTILE},
            kind="k\u202e",
        )
        task.start(backing={"host": HOSTILE})
        task.progress(HOSTILE, phase="p\u202e", tool="t\u202e")
        task.fail(HOSTILE, summary=HOSTILE, artifacts=[HOSTILE])
    where = ["--ledger", str(tmp_path)]
    commands = [
        ["list", "--text", "owned"],
        ["show", task.id],
        ["timeline", task.id],
        ["board", "agent:\u202emain"],
        ["board", "agent:\u202enobody"],
        ["watch", "--after", "0", "--limit", "4"],
        ["replay"],
        ["replay", "--diff", "1"],
        ["replay", task.id],
        ["status"],
        ["show", "\u202enobody"],
        ["list", "--cursor", "x\u202e"],
    ]

    for words in commands:
        for said in (tally(*words, *where), tally(*words, *where, "--json")):
            seen = set(said.out + said.err)
            assert [] == sorted(hex(ord(each)) for each in seen if not each.isprintable() and each != "\n"), words


def test_what_is_escaped_in_json_is_still_the_same_text(tmp_path: Path) -> None:
    with tallystick.open(tmp_path) as opened:
        task = opened.create(runtime="cli", task=HOSTILE, owner=OWNER)

    assert HOSTILE == json.loads(tally("show", task.id, "--ledger", str(tmp_path), "--json").out)["task"]
