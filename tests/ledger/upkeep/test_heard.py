"""When the ledger heard of something is when it wrote a word of it, whenever that is said to have happened."""

from hypothesis import given
from msgspec.structs import replace

from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.flows import FlowNoted
from tallystick.ledger.facts.tasks import TaskHeld, TaskNotifyChanged, TaskProgressed, TaskStarted
from tallystick.ledger.flows import intake as of_flows
from tallystick.ledger.flows.evolve import evolve_flow
from tallystick.ledger.lifecycle import NotifyPolicy
from tallystick.ledger.limits import STALE_QUEUED_MS, STALE_RUNNING_MS
from tallystick.ledger.upkeep.finding import Code
from tallystick.ledger.upkeep.heard import WORDS, Heard, heard_in
from tallystick.ledger.upkeep.tasks import Signs
from tests import strategies as some
from tests.ledger.flows.tale import Tale
from tests.ledger.upkeep.cases import of_task
from tests.story import BEGIN_MS, Story, created

LATE_MS = 10**9


@given(some.announced(pruned=False))
def test_a_word_of_a_task_is_every_fact_that_moves_when_it_was_last_heard_of(story: Story) -> None:
    record = None
    for number, event in enumerate(story.events):
        told = replace(event, occurred_at=BEGIN_MS + LATE_MS + number)
        record = evolve(record, told)
        assert (told.data.__class__ in WORDS) == (told.occurred_at == record.last_event_at)


def test_a_word_of_a_flow_is_every_fact_that_moves_it() -> None:
    tale = Tale()
    tale.tell(of_flows.claimed("build"))
    tale.happen(FlowNoted(codes=("stale_running",)))
    tale.tell(of_flows.resumed())
    record = None
    for number, event in enumerate(tale.events):
        told = replace(event, occurred_at=BEGIN_MS + LATE_MS + number)
        record = evolve_flow(record, told)
        assert (told.data.__class__ in WORDS) == (told.occurred_at == record.updated_at)


def test_it_is_the_first_and_the_newest_word_by_the_time_of_writing() -> None:
    story = Story(created(), TaskStarted())
    story.tell(TaskProgressed(message="a third"), occurred_at=BEGIN_MS - LATE_MS, after_ms=7_000)
    heard_at = story.now_ms
    story.tell(TaskNotifyChanged(policy=NotifyPolicy.DONE_ONLY))
    story.tell(TaskHeld())

    assert Heard(first=story.events[0].recorded_at, last=heard_at) == heard_in(story.events)


def test_a_clock_that_was_set_back_makes_nothing_silent() -> None:
    story = Story(created(), TaskStarted())
    heard_at = story.now_ms
    story.tell(TaskProgressed(message="a third"), after_ms=-3_600_000)

    assert heard_at == heard_in(story.events).last


def test_what_cannot_be_read_says_nothing() -> None:
    story = Story(created(), TaskStarted())

    assert Heard() == heard_in(())
    assert Heard(first=None, last=story.now_ms) == heard_in(story.events[1:])


def test_silence_counts_from_when_the_ledger_heard_of_it() -> None:
    queued = Story(created()), Code.STALE_QUEUED, STALE_QUEUED_MS
    running = Story(created(), TaskStarted()), Code.STALE_RUNNING, STALE_RUNNING_MS
    at = BEGIN_MS + LATE_MS

    for story, code, span_ms in (queued, running):
        look = of_task(story, Signs(first_heard_at=at, last_heard_at=at))
        assert [] == look(at + span_ms - 1)
        [found] = look(at + span_ms)
        assert (code, span_ms) == (found.code, found.age_ms)
