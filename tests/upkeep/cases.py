"""A case for everything that an audit can find: a ledger on disk in which that is amiss, and what a person does."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb

import tallystick
from tallystick import Permanent, Retryable, Verdict
from tallystick.building import assemble
from tallystick.config import Config
from tallystick.ledger.errors import Full
from tallystick.ledger.events import Event
from tallystick.ledger.facts.flows import FlowCancelled
from tallystick.ledger.limits import (
    CANCEL_STUCK_MS,
    PROBE_FAILING_MS,
    PROJECTION_STALLED_MS,
    STALE_FLOW_MS,
    STALE_QUEUED_MS,
    STALE_RUNNING_MS,
    UNDELIVERED_MS,
)
from tallystick.ledger.payloads import Payloads
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.port import NO_CLAIMS, NO_NOTES, NO_PAYLOADS
from tallystick.ledger.upkeep.finding import Code, Kind
from tallystick.owner import OwnerLock, this_process
from tallystick.projections.views import Views
from tallystick.readings import LOG_FOLDER, VIEWS_FOLDER, Readings, due_rules
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.delivering.parts import CHAT, Channel
from tests.ledger.store import raw

OWNER = "agent:main:main"
WORK: dict[str, Any] = {"runtime": "subagent", "task": "Count the tallies", "owner": OWNER, "notify": "silent"}
FLOW: dict[str, Any] = {"owner": OWNER, "goal": "Release 1.2", "controller": "bot"}
NOBODY = "0198c2f0-7b7f-7000-8000-000000000001"
SPEAKER = "operator"

Case = Callable[["Scene"], None]
"""Makes something amiss, by the clock as well."""


class FullNow(DiskLog):
    """A log on disk that has no room for the end of a flow as cancelled, as long as it is full."""

    is_full = False

    def append(
        self,
        events: Sequence[Event],
        claims: Mapping[bytes, bytes] = NO_CLAIMS,
        notes: Mapping[bytes, bytes] = NO_NOTES,
        payloads: Mapping[int, Payloads] = NO_PAYLOADS,
        *,
        bodies: Sequence[bytes] | None = None,
    ) -> None:
        if self.is_full and any(isinstance(event.data, FlowCancelled) for event in events):
            raise Full("the disk", bytes=0)
        super().append(events, claims, notes, payloads, bodies=bodies)


class Scene:
    """A ledger on disk, its clock, and what the world around it does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = HandClock()
        self.channel = Channel()
        self.verdict: Any = Verdict.alive({})
        self.log: FullNow | None = None
        self.mend: Callable[[], None] = lambda: None
        """What a person does before maintenance can help: a probe or a target that answers again."""

    @contextmanager
    def opened(self) -> Iterator[Ledger]:
        """Open the ledger as its owner."""
        with tallystick.open(self.folder, clock=self.clock, actor=SPEAKER) as ledger:
            ledger.channel("chat", self.channel)
            ledger.probe("subagent", lambda _task: self._answer())
            yield ledger

    @contextmanager
    def on_a_disk_that_fills(self) -> Iterator[Ledger]:
        """Open it on a disk that has no room now and then."""
        Readings.prepare(self.folder)
        self.log = FullNow.open(self.folder / LOG_FOLDER)
        views = Views.open(self.folder / VIEWS_FOLDER, self.log)
        readings = Readings(self.log, views, rules=due_rules(Config()), folder=self.folder)
        lock = OwnerLock.take_over(self.folder, this_process(self.clock()))
        house = assemble(readings, readings.followers(), Config(), clock=self.clock, actor=SPEAKER, lock=lock)
        with Ledger(house) as ledger:
            house.open_door()
            yield ledger

    def _answer(self) -> Any:
        if isinstance(self.verdict, BaseException):
            raise self.verdict
        return self.verdict


def stale_queued(scene: Scene, ledger: Ledger) -> None:
    ledger.create(**WORK)
    scene.clock.advance(STALE_QUEUED_MS)


def stale_running(scene: Scene, ledger: Ledger) -> None:
    ledger.create(**{**WORK, "runtime": "cli"}).start()
    scene.clock.advance(STALE_RUNNING_MS)


def lost(scene: Scene, ledger: Ledger) -> None:
    ledger.create(**WORK).start()
    scene.verdict = Verdict.dead({"exit": 9})
    ledger.sweep()


def delivery_failed(scene: Scene, ledger: Ledger) -> None:
    scene.channel.answer = Permanent("410 Gone")
    task = ledger.create(**{**WORK, "notify": "done_only", "origin": CHAT})
    task.succeed("42 tallies")
    ledger.settled()
    scene.mend = lambda: setattr(scene.channel, "answer", tallystick.Receipt())


def missing_cleanup(scene: Scene, ledger: Ledger) -> None:
    ledger.create(**WORK).succeed("42", occurred_at=scene.clock() + 86_400_000)


def inconsistent_timestamps(scene: Scene, ledger: Ledger) -> None:
    ledger.create(**WORK).succeed("42", occurred_at=scene.clock() - 86_400_000)


def probe_failing(scene: Scene, ledger: Ledger) -> None:
    ledger.create(**WORK).start()
    scene.verdict = OSError("no route to the session store")
    ledger.sweep()
    scene.clock.advance(PROBE_FAILING_MS)
    ledger.sweep()
    scene.mend = lambda: setattr(scene, "verdict", Verdict.alive({}))


def undelivered(scene: Scene, ledger: Ledger) -> None:
    scene.channel.answer = Retryable("503 later")
    ledger.create(**{**WORK, "notify": "done_only", "origin": CHAT}).succeed("42 tallies")
    ledger.settled()
    scene.clock.advance(UNDELIVERED_MS)


def projection_stalled(scene: Scene, ledger: Ledger) -> None:
    ledger.create(**WORK).succeed("42")  # what was written to the damaged row stops the read model
    scene.clock.advance(PROJECTION_STALLED_MS)


def flow_stale_running(scene: Scene, ledger: Ledger) -> None:
    flow = ledger.flows.create(**FLOW)
    flow.resume()
    ledger.create(**WORK, flow=flow.id).succeed("42")
    scene.clock.advance(STALE_FLOW_MS)


def stale_waiting(scene: Scene, ledger: Ledger) -> None:
    ledger.flows.create(**FLOW).set_waiting({"for": "approval"})
    scene.clock.advance(STALE_FLOW_MS)


def stale_blocked(scene: Scene, ledger: Ledger) -> None:
    ledger.flows.create(**FLOW).set_waiting(None, blocked="a key is missing")
    scene.clock.advance(STALE_FLOW_MS)


def cancel_stuck(scene: Scene, ledger: Ledger) -> None:
    assert scene.log is not None
    scene.log.is_full = True
    flow = ledger.flows.create(**FLOW)
    flow.cancel("enough", wait_ms=0)
    ledger._house.system.ask_steward(20.0)  # noqa: SLF001 - it tries, and there is no room
    scene.log.is_full = False
    scene.clock.advance(CANCEL_STUCK_MS)


def missing_linked_tasks(scene: Scene, ledger: Ledger) -> None:
    ledger.flows.create(**FLOW)
    scene.clock.advance(STALE_FLOW_MS)


def blocked_task_missing(_scene: Scene, ledger: Ledger) -> None:
    ledger.flows.create(**FLOW).set_waiting(None, blocked=NOBODY)


def restore_failed(_scene: Scene, _ledger: Ledger) -> None:
    """The record was damaged before the ledger was opened."""


def damage_a_record(scene: Scene) -> None:
    """Change the second of a task's three events on disk; the read models are made anew from what is left."""
    with scene.opened() as ledger:
        task = ledger.create(**WORK)
        task.start()
        task.succeed("42")
        [position] = [each.position for each in ledger.events() if each.type == "task-started.1"]
    raw.change_record(scene.folder / LOG_FOLDER, position, lambda _body: b"nonsense")
    for file in (scene.folder / VIEWS_FOLDER).iterdir():
        file.unlink()


def damage_a_read_model(scene: Scene) -> None:
    """Write nonsense over the counts, which are read whenever something is written to them."""
    with scene.opened() as ledger:
        ledger.create(**WORK).succeed("42")
        ledger.settled()
    with lmdb.open(str(scene.folder / VIEWS_FOLDER), max_dbs=64) as views, views.begin(write=True) as txn:
        for name in [bytes(key) for key in txn.cursor().iternext(values=False) if bytes(key).startswith(b"counts.")]:
            table = views.open_db(name, txn=txn)
            for key in [bytes(key) for key in txn.cursor(db=table).iternext(values=False)]:
                txn.put(key, b"nonsense", db=table)


MAKERS: dict[tuple[Kind, Code], Callable[[Scene, Ledger], None]] = {
    (Kind.TASK, Code.STALE_QUEUED): stale_queued,
    (Kind.TASK, Code.STALE_RUNNING): stale_running,
    (Kind.TASK, Code.LOST): lost,
    (Kind.TASK, Code.DELIVERY_FAILED): delivery_failed,
    (Kind.TASK, Code.MISSING_CLEANUP): missing_cleanup,
    (Kind.TASK, Code.INCONSISTENT_TIMESTAMPS): inconsistent_timestamps,
    (Kind.TASK, Code.PROBE_FAILING): probe_failing,
    (Kind.TASK, Code.UNDELIVERED): undelivered,
    (Kind.PROJECTION, Code.PROJECTION_STALLED): projection_stalled,
    (Kind.FLOW, Code.STALE_RUNNING): flow_stale_running,
    (Kind.FLOW, Code.STALE_WAITING): stale_waiting,
    (Kind.FLOW, Code.STALE_BLOCKED): stale_blocked,
    (Kind.FLOW, Code.CANCEL_STUCK): cancel_stuck,
    (Kind.FLOW, Code.MISSING_LINKED_TASKS): missing_linked_tasks,
    (Kind.FLOW, Code.BLOCKED_TASK_MISSING): blocked_task_missing,
    (Kind.STREAM, Code.RESTORE_FAILED): restore_failed,
}


@contextmanager
def amiss(scene: Scene, kind: Kind, code: Code) -> Iterator[Ledger]:
    """Open a ledger in which this very thing is amiss."""
    if code is Code.RESTORE_FAILED:
        damage_a_record(scene)
    elif code is Code.PROJECTION_STALLED:
        damage_a_read_model(scene)
    with scene.on_a_disk_that_fills() if code is Code.CANCEL_STUCK else scene.opened() as ledger:
        MAKERS[kind, code](scene, ledger)
        yield ledger
