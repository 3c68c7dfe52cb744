"""Readings of a ledger for a process that may write it later, and stop doing so, while it goes on reading."""

import time
from contextlib import ExitStack, suppress
from pathlib import Path

from pykka import Timeout

from tallystick.ledger.errors import InvalidInput, StoreError
from tallystick.ledger.limits import MAP_BYTES_FIRST, MAP_BYTES_MAX
from tallystick.ledger.store import layout
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.environment import Environment
from tallystick.owner import live_owner
from tallystick.projections.due import DueRules
from tallystick.projections.views import Views
from tallystick.readings import LOG_FOLDER, VIEWS_FOLDER, Readings

_LOOK_S = 0.005


class Beside:
    """Holds the stores open as one who writes does, although it only reads.

    All handles of a process on the same files share one environment, and one that was opened for reading could not be
    written later. What is read goes to the disk each time, for somebody else may have written.
    """

    def __init__(self, folder: Path, rules: DueRules) -> None:
        self._folder = folder
        with ExitStack() as undo:
            self._log = layout.open_environment(
                folder / LOG_FOLDER, map_bytes=MAP_BYTES_FIRST, map_bytes_max=MAP_BYTES_MAX
            )
            undo.callback(self._log.close)
            self._views: Environment | None = None
            with suppress(StoreError, InvalidInput):  # then the log alone answers
                self._views = Environment.open(folder / VIEWS_FOLDER, map_bytes=MAP_BYTES_FIRST, sync=False)
                undo.callback(self._views.close)
            log = DiskLog.open(folder / LOG_FOLDER, readonly=True)
            undo.callback(log.close)
            views = None if self._views is None else Views.open_readonly(folder / VIEWS_FOLDER, log)
            self.readings = Readings(log, views, rules=rules, folder=folder)
            undo.pop_all()

    def reach(self, position: int, timeout_s: float) -> None:
        """Wait until the owner's read models have seen a position; without an owner nobody keeps them up.

        Raises `pykka.Timeout` when that takes longer than `timeout_s` seconds.
        """
        views, deadline = self.readings.views, time.monotonic() + timeout_s
        while views is not None and min(views.positions().values(), default=position) < position:
            if live_owner(self._folder) is None:
                return
            if time.monotonic() >= deadline:
                raise Timeout(f"no answer within {timeout_s} seconds")
            time.sleep(_LOOK_S)

    def close(self) -> None:
        """Let the stores go, but for the readings: who uses them closes them."""
        self._log.close()
        if self._views is not None:
            self._views.close()
