"""One damaged record of a flow: it is named, the flow says so, and everything else works."""

from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import Corrupt, NotFound
from tallystick.ledger.claims import claims_in
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.verify import Kind, verify
from tallystick.testing import HandClock
from tests.face.parts import ORDINARY, OWNER
from tests.ledger.flows.tale import STREAM, begun
from tests.ledger.store import raw
from tests.ledger.store.make import event

GOAL: dict[str, Any] = {"owner": OWNER, "controller": "bot"}


class Damaged:
    """A ledger with three flows, one of them being cancelled; the second event of the first cannot be read."""

    def __init__(self, folder: Path, *, keeps_views: bool) -> None:
        self.folder = folder
        with tallystick.open(folder, clock=HandClock()) as ledger:
            self.first, self.second, self.third = (ledger.flows.create(**GOAL, goal=f"g{n}") for n in range(3))
            self.task = ledger.create(**ORDINARY, flow=self.first.id)
            self.first.claim("build")
            [self.position] = [each.position for each in ledger.events() if each.type == "flow-step-claimed.1"]
            self.first.set_waiting("x")
            self.second.claim("build")
            self.work = ledger.create(**ORDINARY, flow=self.third.id)
            self.work.start()
            self.third.cancel("enough", wait_ms=0)
            ledger.settled()
        raw.change_record(folder / "log", self.position, lambda _: b"not a record")
        if not keeps_views:
            for file in sorted((folder / "views").rglob("*")):
                file.unlink()


@pytest.fixture(params=["views", "no views"])
def damaged(request: pytest.FixtureRequest, folder: Path) -> Damaged:
    return Damaged(folder, keeps_views=request.param == "views")


def test_a_damaged_flow_says_so_and_the_others_go_on(damaged: Damaged) -> None:
    with tallystick.open(damaged.folder, clock=HandClock()) as ledger:
        first = ledger.flows.get(damaged.first.id)
        with pytest.raises(Corrupt) as caught:
            first.resume()
        second = ledger.flows.get(damaged.second.id)
        second.finish()
        ledger.get(damaged.work.id).cancelled()
        ledger.settled()

        assert damaged.position == caught.value.position
        assert ("succeeded", "cancelled") == (second.status, ledger.flows.get(damaged.third.id).status)
        shown = [flow.flow_id for flow in ledger.flows.list().flows]
        assert [damaged.third.id, damaged.second.id, damaged.first.id] == shown
        assert 3 == ledger.flows.counts().total


def test_a_task_of_a_damaged_flow_lives_on_and_nobody_joins_it(damaged: Damaged) -> None:
    with tallystick.open(damaged.folder, clock=HandClock()) as ledger:
        head = len(list(ledger.events()))
        with pytest.raises(Corrupt):
            ledger.create(**ORDINARY, flow=damaged.first.id)
        with pytest.raises(Corrupt):
            ledger.flows.get(damaged.first.id).link(ledger.create(**ORDINARY))

        assert head + 1 == len(list(ledger.events()))
        assert "succeeded" == ledger.get(damaged.task.id).succeed().status
        assert [damaged.task.id] == [task.task_id for task in ledger.flows.tasks(damaged.first.id)]


def test_verification_names_the_record_of_the_flow(damaged: Damaged) -> None:
    with tallystick.open(damaged.folder, read_only=True) as ledger:
        found = ledger.verify()

    assert (False, damaged.position) == (found.ok, found.first_bad)
    assert {damaged.position} == {problem.position for problem in found.problems}


def test_a_flow_whose_beginning_is_damaged_is_not_there_and_its_task_is(folder: Path) -> None:
    with tallystick.open(folder, clock=HandClock()) as ledger:
        flow = ledger.flows.create(**GOAL, goal="g")
        task = ledger.create(**ORDINARY, flow=flow.id)
        flow.claim("build")
    raw.cut_record(folder / "log", 1)
    for file in sorted((folder / "views").rglob("*")):
        file.unlink()

    with tallystick.open(folder, clock=HandClock()) as ledger:
        with pytest.raises(NotFound):
            ledger.flows.get(flow.id)
        assert [] == ledger.flows.list().flows
        assert "running" == ledger.get(task.id).start().status


# Claims on disk.


def test_verification_holds_the_key_of_a_flow_to_its_claim(tmp_path: Path) -> None:
    fact = begun(idempotency_key="key-1")
    written = event(1, data=fact)
    [claim] = claims_in(fact)
    problems = []
    for number, claims in enumerate(({claim: written.stream}, {}, {claim: STREAM})):
        with DiskLog.open(tmp_path / str(number)) as log:
            log.append([written], claims)
            problems.append([(problem.position, problem.kind) for problem in verify(log).problems])

    assert [] == problems[0]
    assert [(1, Kind.CLAIM)] == problems[1]
    assert (1, Kind.CLAIM) in problems[2]
