"""A durable ledger of background work: what a program opens, and the names that it uses.

Importing this starts nothing and loads little: each name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and readers; at run time `__getattr__` loads the same names one by one
    from tallystick.aio import AsyncLedger, open_async
    from tallystick.async_flows import AsyncFlow, AsyncFlows
    from tallystick.async_session import AsyncSession
    from tallystick.async_task import AsyncTask
    from tallystick.batch import Batch, BatchTask
    from tallystick.config import Config
    from tallystick.flows import Flow, Flows
    from tallystick.joining import join, join_async
    from tallystick.ledger.delivery import Delivery, Permanent, Receipt, Retryable, Unconfirmed
    from tallystick.ledger.errors import (
        Ambiguous,
        BatchFailed,
        Busy,
        Closed,
        Corrupt,
        FlowRefused,
        ForkedStore,
        Full,
        InvalidInput,
        NewerFormat,
        NotFound,
        NotOwner,
        NotProved,
        Pruned,
        Refused,
        StoreError,
        TallystickError,
        WrongVersion,
    )
    from tallystick.ledger.events import Event
    from tallystick.ledger.facts.fact import Origin
    from tallystick.ledger.flows.record import FlowRecord
    from tallystick.ledger.record import TaskRecord
    from tallystick.ledger.resources import OpenResource
    from tallystick.ledger.stopped import Stopped
    from tallystick.ledger.told import DeliveryRecord
    from tallystick.ledger.verdict import Verdict
    from tallystick.messages import SessionEvent
    from tallystick.opening import open  # noqa: A004 - the interface calls it so
    from tallystick.projections.flow_query import FlowPage
    from tallystick.session import Session
    from tallystick.sync import Ledger
    from tallystick.task import Task
    from tallystick.tracking import track

_HOMES = {
    "Ambiguous": "ledger.errors",
    "AsyncFlow": "async_flows",
    "AsyncFlows": "async_flows",
    "AsyncLedger": "aio",
    "AsyncSession": "async_session",
    "AsyncTask": "async_task",
    "Batch": "batch",
    "BatchFailed": "ledger.errors",
    "BatchTask": "batch",
    "Busy": "ledger.errors",
    "Closed": "ledger.errors",
    "Config": "config",
    "Corrupt": "ledger.errors",
    "Delivery": "ledger.delivery",
    "DeliveryRecord": "ledger.told",
    "Event": "ledger.events",
    "Flow": "flows",
    "FlowPage": "projections.flow_query",
    "FlowRecord": "ledger.flows.record",
    "FlowRefused": "ledger.errors",
    "Flows": "flows",
    "ForkedStore": "ledger.errors",
    "Full": "ledger.errors",
    "InvalidInput": "ledger.errors",
    "Ledger": "sync",
    "NewerFormat": "ledger.errors",
    "NotFound": "ledger.errors",
    "NotOwner": "ledger.errors",
    "NotProved": "ledger.errors",
    "OpenResource": "ledger.resources",
    "Origin": "ledger.facts.fact",
    "Permanent": "ledger.delivery",
    "Pruned": "ledger.errors",
    "Receipt": "ledger.delivery",
    "Refused": "ledger.errors",
    "Retryable": "ledger.delivery",
    "Session": "session",
    "SessionEvent": "messages",
    "Stopped": "ledger.stopped",
    "StoreError": "ledger.errors",
    "TallystickError": "ledger.errors",
    "Task": "task",
    "TaskRecord": "ledger.record",
    "Unconfirmed": "ledger.delivery",
    "Verdict": "ledger.verdict",
    "WrongVersion": "ledger.errors",
    "join": "joining",
    "join_async": "joining",
    "open": "opening",
    "open_async": "aio",
    "track": "tracking",
}

__all__ = [
    "Ambiguous",
    "AsyncFlow",
    "AsyncFlows",
    "AsyncLedger",
    "AsyncSession",
    "AsyncTask",
    "Batch",
    "BatchFailed",
    "BatchTask",
    "Busy",
    "Closed",
    "Config",
    "Corrupt",
    "Delivery",
    "DeliveryRecord",
    "Event",
    "Flow",
    "FlowPage",
    "FlowRecord",
    "FlowRefused",
    "Flows",
    "ForkedStore",
    "Full",
    "InvalidInput",
    "Ledger",
    "NewerFormat",
    "NotFound",
    "NotOwner",
    "NotProved",
    "OpenResource",
    "Origin",
    "Permanent",
    "Pruned",
    "Receipt",
    "Refused",
    "Retryable",
    "Session",
    "SessionEvent",
    "Stopped",
    "StoreError",
    "TallystickError",
    "Task",
    "TaskRecord",
    "Unconfirmed",
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
