"""What a round looks at follows what is due: what has to stay, however much, is not read again by every round."""

from collections.abc import Iterator
from typing import Any

import pytest

from tallystick.actors.keeping.looks import KEPT_MAX, PAGE, Looks
from tallystick.building import assemble
from tallystick.config import Config
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.upkeep.plan import Step
from tallystick.readings import Readings, due_rules
from tallystick.sync import Ledger
from tallystick.testing import HandClock

MANY = KEPT_MAX + 10 * PAGE
WEEK_MS = 7 * 86_400_000
OWNER = "agent:main:main"
WORK: dict[str, Any] = {"runtime": "cli", "task": "Count the tallies", "owner": OWNER, "notify": "silent"}


class Scene:
    """A ledger, its clock, and looks at it that nobody acts upon."""

    def __init__(self) -> None:
        self.clock = HandClock()
        readings = Readings(MemoryLog(), None, rules=due_rules(Config()))
        self.ledger = Ledger(assemble(readings, [], Config(), clock=self.clock, actor="test"))
        self.looks = Looks(readings.reader, readings.rules)

    def ended(self, count: int, flow: str | None = None) -> set[str]:
        with self.ledger.batch() as batch:
            tasks = [batch.create(**WORK, flow=flow) for _ in range(count)]
            for task in tasks:
                task.succeed("done")
        return {task.id for task in tasks}

    def round(self, *, thorough: bool = False) -> list[list[Step]]:
        return [list(page) for page in self.looks.round(self.clock(), thorough=thorough)]

    def found(self, *, thorough: bool = False) -> set[str]:
        return {step.token for page in self.round(thorough=thorough) for step in page}


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    with made.ledger:
        yield made


def test_much_that_has_to_stay_is_read_once_and_then_a_part_of_it_each_round(scene: Scene) -> None:
    flow = scene.ledger.flows.create(owner=OWNER, goal="Release", controller="bot")
    kept = scene.ended(MANY, flow.id)
    scene.clock.advance(WEEK_MS)
    first = scene.round()

    again = scene.round()

    assert MANY // PAGE <= len(first)
    assert len(again) <= KEPT_MAX // PAGE + 4, "each page is one scan of the index, of PAGE rows at most"
    flow.finish("released")
    rounds = [scene.found() for _ in range(2)]
    assert kept == rounds[0] | rounds[1], "and what may go at last is found when its turn has come"
    assert kept != rounds[0]


def test_what_becomes_due_is_found_in_the_next_round_however_much_has_to_stay(scene: Scene) -> None:
    flow = scene.ledger.flows.create(owner=OWNER, goal="Release", controller="bot")
    scene.ended(MANY, flow.id)
    scene.clock.advance(1)
    fresh = scene.ended(3)
    scene.clock.advance(WEEK_MS - 1)
    assert set() == scene.found()

    scene.clock.advance(1)

    assert fresh == scene.found()


def test_what_nobody_looks_at_any_more_costs_no_page(scene: Scene) -> None:
    with scene.ledger.batch() as batch:
        for _ in range(2 * PAGE):
            task = batch.create(**WORK)
            task.succeed("done")
            task.hold("evidence")
    scene.clock.advance(WEEK_MS)
    scene.round()

    assert [[]] * 4 == scene.round(), "stamps, cancels, what is new, what was kept: nothing each"


def test_a_round_that_was_left_in_the_middle_has_forgotten_nothing(scene: Scene) -> None:
    due = scene.ended(3 * PAGE)
    scene.clock.advance(WEEK_MS)
    begun = scene.looks.round(scene.clock(), thorough=False)
    taken: set[str] = set()
    while not taken:
        taken.update(step.token for step in next(begun))
    del begun  # they were asked for, and nobody knows what became of them

    assert due == scene.found()


def test_what_cannot_be_read_is_not_asked_again(scene: Scene) -> None:
    [task_id] = scene.ended(1)
    scene.clock.advance(WEEK_MS)
    assert {task_id} == scene.found()

    scene.looks.is_broken(scene.ledger.get(task_id).record.stream)

    assert set() == scene.found(thorough=True)
