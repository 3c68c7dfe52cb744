"""Secrets: what a hook names is in no message, on no disk and on no wire; what a channel keeps is in no error."""

import asyncio
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallystick
from tallystick import InvalidInput
from tallystick.ledger.delivery import Permanent, Retryable
from tallystick.ledger.redaction import REDACTED
from tallystick.ledger.store.memory import MemoryLog
from tallystick.probes.process import backing_of
from tallystick.sync import Ledger
from tallystick.testing import memory_ledger
from tests.delivering.parts import SECOND, Channel, begun, ended, pauses, queued, system_of, told, waiting_texts

SECRET = "xoxb-12345-SECRET"


def stored(ledger: Ledger) -> list[bytes]:
    """The bytes of every message in the log."""
    log = system_of(ledger).log
    assert isinstance(log, MemoryLog)
    return [body for _, body in log.bodies(0, None) if b"delivery-queued" in body]


def test_what_a_hook_names_is_stripped_before_anything_is_stored(ledger: Ledger, chat: Channel) -> None:
    ledger.redact(lambda text: [SECRET] if SECRET in text else [])
    ended(ledger, f"the token is {SECRET}, I think: {SECRET}")
    ended(ledger, f"the token is {SECRET}", origin=None)
    ledger.settled()

    assert [f"Background task done: Count the tallies. the token is {REDACTED}, I think: {REDACTED}"] == chat.texts
    assert [f"Background task done: Count the tallies. the token is {REDACTED}"] == waiting_texts(ledger)
    bodies = stored(ledger)
    assert 2 == len(bodies)
    assert not any(SECRET.encode() in body for body in bodies)


@given(
    secrets=st.lists(st.text("xyz", min_size=1, max_size=4), max_size=4),
    text=st.text("xyz ", min_size=1, max_size=60),
)
def test_no_message_has_a_secret_that_any_of_the_hooks_names(secrets: list[str], text: str) -> None:
    with memory_ledger() as ledger:
        for secret in secrets:
            ledger.redact(lambda _text, secret=secret: {secret})  # type: ignore[misc]
        ended(ledger, text, label="L", origin=None)
        [said] = waiting_texts(ledger)
        assert not any(secret in said.replace(REDACTED, "|") for secret in secrets)


def explode(_text: str) -> Iterable[str]:
    raise ValueError(SECRET)


@pytest.mark.parametrize("hook", [explode, lambda _text: [1, 2], lambda _text: 7], ids=["raises", "numbers", "number"])
def test_a_hook_that_fails_withholds_the_text_and_not_the_message(ledger: Ledger, chat: Channel, hook: Any) -> None:
    ledger.redact(hook)
    task = ended(ledger, f"the token is {SECRET}")
    ledger.settled()

    assert [f"Background task succeeded: {task.id}. Its text is withheld: redaction failed."] == chat.texts
    assert not any(SECRET.encode() in body for body in stored(ledger))


def test_artifacts_are_part_of_a_message_and_are_stripped_like_its_text(ledger: Ledger, chat: Channel) -> None:
    ledger.redact(lambda text: [SECRET] if SECRET in text else [])
    task = begun(ledger)
    task.succeed("made", artifacts=[f"https://example.org/1?token={SECRET}"])
    ledger.settled()

    assert [(f"https://example.org/1?token={REDACTED}",)] == [data.artifacts for data in queued(ledger, task)]
    assert not any(SECRET.encode() in body for body in stored(ledger))
    assert [(f"https://example.org/1?token={REDACTED}",)] == [delivery.artifacts for delivery in chat.given]


def test_a_text_that_is_named_as_one_is_not_taken_letter_by_letter(ledger: Ledger, chat: Channel) -> None:
    ledger.redact(lambda _text: SECRET)
    ended(ledger, f"a {SECRET} e")
    ledger.settled()
    assert [f"Background task done: Count the tallies. a {REDACTED} e"] == chat.texts


@pytest.mark.parametrize("kind", [Retryable, Permanent, ValueError])
def test_the_secrets_of_channels_are_in_no_error_and_no_message(
    ledger: Ledger, chat: Channel, kind: type[Exception]
) -> None:
    system_of(ledger).directory.telling.redaction.secrets = (SECRET, SECRET[:8])
    chat.answer = kind(f"POST https://example.org/{SECRET}: 401" + "x" * 5_000 + SECRET)
    tasks = [ended(ledger, f"it is {SECRET}") for _ in range(5)]
    ledger.settled()
    ledger.sweep()

    assert all(REDACTED in (told(ledger, task).error or "") for task in tasks)
    assert all(SECRET[:8] not in (told(ledger, task).error or "") for task in tasks)
    assert all(SECRET[:8] not in text for text in chat.texts)
    assert all(SECRET[:8] not in standing.error for standing in pauses(ledger))


def test_a_secret_of_the_configuration_is_in_no_file_of_the_ledger(folder: Path) -> None:
    token = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    settings = tallystick.Config(
        channel={"chat": {"kind": "webhook", "url": "http://127.0.0.1:9/", "secret": token}},
        outbox={"first": SECOND},
    )
    with tallystick.open(folder, config=settings) as ledger:
        ended(ledger, "done", notify="state_changes")
        with ledger.subscribe() as events:
            next(event for event in events if event.type == "delivery-attempted.1")
    found = [path for path in folder.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]
    assert [] == found


TOKEN = "123456789:AAF-tokenOfNobody_0123456789abcdef"


def test_an_owner_that_does_not_send_keeps_the_secrets_of_the_configuration_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_TOKEN", TOKEN)
    settings = tallystick.Config(
        channel={
            "chat": {"kind": "telegram", "token_env": "CHAT_TOKEN"},
            "other": {"kind": "telegram", "token_env": "NOT_SET"},
        }
    )
    with tallystick.join(folder, config=settings) as joined:
        ended(joined, f"the token is {TOKEN}", origin=None)
        assert [f"Background task done: Count the tallies. the token is {REDACTED}"] == waiting_texts(joined)


def test_the_words_of_an_address_are_no_secrets_in_messages(folder: Path) -> None:
    url = (
        "http://ordinary-user:hunter2hunter2@127.0.0.1:9/?format=markdown&team=platform-team&key=k3y0fnobody_0123456789"
    )
    settings = tallystick.Config(channel={"chat": {"kind": "webhook", "url": url, "signed": False}})
    with tallystick.open(folder, config=settings) as ledger:
        ended(ledger, "markdown for the platform-team by ordinary-user", origin=None)
        ended(ledger, f"{url} has hunter2hunter2 and k3y0fnobody_0123456789", origin=None)
        first, second = waiting_texts(ledger)

    assert first.endswith("markdown for the platform-team by ordinary-user")
    assert second.endswith(f"{REDACTED} has {REDACTED} and {REDACTED}")


def with_a_dead_process(ledger: Ledger) -> None:
    """A task that is lost as soon as somebody looks, with a secret in its name."""
    with subprocess.Popen(["true"]) as gone:
        backing = backing_of(gone.pid)
    begun(ledger, runtime="cli", label=f"login {SECRET}", origin=None, notify="done_only").start(
        backing={**backing, "probe": "process"}
    )


@pytest.mark.parametrize("way", [tallystick.open, tallystick.join])
def test_a_hook_that_is_given_at_opening_is_in_force_before_the_lost_are_told_of(folder: Path, way: Any) -> None:
    with tallystick.open(folder) as ledger:
        with_a_dead_process(ledger)
    with way(folder, redact=lambda _text: [SECRET]) as ledger:
        ledger.create(runtime="cli", task="another", owner="o")  # the owner has looked by now
        [text] = waiting_texts(ledger)

    assert text.startswith(f"Background task lost: login {REDACTED}.")


@pytest.mark.parametrize("way", [tallystick.open_async, tallystick.join_async])
def test_a_hook_may_be_given_at_opening_for_asyncio_too(folder: Path, way: Any) -> None:
    async def story() -> str:
        async with way(folder, redact=lambda _text: [SECRET]) as ledger:
            task = await ledger.create(runtime="subagent", task="Count", owner="o")
            await task.succeed(f"it is {SECRET}")
            [event] = await ledger.session("o").take()
            return str(event.text)

    assert asyncio.run(story()).endswith(f"it is {REDACTED}")


@pytest.mark.parametrize("way", [tallystick.open, tallystick.join])
def test_a_hook_that_is_none_is_refused_at_opening_and_the_ledger_stays_free(folder: Path, way: Any) -> None:
    with pytest.raises(InvalidInput, match="hook"):
        way(folder, redact="secret")
    tallystick.open(folder).close()


@pytest.mark.parametrize("hook", [None, "secret", 7])
def test_a_hook_that_is_none_is_refused(ledger: Ledger, hook: Any) -> None:
    with pytest.raises(InvalidInput, match="hook"):
        ledger.redact(hook)
