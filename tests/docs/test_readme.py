"""The README promises no figure that was not measured, and fits a screen."""

import re

from tests.docs.pages import ROOT, doc, page, rows

README = page(ROOT / "README.md")
LINES_MAX = 70

_FIGURE = re.compile(r"≥ ([\d.]+) \W ")


def test_the_readme_fits_a_screen() -> None:
    assert len(README.lines) <= LINES_MAX


def test_every_figure_of_the_readme_is_a_goal_that_was_measured_and_met() -> None:
    promised = [float(figure) for figure in _FIGURE.findall(README.prose())]
    met = [
        float(found[1])
        for row in rows(doc("benchmarks.md").section("Goals"))
        if row[0] == "G1a" and row[-1] == "met" and (found := _FIGURE.match(row[1]))
    ]

    assert promised == met
