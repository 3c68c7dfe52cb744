"""What every log promises, as tests: subclass and supply a `log`."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

from tallystick.ledger.errors import Closed, Corrupt, InvalidInput, WrongVersion
from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import TaskErased, TaskFailed
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import RECORD_BYTES_MAX
from tallystick.ledger.payloads import lacking, stripped
from tallystick.ledger.store.codec import encode
from tallystick.ledger.store.port import EventLog, Row, Stored, TreeHead
from tallystick.ledger.store.tree import EMPTY_ROOT, leaf_hashes, root_from_leaves
from tallystick.ledger.store.verify import verify
from tests.ledger.store.make import Author, event, kept_aside, stream_id

SECRET = "4711-SECRET"
CLAIM, OTHER_CLAIM = b"c" * 16, b"d" * 16


def contents(log: EventLog) -> tuple[int, TreeHead, list[Stored], dict[bytes, bytes], list[Row]]:
    """All that a log has."""
    claims = dict(row for rows in log.claims() for row in rows)
    return log.head(), log.tree_head(), list(log.read()), claims, log.payloads(1, log.head())


class LogContract:
    """Every log passes these; how long it lasts is the business of each."""

    @pytest.fixture
    def log(self) -> Iterator[EventLog]:
        raise NotImplementedError

    def test_a_new_log_has_nothing(self, log: EventLog) -> None:
        assert (0, TreeHead(0, EMPTY_ROOT), [], {}, []) == contents(log)
        assert [] == log.stream(stream_id(1))
        assert log.claimed(CLAIM) is None
        assert verify(log).ok

    def test_events_come_back_in_order_and_to_the_letter(self, log: EventLog) -> None:
        author = Author()
        batches = list(author.batches((1, 2), (1,), (3, 1, 2)))

        for batch in batches:
            log.append(batch)

        everything = [event for batch in batches for event in batch]
        assert everything == list(log.read())
        assert [(event.position, encode(event)) for event in everything] == list(log.bodies())
        assert 6 == log.head()

    def test_a_part_of_the_log_is_read_after_one_position_until_another(self, log: EventLog) -> None:
        log.append(Author().write(*[1] * 9))

        assert [4, 5, 6] == [record.position for record in log.read(after=3, until=6)]
        assert [8, 9] == [record.position for record in log.read(after=7)]
        assert [8, 9] == [record.position for record in log.read(after=7, until=100)]
        assert [] == list(log.read(after=9))
        assert [] == list(log.read(after=5, until=5))
        assert [2, 3] == [position for position, _ in log.bodies(after=1, until=3)]

    def test_a_stream_has_its_own_events_in_order(self, log: EventLog) -> None:
        author = Author()
        first, second, third = author.write(1, 2, 1), author.write(2, 1), author.write(1)
        for batch in (first, second, third):
            log.append(batch)

        assert [first[0], first[2], second[1], third[0]] == log.stream(stream_id(1))
        assert [second[1], third[0]] == log.stream(stream_id(1), after_version=2)
        assert [] == log.stream(stream_id(1), after_version=4)
        assert [] == log.stream(stream_id(7))

    def test_a_long_stream_and_many_short_ones_are_kept_alike(self, log: EventLog) -> None:
        author = Author()
        for start in range(0, 3_000, 1_000):
            log.append(
                author.write(*[stream for number in range(start, start + 1_000) for stream in (7, 100 + number)])
            )

        assert list(range(1, 6_001, 2)) == [record.position for record in log.stream(stream_id(7))]
        assert [1_502] == [record.position for record in log.stream(stream_id(850))]
        assert list(range(1, 6_001)) == [record.position for record in log.read()]
        assert verify(log).ok

    @pytest.mark.parametrize(
        ("versions", "expected", "actual"),
        [
            ([2], 1, 2),  # somebody else wrote this version
            ([1], 0, 2),
            ([4], 3, 2),  # somebody else's version is not there
            ([0], -1, 2),
            ([2**32 + 2], 2**32 + 1, 2),
            ([3, 3], 2, 3),
            ([3, 5], 4, 3),
            ([3, 4, 6, 5], 5, 4),
        ],
    )
    def test_a_writer_with_the_wrong_version_is_told_both_and_writes_nothing(
        self, log: EventLog, versions: list[int], expected: int, actual: int
    ) -> None:
        author = Author()
        log.append(author.write(1, 1), {CLAIM: stream_id(1)})
        before = contents(log)
        batch = author.write(2) + [event(4 + at, 1, version) for at, version in enumerate(versions)]

        with pytest.raises(WrongVersion) as caught:
            log.append(batch, {OTHER_CLAIM: stream_id(2)})

        assert (id_text(stream_id(1)), expected, actual) == (
            caught.value.token,
            caught.value.expected,
            caught.value.actual,
        )
        assert before == contents(log)
        assert [] == log.stream(stream_id(2))
        assert verify(log).ok

    def test_a_new_stream_begins_with_version_one(self, log: EventLog) -> None:
        with pytest.raises(WrongVersion) as caught:
            log.append([event(1, 1, 2)])

        assert (1, 0) == (caught.value.expected, caught.value.actual)

    def test_the_first_wrong_version_of_a_batch_is_the_one_that_is_told(self, log: EventLog) -> None:
        log.append(Author().write(1, 2))

        with pytest.raises(WrongVersion) as caught:
            log.append([event(3, 1, 2), event(4, 2, 1), event(5, 3, 9), event(6, 1, 1)])

        assert id_text(stream_id(2)) == caught.value.token

    @pytest.mark.parametrize("positions", [[3], [1], [0], [2, 4], [2, 2], [3, 2]])
    def test_positions_that_do_not_follow_the_head_are_refused_and_nothing_is_written(
        self, log: EventLog, positions: list[int]
    ) -> None:
        log.append(Author().write(1))
        before = contents(log)

        with pytest.raises(Corrupt, match=r"cannot follow the head"):
            log.append([event(position, 10 + at, 1) for at, position in enumerate(positions)])

        assert before == contents(log)

    def test_a_refused_batch_is_no_hindrance_for_the_next(self, log: EventLog) -> None:
        author = Author()
        log.append(author.write(1))
        with pytest.raises(WrongVersion):
            log.append([event(2, 1, 9)])

        log.append(author.write(1, 2))

        assert [1, 2, 3] == [record.position for record in log.read()]
        assert verify(log).ok

    def test_a_record_that_is_too_long_refuses_its_batch_and_names_its_size(self, log: EventLog) -> None:
        batch = [*Author().write(1), event(2, 2, data=TaskFailed(error="x" * RECORD_BYTES_MAX))]

        with pytest.raises(InvalidInput, match=rf"656\d\d bytes.*at most {RECORD_BYTES_MAX} bytes"):
            log.append(batch)

        assert (0, TreeHead(0, EMPTY_ROOT), [], {}, []) == contents(log)

    def test_a_stream_that_is_no_id_is_refused(self, log: EventLog) -> None:
        for stream in (b"", b"short", bytes(17)):
            with pytest.raises(InvalidInput, match=r"^stream"):
                log.append([Event(1, stream, 1, 0, 0, "test", event(1).data)])

        assert 0 == log.head()

    def test_claims_are_written_with_their_events_and_the_last_one_holds(self, log: EventLog) -> None:
        author = Author()
        log.append(author.write(1), {CLAIM: stream_id(1), OTHER_CLAIM: stream_id(1)})
        log.append(author.write(2), {OTHER_CLAIM: stream_id(2)})

        assert (stream_id(1), stream_id(2)) == (log.claimed(CLAIM), log.claimed(OTHER_CLAIM))
        assert {CLAIM: stream_id(1)} == log.claimed_all([CLAIM, b"e" * 16])

    def test_notes_are_written_with_their_events_and_the_last_one_of_a_name_holds(self, log: EventLog) -> None:
        author = Author()
        log.append(author.write(1), {}, {b"who": b"first", b"why": b"\0"})
        log.append(author.write(1))
        log.append(author.write(1), {}, {b"who": b"second", b"edge": b"e", b"format": b"f"})

        assert [b"second", b"\0", None] == [log.note(name) for name in (b"who", b"why", b"wh")]
        assert [(b"who", b"second"), (b"why", b"\0")] == log.notes(b"w")
        assert [(b"edge", b"e"), (b"format", b"f")] == log.notes(b"")[:2]
        assert [] == log.notes(b"x")
        assert 3 == log.head()
        assert verify(log).ok

    def test_the_notes_of_a_refused_batch_are_not_written(self, log: EventLog) -> None:
        with pytest.raises(WrongVersion):
            log.append([event(1, 1, 2)], {}, {b"who": b"nobody"})
        log.append([event(1, 1)], {}, {b"why": b"because"})

        assert [(b"why", b"because")] == log.notes(b"")

    def test_an_empty_batch_writes_no_event(self, log: EventLog) -> None:
        log.append([])
        log.append([], {CLAIM: stream_id(1)})

        assert (0, TreeHead(0, EMPTY_ROOT), [], {CLAIM: stream_id(1)}, []) == contents(log)

    @pytest.mark.parametrize("size", [1, 2, 31, 32, 33, 255, 256, 257, 300, 513])
    def test_the_tree_is_that_of_the_stored_bytes_however_they_were_batched(self, log: EventLog, size: int) -> None:
        everything = Author().write(*range(size))
        written = 0
        for length in (1, 1, 30, 1, 222, 2, 1, 1, 300):
            log.append(everything[written : written + length])
            written += length

        leaves = leaf_hashes([body for _, body in log.bodies()])
        assert TreeHead(size, root_from_leaves(leaves)) == log.tree_head()
        assert size == len(leaves)
        verification = verify(log)
        assert (True, size, size, log.tree_head().root_hash) == (
            verification.ok,
            verification.events,
            verification.head,
            verification.root_hash,
        )

    def test_a_reader_ends_at_the_head_that_it_found(self, log: EventLog) -> None:
        author = Author()
        log.append(author.write(*[1] * 3))
        reader = log.read()
        assert [1] == [record.position for record in islice(reader, 1)]

        log.append(author.write(*[1] * 3))

        assert [2, 3] == [record.position for record in reader]
        assert 6 == log.head()

    def test_an_index_has_every_stream_in_order(self, log: EventLog) -> None:
        log.append(Author().write(2, 1, 2))

        rows = [(stream, int.from_bytes(place)) for rows in log.index() for stream, place in rows]

        assert [(stream_id(1), 2), (stream_id(2), 1), (stream_id(2), 3)] == rows
        assert {stream_id(1)} == log.known_streams([stream_id(1), stream_id(3)])

    def test_an_index_has_the_positions_of_a_stream_in_order(self, log: EventLog) -> None:
        log.append(Author().write(*[2, 1, 2] * 1_000))
        of_two = [position for position in range(1, 3_001) if position % 3 != 2]

        asked = [stream_id(2), stream_id(3), stream_id(1)]
        assert {stream_id(1): [*range(2, 3_001, 3)], stream_id(2): of_two} == log.positions(asked)
        assert of_two[10:30] == list(log.positions_behind(stream_id(2), of_two[9], 20))
        assert of_two[1_990:] == list(log.positions_behind(stream_id(2), of_two[1_989], 20))
        assert [] == list(log.positions_behind(stream_id(2), of_two[-1], 20))
        assert [] == list(log.positions_behind(stream_id(2), 2, 20))
        assert [] == list(log.positions_behind(stream_id(3), 1, 20))
        assert [] == list(log.positions_behind(stream_id(2), 1, 0))
        assert {} == log.positions([])

    @pytest.mark.parametrize(
        "use",
        [
            lambda log: log.head(),
            lambda log: log.tree_head(),
            lambda log: log.append(Author(1).write(1)),
            lambda log: log.append([]),
            lambda log: list(log.read()),
            lambda log: list(log.bodies()),
            lambda log: log.stream(stream_id(1)),
            lambda log: log.claimed(CLAIM),
            lambda log: log.outline(),
            lambda log: log.records(1, 1),
            lambda log: log.tile(0, 0),
            lambda log: list(log.index()),
            lambda log: list(log.claims()),
            lambda log: log.claimed_all([CLAIM]),
            lambda log: log.known_streams([stream_id(1)]),
            lambda log: log.positions([stream_id(1)]),
            lambda log: log.positions_behind(stream_id(1), 1, 1),
            verify,
        ],
    )
    def test_a_closed_log_says_so_and_closing_twice_is_closing_once(
        self, log: EventLog, use: Callable[[EventLog], object]
    ) -> None:
        log.append(Author().write(1))
        log.close()
        log.close()

        with pytest.raises(Closed):
            use(log)

    # What is kept beside it.

    def test_content_that_is_kept_beside_the_log_is_read_with_it_and_is_not_in_its_records(self, log: EventLog) -> None:
        author = Author()
        events, payloads = kept_aside(author.write(1, 2, 1, data=TaskFailed(error=SECRET, artifacts=(SECRET,))))

        log.append(events, payloads=payloads)
        log.append(author.write(2))

        assert events == list(log.read())[:3]
        assert [events[0], events[2]] == log.stream(stream_id(1))
        assert [events[2]] == log.stream(stream_id(1), after_version=1)
        assert events[1] == log.histories([stream_id(1), stream_id(2)])[stream_id(2)][0]
        assert [encode(stripped(event)) for event in events] == [body for _, body in log.bodies(until=3)]
        assert not any(SECRET.encode() in body for _, body in log.bodies())
        assert [(1, "artifacts"), (1, "error")] == [row[:2] for row in log.payloads(1, 1)]
        assert 6 == len(log.payloads(1, 4)) == len(log.payloads(1, 99))
        assert [] == log.payloads(4, 4)

    def test_with_an_erasure_goes_what_is_kept_of_its_stream_before_it_and_nothing_else(self, log: EventLog) -> None:
        author = Author()
        before, kept = kept_aside(author.write(1, 2, data=TaskFailed(error=SECRET)))
        log.append(before, payloads=kept)
        bodies = list(log.bodies())

        batch = author.write(1, data=TaskFailed(error="in the same batch"))
        batch += author.write(1, data=TaskErased(reason="asked for"))
        batch += author.write(1, data=TaskFailed(error="told later"))
        batch, kept = kept_aside(batch, 7)
        log.append(batch, payloads=kept)

        assert ["", "", None, "told later"] == [getattr(of(event), "error", None) for event in log.stream(stream_id(1))]
        assert [("error",), ("error",), (), ()] == [lacking(of(event)) for event in log.stream(stream_id(1))]
        assert [SECRET] == [of(event).error for event in log.stream(stream_id(2))]
        assert [2, 5] == [position for position, _, _ in log.payloads(1, 5)]
        assert bodies == list(log.bodies(until=2))
        assert verify(log).ok


def of(stored: Stored) -> Any:
    """What an event says."""
    assert isinstance(stored, Event)
    return stored.data
