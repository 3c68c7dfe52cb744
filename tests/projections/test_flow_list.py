"""The list of flows: exact to the log's head, wherever the rows of flows and of tasks stand."""

from itertools import chain
from typing import Any

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from tallystick.ledger.errors import Ambiguous, InvalidInput, NotFound
from tallystick.ledger.events import Event
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import FLOW_ACTIVE, FlowMode, FlowStatus
from tallystick.projections.catch_up import catch_up
from tallystick.projections.flow_list import FlowList
from tallystick.projections.flow_query import FlowPage, FlowQuery
from tallystick.projections.reader import Reader
from tests.projections.flow_histories import (
    FLOWS,
    OWNERS,
    all_flows,
    flow_histories,
    own_records,
    reader_of,
    standings,
    tasks_of,
)
from tests.projections.histories import STREAMS, caught_up_views, logged, views_folder

few = settings(max_examples=40)

queries = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from([status.value for status in FlowStatus]),
        "owner": st.sampled_from([*OWNERS, "nobody"]),
        "controller": st.sampled_from(["bot", "a"]),
        "mode": st.sampled_from([mode.value for mode in FlowMode]),
        "limit": st.integers(1, 3),
    },
)


def ask(reader: Reader, **filters: Any) -> FlowPage:
    return reader.answer(lambda seen: FlowList(seen).list(FlowQuery.of(filters)))


def passes(record: FlowRecord, filters: dict[str, Any]) -> bool:
    """What the filters mean, word by word."""
    told = {
        "status": record.status,
        "owner": record.owner_key,
        "controller": record.controller_id,
        "mode": record.sync_mode,
    }
    return all(told[name] == value for name, value in filters.items() if name in told)


@few
@given(flow_histories(), standings, queries)
def test_a_list_of_flows_has_what_a_look_at_every_flow_would_find(
    events: list[Event], standing: tuple[int, ...], filters: dict[str, Any]
) -> None:
    expected = [flow for flow in all_flows(events) if passes(flow, filters)]
    with reader_of(events, standing) as reader:
        pages = [ask(reader, **filters)]
        while pages[-1].next_cursor is not None:
            pages.append(ask(reader, **filters, cursor=pages[-1].next_cursor))

    assert expected == list(chain.from_iterable(page.flows for page in pages))
    assert all(len(page.flows) == filters.get("limit", 50) for page in pages[:-1])
    event(f"flows: {len(expected)}")


@few
@given(flow_histories(), standings)
def test_every_status_and_mode_of_flows_has_its_own_list(events: list[Event], standing: tuple[int, ...]) -> None:
    flows = all_flows(events)
    with reader_of(events, standing) as reader:
        for status in FlowStatus:
            for mode in FlowMode:
                filters = {"status": status.value, "mode": mode.value}
                assert [flow for flow in flows if passes(flow, filters)] == ask(reader, **filters).flows


@few
@given(flow_histories(), standings)
def test_a_flow_is_found_by_its_id_with_its_tasks(events: list[Event], standing: tuple[int, ...]) -> None:
    flows = {flow.flow_id: flow for flow in all_flows(events)}
    with reader_of(events, standing) as reader, reader.snapshot() as seen:
        found = FlowList(seen)
        for flow_id in (*map(id_text, FLOWS), *(mirror_of(id_text(stream)) for stream in STREAMS)):
            if flow_id in flows:
                assert flows[flow_id] == found.get(flow_id) == found.find(f" {flow_id}\n")
                assert tasks_of(events, flows[flow_id]) == found.tasks(flows[flow_id])
            else:
                with pytest.raises(NotFound, match=flow_id):
                    found.get(flow_id)


@few
@given(flow_histories(), standings)
def test_an_owner_finds_its_only_active_flow_and_hears_of_several(
    events: list[Event], standing: tuple[int, ...]
) -> None:
    with reader_of(events, standing) as reader, reader.snapshot() as seen:
        for owner in OWNERS:
            active = [flow for flow in all_flows(events) if flow.owner_key == owner and flow.is_active]
            if len(active) == 1:
                assert active == [FlowList(seen).find(f" {owner} ")]
                continue
            with pytest.raises(Ambiguous if active else NotFound) as caught:
                FlowList(seen).find(owner)
            assert owner == caught.value.data["token"]
            if active:
                assert [flow.flow_id for flow in active] == caught.value.data["candidates"]


@few
@given(flow_histories(), standings)
def test_counts_of_flows_are_those_of_the_records(events: list[Event], standing: tuple[int, ...]) -> None:
    managed = [flow for flow in all_flows(events) if flow.is_managed]
    being_cancelled = [
        own for own in own_records(events).values() if own.cancel_requested_at is not None and own.is_active
    ]
    with reader_of(events, standing) as reader, reader.snapshot() as seen:
        counts, cancelling = FlowList(seen).counts(), FlowList(seen).cancelling()

    by_status = {status.value: sum(flow.status is status for flow in managed) for status in FlowStatus}
    assert by_status == counts.by_status
    assert (len(managed), sum(by_status[status] for status in FLOW_ACTIVE)) == (counts.total, counts.active)
    assert sum(own.is_managed for own in being_cancelled) == counts.cancelling
    assert sorted(own.flow_id for own in being_cancelled) == sorted(own.flow_id for own in cancelling)


@few
@given(
    flow_histories(most=30), st.lists(st.integers(0, 6), min_size=1, max_size=8), st.integers(1, 2), st.integers(1, 3)
)
def test_pages_have_every_flow_once_while_others_are_written(
    events: list[Event], growth: list[int], limit: int, seldom: int
) -> None:
    """Before each page more is written; the views see that now and then. Flows come and go: what stays comes once."""
    assume(events)
    head = sum(growth) % len(events)
    log = logged(events[:head])
    with views_folder() as folder, caught_up_views(folder, log) as views:
        reader = Reader(log, views)
        there = {flow.flow_id for flow in all_flows(events[:head])}
        shown: list[str] = []
        cursor, pages = None, 0
        while not pages or cursor is not None:
            page = ask(reader, limit=limit, cursor=cursor)
            shown.extend(flow.flow_id for flow in page.flows)
            cursor, more = page.next_cursor, growth[pages % len(growth)]
            log.append(events[head : head + more])
            head, pages = min(head + more, len(events)), pages + 1
            there &= {flow.flow_id for flow in all_flows(events[:head])}
            if pages % seldom:
                catch_up(views, log)

    assert len(set(shown)) == len(shown)
    assert there <= set(shown)


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"status": "done"}, "status"),
        ({"status": 7}, "status"),
        ({"mode": "both"}, "mode"),
        ({"owner": ""}, "owner"),
        ({"controller": 7}, "controller"),
        ({"limit": 0}, "limit"),
        ({"limit": True}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": 7}, "cursor"),
        ({"runtime": "acp"}, "runtime"),
    ],
)
def test_a_filter_of_flows_that_is_not_allowed_is_refused_by_its_name(filters: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        FlowQuery.of(filters)

    assert field == caught.value.field


def test_a_cursor_fits_the_very_query_that_gave_it() -> None:
    place = bytes(range(22))
    cursor = FlowQuery(owner="a").cursor_at(place)

    assert place == FlowQuery(owner="a", limit=3, cursor=cursor).span().end
    for other in ({}, {"owner": "b"}, {"owner": "a", "status": "running"}, {"owner": "a", "mode": "managed"}):
        with pytest.raises(InvalidInput, match="cursor"):
            FlowQuery.of({**other, "cursor": cursor})
