"""The outbox of all tasks: what is to be sent on each endpoint, what waits in each session, and what is stuck."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.facts.deliveries import (
    DeliveryAttempted,
    DeliveryDelivered,
    DeliveryDismissed,
    DeliveryFailed,
    DeliveryRetried,
    DeliveryUnknown,
)
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import TaskFailed, TaskPruned, TaskStarted, TaskSucceeded
from tallystick.ledger.limits import MEDIA_CONFIRM_MS, TIME_MS_MAX
from tallystick.ledger.outbox import Waiting
from tallystick.ledger.record import TaskRecord
from tallystick.projections.catch_up import catch_up
from tallystick.projections.check import check
from tallystick.projections.keys import ENDPOINT, SESSION, STUCK, UNCONFIRMED, WITHHELD, outbox_heading
from tallystick.projections.outbox import OutboxCounts, Slot, endpoint_heading, places_of, session_heading
from tallystick.projections.reader import Reader
from tallystick.projections.views import PROJECTIONS, Views
from tests import strategies as some
from tests.announced import CHAT, OPS, WATCHED, Announced, asked
from tests.projections.histories import (
    STREAMS,
    caught_up_views,
    dump,
    histories,
    live_views,
    logged,
    records_of,
    views_folder,
)
from tests.story import BEGIN_MS

KINDS = (ENDPOINT, SESSION, UNCONFIRMED, STUCK, WITHHELD)
FAR = TIME_MS_MAX

cuts = st.lists(st.integers(1, 30), max_size=6)
standings = st.tuples(*[st.integers(0, 40)] * len(PROJECTIONS))
"""How far each read model has come; none further than the log."""

Standing = dict[bytes, set[Slot]]


def digest(kind: bytes, name: str) -> bytes:
    return kind + blake2b(name.encode(), digest_size=6).digest()


def standing_of(records: dict[bytes, TaskRecord]) -> Standing:
    """Where every message of every task stands, by a look at all of them."""
    found: Standing = defaultdict(set)
    for stream, record in records.items():
        if record.pruned_at is not None:
            continue
        routes: list[Origin] = []
        for waiting in record.outbox:
            if waiting.is_withheld:
                assert waiting.due_at is not None
                found[b"W"].add((waiting.due_at, stream))
            elif waiting.route is None:
                assert waiting.session is not None
                found[digest(b"S", waiting.session)].add((waiting.position, stream))
                if waiting.due_at is not None:
                    found[b"U"].add((waiting.due_at, stream))
            elif waiting.due_at is None:
                found[b"X"].add((waiting.queued_at, stream))
            elif waiting.route not in routes:
                routes.append(waiting.route)
                account = f"/{waiting.route.account}" if waiting.route.account else ""
                found[digest(b"E", f"{waiting.route.channel}{account}:{waiting.route.to}")].add(
                    (waiting.due_at, stream)
                )
    return found


def counted(standing: Standing, kind: bytes) -> int:
    return sum(len(slots) for heading, slots in standing.items() if heading.startswith(kind))


@contextmanager
def reader_of(events: list[Event], positions: tuple[int, ...]) -> Iterator[Reader]:
    """A reader of a log whose read models have come as far as they have."""
    log = logged(events)
    with views_folder() as folder, Views.open(folder, log) as views:
        for projection, position in zip(views.projections, positions, strict=True):
            catch_up(views, log, until=position, names={projection.name})
        yield Reader(log, views)


def answers(reader: Reader, expected: Standing) -> None:
    """Hold every answer of a reader to what it should be."""
    for kind in KINDS:
        of_kind = {heading for heading in expected if heading.startswith(kind)}
        found = reader.headings(kind)
        assert of_kind <= found
        assert {kind} >= {heading[:1] for heading in found}
        for heading in found:
            assert sorted(expected.get(heading, ())) == reader.slots(heading, FAR)
    assert (
        OutboxCounts(
            pending=counted(expected, ENDPOINT),
            failed=counted(expected, STUCK),
            queued=counted(expected, SESSION),
            withheld=counted(expected, WITHHELD),
        )
        == reader.outbox_counts()
    )


@given(histories(), cuts)
def test_what_is_stored_is_what_the_records_say_however_the_log_was_cut(events: list[Event], cuts: list[int]) -> None:
    expected = standing_of(records_of(events))
    with views_folder() as folder, live_views(folder, events, cuts) as views:
        stored: Standing = defaultdict(set)
        for heading, place in dump(views)["outbox.places"]:
            stored[heading].add((int.from_bytes(place[:6]), place[6:]))

        assert expected == stored


@given(histories(), standings)
def test_a_reader_answers_what_a_look_at_every_record_would(events: list[Event], positions: tuple[int, ...]) -> None:
    with reader_of(events, positions) as reader:
        answers(reader, standing_of(records_of(events)))


@given(histories())
def test_without_views_the_log_tells_what_is_to_be_sent(events: list[Event]) -> None:
    answers(Reader(logged(events), None), standing_of(records_of(events)))


@given(histories(), standings, st.integers(-1, 20), st.integers(0, 20), st.none() | st.integers(0, 3))
def test_slots_lie_between_two_moments_the_first_first_and_are_no_more_than_asked_for(
    events: list[Event], positions: tuple[int, ...], before: int, first: int, limit: int | None
) -> None:
    expected = standing_of(records_of(events))
    with reader_of(events, positions) as reader:
        for heading, slots in expected.items():
            begin = 0 if heading.startswith(SESSION) else BEGIN_MS
            for start in (0, begin + first):
                meant = sorted(slot for slot in slots if start <= slot[0] < begin + before)
                assert meant[:limit] == reader.slots(heading, max(0, begin + before), limit, first=start)


@given(histories())
def test_headings_are_exact_when_the_views_have_seen_everything(events: list[Event]) -> None:
    expected = standing_of(records_of(events))
    with views_folder() as folder, caught_up_views(folder, log := logged(events)) as views:
        reader = Reader(log, views)
        for kind in KINDS:
            assert {heading for heading in expected if heading.startswith(kind)} == reader.headings(kind)


@given(some.outboxes)
def test_of_each_route_the_first_has_a_place_however_many_wait_behind_it(outbox: tuple[Waiting, ...]) -> None:
    sent = [heading for heading, _ in places_of(STREAMS[0], outbox) if heading.startswith(ENDPOINT)]

    assert len({waiting.route for waiting in outbox if waiting.is_sent}) == len(sent)


# Step by step, seen by the views or not.

seen = pytest.mark.parametrize("seen_by_views", [0, 3, 4, 100])
"""How much of the log the views have seen; the rest is read from the log."""

MAIN = "terminal:succeeded:default"
DUE_MS = BEGIN_MS + 60_000


@contextmanager
def reader_after(path: Path, seen_by_views: int, *facts: AnyFact, **more: object) -> Iterator[Reader]:
    """After one second a task is created, after two it runs, after three it succeeds; then what is told."""
    story = Announced(asked(**more), TaskStarted(), TaskSucceeded(), stream=STREAMS[0])
    for fact in facts:
        story.tell(fact)
    log = logged(story.events)
    with caught_up_views(path, log, until=min(seen_by_views, len(story.events))) as views:
        yield Reader(log, views)


@seen
def test_a_message_stands_under_its_endpoint_by_the_moment_in_which_it_is_due(
    tmp_path: Path, seen_by_views: int
) -> None:
    heading = endpoint_heading(CHAT)
    with reader_after(tmp_path / "new", seen_by_views) as reader:
        assert [(BEGIN_MS + 3_000, STREAMS[0])] == reader.slots(heading, FAR)
        assert [] == reader.slots(heading, BEGIN_MS + 3_000)
        assert [] == reader.slots(heading, FAR, first=BEGIN_MS + 3_001)
        assert {heading} == reader.headings(ENDPOINT)
        assert OutboxCounts(pending=1) == reader.outbox_counts()
    for told in (
        DeliveryAttempted(delivery=MAIN, attempt=1, error="x", due_at=DUE_MS),
        DeliveryUnknown(delivery=MAIN, attempt=1, error="x", due_at=DUE_MS),
    ):
        with reader_after(tmp_path / type(told).__name__, seen_by_views, told) as reader:
            assert [(DUE_MS, STREAMS[0])] == reader.slots(heading, FAR)


@seen
@pytest.mark.parametrize("told", [DeliveryDelivered(delivery=MAIN), DeliveryDismissed()])
def test_what_is_done_with_stands_nowhere(tmp_path: Path, seen_by_views: int, told: AnyFact) -> None:
    with reader_after(tmp_path, seen_by_views, told) as reader:
        assert [] == reader.slots(endpoint_heading(CHAT), FAR)
        assert OutboxCounts() == reader.outbox_counts()


@seen
def test_what_failed_is_stuck_and_waits_in_the_session_too(tmp_path: Path, seen_by_views: int) -> None:
    failed = DeliveryFailed(delivery=MAIN, attempt=1, error="x")
    with reader_after(tmp_path / "failed", seen_by_views, failed) as reader:
        assert [(BEGIN_MS + 3_000, STREAMS[0])] == reader.slots(outbox_heading(STUCK), FAR)
        assert [(6, STREAMS[0])] == reader.slots(session_heading("agent:main:main"), FAR)
        assert [] == reader.slots(endpoint_heading(CHAT), FAR)
        assert OutboxCounts(failed=1, queued=1) == reader.outbox_counts()
    with reader_after(tmp_path / "retried", seen_by_views, failed, DeliveryRetried()) as reader:
        assert [(BEGIN_MS + 5_000, STREAMS[0])] == reader.slots(endpoint_heading(CHAT), FAR)
        assert OutboxCounts(pending=1, queued=1) == reader.outbox_counts()


@seen
def test_media_that_have_to_be_confirmed_stand_by_the_end_of_the_wait(tmp_path: Path, seen_by_views: int) -> None:
    with reader_after(tmp_path, seen_by_views, runtime="cli", kind="image_generation") as reader:
        assert [(BEGIN_MS + 3_000 + MEDIA_CONFIRM_MS, STREAMS[0])] == reader.slots(outbox_heading(UNCONFIRMED), FAR)
        assert [(4, STREAMS[0])] == reader.slots(session_heading("agent:main:main"), FAR)
        assert OutboxCounts(queued=1) == reader.outbox_counts()


@seen
def test_a_task_that_was_pruned_waits_for_no_operator(tmp_path: Path, seen_by_views: int) -> None:
    failed = DeliveryFailed(delivery=MAIN, attempt=1, error="x")
    taken = DeliveryDismissed(delivery=f"{MAIN}#session")
    with reader_after(tmp_path / "stuck", seen_by_views, failed, taken) as reader:
        assert OutboxCounts(failed=1) == reader.outbox_counts()
    with reader_after(tmp_path / "pruned", seen_by_views, failed, taken, TaskPruned()) as reader:
        assert OutboxCounts() == reader.outbox_counts()
        assert [] == reader.slots(outbox_heading(STUCK), FAR)


def test_the_messages_of_a_session_are_in_the_order_of_the_log(tmp_path: Path) -> None:
    events: list[Event] = []
    for stream in STREAMS:
        story = Announced(asked(origin=None), TaskFailed(error="x"), stream=stream, position=len(events))
        events.extend(story.events)
    with caught_up_views(tmp_path, log := logged(events)) as views:
        found = Reader(log, views).slots(session_heading("agent:main:main"), FAR)

        assert [(3 * number, stream) for number, stream in enumerate(STREAMS, 1)] == found
        assert check(views, log, "outbox").ok


def test_a_task_that_is_told_of_in_several_places_stands_in_all_of_them(tmp_path: Path) -> None:
    story = Announced(asked(), TaskFailed(error="x"), routing=WATCHED, stream=STREAMS[0])
    with caught_up_views(tmp_path, log := logged(story.events)) as views:
        reader = Reader(log, views)

        assert {endpoint_heading(CHAT), endpoint_heading(OPS)} == reader.headings(ENDPOINT)
        for route in (CHAT, OPS):
            assert [(BEGIN_MS + 2_000, STREAMS[0])] == reader.slots(endpoint_heading(route), FAR)


def test_headings_are_a_kind_and_a_digest() -> None:
    assert (b"E", b"S", b"U", b"X", b"W") == KINDS
    assert digest(b"E", "telegram/work:-100123") == endpoint_heading(CHAT)
    assert digest(b"E", "slack:#ops") == endpoint_heading(OPS)
    assert "53c0ed48eef1f1" == session_heading("agent:main:main").hex()
    assert b"X" == outbox_heading(STUCK)
