"""What a channel may be told, and what is said when it is told something else."""

from typing import Any

import pytest

from tallystick.channels import check
from tallystick.ledger.errors import InvalidInput
from tests.channels.parts import SIGNING, TOKEN

CHAT = {"kind": "telegram", "token": TOKEN}
HOOK = {"kind": "webhook", "url": "https://example.org/hook", "secret": SIGNING}

GOOD: list[dict[str, Any]] = [
    CHAT,
    {"kind": "telegram", "token_env": "TELEGRAM_TOKEN", "base": "http://127.0.0.1:8081", "to": -100, "timeout": 1},
    {"kind": "discord", "token_file": "~/token", "to": "42"},
    {"kind": "slack", "token": TOKEN, "timeout": 20_000},
    {"kind": "slack", "accounts": {"ops": {"token": TOKEN}, "dev": {"token_env": "DEV", "to": "C2"}}},
    HOOK,
    {"kind": "webhook", "url_env": "HOOK_URL", "signed": False},
    {"kind": "webhook", "url": "https://user:password@example.org/hook?key=1", "secret_file": "key", "signed": True},
    {"kind": "file", "path": "deliveries.ndjson"},
    {"kind": "apprise", "urls": "json://127.0.0.1/x"},
    {"kind": "apprise", "urls": ["json://127.0.0.1/x", "mailto://user:pass@example.org"], "timeout": 500},
    {"kind": "apprise", "urls_env": "APPRISE_URLS"},
    {"kind": "registered", "to": 7},
]

BAD: list[tuple[dict[str, Any], str]] = [
    (
        {},
        "channel.ops.kind: None is not allowed; give one of apprise, discord, file, registered, slack, telegram, webh",
    ),
    ({"kind": "telegramm"}, "channel.ops.kind: 'telegramm' is not allowed; give \"telegram\", perhaps"),
    ({"kind": ["slack"]}, "channel.ops.kind: ['slack'] is not allowed"),
    ({**CHAT, "tokn": "x"}, "a name in channel.ops: 'tokn' is not allowed; give \"token\", perhaps"),
    ({"kind": "file", "path": "x", "token": TOKEN}, "a name in channel.ops: 'token' is not allowed"),
    ({"kind": "telegram"}, "channel.ops.token: None is not allowed; give one of token, token_env, token_file."),
    ({**CHAT, "token_env": "T"}, "channel.ops.token_env: '[hidden]' is not allowed; give only one of token, token_env"),
    ({**CHAT, "token": 123_456_789}, "channel.ops.token: '[hidden]' is not allowed"),
    (
        {**CHAT, "token": "short"},
        "channel.ops.token: '[hidden]' is not allowed; give one line without spaces, at least 8",
    ),
    ({**CHAT, "token": "two words of it"}, "channel.ops.token: '[hidden]' is not allowed"),
    ({**CHAT, "token": "line\r\nx-evil: 1"}, "channel.ops.token: '[hidden]' is not allowed"),
    ({"kind": "telegram", "token_env": ""}, "channel.ops.token_env: '[hidden]' is not allowed"),
    ({"kind": "telegram", "token_file": 1}, "channel.ops.token_file: '[hidden]' is not allowed"),
    ({**CHAT, "timeout": 0}, 'channel.ops.timeout: 0 is not allowed; give a time from 1 ms to "20s".'),
    ({**CHAT, "timeout": -1}, "channel.ops.timeout: -1 is not allowed"),
    ({**CHAT, "timeout": 20_001}, "channel.ops.timeout: 20001 is not allowed"),
    ({**CHAT, "timeout": "10s"}, "channel.ops.timeout: '10s' is not allowed"),
    ({**CHAT, "timeout": True}, "channel.ops.timeout: True is not allowed"),
    ({**CHAT, "base": "api.telegram.org"}, "channel.ops.base: 'api.telegram.org' is not allowed"),
    ({**CHAT, "base": "ftp://example.org"}, "channel.ops.base: 'ftp://example.org' is not allowed"),
    ({**CHAT, "base": "https://"}, "channel.ops.base: 'https://' is not allowed"),
    ({**CHAT, "base": "https://example.org:99999"}, "channel.ops.base: 'https://example.org:99999' is not allowed"),
    ({**CHAT, "base": "https://example.org/?a=1"}, "channel.ops.base: 'https://example.org/?a=1' is not allowed"),
    ({**CHAT, "base": "https://me:secret@example.org"}, "channel.ops.base: '[hidden]' is not allowed"),
    ({**CHAT, "to": ""}, "channel.ops.to: '' is not allowed"),
    ({**CHAT, "to": 1.5}, "channel.ops.to: 1.5 is not allowed"),
    ({**CHAT, "accounts": [TOKEN]}, "channel.ops.accounts: '[hidden]' is not allowed"),
    ({**CHAT, "accounts": {"dev": TOKEN}}, "channel.ops.accounts.dev: '[hidden]' is not allowed"),
    ({**CHAT, "accounts": {"dev": {}}}, "channel.ops.accounts.dev.token: None is not allowed"),
    ({**CHAT, "accounts": {"dev": {"base": "x"}}}, "a name in channel.ops.accounts.dev: 'base' is not allowed"),
    ({**CHAT, "accounts": {"dev": {"token": "x"}}}, "channel.ops.accounts.dev.token: '[hidden]' is not allowed"),
    ({**HOOK, "url": "example.org/hook-with-key"}, "channel.ops.url: '[hidden]' is not allowed"),
    ({**HOOK, "url": "https://example.org/a b c"}, "channel.ops.url: '[hidden]' is not allowed"),
    ({**HOOK, "url": "https://example.org/#part"}, "channel.ops.url: '[hidden]' is not allowed"),
    (
        {"kind": "webhook", "secret": SIGNING},
        "channel.ops.url: None is not allowed; give one of url, url_env, url_file.",
    ),
    (
        {"kind": "webhook", "url": "https://example.org"},
        "channel.ops.secret: None is not allowed; give one of secret, secret_env, secret_file, or signed = false",
    ),
    ({**HOOK, "signed": False}, "channel.ops.signed: False is not allowed; give no secret beside it."),
    ({**HOOK, "signed": "no"}, "channel.ops.signed: 'no' is not allowed; give True or False."),
    (
        {**HOOK, "secret": "not-a-secret-of-webhooks"},
        "channel.ops.secret: '[hidden]' is not allowed; give \"whsec_\" and",
    ),
    ({**HOOK, "secret": "whsec_c2hvcnQ="}, "channel.ops.secret: '[hidden]' is not allowed"),
    ({**HOOK, "secret": "whsec_!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"}, "channel.ops.secret: '[hidden]' is not allowed"),
    ({"kind": "file"}, "channel.ops.path: None is not allowed; give a value."),
    ({"kind": "file", "path": ""}, "channel.ops.path: '' is not allowed"),
    ({"kind": "file", "path": "folder/"}, "channel.ops.path: 'folder/' is not allowed"),
    ({"kind": "apprise"}, "channel.ops.urls: None is not allowed"),
    ({"kind": "apprise", "urls": []}, "channel.ops.urls: [] is not allowed; give at least one URL."),
    ({"kind": "apprise", "urls": [7]}, "channel.ops.urls[0]: '[hidden]' is not allowed"),
    ({"kind": "registered", "token": TOKEN}, "a name in channel.ops: 'token' is not allowed; give one of kind, to."),
]


@pytest.mark.parametrize("settings", GOOD, ids=str)
def test_what_makes_a_channel_is_accepted(settings: dict[str, Any]) -> None:
    check("ops", settings)


@pytest.mark.parametrize(("settings", "message"), BAD, ids=[message[:60] for _, message in BAD])
def test_what_makes_no_channel_is_refused_with_what_would(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check("ops", settings)

    assert message == str(refused.value)[: len(message)]


@pytest.mark.parametrize("settings", [settings for settings, _ in BAD], ids=[message[:60] for _, message in BAD])
def test_a_refusal_shows_no_secret(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        check("ops", settings)

    for secret in (TOKEN, SIGNING, "secret@", "hook-with-key", "two words", "x-evil", "123456789"):
        assert secret not in f"{refused.value} {refused.value.data}"
