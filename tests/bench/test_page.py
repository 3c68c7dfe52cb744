"""The page about all measurements is written by a run and by nobody else."""

from pathlib import Path

import msgspec
import pytest

from tallystick.bench import page
from tallystick.bench.all import main
from tallystick.bench.machine import Machine
from tallystick.bench.report import Findings, Report, as_text, at_least, at_most, figure

DOCS = Path(__file__).parent.parent.parent / "docs"
MACHINE = Machine(
    cpu="abacus",
    cores=2,
    load=0.5,
    memory_gib=8,
    filesystem="clay",
    fsync_p50_us=50,
    fsync_p99_us=90,
    system="Sumer",
    python="CPython 3.11",
    sqlite="3.40",
    libraries={"lmdb": "3"},
)


def report(*, ratios: tuple[float, ...] = (0.2, 0.4, 0.3)) -> Report:
    return Report(
        name="G1a",
        question="How many?",
        about="Hypothesis: many.",
        command="tally bench g1a_pipelined",
        rounds=len(ratios),
        seconds=3,
        findings=Findings(
            size="10 tasks",
            goals=(at_least("G1a", 0.30, "of the limit", ratios), at_most("G2", 5, "ms", (7.25,))),
            figures=(figure("the limit", "events/s", (1_234_567.0,)),),
            notes=("A note.",),
        ),
        machine=MACHINE,
    )


def test_a_goal_is_held_to_the_median_of_its_rounds() -> None:
    met, missed = report().findings.goals

    assert ("0.30", "0.20 … 0.40", "met") == met.shown()
    assert ("7.25", "", "missed") == missed.shown()


def test_the_page_has_a_row_for_every_goal_and_a_section_for_every_question() -> None:
    lines = page.as_markdown([report()]).splitlines()

    assert "| G1a | ≥ 0.30 of the limit | 0.30 | 0.20 … 0.40 | met |" in lines
    assert "| G2 | < 5.00 ms | 7.25 |  | missed |" in lines
    assert "## G1a. How many?" in lines
    assert "| the limit | 1,234,567 events/s |  |" in lines
    assert "- abacus, 2 cores (load 0.5 at the beginning), 8 GiB" in lines


def test_the_text_for_a_terminal_says_the_same() -> None:
    lines = list(as_text(report()))

    assert "G1a  How many?" == lines[0]
    assert "G1a  ≥ 0.30 of the limit  0.30  0.20 … 0.40     met" in lines
    assert "A note." in lines


def test_what_was_written_is_what_the_next_run_compares_with(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"

    assert {} == page.recorded(path)
    page.write(path, [report()])
    assert {"G1a": [0.3, 7.25]} == page.recorded(path)


@pytest.mark.slow
def test_a_run_of_all_writes_the_page_and_the_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "benchmarks.md"
    arguments = ["g9_disk", "--size", "20", "--rounds", "1", "--folder", str(tmp_path), "--write", str(path)]

    assert 0 == main(arguments)
    assert 0 == main(arguments)

    assert "when the page was written: G9" in capsys.readouterr().out
    assert path.read_text("utf-8").startswith("# Benchmarks\n")


def test_the_page_of_the_project_is_as_a_run_wrote_it() -> None:
    reports = msgspec.json.decode((DOCS / "benchmarks.json").read_bytes(), type=list[Report])

    assert page.as_markdown(reports) == (DOCS / "benchmarks.md").read_text("utf-8")
