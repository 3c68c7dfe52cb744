"""A turn of an agent: what its updates say of its progress, and how its stop reasons end a task."""

import re

import pytest
from acp import (
    image_block,
    plan_entry,
    start_tool_call,
    update_agent_message,
    update_agent_message_text,
    update_agent_thought_text,
    update_plan,
    update_tool_call,
)
from acp.schema import AgentMessageChunk, AgentPlanContentUpdate, PlanUpdateItems, TextContentBlock, ToolCallUpdate
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.limits import SUMMARY_BYTES_MAX
from tallystick.runtimes.turn import TAIL_CHARACTERS, End, Progress, Turn


def chunk(text: str, message: str) -> AgentMessageChunk:
    content = TextContentBlock(type="text", text=text)
    return AgentMessageChunk(session_update="agent_message_chunk", content=content, message_id=message)


def test_the_parts_of_a_message_are_one_message_until_another_begins() -> None:
    turn = Turn()

    told = [turn.follow(update) for update in (chunk("I ", "1"), chunk("see it", "1"), chunk("Done. ", "2"))]

    assert [Progress(message=text) for text in ("I ", "I see ", "Done. ")] == told
    assert "Done." == turn.last_message


def test_a_tool_ends_a_message_and_a_thought_does_not_count() -> None:
    turn = Turn()
    for update in (update_agent_message_text("Looking"), start_tool_call("1", "Look"), update_agent_message_text("Ok")):
        turn.follow(update)

    assert "Ok" == turn.last_message
    assert turn.follow(update_agent_thought_text("hm")) is None
    assert turn.follow(update_agent_message(image_block("aGk=", "image/png"))) is None
    assert "Ok" == turn.last_message


def test_a_long_message_is_kept_within_bounds_and_shows_its_end_while_it_grows() -> None:
    turn = Turn()

    told = turn.follow(update_agent_message_text("好" * 1_000 + "end "))
    for _ in range(50):
        turn.follow(update_agent_message_text("b" * 1_000))

    assert told == Progress(message="好" * (TAIL_CHARACTERS - 4) + "end ")
    assert SUMMARY_BYTES_MAX <= len(turn.last_message or "") < 2 * SUMMARY_BYTES_MAX


@given(st.lists(st.text("sk-1é好 \n", min_size=1, max_size=9), min_size=1, max_size=20))
def test_of_a_word_that_is_being_written_nothing_is_shown_before_the_rest_is_there(chunks: list[str]) -> None:
    turn, whole = Turn(), "".join(chunks) + " "
    words = re.findall(r"[!-~]+", whole)

    for each in (*chunks, " "):
        shown = getattr(turn.follow(chunk(each, "1")), "message", None) or ""

        assert re.findall(r"[!-~]+", shown) == words[: len(re.findall(r"[!-~]+", shown))]
    assert whole == shown


@given(st.text("ab \n", max_size=3 * TAIL_CHARACTERS).map(lambda text: f"{text} "))
def test_the_end_of_a_message_begins_with_a_whole_word(message: str) -> None:
    told = Turn().follow(update_agent_message_text(message))

    shown = "" if told is None else told.message or ""
    assert message.endswith(shown)
    assert len(shown) <= TAIL_CHARACTERS
    begins = len(message) - len(shown)
    assert not shown or begins == 0 or message[begins - 1].isspace() or shown[0].isspace()


def test_of_a_word_that_is_longer_than_what_is_shown_of_a_message_no_part_is_shown() -> None:
    turn = Turn()

    told = [turn.follow(chunk(text, "1")) for text in ("the key: ", "k" * 300, "\n", "is not shown. ")]

    assert [Progress(message=text) for text in ("the key: ", "the key: ", None, "is not shown. ")] == told


@pytest.mark.parametrize(
    ("title", "tool"),
    [("mcp__github.create/issue:2", "mcp__github.create/issue:2"), ("curl -H 'Authorization: key'", "tool")],
)
def test_a_tool_without_a_kind_is_named_by_its_title_only_if_that_is_a_name(title: str, tool: str) -> None:
    assert Progress(message=title, tool=tool) == Turn().follow(start_tool_call("1", title))


def test_a_tool_is_counted_once_and_named_by_its_kind() -> None:
    turn = Turn()
    updates = (
        start_tool_call("1", "Reading\nnotes", kind="read"),
        update_tool_call("1", status="in_progress"),
        update_tool_call("1", title="Reading more", status="completed"),
        update_tool_call("2", title="Nobody announced it", status="failed"),
        update_tool_call("3", status="failed"),
        start_tool_call("4", ""),
        update_tool_call("4"),
    )

    assert [
        Progress(message="Reading notes", tool="read"),
        Progress(message="Reading notes: in_progress"),
        Progress(message="Reading more: completed"),
        Progress(message="Nobody announced it", tool="tool"),
        Progress(message="failed"),
        Progress(tool="tool"),
        None,
    ] == [turn.follow(update) for update in updates]


def test_a_plan_is_step_n_of_m() -> None:
    turn = Turn()
    entries = [plan_entry("A", status="completed"), plan_entry("B", status="in_progress"), plan_entry("C")]
    newer = PlanUpdateItems(type="items", plan_id="1", entries=entries)

    assert Progress(message="B", step=2, steps=3) == turn.follow(update_plan(entries))
    assert Progress(step=0, steps=1) == turn.follow(update_plan(entries[2:]))
    assert turn.follow(update_plan([])) is None
    assert Progress(message="B", step=2, steps=3) == turn.follow(
        AgentPlanContentUpdate(session_update="plan_update", plan=newer)
    )


def test_a_request_for_permission_says_for_what() -> None:
    turn = Turn()
    turn.follow(start_tool_call("1", "Delete everything"))

    assert ["asks for permission: Delete everything"] * 2 == [
        getattr(turn.asks(call), "message", None)
        for call in (ToolCallUpdate(tool_call_id="1"), ToolCallUpdate(tool_call_id="2", title="Delete everything"))
    ]
    assert Progress(message="asks for permission") == turn.asks(None)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end_turn", End(status="succeeded", summary="Ok")),
        ("cancelled", End(status="cancelled", summary="the agent confirmed that it stopped")),
        ("refusal", End(status="succeeded", outcome="blocked", summary="refused: Ok")),
        ("max_tokens", End(status="succeeded", outcome="blocked", summary="stopped at the limit of tokens: Ok")),
        ("of_a_later_protocol", End(status="succeeded", summary="of_a_later_protocol: Ok")),
    ],
)
def test_each_stop_reason_has_its_outcome(reason: str, expected: End) -> None:
    turn = Turn()
    turn.follow(update_agent_message_text("Ok"))

    assert expected == turn.ended(reason)


def test_what_is_said_in_one_forgets_nothing_that_the_later_one_leaves_open() -> None:
    first, later = Progress(message="a", step=1, steps=3), Progress(message="b", tool="read")

    assert Progress(message="b", step=1, steps=3, tool="read") == first.then(later)
