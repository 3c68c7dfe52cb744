"""Routing: blanks are filled, letters are kept, and nobody is told in a place that others read."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import TaskFailed, TaskLost, TaskStarted, TaskSucceeded
from tallystick.ledger.lifecycle import BLOCKED, Runtime, Status
from tallystick.ledger.routing import Monitor, Routing, direct_route, filled, is_shared, same_address
from tests import strategies as some
from tests.announced import CHAT, OPS, SERVED
from tests.story import Story, created

PARTS = ("channel", "to", "account", "thread")

addresses = st.sampled_from([5, "5", 6, "6", "a"])
parts_of_a_route: dict[str, st.SearchStrategy[Any]] = {
    "channel": st.sampled_from(["telegram", "slack"]),
    "to": addresses,
    "account": st.sampled_from(["work", "home"]),
    "thread": addresses,
}
origins = st.fixed_dictionaries({}, optional=parts_of_a_route).map(lambda parts: Origin(**parts))
"""From few parts, so that a request often comes from where its session was last reached."""


def to_the_letter(value: object) -> tuple[type, object]:
    """A part of an address, with what kind of thing it is."""
    return type(value), value


def session_was_reached_on(route: Origin | None) -> Any:
    return lambda _session: route


@given(origins, st.none() | origins)
@example(Origin("telegram", 5, thread=7), Origin("telegram", "5", "work", 8))
def test_what_an_origin_says_is_kept_to_the_letter(origin: Origin, stored: Origin | None) -> None:
    route = filled(origin, lambda: stored)

    for name in PARTS:
        said = getattr(origin, name)
        if route is not None and said is not None:
            assert to_the_letter(said) == to_the_letter(getattr(route, name))


@given(origins, st.none() | origins)
def test_blanks_are_filled_from_the_stored_route_and_nowhere_else(origin: Origin, stored: Origin | None) -> None:
    route = filled(origin, lambda: stored)

    for name in PARTS:
        if route is not None and getattr(origin, name) is None and getattr(route, name) is not None:
            assert to_the_letter(getattr(stored, name)) == to_the_letter(getattr(route, name))
            assert stored is not None
            assert stored.channel == route.channel, "a part of one channel means nothing on another"


@given(origins, st.none() | origins)
def test_thread_and_account_are_dropped_when_the_target_differs(origin: Origin, stored: Origin | None) -> None:
    route = filled(origin, lambda: stored)
    if route is None:
        return
    same_target = (
        stored is not None and (route.channel, str(route.to)) == (stored.channel, str(stored.to)) and stored.to
    )
    same_account = origin.account is None or (stored is not None and origin.account == stored.account)

    if not same_target:
        assert (origin.account, origin.thread) == (route.account, route.thread)
    elif same_account:
        assert stored is not None
        assert (origin.account or stored.account) == route.account
        assert to_the_letter(stored.thread if origin.thread is None else origin.thread) == to_the_letter(route.thread)
    else:
        assert to_the_letter(origin.thread) == to_the_letter(route.thread)


@given(origins, st.none() | origins)
def test_a_route_has_a_channel_and_a_target_or_is_none(origin: Origin, stored: Origin | None) -> None:
    known = stored or Origin()
    channel = origin.channel or known.channel
    to = origin.to
    if to is None and channel == known.channel:
        to = known.to

    route = filled(origin, lambda: stored)

    assert (route is None) == (channel is None or to is None)
    assert route is None or (channel, to) == (route.channel, route.to)


@given(origins, origins)
def test_filling_what_was_filled_changes_nothing(origin: Origin, stored: Origin) -> None:
    route = filled(origin, lambda: stored)

    assert route is None or route == filled(route, lambda: stored)


def test_an_origin_that_says_everything_asks_nobody() -> None:
    def nobody() -> Origin | None:
        raise AssertionError("there is nothing to fill")

    assert CHAT is filled(CHAT, nobody)


@pytest.mark.parametrize(
    ("origin", "stored", "expected"),
    [
        (Origin("telegram", 5), None, Origin("telegram", 5)),
        (Origin("telegram", 5), Origin("telegram", 5, "work", 77), Origin("telegram", 5, "work", 77)),
        (Origin("telegram", 5), Origin("telegram", "5", "work", 77), Origin("telegram", 5, "work", 77)),
        (Origin("telegram", 5), Origin("telegram", 6, "work", 77), Origin("telegram", 5)),
        (Origin("telegram", 5), Origin("slack", 5, "work", 77), Origin("telegram", 5)),
        (Origin("telegram", 5, thread=8), Origin("telegram", 6, "work", 77), Origin("telegram", 5, None, 8)),
        (Origin("telegram", 5, "home"), Origin("telegram", 5, "work", 77), Origin("telegram", 5, "home")),
        (Origin("telegram"), Origin("telegram", 5, "work", 77), Origin("telegram", 5, "work", 77)),
        (Origin("telegram"), Origin("slack", "#a"), None),
        (Origin(to=5), Origin("telegram", 5, "work", 77), Origin("telegram", 5, "work", 77)),
        (Origin(to=5), Origin("telegram", 6, "work", 77), Origin("telegram", 5)),
        (Origin(thread="8"), Origin("telegram", 5, "work", 77), Origin("telegram", 5, "work", "8")),
        (Origin(account="home"), Origin("telegram", 5, "work", 77), Origin("telegram", 5, "home")),
        (Origin(to=5), None, None),
        (Origin("telegram"), None, None),
        (Origin(thread=8), Origin(), None),
    ],
)
def test_an_origin_leads_here(origin: Origin, stored: Origin | None, expected: Origin | None) -> None:
    route = filled(origin, lambda: stored)

    assert expected == route
    if route is not None and expected is not None:
        assert [to_the_letter(getattr(expected, name)) for name in PARTS] == [
            to_the_letter(getattr(route, name)) for name in PARTS
        ]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (5, 5, True),
        (5, "5", True),
        ("5", 5, True),
        (5, 6, False),
        ("a", "A", False),
        (None, None, False),
        (0, "0", True),
    ],
)
def test_a_number_may_be_spelled_as_text(one: str | int | None, other: str | int | None, expected: bool) -> None:  # noqa: FBT001
    assert expected == same_address(one, other)


# Who is told directly.


@given(some.creations(), some.routings, some.stored_routes)
def test_only_complete_routes_of_served_channels_are_direct(
    creation: AnyFact, routing: Routing, stored: dict[str, Origin]
) -> None:
    record = Story(creation).record

    route = direct_route(record, routing, stored.get)

    if route is None:
        return
    assert record.origin is not None
    assert record.requester_session_key is not None
    assert route == filled(record.origin, lambda: stored.get(record.requester_session_key or ""))
    assert route.to is not None
    assert route.channel in routing.channels


@pytest.mark.parametrize("session", ["agent:main:telegram:group:-100123", "agent:main:slack:channel:C1", "group:x"])
@pytest.mark.parametrize("who", [{"owner"}, {"requester"}, {"owner", "requester"}])
def test_a_session_that_several_people_read_is_never_told_directly(session: str, who: set[str]) -> None:
    names = {"owner": "agent:main:main", "requester": "agent:main:main", **dict.fromkeys(who, session)}
    record = Story(created(origin=CHAT, **names)).record

    assert is_shared(session)
    assert direct_route(record, SERVED, session_was_reached_on(CHAT)) is None


@pytest.mark.parametrize(
    "session", ["agent:main:main", "agent:main:telegram:direct:5", "agent:main:groups:1", "channels", "a:subgroup:b"]
)
def test_a_session_of_one_person_is_told_directly(session: str) -> None:
    record = Story(created(origin=CHAT, owner=session)).record

    assert not is_shared(session)
    assert CHAT == direct_route(record, SERVED, session_was_reached_on(None))


def test_the_stored_route_is_that_of_the_session_that_asked() -> None:
    record = Story(created(origin=Origin("telegram"), owner="owner", requester="asker")).record
    stored = {"asker": Origin("telegram", 5, "work", 77), "owner": Origin("telegram", 6)}

    assert stored["asker"] == direct_route(record, SERVED, stored.get)


@pytest.mark.parametrize("channels", [frozenset(), frozenset({"slack"}), frozenset({"Telegram"})])
def test_a_channel_that_nobody_serves_is_no_way(channels: frozenset[str]) -> None:
    record = Story(created(origin=CHAT)).record

    assert direct_route(record, Routing(channels=channels), session_was_reached_on(CHAT)) is None


def test_without_an_origin_there_is_no_way_even_when_the_session_has_one() -> None:
    assert direct_route(Story(created()).record, SERVED, session_was_reached_on(CHAT)) is None


# Monitors.

ENDS: list[tuple[AnyFact | None, str]] = [
    (None, "queued"),
    (TaskStarted(), "running"),
    (TaskSucceeded(), "succeeded"),
    (TaskSucceeded(outcome=BLOCKED), "blocked"),
    (TaskFailed(error="x"), "failed"),
    (TaskLost(rule="r", evidence={}), "lost"),
]


@pytest.mark.parametrize(("fact", "shown"), ENDS)
@pytest.mark.parametrize("status", [None, *Status, BLOCKED])
@pytest.mark.parametrize("runtime", [None, *Runtime])
def test_a_monitor_is_told_what_its_rule_says_and_nothing_else(
    fact: AnyFact | None, shown: str, status: str | None, runtime: Runtime | None
) -> None:
    record = Story(created(), *([] if fact is None else [fact])).record
    asked = shown == status or (shown == "blocked" and status == "succeeded")
    told = asked if status is not None else shown not in {"queued", "running"}

    monitor = Monitor("ops", OPS, runtime=runtime, status=status)

    expected = told and runtime in (None, Runtime.SUBAGENT)
    assert expected == monitor.concerns(record)
    assert expected == replace(monitor, owner="agent:main:main").concerns(record)
    assert not replace(monitor, owner="agent:other:main").concerns(record)
