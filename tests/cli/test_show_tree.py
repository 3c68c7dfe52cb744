"""`tally show --tree` tells what is below a task, what each of it did, and what all of it used."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

import tallystick
from tallystick.cli.branches import totals_words, tree_lines
from tallystick.cli.cells import width
from tallystick.cli.screen import Screen
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import TREE_LEVELS_MAX, TREE_TASKS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.projections.tree import Tree, tree_of
from tallystick.testing import HandClock
from tests.cli.support import BEGIN_MS, OWNER, process, tally
from tests.cli.test_start import loaded
from tests.story import Story, created

PLAIN = Story(created()).record


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """A ledger with a tree, and the ids of its tasks by label."""
    folder = tmp_path_factory.mktemp("family") / "ledger"
    clock = HandClock(BEGIN_MS)
    ids: dict[str, str] = {}
    with tallystick.open(folder, clock=clock, actor="teller") as ledger:

        def create(label: str, parent: str | None = None, **more: Any) -> tallystick.Task:
            clock.advance(1_000)
            given: dict[str, Any] = {"runtime": "subagent", "task": f"do {label}", "label": label, "owner": OWNER}
            task = ledger.create(**{**given, **more}, parent=ids.get(parent or ""))
            ids[label] = task.id
            return task

        top = create("release", runtime="acp")
        top.start()
        top.progress("planning", usage={"inputTokens": 1_345, "costUsd": 0.02})
        create("notes", "release").succeed("written", usage={"inputTokens": 11_000, "costUsd": 0.3})
        tests = create("tests", "release", run_id="run-7")
        tests.start()
        pytest_run = create("pytest", "tests", runtime="cli")
        pytest_run.start()
        clock.advance(61_000)
        pytest_run.fail("2 failed", usage={"costUsd": 0.1})
        create("ruff", "tests", runtime="cli")
        create("stranger")
    return str(folder), ids


def shown(family: tuple[str, dict[str, str]], lookup: str, *more: str) -> str:
    said = tally("show", family[1].get(lookup, lookup), "--tree", *more, "--ledger", family[0])
    assert (0, "") == (said.code, said.err)
    return said.out


def columns(lines: list[str], *titles: str) -> list[tuple[str, ...]]:
    """The cells of a table below these titles."""
    title, *rows = lines
    starts = [title.index(each) for each in titles]
    ends = [min([start for start in map(title.index, title.split()) if start > here], default=None) for here in starts]
    return [tuple(row[here:end].strip() for here, end in zip(starts, ends, strict=True)) for row in rows]


def test_a_tree_is_drawn_below_the_record_with_what_each_task_used(family: tuple[str, dict[str, str]]) -> None:
    lines, ids = shown(family, "release").splitlines(), family[1]
    start = next(place for place, line in enumerate(lines) if line.startswith("tree "))

    assert "5 tasks · 3 active · 1 failed · 1 succeeded · costUsd 0.42 · inputTokens 12,345" == lines[start][16:]
    assert [
        (ids["release"], "acp", "costUsd 0.02, inputTokens 1,345", "release"),
        (ids["notes"], "subagent", "costUsd 0.3, inputTokens 11,000", "├─ notes"),
        (ids["tests"], "subagent", "", "└─ tests"),
        (ids["pytest"], "cli", "costUsd 0.1", "├─ pytest"),
        (ids["ruff"], "cli", "", "└─ ruff"),
    ] == columns(lines[start + 1 : -1], "Task", "Runtime", "Usage", "Work")
    assert ["running", "succeeded", "running", "failed", "queued"] == [
        line.split()[2] for line in lines[start + 2 : -1]
    ]
    assert ["0ms", "1m01s", "-"] == [line.split()[3] for line in (lines[start + 3], *lines[start + 5 : start + 7])]
    assert f"tally timeline {ids['release']}" == lines[-1]
    assert "stranger" not in "".join(lines)


def test_a_child_shows_its_own_tree_and_names_parent_and_root(family: tuple[str, dict[str, str]]) -> None:
    lines, ids = shown(family, "run-7").splitlines(), family[1]

    named = {line[:15].strip(): line[16:] for line in lines}
    assert (ids["release"], ids["release"]) == (named["parent"], named["root"])
    assert "3 tasks · 2 active · 1 failed · costUsd 0.1" == named["tree"]
    assert ["tests", "├─ pytest", "└─ ruff"] == [line.rsplit("  ", 1)[-1].strip() for line in lines[-4:-1]]


def test_json_has_the_record_as_ever_and_the_tree_as_the_library_has_it(family: tuple[str, dict[str, str]]) -> None:
    folder, ids = family
    data = json.loads(shown(family, "release", "--json"))
    with tallystick.open(folder, read_only=True) as ledger:
        expected = ledger.tree(ids["release"])

    tree = data.pop("tree")
    assert tally("show", ids["release"], "--json", "--ledger", folder).data == data
    assert tree["record"] == {name: value for name, value in data.items() if name != "deliveries"}
    assert expected == msgspec.convert(tree, Tree)
    assert {"tasks": 5, "active": 3, "depth": 2} == {
        name: tree["totals"][name] for name in ("tasks", "active", "depth")
    }


def test_a_task_without_children_is_a_tree_of_one(family: tuple[str, dict[str, str]]) -> None:
    assert "1 task · 1 active" in shown(family, "stranger")
    assert 1 == json.loads(shown(family, "stranger", "--json"))["tree"]["totals"]["tasks"]


def test_without_being_asked_nothing_is_said_of_a_tree(family: tuple[str, dict[str, str]]) -> None:
    folder, ids = family

    assert "tree" not in tally("show", ids["release"], "--json", "--ledger", folder).data
    assert "├─" not in tally("show", ids["release"], "--ledger", folder).out


def test_a_tree_of_nobody_fails_as_any_lookup_does(family: tuple[str, dict[str, str]]) -> None:
    said = tally("show", "nobody", "--tree", "--json", "--ledger", family[0])

    assert (1, "NotFound", "nobody") == (said.code, said.error["type"], said.error["token"])


def test_a_tree_is_shown_beside_the_owner_who_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    with tallystick.open(folder) as ledger:
        top = ledger.create(runtime="cli", task="make all", owner=OWNER)
        for count in range(2, 4):
            ledger.create(runtime="cli", task="make one", owner=OWNER, parent=top.id)
            said = process("show", top.id, "--tree", "--json", "--ledger", folder)
            assert count == said.data["tree"]["totals"]["tasks"]


def test_a_tree_is_drawn_without_loading_what_lists_do_without(family: tuple[str, dict[str, str]]) -> None:
    modules = loaded("--ledger", family[0], "show", "run-7", "--tree")

    assert set() == modules & {"rich", "pykka", "asyncio", "structlog", "fractions", "tallystick.sync"}


# How it is drawn.


def chain(length: int) -> list[TaskRecord]:
    ids = [id_text(number.to_bytes(16)) for number in range(length)]
    return [
        replace(PLAIN, task_id=each, parent_task_id=parent, root_task_id=ids[0], label=f"level {level}")
        for level, (each, parent) in enumerate(zip(ids, [None, *ids[:-1]], strict=True))
    ]


def drawn(tree: Tree, columns: int = 160) -> list[str]:
    return list(tree_lines(Screen(columns), tree, BEGIN_MS))


def test_what_is_too_deep_to_be_shown_is_counted_where_it_hangs() -> None:
    top, *others = chain(TREE_LEVELS_MAX + 6)

    lines = drawn(tree_of(top, others, top.task_id))

    assert "56 tasks" in lines[0]
    assert f"{TREE_LEVELS_MAX} levels below └─ level {TREE_LEVELS_MAX}" == lines[-2].split("  ")[-1]
    assert f"{TREE_LEVELS_MAX + 1} levels below └─ … 5 below that are not shown" == lines[-1].strip()


def test_a_tree_that_was_cut_says_so_in_words_and_in_json() -> None:
    top, *others = chain(TREE_TASKS_MAX + 1)
    tree = tree_of(top, others, top.task_id)

    assert "truncated: it has more than 10,000 tasks" == drawn(tree)[1].strip()
    assert msgspec.to_builtins(tree)["truncated"] is True


def test_a_root_that_is_not_the_records_is_named() -> None:
    top, child = chain(2)

    assert [PLAIN.task_id] == [line.split()[-1] for line in drawn(tree_of(child, [], PLAIN.task_id)) if "root" in line]
    assert [] == [line for line in drawn(tree_of(child, [], top.task_id)) if "root" in line]


@pytest.mark.parametrize("columns", [40, 80, 100, 160])
def test_a_drawn_tree_fits_the_screen_and_nothing_in_it_moves_the_cursor(columns: int) -> None:
    top, *others = chain(4)
    evil = [replace(each, label="\x1b[2J\n絵文字 " * 9, usage={"a\x1b[2J": 5, "costUsd": 0.5}) for each in others]

    lines = drawn(tree_of(top, evil, top.task_id), columns)

    table = lines[next(place for place, line in enumerate(lines) if line.startswith("Task")) :]
    assert 5 == len(table)
    assert "\x1b" not in "".join(lines)
    assert "\n" not in "".join(lines)
    if columns >= 80:
        assert max(map(width, table)) <= columns


def test_amounts_are_shown_on_narrow_screens_too() -> None:
    top = replace(PLAIN, usage={"costUsd": 0.5})

    assert drawn(tree_of(top, [], top.task_id), 80)[-1].endswith("(costUsd 0.5)")
    assert "1 task · 1 active · costUsd 0.5" == totals_words(tree_of(top, [], top.task_id).totals)
