"""Isolated cron runs for tests: a run in a session of its own, and what works below it."""

from typing import Any

from tallystick.ledger.facts.deliveries import DeliveryReleased
from tallystick.sync import Ledger
from tallystick.task import Task
from tests.delivering.parts import CHAT, SESSION

OWN = "agent:main:cron:nightly:run:1"
"""The session of an isolated run."""


def run(ledger: Ledger, **more: Any) -> Task:
    """Return an isolated run of a cron job that somebody asked for in a chat, at work."""
    asked: dict[str, Any] = {
        "runtime": "cron",
        "task": "Sum up the day",
        "label": "nightly",
        "owner": SESSION,
        "origin": CHAT,
        "child_session": OWN,
        "notify": "done_only",
    }
    task = ledger.create(**{**asked, **more})
    task.start()
    return task


def spawned(ledger: Ledger, owner: str = OWN, **more: Any) -> Task:
    """Return a subagent that a session has spawned, of whose end nobody else is told."""
    task = ledger.create(
        **{"runtime": "subagent", "task": "Read the mails", "owner": owner, "notify": "silent", **more}
    )
    task.start()
    return task


def released(ledger: Ledger, task: Task) -> list[DeliveryReleased]:
    return [event.data for event in ledger.timeline(task.id) if isinstance(event.data, DeliveryReleased)]
