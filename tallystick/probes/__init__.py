"""Probes and cancellers: what asks whether the work of a task is still there, and what stops it.

A probe is any callable that takes a `TaskRecord` and returns a `Verdict`, a canceller any callable that takes a
`TaskRecord` and returns a `Stopped`; both may be `async def`. So a function of your own is a probe, and needs nothing
from here. What is here works on real things: processes, the sessions of an agent store, the runs of a cron runtime.

Importing this starts nothing and loads little: each name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and readers; at run time `__getattr__` loads the same names one by one
    from tallystick.probes.cancel import ProcessCanceller
    from tallystick.probes.cron import CronRuns, RunEnd
    from tallystick.probes.look import boot_id
    from tallystick.probes.process import ProcessProbe, backing_of, own_backing, process_probe
    from tallystick.probes.sessions import SessionDirectory
    from tallystick.probes.tables import SessionTable

_HOMES = {
    "CronRuns": "cron",
    "ProcessCanceller": "cancel",
    "ProcessProbe": "process",
    "RunEnd": "cron",
    "SessionDirectory": "sessions",
    "SessionTable": "tables",
    "backing_of": "process",
    "boot_id": "look",
    "own_backing": "process",
    "process_probe": "process",
}

__all__ = [
    "CronRuns",
    "ProcessCanceller",
    "ProcessProbe",
    "RunEnd",
    "SessionDirectory",
    "SessionTable",
    "backing_of",
    "boot_id",
    "own_backing",
    "process_probe",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tallystick.probes' has no attribute {name!r}")
    value = getattr(import_module(f"tallystick.probes.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
