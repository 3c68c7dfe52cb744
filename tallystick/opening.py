"""Opening a ledger: the function that a program begins with; its twin for asyncio is in `aio`."""

import os

from tallystick.actors.metrics import Metrics
from tallystick.actors.redaction import Redact
from tallystick.building import build
from tallystick.config import Config
from tallystick.ledger.clock import Clock
from tallystick.sync import Ledger


def open(
    path: str | os.PathLike[str],
    *,
    config: Config | None = None,
    clock: Clock | None = None,
    read_only: bool = False,
    actor: str | None = None,
    redact: Redact | None = None,
    redact_stored: Redact | None = None,
    metrics: Metrics | None = None,
) -> Ledger:
    """Open the ledger in the folder `path`, made if it is not there, and become its live owner.

    `clock` returns UTC milliseconds; `actor` says who speaks in this process's events (default: user and pid).
    `redact` is as `Ledger.redact`, in force before anything is told: of tasks that were lost meanwhile, too.
    `redact_stored` is as `Ledger.redact` with `stored=True`, in force before anything is recorded.
    `metrics` keeps the numbers of this process as the owner: `tallystick.prometheus.PrometheusMetrics()`, for example.
    With `read_only` nothing is written, made or locked, and any number of processes may have it open.
    Raises `NotOwner` when another process owns the ledger, `InvalidInput` when the path cannot be a ledger's folder,
    `NewerFormat` when a newer version wrote it, `Corrupt` when it cannot be read.
    """
    return Ledger(
        build(
            path,
            config=config,
            clock=clock,
            read_only=read_only,
            actor=actor,
            redact=redact,
            redact_stored=redact_stored,
            metrics=metrics,
        )
    )
