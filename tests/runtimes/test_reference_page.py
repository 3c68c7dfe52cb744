"""The page of the adapters has every name that a program may use, with every argument."""

import pytest

from tallystick.runtimes.acp import RecordedAgent, RecordedSessions
from tallystick.runtimes.apscheduler import RecordedScheduler
from tests.docs.pages import doc
from tests.docs.test_python_page import says

PAGE = doc("reference/runtimes.md")

# How the parts of an adapter speak with each other; no program needs them.
PLUMBING = {RecordedSessions: {"reporter", "remember", "forget", "refused"}, RecordedAgent: {"note"}}
CLASSES = (RecordedScheduler, RecordedSessions, RecordedAgent)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_method_of_an_adapter_is_on_the_page_with_its_arguments(kind: type) -> None:
    section = PAGE.section(kind.__name__)
    names = [name for name in vars(kind) if not name.startswith("_") and name not in PLUMBING.get(kind, ())]
    missing = []
    for name in names:
        member = getattr(kind, name)
        known = says(section, name, member) if callable(member) else f"`{name}`" in section
        if not known:
            missing.append(name)

    assert [] == missing


@pytest.mark.parametrize("kind", CLASSES[:2], ids=lambda kind: kind.__name__)
def test_how_an_adapter_is_made_is_on_the_page(kind: type) -> None:
    assert says(PAGE.section(kind.__name__), kind.__name__, kind)
