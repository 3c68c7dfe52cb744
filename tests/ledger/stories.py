"""Two stories that tests of single facts begin with: one of work that runs, one of work that has ended."""

from tallystick.ledger.facts.tasks import TaskStarted, TaskSucceeded
from tests.story import BEGIN_MS, Story, created

THEN_MS = BEGIN_MS + 3_000
"""When both stories go on."""


def running(**more: object) -> Story:
    story = Story(created(**more), TaskStarted())
    story.now_ms = THEN_MS
    return story


def ended() -> Story:
    story = Story(created(), TaskSucceeded())
    story.now_ms = THEN_MS
    return story
