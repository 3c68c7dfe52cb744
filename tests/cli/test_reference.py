"""The page about the command line says what the commands are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tallystick.cli import menu
from tallystick.cli.reference import page
from tests.cli.support import tally

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "cli.md"


def test_the_reference_is_what_the_commands_say() -> None:
    assert page() == PAGE.read_text("utf-8"), "run `make docs`"


def test_every_command_and_every_option_is_in_the_reference() -> None:
    told = PAGE.read_text("utf-8")

    for name in menu.HELP:
        assert f"### tally {name}\n" in told
        options = [word for word in tally(name, "--help").out.split() if word.startswith("--")]
        assert [] == [option for option in options if option.strip(".,;") not in told and option != "--help"]
    assert all(f"### tally flow {name}\n" in told for name in menu.FLOW)
    assert all(f"### tally archive {name}\n" in told for name in menu.ARCHIVE)
    assert all(f"### tally keys {name}\n" in told for name in menu.KEYS)


# Completion.


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed_without_starting_the_shell(shell: str) -> None:
    said = tally("completion", shell)

    assert 0 == said.code
    assert f"_TALLY_COMPLETE={shell}_complete" in said.out
    assert said.out.rstrip("\n") == tally("completion", shell, "--json").data["script"].rstrip("\n")


def completions(words: str) -> list[str]:
    """What the shell is offered for the last of the words."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("_TALLY_COMPLETE", "zsh_complete")
        patch.setenv("COMP_WORDS", words)
        patch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
        return tally().out.splitlines()[1::3]


@pytest.mark.usefixtures("ledger")
def test_commands_statuses_options_and_recent_tasks_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ["settle", "show", "status"] == sorted(completions("tally s"))
    assert ["running"] == completions("tally list --status r")
    assert ["running"] == completions("tally --status r")
    assert "--cursor" in completions("tally list --")
    assert 10 == len(completions("tally show 01"))
    monkeypatch.setenv("TALLYSTICK_LEDGER", "/nowhere/at/all")
    assert [] == completions("tally show 01")


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="there is no bash")
def test_bash_takes_the_script_and_asks_it(ledger: str, tmp_path: Path) -> None:
    script = tmp_path / "tally.bash"
    script.write_text(tally("completion", "bash").out, "utf-8")
    asks = f"source {script}; COMP_WORDS=(tally tim); COMP_CWORD=1; _tally_completion tally; echo ${{COMPREPLY[*]}}"
    (tmp_path / "tally").write_text(f'#!/bin/sh\nexec {sys.executable} -m tallystick "$@"\n', "utf-8")
    (tmp_path / "tally").chmod(0o755)

    done = subprocess.run(
        ["/bin/bash", "-c", asks],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "TALLYSTICK_LEDGER": ledger},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert "timeline" == done.stdout.strip()
