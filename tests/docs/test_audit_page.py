"""The page of the audit has the table that audit and maintenance go by, and nothing else."""

import re

from msgspec.structs import fields

from tallystick.chores import Outcome
from tallystick.ledger.upkeep.finding import Action, Finding
from tallystick.ledger.upkeep.treatment import AUTOMATIC, TREATMENTS
from tests.docs.pages import doc, rows

PAGE = doc("reference/audit.md")


def code(cell: str) -> str:
    """Return the first name in a cell."""
    found = re.search(r"(\w+)`", f"{cell}`")  # whose own marks are taken off
    assert found, cell
    return found[1]


def test_every_finding_is_listed_with_its_severity_and_its_step() -> None:
    listed = {
        (code(row[0]), code(row[1])): (row[2].split(",")[0], code(row[6]))
        for row in rows(PAGE.section("What is found"))
    }

    assert listed == {
        (kind.value, name.value): (treatment.severity.value, treatment.action.value)
        for (kind, name), treatment in TREATMENTS.items()
    }


def test_every_step_is_listed_with_who_takes_it() -> None:
    listed = {code(row[0]): row[1] for row in rows(PAGE.section("What the steps do"))}

    assert listed == {action.value: "yes" if action in AUTOMATIC else "no" for action in Action}


def test_every_outcome_of_a_step_is_listed() -> None:
    assert [outcome.value for outcome in Outcome] == [
        code(row[0]) for row in rows(PAGE.section("What a step can become"))
    ]


def test_every_field_of_a_finding_is_listed_as_data_has_it() -> None:
    listed = {name for row in rows(PAGE.section("A finding as data")) for name in re.findall(r"\w+", row[0])}

    assert {field.encode_name for field in fields(Finding)} == listed
