"""The steward: what follows from a flow's cancel happens once, also after restarts, failures and with a full inbox."""

from contextlib import suppress
from typing import Any

import pytest

from tallystick.actors.envelope import Envelope
from tallystick.actors.future import LightFuture
from tallystick.actors.journal import Committed
from tallystick.actors.steward import AGAIN_MS, STEWARD_ACTOR
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Busy, Corrupt
from tallystick.ledger.facts.flows import FlowCancelled, FlowFinished, FlowResumed, FlowTaskLinked
from tallystick.ledger.facts.tasks import (
    TaskCancelled,
    TaskCancelRequested,
    TaskCreated,
    TaskFailed,
    TaskLost,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.flows.mirror import mirror_stream
from tallystick.ledger.ids import id_text, new_id
from tallystick.ledger.lifecycle import FlowStatus
from tallystick.projections.change import Changes
from tests.actors.flow_parts import FLOW, FLOW_ID, OTHER, OTHER_ID, FlowDesk
from tests.actors.parts import STREAMS, FullLog, facts, folded, full
from tests.actors.stewards_desk import CANCEL, CHILDREN, StewardsDesk
from tests.projections.histories import caught_up_views
from tests.story import created


@pytest.fixture
def desk() -> StewardsDesk:
    return StewardsDesk()


def test_a_flow_without_work_ends_at_once_and_the_steward_says_so(desk: StewardsDesk) -> None:
    desk.begin()
    desk.cancel()

    assert (FlowStatus.CANCELLED, ["FlowCancelled"]) == (desk.status(), desk.verbs)
    assert {STEWARD_ACTOR} == {command.actor for _, command in desk.sent}
    assert set() == desk.steward.watched


def test_queued_children_are_cancelled_and_the_flow_after_them(desk: StewardsDesk) -> None:
    desk.begin()
    for stream in CHILDREN:
        desk.work(stream, flow=FLOW_ID)
    desk.cancel()

    assert ["TaskCancelRequested"] * 3 + ["FlowCancelled"] == desk.verbs
    assert {TaskCancelled} == {type(facts(desk.log, stream)[-1]) for stream in CHILDREN}
    assert FlowCancelled() == facts(desk.log, FLOW)[-1]
    reasons = {command.data.reason for _, command in desk.sent[:3]}  # type: ignore[union-attr]
    assert {f"with its flow {FLOW_ID}: enough"} == reasons


ENDS = [TaskSucceeded(), TaskFailed(error="boom"), TaskCancelled(), TaskLost(rule="gone", evidence={})]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_a_flow_is_cancelled_exactly_when_the_last_child_has_ended_however(desk: StewardsDesk, end: Any) -> None:
    desk.family()
    desk.cancel()
    statuses = []
    for stream in CHILDREN:
        statuses.append(desk.status())
        desk.tell(stream, end)
        desk.go_on()

    assert [FlowStatus.QUEUED] * 3 == statuses
    assert FlowStatus.CANCELLED is desk.status()
    assert ["TaskCancelRequested"] * 3 + ["FlowCancelled"] == desk.verbs


def test_what_is_below_a_child_is_cancelled_with_it_and_not_waited_for(desk: StewardsDesk) -> None:
    desk.family(children=CHILDREN[:1])
    desk.work(CHILDREN[1], parent=id_text(CHILDREN[0]), notify="silent")
    desk.tell(CHILDREN[1], TaskStarted())
    desk.cancel()
    desk.tell(CHILDREN[0], TaskCancelled())
    desk.go_on()

    assert TaskCancelRequested in map(type, facts(desk.log, CHILDREN[1]))
    assert FlowStatus.CANCELLED is desk.status()


def test_a_child_whose_cancel_is_wanted_already_is_not_asked_again(desk: StewardsDesk) -> None:
    desk.family(children=CHILDREN[:2])
    desk.tell(CHILDREN[0], TaskCancelRequested())
    desk.cancel()
    desk.cancel()
    desk.tend()
    desk.tend()

    assert [CHILDREN[1]] == [stream for stream, _ in desk.sent]


def test_a_mirror_is_cancelled_with_the_task_that_it_mirrors_and_all_that_joined(desk: StewardsDesk) -> None:
    mirror = mirror_stream(STREAMS[0])
    desk.work(STREAMS[0], notify="done_only")
    desk.work(STREAMS[1], flow=id_text(mirror))
    desk.tell(STREAMS[0], TaskStarted())
    desk.cancel(mirror)
    half = [folded(desk.log, stream) for stream in STREAMS[:2]]
    desk.tell(STREAMS[0], TaskCancelled())
    desk.go_on()

    assert ["running", "cancelled"] == [record.status for record in half if record is not None]
    assert (FlowStatus.CANCELLED, FlowCancelled()) == (desk.status(mirror), facts(desk.log, mirror)[-1])


def test_flows_that_are_cancelled_together_end_each_with_its_own(desk: StewardsDesk) -> None:
    desk.family()
    desk.family(OTHER, STREAMS[3:5])
    desk.cancel()
    desk.cancel(OTHER)
    for stream in STREAMS[3:5]:
        desk.tell(stream, TaskCancelled())
    desk.go_on()

    assert (FlowStatus.QUEUED, FlowStatus.CANCELLED) == (desk.status(), desk.status(OTHER))
    assert {FLOW_ID} == desk.steward.watched


def test_what_is_nobodys_cancel_is_nothing_to_the_steward(desk: StewardsDesk) -> None:
    desk.family()
    desk.ask(FLOW, FlowResumed())
    for stream in CHILDREN:
        desk.tell(stream, TaskSucceeded())
    desk.ask(FLOW, FlowFinished())
    desk.tend()

    assert [] == desk.sent
    assert None is desk.steward.concern(Committed(1, 1, Changes()))


# Restarts, and what goes wrong.


def test_a_restart_goes_on_where_the_last_owner_stopped(desk: StewardsDesk) -> None:
    desk.family()
    desk.cancel()
    desk.tell(CHILDREN[0], TaskCancelled())

    again = StewardsDesk(desk.log)  # type: ignore[arg-type]
    asked = again.verbs
    for stream in CHILDREN[1:]:
        again.tell(stream, TaskCancelled())
        again.go_on()

    assert ([], ["FlowCancelled"]) == (asked, again.verbs)
    assert FlowStatus.CANCELLED is again.status()


def test_a_restart_before_anything_was_sent_sends_all_of_it() -> None:
    desk = FlowDesk()
    desk.begin()
    for stream in CHILDREN:
        desk.work(stream, flow=FLOW_ID)
    desk.ask(FLOW, CANCEL)

    again = StewardsDesk(desk.log)  # type: ignore[arg-type]

    assert ["TaskCancelRequested"] * 3 + ["FlowCancelled"] == again.verbs
    assert FlowStatus.CANCELLED is again.status()


def test_a_restart_between_the_last_child_and_the_end_ends_the_flow() -> None:
    desk = FlowDesk()
    desk.begin()
    desk.work(flow=FLOW_ID)
    desk.ask(FLOW, CANCEL)
    desk.tell(STREAMS[0], TaskCancelled())

    assert ["FlowCancelled"] == StewardsDesk(desk.log).verbs  # type: ignore[arg-type]


def test_reading_and_rebuilding_a_log_sends_nothing(desk: StewardsDesk, tmp_path: Any) -> None:
    desk.family()
    desk.cancel()
    for stream in CHILDREN:
        desk.tell(stream, TaskCancelled())
    desk.go_on()
    head = desk.log.head()

    with caught_up_views(tmp_path, desk.log):
        again = StewardsDesk(desk.log)  # type: ignore[arg-type]
        again.tend()

    assert ([], head) == (again.sent, desk.log.head())


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
@pytest.mark.parametrize("by", ["hand", "alarm"])
def test_what_finds_no_room_is_sent_again(failing: int, by: str) -> None:
    desk = StewardsDesk(by_hand=by == "hand")
    desk.begin()
    for stream in CHILDREN:
        desk.work(stream, flow=FLOW_ID)
    desk.refusing.extend([Busy("The inbox", depth=1)] * failing)

    desk.cancel()
    for _ in range(3):
        if by == "hand":
            desk.tend()
        else:
            desk.clock.advance(AGAIN_MS)
            desk.go_on()

    assert FlowStatus.CANCELLED is desk.status()
    assert 1 == [type(fact) for fact in facts(desk.log, FLOW)].count(FlowCancelled)
    assert set() == desk.steward.watched


def test_a_child_that_is_damaged_is_not_asked_again_and_again_but_at_every_sweep() -> None:
    desk = StewardsDesk(by_hand=False)
    desk.begin()
    desk.work(flow=FLOW_ID)
    desk.refusing.append(Corrupt("it cannot be read"))
    desk.cancel()
    desk.clock.advance(10 * AGAIN_MS)
    desk.go_on()
    soon = desk.verbs
    desk.tend()

    assert ([], FlowStatus.CANCELLED) == (soon, desk.status())


@pytest.mark.parametrize("failing", range(1, 5))
def test_what_could_not_be_committed_is_sent_again(desk: StewardsDesk, failing: int) -> None:
    log = desk.log
    assert isinstance(log, FullLog)
    desk.family(children=CHILDREN[:2])
    desk.ask(FLOW, CANCEL)
    log.failures.extend([full()] * failing)
    desk.go_on()
    log.failures.clear()
    desk.tend()
    for stream in CHILDREN[:2]:
        desk.tell(stream, TaskCancelled())
    log.failures.extend([full()] * failing)
    desk.go_on()
    log.failures.clear()
    desk.tend()

    assert FlowStatus.CANCELLED is desk.status()
    assert {1} == {[type(fact) for fact in facts(log, each)].count(TaskCancelRequested) for each in CHILDREN[:2]}


def test_a_steward_that_could_not_be_told_looks_for_itself(desk: StewardsDesk) -> None:
    desk.family()
    desk.ask(FLOW, CANCEL)
    for stream in CHILDREN[:2]:
        desk.tell(stream, TaskCancelled())
    untold, desk.told[:] = len(desk.told), []  # as if its inbox were full
    desk.steward.is_blind = True
    desk.steward.inbox.wake()
    desk.go_on()
    asked = [stream for stream, _ in desk.sent]
    desk.tell(CHILDREN[2], TaskCancelled())
    desk.told[:] = []
    desk.steward.is_blind = True
    desk.steward.inbox.wake()
    desk.go_on()

    assert untold > 0
    assert [CHILDREN[2]] == asked
    assert FlowStatus.CANCELLED is desk.status()


def test_a_steward_that_was_not_told_of_an_end_does_not_watch_for_ever(desk: StewardsDesk) -> None:
    desk.family(children=CHILDREN[:1])
    desk.cancel()
    watched = set(desk.steward.watched)
    desk.tell(CHILDREN[0], TaskCancelled())
    desk.ask(FLOW, FlowCancelled())
    desk.told[:] = []
    desk.tend()

    assert ({FLOW_ID}, set()) == (watched, desk.steward.watched)


def test_a_full_inbox_makes_the_steward_blind_and_nothing_is_missed(desk: StewardsDesk) -> None:
    desk.family()
    with suppress(Busy):
        while True:
            desk.steward.inbox.put(Envelope(Committed(1, 1, Changes())))
    desk.flows.actor(FLOW).inbox.put(Envelope(Command(CANCEL, "me"), LightFuture()))
    desk.go_on()
    for stream in CHILDREN:
        desk.tell(stream, TaskCancelled())
    desk.go_on()

    assert FlowStatus.CANCELLED is desk.status()


def test_a_task_that_was_linked_is_cancelled_like_one_that_was_created_there(desk: StewardsDesk) -> None:
    desk.begin()
    desk.work(CHILDREN[0], notify="done_only")
    desk.ask(FLOW, FlowTaskLinked(task=id_text(CHILDREN[0])))
    desk.cancel()

    assert TaskCancelled in map(type, facts(desk.log, CHILDREN[0]))
    assert FlowStatus.CANCELLED is desk.status()


# Cost.


@pytest.mark.parametrize("count", [10, 1_000])
def test_the_cost_of_a_cancel_is_linear_in_the_children(desk: StewardsDesk, count: int) -> None:
    desk.begin()
    desk.begin(OTHER)
    desk.work(new_id(), flow=OTHER_ID)
    for _ in range(count):
        desk.tell(desk.directory.newborn(new_id()), some_work())
    desk.go_on()
    asked_before = desk.reader.questions

    desk.cancel()

    assert FlowStatus.CANCELLED is desk.status()
    assert count + 1 == len(desk.sent)
    assert desk.reader.questions - asked_before <= 2 * count + 5
    assert set() == desk.steward.watched


def test_tasks_below_one_another_in_one_flow_are_each_asked_once(desk: StewardsDesk) -> None:
    desk.begin()
    chain = [new_id() for _ in range(60)]
    for place, stream in enumerate(chain):
        parent = id_text(chain[place - 1]) if place else None
        desk.work(stream, flow=FLOW_ID if place % 3 else None, parent=parent, notify="silent")
        desk.tell(stream, TaskStarted())
    desk.go_on()

    desk.cancel()

    assert sorted(chain[1:]) == sorted(stream for stream, _ in desk.sent)


def some_work() -> TaskCreated:
    return created(flow=FLOW_ID, notify="silent")
