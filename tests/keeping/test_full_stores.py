"""A disk or a map that is full stops what upkeep writes, and loses nothing; with room again it does all of it."""

import json
from pathlib import Path

from tests.face.parts import said

PROGRAM = """
    import json, os, resource, sys
    from pathlib import Path

    from tallystick import Full
    from tallystick.building import assemble
    from tallystick.config import Config
    from tallystick.ledger.archive.sealing import Sealing
    from tallystick.ledger.limits import RETENTION_TERMINAL_MS
    from tallystick.ledger.store.disk import DiskLog
    from tallystick.owner import OwnerLock, this_process
    from tallystick.projections.views import Views
    from tallystick.readings import Readings, due_rules
    from tallystick.sync import Ledger
    from tallystick.testing import HandClock

    folder, what = Path(sys.argv[1]), sys.argv[2]
    clock, settings = HandClock(1_790_000_000_000), Config()
    MAP_BYTES = 1 << 20


    def opened(most):
        Readings.prepare(folder)
        lock = OwnerLock.take(folder, this_process(clock()))
        log = DiskLog.open(folder / "log", map_bytes=MAP_BYTES, map_bytes_max=most)
        views = Views.open(folder / "views", log)
        readings = Readings(log, views, rules=due_rules(settings), folder=folder)
        house = assemble(readings, readings.followers(), settings, clock=clock, actor="test", lock=lock)
        return Ledger(house), log


    def attempt(do):
        try:
            do()
        except Full as error:
            return str(error)
        return None


    def fill(ledger):
        while attempt(lambda: ledger.create(runtime="cli", task="x" * 400, owner="o")) is None:
            pass


    def seal(log):
        sealing = Sealing(log, segment_events=256)
        while sealing.due(clock(), 0) is not None:
            while sealing.step():
                pass


    def state(ledger):
        counts = ledger.counts()
        return [counts.terminal, ledger.verify().ok]


    ledger, log = opened(MAP_BYTES if what == "map" else 1 << 36)
    with ledger.batch() as batch:
        for number in range(300):
            task = batch.create(runtime="cli", task="Count", owner="o")
            task.start()
            task.succeed()
    ledger.settled()
    clock.advance(RETENTION_TERMINAL_MS)
    bound = resource.getrlimit(resource.RLIMIT_FSIZE)
    if what == "disk":
        used = os.stat(folder / "log/data.mdb").st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (used, bound[1]))
    fill(ledger)
    said = [attempt(ledger.sweep), attempt(lambda: ledger.maintenance(apply=True)), attempt(lambda: seal(log))]
    full = state(ledger)
    if what == "disk":
        resource.setrlimit(resource.RLIMIT_FSIZE, bound)
    else:
        ledger.close()
        ledger, log = opened(1 << 36)
    ledger.sweep()
    seal(log)
    ledger.settled()
    print(json.dumps([said, full, state(ledger), log.archived()]))
    ledger.close()
"""


def test_upkeep_on_a_full_disk_loses_nothing_and_is_done_when_there_is_room(tmp_path: Path) -> None:
    [swept, maintained, sealed], full, after, archived = json.loads(said(PROGRAM, tmp_path / "ledger", "disk")[0])

    assert "Free space and try again" in swept
    assert "Free space and try again" in maintained
    assert "Free space and try again" in sealed
    assert [300, True] == full
    assert [0, True] == after
    assert archived


def test_upkeep_in_a_full_map_loses_nothing_and_is_done_when_there_is_room(tmp_path: Path) -> None:
    [swept, maintained, _sealed], full, after, archived = json.loads(said(PROGRAM, tmp_path / "ledger", "map")[0])

    assert "Free space and try again" in swept
    assert "Free space and try again" in maintained
    assert [300, True] == full
    assert [0, True] == after
    assert archived
