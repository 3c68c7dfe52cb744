"""The query: what it lets in, and that its cursors are nobody else's."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.lifecycle import Runtime, Status
from tallystick.ledger.limits import PAGE_ROWS_MAX, TASK_BYTES_MAX
from tallystick.projections.places import PLACE_BYTES
from tallystick.projections.query import Query

PLACE = bytes(range(PLACE_BYTES))


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("status", "runing", "queued, running, succeeded, failed, timed_out, cancelled, lost, blocked"),
        ("status", 3, "queued"),
        ("runtime", "heartbeat", "acp, cli, cron, subagent"),
        ("owner", "  ", "not blank"),
        ("owner", 7, "one line"),
        ("session", "a\nb", "one line"),
        ("run_id", "x" * 600, "512 bytes"),
        ("parent", "run-1", "a task id"),
        ("parent", "", "not blank"),
        ("kind", "\x00", "control characters"),
        ("metadata", "a=b", "pairs of texts"),
        ("metadata.a", {"a": 1}, "pairs of texts"),
        ("text", "", "not empty"),
        ("text", "x" * (TASK_BYTES_MAX + 1), "bytes"),
        ("since", -1, "milliseconds"),
        ("until", "yesterday", "milliseconds"),
        ("limit", 0, f"1 to {PAGE_ROWS_MAX}"),
        ("limit", PAGE_ROWS_MAX + 1, f"1 to {PAGE_ROWS_MAX}"),
        ("limit", True, "whole number"),
        ("cursor", "x", "next_cursor"),
        ("cursor", 5, "next_cursor"),
        ("cursor", "é", "next_cursor"),
        ("cursor", "", "next_cursor"),
    ],
)
def test_a_filter_that_is_not_allowed_is_named_with_what_is(field: str, value: Any, allowed: str) -> None:
    with pytest.raises(InvalidInput, match=allowed) as caught:
        Query(**{field.partition(".")[0]: value})
    assert field == caught.value.field


def test_a_filter_that_nobody_knows_is_named_with_those_that_are_known() -> None:
    with pytest.raises(InvalidInput, match=r"only status, runtime, .*cursor"):
        Query.of({"state": "running"})
    assert Query(status="running") == Query.of({"status": Status.RUNNING, "limit": 50})


def test_filters_are_trimmed_as_lookups_are_and_text_has_no_case() -> None:
    query = Query(owner=" agent:main:main\n", runtime=Runtime.ACP, text=" STRASSE", metadata={})
    expected = ("agent:main:main", "acp", " strasse", None)
    assert expected == (query.owner, query.runtime, query.text, query.metadata)


def test_a_cursor_goes_on_where_its_page_ended() -> None:
    query = Query(owner="a", limit=3)
    cursor = query.cursor_at(PLACE)
    assert PLACE == Query(owner="a", limit=10, cursor=cursor).after()
    assert None is query.after()


@pytest.mark.parametrize("other", [{"owner": "b"}, {"session": "a"}, {"owner": "a", "status": "lost"}, {}])
def test_the_cursor_of_another_query_is_refused(other: dict[str, Any]) -> None:
    cursor = Query(owner="a").cursor_at(PLACE)
    with pytest.raises(InvalidInput, match="of this very query"):
        Query(**other, cursor=cursor)


@given(st.integers(0, 29), st.integers(1, 255))
def test_a_cursor_with_another_byte_is_refused(place: int, other: int) -> None:
    raw = bytearray(urlsafe_b64decode(Query().cursor_at(PLACE)))
    raw[place] ^= other
    with pytest.raises(InvalidInput):
        Query(cursor=urlsafe_b64encode(raw).decode())


@pytest.mark.parametrize("place", [b"", PLACE[1:], PLACE + b"x"])
def test_a_cursor_to_what_is_no_place_is_refused(place: bytes) -> None:
    with pytest.raises(InvalidInput):
        Query(cursor=Query().cursor_at(place))


@given(st.text(max_size=60))
def test_a_cursor_that_was_made_up_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput):
        Query(cursor=cursor)


def test_one_page_has_one_cursor_however_it_is_spelled() -> None:
    cursor = Query().cursor_at(PLACE)
    for spelled in (f" {cursor}", f"{cursor}=", f"{cursor[:5]}\n{cursor[5:]}", cursor.replace(cursor[-1], "!")):
        with pytest.raises(InvalidInput):
            Query(cursor=spelled)
