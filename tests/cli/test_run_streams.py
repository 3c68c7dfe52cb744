"""What a command run by `tally run` writes and reads goes through as it is. Real processes only."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tallystick
from tests.cli.running import is_gone, line_of, newest, script, start
from tests.cli.support import COMMAND

PYTHON = sys.executable


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "ledger")


def test_output_goes_through_to_the_byte_on_both_streams_at_once(folder: str, tmp_path: Path) -> None:
    told = """
import threading
def write(stream, seed):
    chunk = bytes((seed + place) % 256 for place in range(65_536))
    for _ in range(160):
        stream.write(chunk)
streams = [(sys.stdout.buffer, 3), (sys.stderr.buffer, 7)]
threads = [threading.Thread(target=write, args=each) for each in streams]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    done = subprocess.run(
        [*COMMAND, "run", "--ledger", folder, "--", PYTHON, script(tmp_path, told)], capture_output=True, check=False
    )

    assert 0 == done.returncode
    for stream, seed in ((done.stdout, 3), (done.stderr, 7)):
        assert bytes((seed + place) % 256 for place in range(65_536)) * 160 == stream


def test_what_the_command_reads_is_what_tally_would_read(folder: str) -> None:
    done = subprocess.run(
        [*COMMAND, "run", "--ledger", folder, "--", "cat"], input=b"to\x00be\n", capture_output=True, check=False
    )

    assert (0, b"to\x00be\n") == (done.returncode, done.stdout)


def test_a_reader_that_leaves_ends_the_command_as_it_would_without_tally(folder: str) -> None:
    with start(folder, "--", "yes") as running:
        assert "y" == line_of(running)
        assert running.stdout is not None
        running.stdout.close()

        assert 128 + signal.SIGPIPE == running.wait(30)
    assert "killed by SIGPIPE: y" == newest(folder)["error"]


def test_a_reader_that_is_slow_gets_everything(folder: str) -> None:
    with start(folder, "--", "head", "-c", "100000", "/dev/zero") as running:
        assert running.stdout is not None
        first = running.stdout.read(1)
        with tallystick.open(folder, read_only=True) as opened:
            for event in opened.subscribe():
                if event.type == "task-succeeded.1":  # it has ended, and its pipes still hold what they can
                    break
        rest = running.stdout.read()

        assert (0, bytes(100_000)) == (running.wait(30), first + rest)


def test_what_a_command_leaves_behind_does_not_hold_it_up(folder: str) -> None:
    with start(folder, "--", "sh", "-c", "sleep 60 & echo $!") as running:
        left = int(line_of(running))
        try:
            assert 0 == running.wait(30)
            assert not is_gone(left)
        finally:
            os.kill(left, signal.SIGKILL)
    assert "succeeded" == newest(folder)["status"]
