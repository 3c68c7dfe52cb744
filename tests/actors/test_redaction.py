"""Redaction: what must not be said is in no message, in no part, on no way."""

import logging
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.deliveries import DeliveryFailed
from tallystick.ledger.facts.tasks import TaskFailed, TaskProgressed, TaskStarted, TaskSucceeded
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.ledger.limits import ARTIFACTS_BYTES_MAX, DELIVERY_TEXT_BYTES_MAX
from tallystick.ledger.redaction import REDACTED
from tallystick.ledger.routing import Monitor
from tests.actors.parts import STREAMS, folded
from tests.actors.telling import STREAM, messages, telling_desk
from tests.announced import CHAT, MONITORS, OPS, asked

SECRET = "sk-0123456789abcdef"


@given(
    st.lists(st.sampled_from(["hunter2", "hunter", "top secret", "ключ", "["]), max_size=4),
    st.lists(st.sampled_from(["hunter2", "ключ", "", "x" * 9]), max_size=3),
    st.text("hunter2 ключ[x", max_size=60),
)
def test_no_message_has_what_a_hook_names_or_a_channel_keeps_to_itself(
    named: list[str], kept: list[str], summary: str
) -> None:
    desk = telling_desk()
    telling = desk.directory.telling
    telling.redaction.secrets = tuple(kept)
    telling.redaction.add(lambda _text: named)
    desk.create(STREAM, asked())
    desk.tell(STREAM, TaskSucceeded(summary=summary))

    [message] = messages(desk)
    told = message.text.replace(REDACTED, "")
    assert not [secret for secret in (*named, *kept) if secret and secret in told]
    record = folded(desk.log, STREAM)
    assert record is not None
    assert summary == record.terminal_summary, "the record keeps what was reported"


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ([], "the key is hunter2, the user hunter"),
        (None, "the key is hunter2, the user hunter"),
        (["hunter2"], f"the key is {REDACTED}, the user hunter"),
        (["hunter", "hunter2"], f"the key is {REDACTED}, the user {REDACTED}"),
        ("hunter2", f"the key is {REDACTED}, the user hunter"),
        ({"hunter2", ""}, f"the key is {REDACTED}, the user hunter"),
    ],
)
def test_secrets_are_named_to_the_letter_and_the_longest_goes_first(named: Iterable[str], expected: str) -> None:
    desk = telling_desk()
    desk.directory.telling.redaction.add(lambda _text: named)
    desk.create(STREAM, asked())
    desk.tell(STREAM, TaskSucceeded(summary="the key is hunter2, the user hunter"))

    assert [f"Background task done: Count the tallies. {expected}"] == [each.text for each in messages(desk)]


def test_marks_say_which_part_of_a_message_had_a_secret() -> None:
    desk = telling_desk()
    desk.directory.telling.redaction.add(lambda text: [SECRET] if SECRET in text else [])
    for stream, fact in (
        (STREAM, TaskSucceeded(summary=f"with {SECRET}", artifacts=("file:///out",))),
        (STREAMS[1], TaskSucceeded(summary="with none", artifacts=(f"file:///{SECRET}",))),
        (STREAMS[2], TaskSucceeded(summary="with none", artifacts=("file:///out",))),
    ):
        desk.create(stream, asked())
        desk.tell(stream, fact)

    assert [("text",), ("artifacts",), ()] == [messages(desk, stream)[0].redacted for stream in STREAMS[:3]]


def test_hooks_of_all_that_is_stored_hear_each_text_alone() -> None:
    """What runs over the end of one text into the next would stand in neither, and be told."""
    desk = telling_desk()
    desk.create(STREAM, asked(label=f"key={SECRET}", task="Count"))
    desk.directory.telling.redaction.stored.add(lambda text: text.partition("key=")[2:])
    desk.tell(STREAM, TaskSucceeded(summary="done"))

    [message] = messages(desk)
    assert ("Background task done: key=[redacted]. done", ("text",)) == (message.text, message.redacted)


def test_every_hook_hears_all_that_a_message_may_have_a_part_of() -> None:
    heard: list[str] = []

    def hook(text: str) -> Iterable[str]:
        heard.append(text)
        return ()

    desk = telling_desk(monitors=[Monitor("ops", OPS)])
    for _ in range(2):
        desk.directory.telling.redaction.add(hook)
    desk.create(STREAM, asked(label="Tallies", run_id="run-1", notify="state_changes"))
    desk.tell(STREAM, TaskStarted())
    desk.tell(STREAM, TaskProgressed(message="half of it"))
    desk.tell(STREAM, TaskFailed(error="e" * 500, artifacts=("file:///out",)))

    assert 6 == len(heard)
    for text in heard:
        assert {"Tallies", "Count the tallies", "run-1"} <= set(text.split("\n"))
    assert "half of it" in heard[2]
    assert {"e" * 500, "file:///out"} <= set(heard[4].split("\n"))


@pytest.mark.parametrize(
    ("outcome", "more"),
    [
        (TaskFailed(error="x" * 110 + SECRET), {}),
        (TaskFailed(error=f"key:{SECRET}"), {"label": "x" * 70 + SECRET}),
        (TaskSucceeded(), {"task": "x" * 75 + SECRET}),
        (TaskSucceeded(), {"run_id": SECRET}),
        (TaskSucceeded(summary=SECRET, artifacts=(f"https://x/?key={SECRET}",)), {}),
    ],
)
@pytest.mark.parametrize("by_hook", [True, False])
def test_no_part_of_a_secret_is_told_however_a_text_is_cut(
    outcome: AnyFact,
    more: dict[str, str],
    by_hook: bool,  # noqa: FBT001
) -> None:
    desk = telling_desk()
    if by_hook:
        desk.directory.telling.redaction.add(lambda text: [SECRET] if SECRET in text else [])
    else:
        desk.directory.telling.redaction.secrets = (SECRET,)
    desk.create(STREAM, asked(**more))
    desk.tell(STREAM, outcome)

    [message] = messages(desk)
    told = "\n".join((message.text, *message.artifacts))
    assert not [part for part in (SECRET[:5], SECRET[-5:]) if part in told]
    assert "[red" in told


@pytest.mark.parametrize("fact", [TaskStarted(), TaskProgressed(message=SECRET), TaskFailed(error=SECRET)])
def test_steps_are_told_without_secrets_too(fact: AnyFact) -> None:
    desk = telling_desk(monitors=MONITORS)
    desk.directory.telling.redaction.secrets = (SECRET,)
    desk.create(STREAM, asked(label=f"Use {SECRET}", notify="state_changes"))
    desk.tell(STREAM, fact)

    assert messages(desk)
    for message in messages(desk):
        assert SECRET not in message.text
        assert REDACTED in message.text


@pytest.mark.parametrize("answer", [RuntimeError("no"), [1], 7, [b"hunter2"]])
def test_a_hook_that_fails_withholds_the_text_and_the_message_goes_out(
    answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(_text: str) -> Iterable[str]:
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]

    desk = telling_desk()
    desk.directory.telling.redaction.add(hook)
    actor = desk.create(STREAM, asked())
    with caplog.at_level(logging.ERROR):
        record = desk.tell(STREAM, TaskFailed(error="hunter2", artifacts=("file:///hunter2",)))

    [message] = messages(desk)
    assert f"Background task failed: {actor.actor_urn}. Its text is withheld: redaction failed." == message.text
    assert ("terminal:failed:default", CHAT, ()) == (message.delivery, message.route, message.artifacts)
    assert ("text", "artifacts") == message.redacted
    assert DeliveryStatus.PENDING == record.delivery_status
    assert "redaction_failed" in caplog.text


def test_media_that_go_to_the_channel_in_the_end_have_no_secrets_either() -> None:
    desk = telling_desk()
    desk.create(STREAM, asked(runtime="cli", kind="image_generation"))
    desk.tell(STREAM, TaskSucceeded(summary="42", artifacts=("https://x/?key=hunter2",)))
    desk.directory.telling.redaction.secrets = ("hunter2",)
    desk.tell(STREAM, DeliveryFailed(delivery="wake:succeeded:default", attempt=0, error="not confirmed"))

    assert f"Background task done: Count the tallies. 42\nhttps://x/?key={REDACTED}" == messages(desk)[-1].text


def test_a_text_that_grows_by_redaction_is_still_not_too_long() -> None:
    desk = telling_desk()
    desk.directory.telling.redaction.secrets = ("x",)
    desk.create(STREAM, asked())
    desk.tell(STREAM, TaskSucceeded(summary="x" * 16_000))

    [message] = messages(desk)
    assert len(message.text.encode()) <= DELIVERY_TEXT_BYTES_MAX
    assert "x" not in message.text


def test_references_that_grow_by_redaction_still_fit_a_record() -> None:
    desk = telling_desk()
    desk.directory.telling.redaction.add(lambda _text: ["12"])
    desk.create(STREAM, asked())
    record = desk.tell(STREAM, TaskSucceeded(artifacts=tuple("12" * 500 for _ in range(14))))

    [message] = messages(desk)
    assert DeliveryStatus.PENDING == record.delivery_status
    assert "12" not in "".join(message.artifacts)
    assert 0 < sum(map(len, message.artifacts)) <= ARTIFACTS_BYTES_MAX


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_a_hook_that_wants_to_end_the_program_keeps_no_end_from_being_recorded(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(_text: str) -> Iterable[str]:
        raise error

    desk = telling_desk()
    desk.directory.telling.redaction.add(hook)
    desk.create(STREAM, asked())
    with caplog.at_level(logging.ERROR):
        record = desk.tell(STREAM, TaskFailed(error="hunter2"))

    assert DeliveryStatus.PENDING == record.delivery_status
    assert "hunter2" not in messages(desk)[0].text


def test_what_a_hook_fails_with_is_not_logged_for_it_may_repeat_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    def hook(text: str) -> Iterable[str]:
        raise ValueError(f"cannot parse {text}")

    desk = telling_desk()
    desk.directory.telling.redaction.add(hook)
    desk.create(STREAM, asked())
    with caplog.at_level(logging.ERROR):
        desk.tell(STREAM, TaskFailed(error="hunter2"))

    assert "redaction_failed" in caplog.text
    assert "hunter2" not in caplog.text
