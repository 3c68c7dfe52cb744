"""A configuration with a broken channel: reading goes on, writing refuses and says why, `tally doctor` says it all."""

from collections.abc import Sequence
from pathlib import Path

import pytest

import tallystick
from tests.cli.support import OWNER, make_stories, process, tally

BROKEN = '[channel.ops]\nkind = "slak"\n[retention]\nlost = "1500ms"\n'
VARIABLE = "NOBODYS_TOKEN"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_stories(tmp_path / "ledger")
    return tmp_path / "ledger"


def configured(folder: Path, text: str) -> Path:
    (folder / "tallystick.toml").write_text(text, "utf-8")
    return folder / "tallystick.toml"


def findings(folder: Path, *words: str) -> tuple[int, list[dict[str, str]]]:
    said = tally("doctor", "--ledger", str(folder), "--json", *words)
    return said.code, [found for found in said.data["findings"] if found["check"] in ("channel", "channels")]


# Reading goes on.


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["show", "run-7"],
        ["board", OWNER],
        ["timeline", "run-7"],
        ["status"],
        ["deliveries"],
        ["deliveries", "run-7"],
        ["verify"],
        ["replay"],
        ["projections"],
        ["projections", "check"],
        ["projections", "rebuild"],
    ],
    ids=" ".join,
)
def test_a_command_that_reads_answers_beside_a_broken_channel(folder: Path, words: Sequence[str]) -> None:
    expected = tally(*words, "--ledger", str(folder), "--json")
    configured(folder, BROKEN)

    said = tally(*words, "--ledger", str(folder), "--json")

    assert 0 == expected.code
    assert (0, expected.data.keys()) == (said.code, said.data.keys())


def test_the_other_values_are_in_force_for_who_reads(folder: Path) -> None:
    configured(folder, BROKEN + "[grace]\nacp = 'x'\n")

    said = tally("list", "--ledger", str(folder))

    assert 2 == said.code
    assert f"grace.acp ({folder / 'tallystick.toml'}): 'x' is not allowed" in said.err


# Writing refuses.


@pytest.mark.parametrize(
    "words",
    [
        ["retry", "run-7"],
        ["dismiss", "run-7"],
        ["cancel", "run-7"],
        ["notify", "run-7", "silent"],
        ["hold", "run-7"],
        ["settle", "run-7", "--as", "failed", "--reason", "x"],
        ["retry", "nobody-knows-it"],
        ["run", "--", "true"],
    ],
    ids=" ".join,
)
def test_a_command_that_writes_refuses_and_names_file_field_and_what_is_allowed(
    folder: Path, words: Sequence[str]
) -> None:
    file = configured(folder, BROKEN)
    before = tally("status", "--json", "--ledger", str(folder)).data["log"]["head"]
    own, command = (words[:1], words[1:]) if words[0] == "run" else (words, [])

    said = tally(*own, "--ledger", str(folder), *command)

    assert (2, "") == (said.code, said.out)
    assert f"channel.ops.kind ({file}): 'slak' is not allowed; give \"slack\", perhaps" in said.err
    assert before == tally("status", "--json", "--ledger", str(folder)).data["log"]["head"]


# The check-up.


def test_a_check_up_without_channels_says_nothing_of_them(folder: Path) -> None:
    assert (0, []) == findings(folder)


def test_each_broken_channel_is_bad_and_the_rest_is_looked_at_all_the_same(folder: Path) -> None:
    file = configured(folder, BROKEN + '[channel.chat]\nkind = "telegram"\n[channel.desk]\nkind = "registered"\n')

    code, found = findings(folder)
    said = tally("doctor", "--ledger", str(folder))

    assert (1, ["bad", "bad", "ok"]) == (code, [finding["level"] for finding in found])
    assert f"channel.ops.kind ({file}): 'slak' is not allowed" in found[0]["detail"]
    assert f"channel.chat.token ({file})" in found[1]["detail"]
    assert "commands that only read do without channels" in found[0]["remedy"]
    assert "desk (registered)" in found[2]["detail"]
    assert "retention.lost = 1500ms" in said.out
    assert "31 events, the newest 31 can be read" in said.out


def test_a_secret_that_is_not_set_here_is_a_warning_that_says_whose_environment_was_looked_at(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = configured(
        folder,
        f'[channel.ops]\nkind = "telegram"\ntoken_env = "{VARIABLE}"\nto = 1\n'
        f'[channel.ops.accounts.night]\ntoken_file = "{folder}/none"\n',
    )
    monkeypatch.delenv(VARIABLE, raising=False)

    code, found = findings(folder)

    assert (0, ["warn", "warn"]) == (code, [finding["level"] for finding in found])
    assert f"channel.ops.token_env ({file}): '{VARIABLE}'" in found[0]["detail"]
    assert "of this command" in found[0]["remedy"]
    assert "where the process starts that sends" in found[0]["remedy"]
    assert "channel.ops.accounts.night.token_file" in found[1]["detail"]

    (folder / "none").write_text("123456789:AAF-tokenOfNobody_0123456789abcdef")
    monkeypatch.setenv(VARIABLE, "123456789:AAF-tokenOfNobody_0123456789abcdef")
    code, found = findings(folder)
    assert (0, ["nothing is missing here for ops (telegram)"]) == (code, [finding["detail"] for finding in found])


def test_a_file_whose_folder_is_not_there_is_bad(folder: Path, tmp_path: Path) -> None:
    configured(folder, f'[channel.log]\nkind = "file"\npath = "{tmp_path}/none/out"\n')

    code, found = findings(folder)

    assert (1, "bad") == (code, found[0]["level"])
    assert "channel.log.path" in found[0]["detail"]
    assert not (tmp_path / "none").exists()


def test_a_variable_that_looks_like_a_channel_is_bad(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYSTICK_CHANNEL_OPS_TOKEN", "hunter2")

    code, found = findings(folder)

    assert (1, "bad") == (code, found[0]["level"])
    assert "environment variable TALLYSTICK_CHANNEL_OPS_TOKEN" in found[0]["detail"]
    assert "hunter2" not in str(found)


# Who sends.


def test_messages_that_wait_while_nobody_sends_are_said_by_status_and_check_up(folder: Path) -> None:
    def down(_delivery: tallystick.Delivery) -> tallystick.Receipt:
        raise tallystick.Retryable("connection refused")

    with tallystick.open(folder) as ledger:
        ledger.channel("telegram", down)
        task = ledger.create(
            runtime="subagent", task="tell", owner=OWNER, origin=tallystick.Origin(channel="telegram", to="123")
        )
        task.succeed("done")
        ledger.settled()
        for command in ("status", "doctor"):
            assert "Nobody sends" not in process(command, "--ledger", folder).out
    with tallystick.join(folder):
        for command in ("status", "doctor"):
            said = process(command, "--ledger", folder)
            assert (0, True) == (said.code, "Nobody sends or wakes now: " in said.out)
    found = {one["check"]: one for one in tally("doctor", "--ledger", str(folder), "--json").data["findings"]}
    assert "warn" == found["sending"]["level"]
    assert "1 to be sent" in found["sending"]["detail"]
