"""A channel or a route that cannot be: said when the ledger is opened, by the file that has it; readers do without."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import Config, InvalidInput, Origin
from tallystick.config import load, sound_channels
from tallystick.sources import FILE_NAME
from tests.face.parts import ORDINARY

TOKEN = "123456789:AAF-tokenOfNobody_0123456789abcdef"
BROKEN = '[channel.ops]\nkind = "slak"\n'
CHAT: Mapping[str, Any] = {
    "kind": "telegram",
    "token": TOKEN,
    "to": 1,
    "accounts": {"alerts": {"token": TOKEN}, "night": {"token": TOKEN}},
}


def own(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / FILE_NAME).write_text(text, "utf-8")
    return folder / FILE_NAME


def refusal(folder: Path, file: Path | None = None, environment: Mapping[str, str] | None = None) -> InvalidInput:
    with pytest.raises(InvalidInput) as refused:
        load(folder, file, {} if environment is None else environment)
    return refused.value


# Which file.


def test_a_broken_channel_is_refused_with_its_file_its_field_and_what_is_allowed(tmp_path: Path) -> None:
    file = own(tmp_path, BROKEN)

    error = refusal(tmp_path)

    assert (f"channel.ops.kind ({file})", "'slak'") == (error.field, error.value)
    assert error.allowed.startswith('"slack", perhaps')
    assert f"channel.ops.kind ({file}): 'slak' is not allowed; give \"slack\", perhaps" in str(error)


def test_of_two_files_the_one_is_named_that_has_the_channel(tmp_path: Path) -> None:
    own(tmp_path, '[channel.log]\nkind = "registered"\n[grace]\nacp = "1m"\n')
    other = tmp_path / "other.toml"
    other.write_text(BROKEN + "[grace]\ncli = '5'\n", "utf-8")

    assert f"grace.cli ({other})" == refusal(tmp_path, other).field
    other.write_text(BROKEN, "utf-8")
    assert f"channel.ops.kind ({other})" == refusal(tmp_path, other).field


def test_a_broken_route_and_a_broken_name_say_where_they_stand_too(tmp_path: Path) -> None:
    for text, field in (
        ('[[route]]\nto = "nowhere://1"\n', "route[0].to"),
        ("[route]\nto = 'x'\n", "route"),
        ("channel = 5\n", "channel"),
        ("[channel]\nops = 5\n", "channel.ops"),
        ('[channel."a/b"]\nkind = "registered"\n', "a name in channel"),
        ('[channel.ops]\nkind = "file"\npath = "x"\ntimeout = "5"\n', "channel.ops.timeout"),
    ):
        file = own(tmp_path, text)
        assert f"{field} ({file})" == refusal(tmp_path).field


def test_the_value_of_a_secret_is_not_shown(tmp_path: Path) -> None:
    for text in (
        f'[channel.ops]\nkind = "telegram"\ntoken = "{TOKEN} x"\n',
        f'[channel]\nops = "{TOKEN}"\n',
        f'channel = "{TOKEN}"\n',
        f'[channel.ops]\nkind = "telegram"\naccounts = "{TOKEN}"\n',
    ):
        own(tmp_path, text)
        assert TOKEN not in f"{refusal(tmp_path)} {refusal(tmp_path).data}"
    for given in ({"ops": TOKEN}, TOKEN):
        with pytest.raises(InvalidInput) as refused:
            Config(channel=given)  # type: ignore[arg-type]  # what is refused
        assert TOKEN not in f"{refused.value} {refused.value.data}"


def test_a_variable_that_is_out_of_bounds_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path, environment={"TALLYSTICK_GRACE_ACP": "5"})

    assert "grace.acp (environment variable TALLYSTICK_GRACE_ACP)" == error.field


@pytest.mark.parametrize("name", ["TALLYSTICK_CHANNEL_OPS_TOKEN", "TALLYSTICK_CHANNEL", "TALLYSTICK_ROUTE_TO"])
def test_channels_in_variables_are_refused_with_where_they_belong(tmp_path: Path, name: str) -> None:
    error = refusal(tmp_path, environment={name: TOKEN})

    assert f"environment variable {name}" == error.field
    assert TOKEN not in f"{error} {error.data}"
    for word in ("[channel.NAME]", "[[route]]", FILE_NAME, "token_env", "unset"):
        assert word in error.allowed
    assert "perhaps" not in error.allowed


def test_a_section_that_no_variable_can_set_is_not_offered_to_variables(tmp_path: Path) -> None:
    error = refusal(tmp_path, environment={"TALLYSTICK_CHANEL_OPS": "x"})

    assert "channel" not in error.allowed


# Who does without.


def test_who_only_reads_does_without_channels_and_has_the_other_values(tmp_path: Path) -> None:
    own(tmp_path, BROKEN + '[[route]]\nto = "nowhere://1"\n[grace]\nacp = "10m"\n')

    config = load(tmp_path, environment={"TALLYSTICK_CHANNEL_OPS": "x", "TALLYSTICK_GRACE_CLI": "1m"}, channels=False)

    assert ({}, ()) == (config.channel, config.route)
    assert {"default": 300_000, "acp": 600_000, "cli": 60_000} == config.grace


def test_a_ledger_that_is_opened_to_read_needs_no_channels_and_its_owner_does(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    tallystick.open(folder).close()
    file = own(folder, BROKEN)

    with tallystick.open(folder, read_only=True) as ledger:
        assert 0 == ledger.counts().total
    for opens in (tallystick.open, tallystick.join):
        with pytest.raises(InvalidInput, match=re.escape(str(file))):
            opens(folder)


def test_the_sound_channels_are_told_from_what_is_wrong_with_the_others(tmp_path: Path) -> None:
    own(
        tmp_path,
        BROKEN + '[channel.desk]\nkind = "registered"\n[channel.chat]\nkind = "telegram"\n[[route]]\nto = "desk://1"\n',
    )

    sound, faults = sound_channels(tmp_path, environment={})

    assert ["desk"] == list(sound.channel)
    assert ["channel.ops.kind", "channel.chat.token"] == [fault.field.partition(" ")[0] for fault in faults]


# What opening needs.


def test_a_secret_that_is_missing_at_opening_is_an_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOBODYS_TOKEN", raising=False)
    file = own(tmp_path, '[channel.ops]\nkind = "telegram"\ntoken_env = "NOBODYS_TOKEN"\nto = 1\n')

    with pytest.raises(InvalidInput) as refused:
        tallystick.open(tmp_path)

    assert (f"channel.ops.token_env ({file})", "'NOBODYS_TOKEN'") == (refused.value.field, refused.value.value)


def test_a_file_channel_whose_folder_is_not_there_is_refused_when_the_ledger_is_opened(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    os.mkfifo(tmp_path / "pipe")
    for path, why in (
        (tmp_path / "none" / "out.ndjson", "a file in a folder that is there"),
        (tmp_path / "plain" / "out.ndjson", "a file in a folder that is there"),
        (tmp_path, "a regular file"),
        (tmp_path / "pipe", "a regular file"),
    ):
        config = Config(channel={"log": {"kind": "file", "path": str(path)}})
        with pytest.raises(InvalidInput, match=why) as refused:
            tallystick.open(tmp_path / "ledger", config=config)
        assert "channel.log.path" == refused.value.field
        assert refused.value.value.startswith(repr(str(path))[:70])
    with tallystick.open(
        tmp_path / "ledger", config=Config(channel={"log": {"kind": "file", "path": str(tmp_path / "out")}})
    ):
        assert not (tmp_path / "out").exists(), "a look makes no file"


@pytest.mark.skipif(os.geteuid() == 0, reason="everything may be written")
def test_a_file_channel_that_may_not_write_is_refused_when_the_ledger_is_opened(tmp_path: Path) -> None:
    for place in (tmp_path / "closed", tmp_path / "file"):
        (place.mkdir if place.name == "closed" else place.touch)(0o500)
    for path in (tmp_path / "closed" / "out", tmp_path / "file"):
        config = Config(channel={"log": {"kind": "file", "path": str(path)}})
        with pytest.raises(InvalidInput, match="may write"):
            tallystick.open(tmp_path / "ledger", config=config)


# Accounts.


@pytest.mark.parametrize(
    ("to", "allowed"),
    [
        ("ops://1?account=nobody", "an account of [channel.ops]: alerts, night"),
        ("only://1", "an account of [channel.only], as ?account=NAME: day"),
        ("mail://1?account=x", "no account: [channel.mail] has none"),
    ],
)
def test_a_route_to_an_account_that_the_channel_has_not_is_refused_with_the_configuration(
    to: str, allowed: str
) -> None:
    channels: dict[str, dict[str, Any]] = {
        "ops": {**CHAT},
        "only": {"kind": "slack", "to": "C1", "accounts": {"day": {"token": TOKEN}}},
        "mail": {"kind": "apprise", "urls": "json://localhost"},
    }
    with pytest.raises(InvalidInput) as refused:
        Config(channel=channels, route=({"to": to},))

    assert "route[0].to" == refused.value.field
    assert allowed in refused.value.allowed


@pytest.mark.parametrize("to", ["ops://1", "ops://1?account=night", "log://x?account=anybody", "slack://C1?account=x"])
def test_a_route_to_an_account_that_may_be_there_is_accepted(to: str) -> None:
    Config(channel={"ops": {**CHAT}, "log": {"kind": "file", "path": "x"}}, route=({"to": to},))


def test_an_origin_on_an_account_that_the_channel_has_not_is_refused_at_creation(tmp_path: Path) -> None:
    given = {**ORDINARY, "origin": Origin("ops", 1, "nobody")}
    with tallystick.open(tmp_path, config=Config(channel={"ops": {**CHAT}})) as ledger:
        with pytest.raises(InvalidInput) as refused:
            ledger.create(**given)
        assert ("origin.account", "'nobody'") == (refused.value.field, refused.value.value)
        assert "alerts, night" in refused.value.allowed
        assert 0 == ledger.counts().total
        with (
            tallystick.join(tmp_path, config=Config(channel={"ops": {**CHAT}})) as joined,
            pytest.raises(InvalidInput, match=r"origin\.account"),
        ):
            joined.create(**given)
        with pytest.raises(InvalidInput, match=r"route\.account"):
            ledger.session("agent:main:main").reach(Origin("ops", 1, "nobody"))
        ledger.create(**{**ORDINARY, "origin": Origin("ops", 1, "night")})
        ledger.channel("ops", lambda _delivery: tallystick.Receipt())
        ledger.create(**given)  # whoever brings the channel knows its accounts


# The pace.


def test_a_first_pause_beyond_the_longest_is_refused_and_both_are_named(tmp_path: Path) -> None:
    for given, file in (
        ({"first": 601_000}, '[outbox]\nfirst = "601s"\n'),
        ({"ceiling": 4_000}, '[outbox]\nceiling = "4s"\n'),
    ):
        with pytest.raises(InvalidInput) as refused:
            Config(outbox=given)
        assert "outbox.first" == refused.value.field
        assert "outbox.ceiling" in refused.value.allowed
        own(tmp_path, file)
        assert f"({tmp_path / FILE_NAME})" in refusal(tmp_path).field
    assert {"first": 5, "ceiling": 5} == {
        name: span for name, span in Config(outbox={"first": 5, "ceiling": 5}).outbox.items() if name != "window"
    }
