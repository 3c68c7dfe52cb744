"""Secrets: what a hook names is in no message, on no disk and on no wire; what a channel keeps is in no error."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallystick
from tallystick import InvalidInput
from tallystick.actors.telling import REDACTED
from tallystick.ledger.delivery import Permanent, Retryable
from tallystick.ledger.store.memory import MemoryLog
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
    system_of(ledger).directory.telling.secrets = (SECRET, SECRET[:8])
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


@pytest.mark.parametrize("hook", [None, "secret", 7])
def test_a_hook_that_is_none_is_refused(ledger: Ledger, hook: Any) -> None:
    with pytest.raises(InvalidInput, match="hook"):
        ledger.redact(hook)
