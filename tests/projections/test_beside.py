"""Readers beside the owner: in other threads, and in another process."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tallystick.ledger.facts.tasks import TaskStarted, TaskSucceeded
from tallystick.ledger.ids import new_id
from tallystick.ledger.store.disk import DiskLog
from tallystick.projections.catch_up import catch_up
from tallystick.projections.check import check
from tallystick.projections.query import Query
from tallystick.projections.reader import Reader
from tallystick.projections.rebuild import rebuild
from tallystick.projections.views import Views
from tests.projections.histories import caught_up_views, dump
from tests.story import Story, created


def test_many_threads_ask_one_reader_while_the_log_grows(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path / "log") as log, Views.open(tmp_path / "views", log) as views:
        reader = Reader(log, views)
        wrong: list[tuple[int, int]] = []
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                with reader.snapshot() as seen:
                    shown = len(seen.list(Query(limit=1_000)).tasks)
                    if not shown == seen.counts().total == seen.head // 2:
                        wrong.append((shown, seen.head))

        askers = [threading.Thread(target=ask) for _ in range(3)]
        for asker in askers:
            asker.start()
        for number in range(100):
            story = Story(created(), TaskStarted(), stream=new_id(), position=2 * number)
            log.append(story.events)
            if number % 3 == 0:
                catch_up(views, log)
        done.set()
        for asker in askers:
            asker.join()
        assert [] == wrong


SCRIPT = """
import sys
from pathlib import Path
from tallystick.ledger.store.disk import DiskLog
from tallystick.projections.check import check
from tallystick.projections.query import Query
from tallystick.projections.reader import Reader
from tallystick.projections.views import Views

folder = Path(sys.argv[1])
with DiskLog.open(folder / "log", readonly=True) as log:
    views = Views.open_readonly(folder / "views", log)
    assert views is not None
    with views:
        reader = Reader(log, views)
        for line in sys.stdin:
            status = line.strip() or None
            page = reader.list(Query(status=status))
            print(log.head(), len(page.tasks), reader.counts().total, flush=True)
loaded = {"pykka", "structlog", "asyncio", "rich", "click", "logging"} & set(sys.modules)
assert not loaded, loaded
"""


def test_another_process_sees_what_the_owner_has_written_and_its_views_have_not(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path / "log") as log, Views.open(tmp_path / "views", log) as views:
        log.append(Story(created(), TaskStarted(), stream=new_id()).events)
        catch_up(views, log)
        log.append(Story(created(), TaskSucceeded(), stream=new_id(), position=2).events)
        beside = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        questions, answers = beside.stdin, beside.stdout
        assert questions is not None
        assert answers is not None

        def ask(status: str) -> str:
            print(status, file=questions, flush=True)
            return answers.readline().strip()

        assert f"{log.head()} 2 2" == ask("")
        assert f"{log.head()} 1 2" == ask("running")
        log.append(Story(created(), stream=new_id(), position=log.head()).events)
        assert f"{log.head()} 3 3" == ask("")
        catch_up(views, log)
        rebuild(views, log)
        assert f"{log.head()} 1 3" == ask("queued")
        beside.communicate()
        assert 0 == beside.returncode


FOLLOWING = """
import sys
from pathlib import Path
from tallystick.ledger.store.disk import DiskLog
from tallystick.projections.catch_up import catch_up
from tallystick.projections.rebuild import rebuild
from tallystick.projections.views import Views

folder = Path(sys.argv[1])
log = DiskLog.open(folder / "log", readonly=True)
views = Views.open(folder / "views", log)
catch_up(views, log, until=int(sys.argv[2]), slice_events=3)
print("there", flush=True)
while True:
    rebuild(views, log, slice_events=2, progressed=lambda done, total: print(done, flush=True))
    catch_up(views, log, until=views.positions()["board"] + 1)
"""


@pytest.mark.parametrize("lines", [1, 2, 5, 11, 23])
def test_views_whose_owner_is_killed_are_whole_and_go_on(tmp_path: Path, lines: int) -> None:
    with DiskLog.open(tmp_path / "log") as log:
        for _ in range(20):
            log.append(Story(created(), TaskStarted(), stream=new_id(), position=log.head()).events)
        owner = subprocess.Popen(
            [sys.executable, "-c", FOLLOWING, str(tmp_path), "10"], stdout=subprocess.PIPE, text=True
        )
        assert owner.stdout is not None
        for _ in range(lines):
            owner.stdout.readline()
        owner.kill()
        owner.communicate()

        with Views.open(tmp_path / "views", log) as views:
            [position] = set(views.positions().values())
            assert 10 <= position < 40
            with caught_up_views(tmp_path / "twin", log, until=position) as twin:
                assert dump(twin) == dump(views)
            catch_up(views, log)
            assert all(check(views, log, name).ok for name in views.positions())
