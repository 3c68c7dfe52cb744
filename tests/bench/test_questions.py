"""Every measurement runs, at a tiny size, and says what it found beside what was wanted."""

import ast
from importlib import import_module
from pathlib import Path

import msgspec
import pytest

from tallystick.bench.all import QUESTIONS
from tallystick.bench.report import TIMES, Report

TASKS = 40

pytestmark = pytest.mark.slow


def ask(name: str, folder: Path, *more: str) -> int:
    places = ["--folder", str(folder), "--cache", str(folder / "cache")]
    code: int = import_module(f"tallystick.bench.{name}").main(["--size", str(TASKS), "--rounds", "1", *places, *more])
    return code


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_prints_each_goal_beside_what_was_measured(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == ask(name, tmp_path, "--json")
    report = msgspec.json.decode(capsys.readouterr().out, type=Report)

    assert name.partition("_")[0] == report.name.lower()
    assert report.findings.goals
    assert all(goal.name == report.name for goal in report.findings.goals)
    assert all(value > 0 for goal in report.findings.goals for value in goal.values)
    assert all(figure.values for figure in report.findings.figures)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_begins_with_itself_and_says_its_hypothesis_and_unit(name: str) -> None:
    source = Path(import_module(f"tallystick.bench.{name}").__file__ or "").read_text("utf-8")
    told = ast.get_docstring(ast.parse(source)) or ""

    assert told.partition("\n")[0].endswith("?")
    assert "\n\nHypothesis: " in told
    assert "\nUnit: " in told


def test_an_answer_for_people_has_goals_figures_and_the_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == ask("g1a_pipelined", tmp_path)
    said = capsys.readouterr().out

    assert f"G1a  ≥ 0.30 {TIMES} the raw append limit" in said
    assert "events/s" in said
    assert "fdatasync" in said
    assert "CPython" in said
