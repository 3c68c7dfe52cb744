"""The flow's actor: a flow and its tasks agree, in one transaction, whoever else is in memory."""

import pytest

from tallystick.ledger.errors import FlowRefused, Full, WrongVersion
from tallystick.ledger.facts.flows import (
    FlowCancelled,
    FlowCancelRequested,
    FlowCreated,
    FlowFinished,
    FlowResumed,
    FlowStepClaimed,
    FlowTaskLinked,
)
from tallystick.ledger.facts.tasks import (
    TaskCancelled,
    TaskLinked,
    TaskPruned,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.flows.mirror import mirror_of, mirror_stream
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import BLOCKED, FlowStatus
from tests.actors.flow_parts import (
    FLOW,
    FLOW_ID,
    MIRROR,
    OTHER,
    OTHER_ID,
    SECOND,
    SECOND_ID,
    TASK,
    TASK_ID,
    FlowDesk,
    events_of,
    flow_folded,
)
from tests.actors.parts import STREAMS, FullLog, facts, folded, full, outcome, refusal, send
from tests.flow_law import check_joins
from tests.ledger.flows.tale import begun
from tests.story import created

CLAIM = FlowStepClaimed(step="build")


@pytest.fixture
def desk() -> FlowDesk:
    """A desk with one flow."""
    desk = FlowDesk()
    desk.begin()
    return desk


def code(answer: object) -> str:
    """Return why a flow refused, in one word."""
    assert isinstance(answer, tuple), answer
    kind, data = answer
    return str(data["code"]) if kind is FlowRefused else kind.__name__


def test_what_a_flow_answers_is_what_its_events_tell(desk: FlowDesk) -> None:
    answers = [desk.ask(FLOW, CLAIM), desk.ask(FLOW, FlowResumed(step="test"))]

    assert [2, 3] == [answer.revision for answer in answers]
    assert flow_folded(desk.log, FLOW) == answers[-1]


def test_a_flow_that_is_not_there_is_not_found_and_nobody_keeps_it_in_memory(desk: FlowDesk) -> None:
    before = len(desk.flows)

    assert "NotFound" == code(desk.ask(OTHER, CLAIM)) == code(desk.ask(TASK, CLAIM))
    assert "NotFound" == code(desk.link(task=SECOND))
    assert before == len(desk.flows)
    assert 0 == len(desk.directory)


def test_a_task_is_no_flow_and_a_flow_is_no_task(desk: FlowDesk) -> None:
    desk.work(notify="silent")

    assert "NotFound" == code(desk.ask(TASK, CLAIM))
    assert "NotFound" == code(desk.tell(FLOW, TaskStarted()))


# Links.


def test_a_link_is_told_by_both_in_the_same_transaction(desk: FlowDesk) -> None:
    desk.work()
    commits = desk.journal.commits

    flow = desk.link()

    assert (1, 2) == (desk.journal.commits - commits, flow.revision)
    assert [FlowTaskLinked(task=TASK_ID), TaskLinked(flow=FLOW_ID)] == [event.data for event in events_of(desk.log)][
        -2:
    ]
    task = folded(desk.log, TASK)
    assert task is not None
    assert FLOW_ID == task.parent_flow_id
    [told] = [batch.changes for batch in desk.told[-1:]]
    assert ({TASK}, {FLOW}) == (set(told.tasks), set(told.flows))


def test_a_link_that_comes_again_is_a_no_op(desk: FlowDesk) -> None:
    desk.work()
    first = desk.link()
    head = desk.log.head()

    assert first == desk.link() == desk.link(expected_version=1)
    assert head == desk.log.head()


def test_what_cannot_be_linked_is_refused_and_nothing_is_written(desk: FlowDesk) -> None:
    desk.begin(OTHER)
    desk.work(STREAMS[0], owner="a")
    desk.work(STREAMS[1], scope="system", owner=None, runtime="cron")
    desk.work(STREAMS[2], flow=OTHER_ID)
    desk.work(STREAMS[3])
    desk.tell(STREAMS[3], TaskCancelled())
    desk.tell(STREAMS[3], TaskPruned())
    desk.work(STREAMS[4], notify="done_only")
    head = desk.log.head()

    assert ["owner_mismatch", "system_scope", "linked_elsewhere", "Pruned", "NotFound"] == [
        code(desk.link(task=stream)) for stream in (*STREAMS[:4], STREAMS[7])
    ]
    assert "NotFound" == code(desk.link(task=FLOW))
    assert "not_managed" == code(desk.link(flow=mirror_stream(STREAMS[4]), task=STREAMS[3]))
    assert "WrongVersion" == code(desk.link(task=STREAMS[4], expected_version=9))
    assert head == desk.log.head()


@pytest.mark.parametrize(
    ("ends", "why"),
    [((FlowFinished(),), "terminal"), ((FlowCancelRequested(),), "cancel_requested")],
    ids=["terminal", "being cancelled"],
)
def test_no_task_joins_a_flow_that_is_over_or_to_be(desk: FlowDesk, ends: tuple[FlowFinished, ...], why: str) -> None:
    desk.work()
    for fact in ends:
        desk.ask(FLOW, fact)
    head = desk.log.head()

    assert why == code(desk.link())
    assert why == code(desk.tell(desk.directory.newborn(SECOND), created(flow=FLOW_ID)))
    assert head == desk.log.head()
    assert None is folded(desk.log, SECOND)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"owner": "a"}, "owner_mismatch"),
        ({"scope": "system", "owner": None, "runtime": "cron"}, "system_scope"),
        ({"flow": OTHER_ID}, "NotFound"),
        ({"flow": mirror_of(TASK_ID)}, "NotFound"),
    ],
)
def test_a_task_that_no_flow_takes_is_not_created_and_claims_nothing(
    desk: FlowDesk, said: dict[str, str], why: str
) -> None:
    creation = created(**{"flow": FLOW_ID, "idempotency_key": "k", **said})

    refused = code(desk.tell(desk.directory.newborn(TASK), creation))

    assert (why, 1) == (refused, desk.log.head())
    assert SECOND_ID == desk.work(SECOND, idempotency_key="k").task_id


def test_a_task_that_is_created_in_a_flow_is_no_write_of_the_flow(desk: FlowDesk) -> None:
    task = desk.work(flow=FLOW_ID, notify="done_only")

    assert FLOW_ID == task.parent_flow_id
    assert 1 == desk.ask(FLOW, CLAIM, expected_version=1).revision - 1
    assert "NotFound" == code(desk.ask(MIRROR, FlowCancelRequested()))  # it has no mirror


def test_a_key_of_another_owners_task_does_not_bring_it_into_a_flow(desk: FlowDesk) -> None:
    desk.work(owner="a", idempotency_key="k", runtime="cli")

    again = desk.tell(desk.directory.newborn(SECOND), created(idempotency_key="k", flow=FLOW_ID))

    assert "owner_mismatch" == code(again)
    task = folded(desk.log, TASK)
    assert task is not None
    assert None is task.parent_flow_id


def test_a_task_that_comes_again_may_join_and_only_once(desk: FlowDesk) -> None:
    desk.work(run_id="run-1")

    joined = desk.tell(desk.directory.newborn(SECOND), created(run_id="run-1", flow=FLOW_ID))
    again = desk.tell(desk.directory.newborn(STREAMS[2]), created(run_id="run-1", flow=FLOW_ID))

    assert (FLOW_ID, joined) == (joined.parent_flow_id, again)
    check_joins(events_of(desk.log))


def test_a_link_that_cannot_be_committed_was_never_there_for_either(desk: FlowDesk) -> None:
    log = desk.log
    assert isinstance(log, FullLog)
    desk.work()
    before = folded(log, TASK), flow_folded(log, FLOW)
    log.failures.append(full())

    failed = desk.link()

    assert refusal(full()) == failed
    assert before == (folded(log, TASK), flow_folded(log, FLOW))
    again = desk.link(expected_version=1)
    assert (2, FLOW_ID) == (again.revision, desk.tell(TASK, TaskStarted()).parent_flow_id)


def test_a_creation_in_a_mirrored_flow_that_cannot_be_committed_leaves_both_as_they_were(desk: FlowDesk) -> None:
    log = desk.log
    assert isinstance(log, FullLog)
    desk.work(notify="done_only")
    log.failures.append(full())

    failed = desk.tell(desk.directory.newborn(SECOND), created(flow=id_text(MIRROR)))

    assert (refusal(full()), None, []) == (failed, folded(log, SECOND), facts(log, MIRROR))
    assert id_text(MIRROR) == desk.work(SECOND, flow=id_text(MIRROR)).parent_flow_id
    assert FlowTaskLinked(task=SECOND_ID) == facts(log, MIRROR)[-1]


def test_a_flow_that_was_created_in_vain_can_be_created_again(desk: FlowDesk) -> None:
    log = desk.log
    assert isinstance(log, FullLog)
    log.failures.append(full())

    failed = desk.ask(desk.flows.newborn(OTHER), begun(idempotency_key="k"))
    again = desk.ask(desk.flows.newborn(STREAMS[10]), begun(idempotency_key="k"))

    assert (Full, STREAMS[10]) == (failed[0], again.stream)


def test_two_creations_with_one_key_in_one_turn_are_one_flow(desk: FlowDesk) -> None:
    futures = [send(desk.flows.newborn(stream), begun(idempotency_key="k")) for stream in (OTHER, STREAMS[10])]
    later = send(desk.flows.actor(STREAMS[10]), CLAIM)
    desk.dispatcher.run()

    claimed = outcome(later)
    assert [OTHER] * 3 == [answer.stream for answer in (*map(outcome, futures), claimed)]
    assert claimed.claim_of("build") is not None


def test_of_two_claims_in_one_turn_the_first_wins_and_the_second_sees_it(desk: FlowDesk) -> None:
    claims = [send(desk.flows.actor(FLOW), CLAIM, expected_version=1) for _ in range(2)]
    desk.dispatcher.run()

    first, second = map(outcome, claims)

    assert (2, WrongVersion, first) == (first.revision, second[0], second[1]["current"])
    assert "claimed" == code(desk.ask(FLOW, CLAIM, expected_version=2))


# Mirrors.


def test_a_mirror_has_no_events_before_somebody_joins_or_cancels_it(desk: FlowDesk) -> None:
    desk.work(notify="done_only")
    desk.tell(TASK, TaskStarted())

    alone = facts(desk.log, MIRROR)
    joined = desk.work(SECOND, flow=id_text(MIRROR), notify="done_only")
    flow = desk.ask(MIRROR, FlowCancelRequested(reason="enough"))

    assert ([], id_text(MIRROR)) == (alone, joined.parent_flow_id)
    assert [FlowCreated, FlowTaskLinked, FlowCancelRequested] == [type(fact) for fact in facts(desk.log, MIRROR)]
    assert (FlowStatus.QUEUED, SECOND_ID, "enough") == (flow.status, flow.followed_task_id, flow.cancel_reason)
    assert flow.revision == desk.log.head()


def test_the_revision_of_a_mirror_is_where_it_changed_last(desk: FlowDesk) -> None:
    desk.work(notify="done_only")
    seen = desk.log.head()
    desk.tell(TASK, TaskStarted())

    stale = desk.ask(MIRROR, FlowCancelRequested(), expected_version=seen)
    flow = desk.ask(MIRROR, FlowCancelRequested(), expected_version=stale[1]["actual"])

    assert (WrongVersion, seen + 1, "running") == (stale[0], stale[1]["actual"], stale[1]["current"].status)
    assert desk.log.head() == flow.revision


def test_a_mirror_follows_the_newest_and_takes_nobody_once_that_has_ended(desk: FlowDesk) -> None:
    desk.work(notify="done_only")
    desk.work(SECOND, flow=id_text(MIRROR))
    desk.tell(SECOND, TaskSucceeded())

    late = desk.tell(desk.directory.newborn(STREAMS[2]), created(flow=id_text(MIRROR)))

    assert "terminal" == code(late) == code(desk.ask(MIRROR, FlowCancelRequested()))


def test_a_blocked_mirror_goes_on_with_a_task_that_joins(desk: FlowDesk) -> None:
    desk.work(notify="done_only")
    desk.tell(TASK, TaskSucceeded(outcome=BLOCKED))

    desk.work(SECOND, flow=id_text(MIRROR))
    flow = desk.ask(MIRROR, FlowCancelRequested())

    assert (FlowStatus.QUEUED, None) == (flow.status, flow.blocked_task_id)


def test_nobody_but_its_tasks_moves_a_mirror(desk: FlowDesk) -> None:
    desk.work(notify="done_only")

    for fact in (CLAIM, FlowResumed(), FlowFinished(), FlowTaskLinked(task=TASK_ID)):
        assert "not_managed" == code(desk.ask(MIRROR, fact))
    assert "NotFound" == code(desk.ask(MIRROR, FlowCancelled()))  # it has no events of its own that could end


def test_a_task_that_is_linked_leaves_its_mirror_which_is_gone_then(desk: FlowDesk) -> None:
    desk.work(notify="done_only")

    flow = desk.link()

    assert isinstance(flow, FlowRecord)
    assert 1 == len(desk.flows)  # whoever looked for others in the mirror keeps nobody in memory
    assert "NotFound" == code(desk.ask(MIRROR, FlowCancelRequested()))


@pytest.mark.parametrize("by", ["link", "creation"])
def test_a_task_that_others_follow_does_not_leave_its_mirror(desk: FlowDesk, by: str) -> None:
    """Else those that have joined would be in a flow that is not there, or escape its cancel."""
    desk.work(notify="done_only", run_id="run-1")
    desk.work(SECOND, flow=id_text(MIRROR))

    if by == "link":
        answer = desk.link()
    else:
        answer = desk.tell(
            desk.directory.newborn(STREAMS[2]), created(notify="done_only", run_id="run-1", flow=FLOW_ID)
        )

    assert "linked_elsewhere" == code(answer)
    check_joins(events_of(desk.log))


def test_a_task_does_not_escape_the_cancel_of_its_mirror_into_another_flow(desk: FlowDesk) -> None:
    desk.work(notify="done_only")
    desk.ask(MIRROR, FlowCancelRequested())

    assert "linked_elsewhere" == code(desk.link())


def test_a_mirror_whose_newest_task_was_pruned_is_as_the_lists_show_it(desk: FlowDesk) -> None:
    desk.work(notify="done_only")
    desk.work(SECOND, flow=id_text(MIRROR))
    desk.tell(SECOND, TaskSucceeded())
    desk.tell(SECOND, TaskPruned())

    flow = desk.ask(MIRROR, FlowCancelRequested())

    assert FlowStatus.QUEUED is flow.status


# In memory or not.


def test_flows_come_and_go_and_nothing_is_lost(desk: FlowDesk) -> None:
    small = FlowDesk(desk.log, live_max=1)
    for number, stream in enumerate(STREAMS[9:15]):
        small.begin(stream)
        small.work(STREAMS[number])
    for _ in range(3):
        for number, stream in enumerate(STREAMS[9:15]):
            small.link(stream, STREAMS[number])
            small.ask(stream, FlowResumed())

    assert {5} == {flow_folded(desk.log, stream).revision for stream in STREAMS[9:15]}  # type: ignore[union-attr]
    assert len(small.flows) <= 2
    check_joins(events_of(desk.log))


def test_a_flow_that_has_ended_is_not_kept_in_memory(desk: FlowDesk) -> None:
    desk.ask(FLOW, FlowFinished())

    assert 0 == len(desk.flows)
    assert "terminal" == code(desk.ask(FLOW, CLAIM))
    assert 0 == len(desk.flows)
