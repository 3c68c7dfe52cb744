"""Where secrets come from, and what is said when they do not."""

from pathlib import Path
from typing import Any

import pytest

from tallystick.channels import build, secrets_of
from tallystick.ledger.errors import InvalidInput
from tests.channels.parts import SIGNING, SUCCESS, TOKEN, delivery, outcome, shown
from tests.channels.service import Break, Reply, Service


def said_to(service: Service, settings: dict[str, Any], environment: dict[str, str] | None = None) -> str:
    """The Authorization that a channel of Discord sends."""
    service.says(Reply(body=SUCCESS["discord"]))
    sender = build("ops", {"kind": "discord", "base": service.address, **settings}, environment)
    assert sender is not None
    sender.send(delivery())
    sender.close()
    return service.questions[-1].headers["authorization"]


def test_a_token_comes_from_the_settings_a_variable_or_a_file(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_TOKEN", f"{TOKEN}-own")
    file = tmp_path / "token"
    file.write_text(f"  {TOKEN}-file\n")

    assert f"Bot {TOKEN}" == said_to(service, {"token": TOKEN})
    assert f"Bot {TOKEN}-given" == said_to(service, {"token_env": "OPS_TOKEN"}, {"OPS_TOKEN": f"{TOKEN}-given"})
    assert f"Bot {TOKEN}-own" == said_to(service, {"token_env": "OPS_TOKEN"})
    assert f"Bot {TOKEN}-file" == said_to(service, {"token_file": str(file)}, {})


@pytest.mark.parametrize("environment", [{}, {"OPS_TOKEN": ""}, {"OPS_TOKEN": " \n"}])
def test_a_variable_that_is_missing_or_empty_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        build("ops", {"kind": "slack", "token_env": "OPS_TOKEN"}, environment)

    assert (
        "channel.ops.token_env: 'OPS_TOKEN' is not allowed;"
        " give the name of an environment variable that is set and not empty." == str(refused.value)
    )


def test_a_file_that_is_missing_empty_or_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, why in (
        ("missing", "a file of text that can be read (No such file or directory)"),
        ("empty", "a file that is not empty"),
        ("binary", "a file of text that can be read (UnicodeDecodeError)"),
    ):
        with pytest.raises(InvalidInput) as refused:
            build("ops", {"kind": "slack", "token_file": str(tmp_path / name)}, {})

        assert refused.value.field == "channel.ops.token_file"
        assert why == refused.value.allowed


@pytest.mark.parametrize("value", ["short", "two words of a token", "a\x07bell in the token"])
def test_a_variable_that_holds_no_token_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        build("ops", {"kind": "slack", "token_env": "OPS_TOKEN"}, {"OPS_TOKEN": value})

    assert "channel.ops.token_env" == refused.value.field
    assert value not in str(refused.value)


@pytest.mark.parametrize("value", ["whsec_short", "whsec_" + "!" * 40, SIGNING.removeprefix("whsec_")])
def test_a_variable_that_holds_no_signing_secret_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        build("ops", {"kind": "webhook", "url": "https://example.org", "secret_env": "KEY"}, {"KEY": value})

    assert "channel.ops.secret_env" == refused.value.field
    assert value not in str(refused.value)


def test_a_variable_that_holds_no_address_is_refused_without_showing_it() -> None:
    with pytest.raises(InvalidInput) as refused:
        build("ops", {"kind": "webhook", "url_env": "HOOK", "signed": False}, {"HOOK": "example.org/hook"})

    assert "channel.ops.url_env" == refused.value.field
    assert "example.org" not in str(refused.value)


def test_a_sender_names_its_secrets_in_every_form() -> None:
    url = "https://ada:password-of-ada@example.org/hooks/0123456789abcdef0?key=k3y-of-nobody-42&team=platform-team"
    sender = build("ops", {"kind": "webhook", "url": url, "secret": SIGNING}, {})
    assert sender is not None
    sender.close()

    assert {
        SIGNING,
        SIGNING.removeprefix("whsec_"),
        url,
        "password-of-ada",
        "0123456789abcdef0",
        "k3y-of-nobody-42",
    } <= set(sender.secrets)
    assert set() == {"example.org", "platform-team", "ada"} & set(sender.secrets)


def test_the_secrets_of_a_channel_are_known_without_its_sender_and_those_that_are_missing_are_left_out(
    tmp_path: Path,
) -> None:
    settings = {
        "kind": "discord",
        "token_env": "OPS_TOKEN",
        "accounts": {"dev": {"token": f"{TOKEN}-dev"}, "qa": {"token_file": str(tmp_path / "missing")}},
    }

    assert {TOKEN, f"{TOKEN}-dev"} <= set(secrets_of("ops", settings, {"OPS_TOKEN": TOKEN}))
    assert TOKEN not in secrets_of("ops", settings, {})
    assert f"{TOKEN}-dev" in secrets_of("ops", settings, {})
    assert () == secrets_of("ops", {"kind": "registered"}, {})


def test_the_words_of_an_address_are_kept_out_of_the_channels_own_errors(service: Service) -> None:
    service.says(Break(sent=b"HTTP/1.1 platform-team markdown-of-ours\r\n\r\n"))
    url = f"{service.address}/?format=markdown-of-ours&team=platform-team"
    sender = build("ops", {"kind": "webhook", "url": url, "signed": False}, {})
    assert sender is not None
    said = shown(outcome(sender, delivery()))
    sender.close()

    assert "platform-team" not in said
    assert "markdown-of-ours" not in said
    assert (url in sender.secrets, "platform-team" in sender.secrets) == (True, False)


def test_a_registered_channel_has_the_sender_that_the_program_brings() -> None:
    assert build("ops", {"kind": "registered", "to": 42}, {}) is None
