"""The bell: what is rung is heard, and what is not heard hurts nobody."""

import os
import threading
from pathlib import Path

from tallystick.sharing.bell import LOOK, YIELD, Bell, ring, take_down
from tests.face.parts import PATIENCE_S


def test_what_is_rung_is_heard_in_order(tmp_path: Path) -> None:
    bell = Bell(tmp_path, "bell")
    assert not ring(tmp_path / "bell", LOOK)
    assert bell.hang()

    assert [True, True] == [ring(tmp_path / "bell", word) for word in (LOOK, YIELD)]

    assert [LOOK, YIELD] == bell.hear(PATIENCE_S)
    assert [] == bell.hear(0)
    bell.close()
    assert not ring(tmp_path / "bell", LOOK)


def test_waiting_ends_when_another_thread_wakes(tmp_path: Path) -> None:
    bell = Bell(tmp_path, "bell")  # it need not hang for that
    waking = threading.Thread(target=bell.wake)
    waking.start()

    assert [] == bell.hear(PATIENCE_S)
    waking.join()
    bell.close()
    bell.close()
    bell.wake()


def test_more_messages_than_there_is_room_for_keep_nobody_waiting(tmp_path: Path) -> None:
    bell = Bell(tmp_path, "bell")
    bell.hang()

    assert all(ring(tmp_path / "bell", LOOK) for _ in range(2_000))
    for _ in range(100_000):
        bell.wake()

    assert {LOOK} == set(bell.hear(PATIENCE_S))
    bell.close()


def test_a_bell_that_was_replaced_leaves_the_new_one_alone(tmp_path: Path) -> None:
    old, new = Bell(tmp_path, "bell"), Bell(tmp_path, "bell")
    assert (True, True) == (old.hang(), new.hang())
    old.close()

    assert ring(tmp_path / "bell", LOOK)
    assert [LOOK] == new.hear(PATIENCE_S)
    assert 0o600 == (tmp_path / "bell").stat().st_mode & 0o777
    new.close()


def test_bells_of_those_who_are_gone_are_taken_down(tmp_path: Path) -> None:
    there, gone = Bell(tmp_path, "there.sock"), Bell(tmp_path, "gone.sock")
    assert (True, True) == (there.hang(), gone.hang())
    gone.leave_to_parent()  # as a killed process does
    (tmp_path / "another").touch()

    take_down(tmp_path, "*.sock")
    assert {"there.sock", "gone.sock", "another"} == {path.name for path in tmp_path.iterdir()}
    for path in tmp_path.iterdir():  # an hour later
        os.utime(path, (path.stat().st_mtime - 3_600,) * 2)
    take_down(tmp_path, "*.sock")

    assert {"there.sock", "another"} == {path.name for path in tmp_path.iterdir()}
    there.close()


def test_where_no_bell_can_hang_that_is_said(tmp_path: Path) -> None:
    bell = Bell(tmp_path / "nowhere", "bell")

    assert (False, False) == (bell.hang(), bell.is_hung)
    bell.close()
