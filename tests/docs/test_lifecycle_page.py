"""The picture and the table of the lifecycle are the table that the rules read."""

import re

from tallystick.ledger.lifecycle import ALLOWED, DEFAULT_POLICY, TERMINAL, Runtime, Status
from tests.docs.pages import doc, rows

PAGE = doc("explanation/lifecycle.md")

_ARROW = re.compile(r" +(\S+) --> (\S+)")
_MARK = "[*]"


def arrows() -> set[tuple[str, str]]:
    """The arrows of the diagram."""
    [diagram] = [block for block in PAGE.blocks() if block.language == "mermaid"]
    assert "stateDiagram-v2" == diagram.lines[0]
    found = [_ARROW.fullmatch(line) for line in diagram.lines[1:]]
    assert all(found), "a line that is no arrow"
    return {(arrow[1], arrow[2]) for arrow in found if arrow}


def test_the_diagram_has_the_arrows_that_the_table_allows_and_no_others() -> None:
    allowed = {(before.value, after.value) for before, afters in ALLOWED.items() for after in afters}
    begins = {(_MARK, Status.QUEUED.value)}
    ends = {(status.value, _MARK) for status in TERMINAL if not ALLOWED[status]}

    assert allowed | begins | ends == arrows()


def test_the_table_on_the_page_says_the_same() -> None:
    shown = {row[0]: row[1:] for row in rows(PAGE.section("What may follow what"))}
    order = list(Status)
    expected = {
        before.value: [
            ("recovery" if before is Status.LOST else "yes") if after in ALLOWED[before] else "no" for after in order
        ]
        for before in order
    }

    assert expected == shown


def test_every_runtime_is_listed_with_what_it_tells() -> None:
    shown = {row[1]: row[2] for row in rows(PAGE.section("What makes a task, and what never does"))}

    assert {runtime.value for runtime in Runtime} == shown.keys()
    assert [] == [name for name, told in shown.items() if DEFAULT_POLICY[Runtime(name)] not in told]


def test_what_never_makes_a_record_has_no_runtime() -> None:
    shown = PAGE.section("What makes a task, and what never does")

    assert "heartbeat turns, ordinary chat turns and direct slash commands never make a record" in shown
    assert {"acp", "subagent", "cron", "cli"} == {runtime.value for runtime in Runtime}
