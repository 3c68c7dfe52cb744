"""Messages: texts to the letter, bounded where they must be, and never what a message must not say."""

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger import fields
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.tasks import (
    TaskCancelled,
    TaskCreated,
    TaskFailed,
    TaskLost,
    TaskProgressed,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.lifecycle import DeliveryKind, Status
from tallystick.ledger.limits import (
    ARTIFACTS_BYTES_MAX,
    DELIVERY_TEXT_BYTES_MAX,
    DIAGNOSTIC_CHARACTERS_MAX,
    RUN_CHARACTERS_MAX,
    SUMMARY_BYTES_MAX,
    TASK_BYTES_MAX,
    TITLE_CHARACTERS_MAX,
)
from tallystick.ledger.message import clean, end_message, started_message, update_message, with_artifacts
from tests import strategies as some
from tests.story import Story, created

SECRET = "what only the progress says"
RUN_ID = "0198c2f0-run"
REVIEW = "Next: parent will review/verify before calling it done."

odd_texts = st.text(st.characters(codec="utf-8") | st.sampled_from("\x1b\x07\x7f\x85\u2028\t\n  "), max_size=300)
"""Texts of any script, with all that moves a terminal's cursor."""

titles = odd_texts.filter(lambda text: bool(text) and not text.isspace() and "\0" not in text)


def controls(text: str) -> set[str]:
    """The control characters that no message has."""
    return {each for each in text if unicodedata.category(each) == "Cc"} - {"\n", "\t"}


def folded(text: str) -> str:
    """A text in one line, without control characters."""
    kept = fields.report("text", text, bytes_max=TASK_BYTES_MAX, controls=False) or ""
    return " ".join(kept.split())


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def message(outcome: AnyFact, kind: DeliveryKind = DeliveryKind.TERMINAL, **more: object) -> str:
    """What is told of a task that ended so."""
    return end_message(Story(created(**more), TaskStarted(), outcome).record, kind=kind)


@given(some.stories(st.one_of(some.progress, some.outcomes, some.losses, some.settlements)), titles, odd_texts)
def test_every_message_fits_has_no_controls_and_begins_with_what_it_is_about(
    story: Story, title: str, said: str
) -> None:
    record = replace(story.record, label=None, task=title)
    texts = [started_message(record), update_message(record, said)]
    if not record.is_active:
        ended = replace(record, terminal_summary=said, error=said)
        texts += [end_message(ended, kind=kind) for kind in (DeliveryKind.TERMINAL, DeliveryKind.REVIEW)]

    for text in texts:
        assert text.startswith("Background task ")
        assert set() == controls(text)
        assert len(text.encode()) <= DELIVERY_TEXT_BYTES_MAX
        assert text == clean(text)


@given(some.progress, some.outcomes, odd_texts)
def test_no_end_is_told_in_the_words_of_its_progress(progress: TaskProgressed, outcome: AnyFact, summary: str) -> None:
    said = replace(progress, message=SECRET, phase=SECRET, tool=SECRET)
    record = Story(created(), TaskStarted(), said, outcome).record
    assume(SECRET not in summary)

    for ended in (record, replace(record, terminal_summary=summary)):
        for kind in (DeliveryKind.TERMINAL, DeliveryKind.REVIEW):
            assert SECRET not in end_message(ended, kind=kind)


@given(titles, st.none() | titles.map(lambda text: text[:100]))
def test_a_title_is_the_label_or_else_the_text_in_one_line_of_eighty_characters(task: str, label: str | None) -> None:
    record = replace(Story(created(), TaskStarted()).record, task=task, label=label)
    expected = cut(folded(label or task) or "Background task", TITLE_CHARACTERS_MAX)

    assert f"Background task started: {expected}." == started_message(record)


@given(odd_texts, st.sampled_from([Status.FAILED, Status.LOST]))
def test_a_diagnostic_is_the_error_in_one_line_of_120_characters(error: str, status: Status) -> None:
    record = replace(Story(created(), TaskStarted(), TaskFailed(error="x")).record, error=error, status=status)
    expected = cut(folded(error), DIAGNOSTIC_CHARACTERS_MAX)

    assert f"Background task {status.value}: Count the tallies. {expected}".rstrip() == end_message(record)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Z"]), min_size=1, max_size=300))
def test_a_summary_is_told_whole(summary: str) -> None:
    assert f"Background task done: Count the tallies. {summary}" == message(TaskSucceeded(summary=summary))


@given(odd_texts, some.artifacts)
def test_references_stand_in_lines_of_their_own(said: str, artifacts: tuple[str, ...]) -> None:
    text = clean(said)

    assert "\n".join([text, *artifacts]) == with_artifacts(text, artifacts)


@given(st.integers(1, 64), st.integers(1, 1_000), st.integers(DELIVERY_TEXT_BYTES_MAX - 3_000, DELIVERY_TEXT_BYTES_MAX))
def test_references_for_which_there_is_no_room_are_left_out_whole(count: int, size: int, before: int) -> None:
    references = tuple(f"file:///{number:03}/{'x' * size}" for number in range(count))
    text = "t" * before

    lines = with_artifacts(text, references).split("\n")

    assert [text, *references[: len(lines) - 1]] == lines
    told = len("\n".join(lines))
    assert told <= DELIVERY_TEXT_BYTES_MAX
    assert len(lines) - 1 == count or told + 1 + len(references[0]) > DELIVERY_TEXT_BYTES_MAX


# To the letter.


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (TaskSucceeded(summary="42 tallies"), "Background task done: Count (run 0198c2f0). 42 tallies"),
        (TaskSucceeded(), "Background task done: Count (run 0198c2f0)."),
        (TaskSucceeded(summary="  two\nlines \n"), "Background task done: Count (run 0198c2f0). two\nlines"),
        (
            TaskSucceeded(summary="Needs a key", outcome="blocked"),
            "Background task blocked: Count (run 0198c2f0). Needs a key",
        ),
        (TaskFailed(error="No such file", summary="half of it"), "Background task failed: Count. No such file"),
        (TaskFailed(error="No\n  such\tfile"), "Background task failed: Count. No such file"),
        (TaskTimedOut(error="10 s", summary="half of it"), "Background task timed out: Count."),
        (TaskCancelled(reason="enough", stopped="the process"), "Background task cancelled: Count."),
        (TaskLost(rule="r", evidence={}), "Background task lost: Count. lost by rule: r"),
        (TaskLost(rule="r", evidence={}, error="Its pid is gone"), "Background task lost: Count. Its pid is gone"),
        (TaskSettled(status=Status.FAILED, reason="I saw it"), "Background task failed: Count. I saw it"),
        (TaskSettled(status=Status.CANCELLED, reason="I saw it"), "Background task cancelled: Count."),
        (TaskSettled(status=Status.LOST, reason="I saw it"), "Background task lost: Count. I saw it"),
    ],
)
def test_an_end_is_told_in_these_words(outcome: AnyFact, expected: str) -> None:
    assert expected == message(outcome, label="Count", run_id=RUN_ID)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (
            TaskSucceeded(summary="42."),
            f"Background task ready for review: Count (run 0198c2f0). 42. {REVIEW}",
        ),
        (
            TaskSucceeded(),
            f"Background task ready for review: Count (run 0198c2f0). {REVIEW}",
        ),
    ],
)
def test_a_result_that_is_reviewed_first_is_told_in_these_words(outcome: AnyFact, expected: str) -> None:
    assert expected == message(outcome, DeliveryKind.REVIEW, label="Count", run_id=RUN_ID)


def test_a_step_is_told_in_these_words() -> None:
    record = Story(created(label="Count", run_id=RUN_ID), TaskStarted()).record

    assert "Background task started: Count." == started_message(record)
    assert "Background task update: Count. Half of it" == update_message(record, " Half of it\n")


@pytest.mark.parametrize(
    ("creation", "title"),
    [
        (created(task="Count\nthe  tallies"), "Count the tallies"),
        (created(task="Count the tallies", label="Tallies"), "Tallies"),
        (created(task=" " * 400 + "x"), "x"),
        (created(task="x" + " " * 400), "x"),
        (created(task="x" * 80), "x" * 80),
        (created(task="x" * 81), "x" * 79 + "…"),
        (created(task="ü" * 5_000), "ü" * 79 + "…"),
        (created(task="\x1b\x7f"), "Background task"),
        (created(task="\x1b" * 200 + "red"), "red"),
    ],
)
def test_a_task_is_called_so(creation: TaskCreated, title: str) -> None:
    assert f"Background task started: {title}." == started_message(Story(creation, TaskStarted()).record)


def test_a_run_is_called_by_the_first_of_its_characters() -> None:
    assert 8 == RUN_CHARACTERS_MAX
    assert "Background task done: Count (run short)." == message(TaskSucceeded(), label="Count", run_id="short")
    assert "Background task done: Count." == message(TaskSucceeded(), label="Count")


def test_the_longest_result_is_told_whole_and_the_longest_error_is_cut_in_the_message_alone() -> None:
    longest = "x" * SUMMARY_BYTES_MAX
    title, run_id = "\U0001fab5" * TITLE_CHARACTERS_MAX, "\U0001fab5" * RUN_CHARACTERS_MAX
    done = message(TaskSucceeded(summary=longest), task=title, run_id=run_id)
    assert f"Background task done: {title} (run {run_id}). {longest}" == done

    story = Story(created(), TaskStarted(), TaskFailed(error=longest))
    assert longest == story.record.error
    assert f"Background task failed: Count the tallies. {'x' * 119}…" == end_message(story.record)


def test_a_reference_that_just_fits_is_told() -> None:
    text = "t" * (DELIVERY_TEXT_BYTES_MAX - 11)

    assert f"{text}\n{'ü' * 5}" == with_artifacts(text, ("ü" * 5, "f"))
    assert text == with_artifacts(text, ("ü" * 5 + "f",))


def test_the_most_references_never_make_a_message_too_long() -> None:
    references = tuple("f" * (ARTIFACTS_BYTES_MAX // 64) for _ in range(64))

    told = with_artifacts("t" * SUMMARY_BYTES_MAX, references)

    assert set(told.split("\n")) == {"t" * SUMMARY_BYTES_MAX, references[0]}
    assert DELIVERY_TEXT_BYTES_MAX - len(references[0]) <= len(told) <= DELIVERY_TEXT_BYTES_MAX
