"""A durable ledger of background work: what a program opens, and the names that it uses.

Importing this starts nothing and loads little: each name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and readers; at run time `__getattr__` loads the same names one by one
    from tallystick.aio import AsyncLedger, AsyncTask, open_async
    from tallystick.batch import Batch, BatchTask
    from tallystick.config import Config
    from tallystick.joining import join, join_async
    from tallystick.ledger.errors import (
        BatchFailed,
        Busy,
        Closed,
        Corrupt,
        ForkedStore,
        Full,
        InvalidInput,
        NewerFormat,
        NotFound,
        NotOwner,
        Pruned,
        Refused,
        StoreError,
        TallystickError,
        WrongVersion,
    )
    from tallystick.ledger.events import Event, Origin
    from tallystick.ledger.record import TaskRecord
    from tallystick.ledger.stopped import Stopped
    from tallystick.ledger.verdict import Verdict
    from tallystick.opening import open  # noqa: A004 - the interface calls it so
    from tallystick.sync import Ledger, Task
    from tallystick.tracking import track

_HOMES = {
    "AsyncLedger": "aio",
    "AsyncTask": "aio",
    "Batch": "batch",
    "BatchFailed": "ledger.errors",
    "BatchTask": "batch",
    "Busy": "ledger.errors",
    "Closed": "ledger.errors",
    "Config": "config",
    "Corrupt": "ledger.errors",
    "Event": "ledger.events",
    "ForkedStore": "ledger.errors",
    "Full": "ledger.errors",
    "InvalidInput": "ledger.errors",
    "Ledger": "sync",
    "NewerFormat": "ledger.errors",
    "NotFound": "ledger.errors",
    "NotOwner": "ledger.errors",
    "Origin": "ledger.events",
    "Pruned": "ledger.errors",
    "Refused": "ledger.errors",
    "StoreError": "ledger.errors",
    "TallystickError": "ledger.errors",
    "Stopped": "ledger.stopped",
    "Task": "sync",
    "TaskRecord": "ledger.record",
    "Verdict": "ledger.verdict",
    "WrongVersion": "ledger.errors",
    "join": "joining",
    "join_async": "joining",
    "open": "opening",
    "open_async": "aio",
    "track": "tracking",
}

__all__ = [
    "AsyncLedger",
    "AsyncTask",
    "Batch",
    "BatchFailed",
    "BatchTask",
    "Busy",
    "Closed",
    "Config",
    "Corrupt",
    "Event",
    "ForkedStore",
    "Full",
    "InvalidInput",
    "Ledger",
    "NewerFormat",
    "NotFound",
    "NotOwner",
    "Origin",
    "Pruned",
    "Refused",
    "Stopped",
    "StoreError",
    "TallystickError",
    "Task",
    "TaskRecord",
    "Verdict",
    "WrongVersion",
    "join",
    "join_async",
    "open",
    "open_async",
    "track",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tallystick' has no attribute {name!r}")
    value = getattr(import_module(f"tallystick.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
