"""What is seen to live is neither found stale nor settled, however much of it there is, whoever owns the ledger."""

from collections.abc import Callable

import pytest

import tallystick
from tallystick import Config
from tallystick.actors.future import LightFuture
from tallystick.ledger.clock import system_clock
from tallystick.ledger.limits import (
    STALE_FLOW_MS,
    STALE_QUEUED_MS,
    STALE_RUNNING_MS,
    WATCHED_SILENCE_MS,
)
from tallystick.ledger.upkeep.finding import Code, Kind
from tallystick.projections.watched import note_of_all, watched
from tallystick.readings import VIEWS_FOLDER
from tallystick.sharing.bell import DOOR_NAME
from tallystick.sync import Ledger
from tests.actors.parts import PATIENCE_S
from tests.delivering.parts import CHAT
from tests.face.parts import wait_until
from tests.upkeep.cases import FLOW, WORK, Scene, amiss

HOUR_MS = 3_600_000
COMMAND = {**WORK, "runtime": "cli"}


def nothing_is_amiss(ledger: Ledger) -> None:
    """An audit is clean, and what an operator applies does nothing."""
    assert [] == ledger.audit().findings
    assert [] == ledger.maintenance().actions
    assert [] == ledger.maintenance(apply=True).actions


def more_is_alive(ledger: Ledger, at: int) -> None:
    """Have noted what is when there are more than 100,000 silent tasks alive."""
    durable = LightFuture()
    ledger._house.system.keep(*note_of_all(at), durable)  # noqa: SLF001 - to make so many takes a minute
    durable.get(timeout=PATIENCE_S)


# However much of it there is.


@pytest.mark.slow
def test_of_more_silent_work_than_one_note_could_tell_of_none_is_found_stale_in_any_process(scene: Scene) -> None:
    many = 5_000
    with scene.opened() as owner:
        with owner.batch() as batch:
            for task in [batch.create(**WORK) for _ in range(many)]:
                task.start()
        for _ in range(4):
            scene.clock.advance(WATCHED_SILENCE_MS // 2)
            owner.sweep()
        nothing_is_amiss(owner)
        with tallystick.open(scene.folder, read_only=True, clock=scene.clock) as reader:
            assert [] == reader.audit().findings
    with tallystick.join(scene.folder, clock=scene.clock) as joined:
        scene.clock.advance(WATCHED_SILENCE_MS // 2)
        nothing_is_amiss(joined)
        assert many == joined.counts().by_status["running"]


def test_while_more_is_alive_than_can_be_told_of_no_silent_work_is_judged_and_the_audit_says_how_much(
    scene: Scene,
) -> None:
    with scene.opened() as owner:
        task = owner.create(**COMMAND)
        task.start()
        scene.clock.advance(STALE_RUNNING_MS)
        assert (1, 0) == (owner.audit().summary.total, owner.audit().unjudged)
        more_is_alive(owner, scene.clock())

        nothing_is_amiss(owner)
        assert 1 == owner.audit().unjudged
        scene.clock.advance(STALE_RUNNING_MS)
        assert ([Code.STALE_RUNNING], 0) == ([each.code for each in owner.audit().findings], owner.audit().unjudged)


def test_of_work_that_is_told_of_it_is_known_when_it_was_alive_however_much_there_is_beyond(scene: Scene) -> None:
    with scene.opened() as owner:
        task = owner.create(**WORK)
        task.start()
        scene.clock.advance(WATCHED_SILENCE_MS)
        owner.sweep()
        scene.clock.advance(STALE_RUNNING_MS)
        more_is_alive(owner, scene.clock())

        assert [task.id] == [each.token for each in owner.audit().findings]
        assert 0 == owner.audit().unjudged


# Whoever owns the ledger.


def signs(ledger: Ledger) -> dict[bytes, int]:
    """When silent work was seen alive last, as the notes in the log tell it to every process."""
    return dict(watched(ledger._house.readings.log).alive)  # noqa: SLF001 - nobody is shown them


def test_signs_of_life_count_where_the_owner_may_not_judge_whichever_process_gives_them(scene: Scene) -> None:
    with (
        tallystick.join(scene.folder, clock=scene.clock) as owner,
        tallystick.join(scene.folder, clock=scene.clock) as worker,
    ):
        mine, theirs, silent = owner.create(**COMMAND), worker.create(**COMMAND), worker.create(**COMMAND)
        for task in (mine, theirs, silent):
            task.start()
        expected = {mine.record.stream, theirs.record.stream}

        def are_told() -> bool:
            for task in (mine, theirs):
                task.keep_alive()
            owner.sweep()
            return signs(worker) == dict.fromkeys(expected, scene.clock())

        for task in (mine, theirs):
            task.keep_alive()
        scene.clock.advance(WATCHED_SILENCE_MS)
        for _ in range(4):
            wait_until(are_told)
            scene.clock.advance(WATCHED_SILENCE_MS // 2)

        assert [silent.id] == [each.token for each in owner.audit().findings]
        assert [silent.id] == [each.token for each in worker.maintenance(apply=True).actions]
        assert ["running", "running", "lost"] == [owner.get(task.id).status for task in (mine, theirs, silent)]
        scene.clock.advance(STALE_RUNNING_MS)
        assert {mine.id, theirs.id} == {each.token for each in owner.audit().findings}, "they are silent now"


def test_who_owns_the_ledger_next_hears_the_signs_of_life_that_were_promised_before(scene: Scene) -> None:
    with tallystick.join(scene.folder, clock=scene.clock) as worker:
        with scene.opened():
            task = worker.create(**COMMAND)
            task.start()
            task.keep_alive()
        for _ in range(5):
            scene.clock.advance(WATCHED_SILENCE_MS // 2)
            task.keep_alive()
            worker.sweep()

        nothing_is_amiss(worker)
        assert 1 == [event.type for event in worker.timeline(task.id)].count("task-leased.1")


def test_signs_of_life_count_though_nobody_hears_the_bell_whether_or_not_the_owner_knew_of_the_promise(
    scene: Scene,
) -> None:
    with tallystick.join(scene.folder, clock=scene.clock) as worker:
        with scene.opened():
            known_before, unknown = worker.create(**COMMAND), worker.create(**COMMAND)
            for task in (known_before, unknown):
                task.start()
                task.keep_alive()
        with scene.opened() as owner:
            owner.sweep()
            with owner._house.owning() as house:  # noqa: SLF001 - as if it had not looked yet
                assert house is not None
                assert house.system.supervisor is not None
                house.system.supervisor.supervision.leases.end(unknown.record.stream)
            (scene.folder / DOOR_NAME).unlink()
            scene.clock.advance(WATCHED_SILENCE_MS)
            for task in (known_before, unknown):
                task.keep_alive()
            owner.sweep()

            assert dict.fromkeys((known_before.record.stream, unknown.record.stream), scene.clock()) == signs(owner)
            assert ["running"] * 2 == [owner.get(task.id).status for task in (known_before, unknown)]
            assert 1 == [event.type for event in worker.timeline(unknown.id)].count("task-leased.1")


def test_reading_that_somebody_promised_signs_of_life_is_none(scene: Scene) -> None:
    with scene.opened() as gateway:
        task = gateway.create(**COMMAND)
        task.start()
        task.keep_alive()
    scene.clock.advance(STALE_RUNNING_MS)
    with tallystick.join(scene.folder, clock=scene.clock) as owner:
        owner.sweep()

        assert [task.id] == [each.token for each in owner.audit().findings]
        assert {} == signs(owner)


def test_who_notes_signs_of_life_leaves_what_a_gateway_said_of_its_probes(scene: Scene) -> None:
    with amiss(scene, Kind.TASK, Code.PROBE_FAILING):
        pass
    with tallystick.join(scene.folder, clock=scene.clock) as owner:
        task = owner.create(**COMMAND)
        task.start()
        for _ in range(3):
            scene.clock.advance(WATCHED_SILENCE_MS // 2)
            task.keep_alive()
            owner.sweep()

        assert {task.record.stream} == signs(owner).keys()
        assert Code.PROBE_FAILING in {each.code for each in owner.audit().findings}


def test_signs_of_life_count_though_a_probe_is_asked_that_cannot_tell(scene: Scene) -> None:
    scene.verdict = tallystick.Verdict.unknown("the session store is locked")
    with scene.opened() as owner:
        task = owner.create(**WORK)
        task.start()
        for _ in range(5):
            task.keep_alive()
            scene.clock.advance(WATCHED_SILENCE_MS // 2)
            task.keep_alive()
            owner.sweep()

        assert [Code.PROBE_FAILING] == [each.code for each in owner.audit().findings]


class Shifted:
    """A clock that goes by itself, and can be set on."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return system_clock() + self.ahead_ms


@pytest.mark.slow
def test_by_the_clock_signs_of_life_are_noted_in_each_interval_where_the_owner_may_not_judge(scene: Scene) -> None:
    clock, config = Shifted(), Config(sweep={"first": 10, "interval": 20})
    with tallystick.join(scene.folder, clock=clock, config=config) as owner:
        task = owner.create(**COMMAND)
        task.start()
        task.keep_alive(HOUR_MS)
        owner.sweep()
        clock.ahead_ms = WATCHED_SILENCE_MS
        owner.create(**COMMAND).keep_alive(HOUR_MS)  # who sleeps until then hears of the clock by that

        wait_until(lambda: bool(signs(owner)))

        assert {task.record.stream} == signs(owner).keys()
        task.succeed()
        wait_until(lambda: not signs(owner))


@pytest.mark.slow
def test_an_owner_that_could_not_be_told_of_a_promise_looks_for_it_in_the_log(scene: Scene) -> None:
    clock, config = Shifted(), Config(sweep={"first": 10, "interval": 20})
    with (
        tallystick.join(scene.folder, clock=clock, config=config) as owner,
        tallystick.join(scene.folder, clock=clock) as worker,
    ):
        task = worker.create(**COMMAND)
        task.start()
        task.keep_alive()
        owner.sweep()
        with owner._house.owning() as house:  # noqa: SLF001 - as if the message had found no room
            assert house is not None
            assert house.system.supervisor is not None
            house.system.supervisor.supervision.leases.end(task.record.stream)
            house.system.supervisor.is_blind = True
        worker.create(**COMMAND, timeout_ms=HOUR_MS).start()  # of which it is told
        clock.ahead_ms = WATCHED_SILENCE_MS

        def is_told() -> bool:
            task.keep_alive()
            return bool(signs(owner))

        wait_until(is_told)


# Whenever it is said to have happened.


@pytest.fixture(params=["views", "without views", "rebuilt"])
def reopened(request: pytest.FixtureRequest, scene: Scene) -> Callable[[], Ledger]:
    """Opens the ledger as it is read with its views, from the log alone, and with views that are folded anew."""

    def reopen() -> Ledger:
        if request.param != "views":
            for file in (scene.folder / VIEWS_FOLDER).iterdir():
                file.unlink()
        return tallystick.open(scene.folder, read_only=request.param == "without views", clock=scene.clock)

    return reopen


def of_running_work(ledger: Ledger, at: int) -> None:
    ledger.create(**COMMAND, occurred_at=at).start(occurred_at=at)


def of_work_that_goes_on(ledger: Ledger, at: int) -> None:
    task = ledger.create(**COMMAND, occurred_at=at)
    task.start()
    task.progress("a third of it", occurred_at=at + 1)


def of_queued_work(ledger: Ledger, at: int) -> None:
    ledger.create(**COMMAND, occurred_at=at)


def of_a_flow(ledger: Ledger, at: int) -> None:
    ledger.flows.create(**FLOW).claim("build", occurred_at=at)


def of_the_end_of_a_step(ledger: Ledger, at: int) -> None:
    flow = ledger.flows.create(**FLOW)
    flow.claim("build", occurred_at=at)
    ledger.create(**COMMAND, flow=flow.id, occurred_at=at).succeed("built", occurred_at=at + 1)


@pytest.mark.parametrize(
    ("report", "code", "span_ms"),
    [
        (of_queued_work, Code.STALE_QUEUED, STALE_QUEUED_MS),
        (of_running_work, Code.STALE_RUNNING, STALE_RUNNING_MS),
        (of_work_that_goes_on, Code.STALE_RUNNING, STALE_RUNNING_MS),
        (of_a_flow, Code.STALE_RUNNING, STALE_FLOW_MS),
        (of_the_end_of_a_step, Code.STALE_RUNNING, STALE_FLOW_MS),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_report_that_comes_late_is_a_word_all_the_same_and_silence_counts_from_it(
    scene: Scene,
    reopened: Callable[[], Ledger],
    report: Callable[[Ledger, int], None],
    code: Code,
    span_ms: int,
) -> None:
    with scene.opened() as owner:
        report(owner, scene.clock() - HOUR_MS)
        nothing_is_amiss(owner)
        scene.clock.advance(span_ms - 1)
        nothing_is_amiss(owner)
    with reopened() as ledger:
        assert [] == ledger.audit().findings
        scene.clock.advance(1)
        assert span_ms == {each.code: each.age_ms for each in ledger.audit().findings}[code]


def test_of_the_tasks_of_a_flow_the_one_that_was_heard_of_last_counts_whatever_was_written_later(scene: Scene) -> None:
    with scene.opened() as owner:
        flow = owner.flows.create(**FLOW)
        flow.claim("build")
        scene.channel.answer = tallystick.Retryable("503 later")
        told = owner.create(**{**WORK, "notify": "done_only", "origin": CHAT}, flow=flow.id)
        late = owner.create(**COMMAND, flow=flow.id)
        told.succeed("built")
        scene.clock.advance(STALE_FLOW_MS // 2)
        late.succeed("tested", occurred_at=late.record.created_at)
        heard_at = scene.clock()
        scene.clock.advance(STALE_FLOW_MS // 2)
        owner.sweep()  # the message is tried again

        assert owner.get(told.id).record.position > owner.get(late.id).record.position
        assert Kind.FLOW not in {each.kind for each in owner.audit().findings}
        scene.clock.advance(heard_at + STALE_FLOW_MS - scene.clock())
        assert Kind.FLOW in {each.kind for each in owner.audit().findings}


def test_of_a_flow_whose_tasks_ended_long_ago_a_message_that_is_tried_again_is_no_word(scene: Scene) -> None:
    with scene.opened() as owner:
        flow = owner.flows.create(**FLOW)
        flow.claim("build")
        scene.channel.answer = tallystick.Retryable("503 later")
        owner.create(**{**WORK, "notify": "done_only", "origin": CHAT}, flow=flow.id).succeed("built")
        for _ in range(3):
            scene.clock.advance(STALE_FLOW_MS // 3)
            owner.sweep()

        assert Code.STALE_RUNNING in {each.code for each in owner.audit().findings if each.kind is Kind.FLOW}
