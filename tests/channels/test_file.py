"""The file: whole lines, each on the disk when `send` returns, whoever else writes to it."""

import os
import stat
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallystick.channels import Sender, build
from tallystick.ledger.delivery import Permanent, Receipt, Retryable
from tallystick.ledger.errors import InvalidInput
from tests.channels.parts import ID, TASK, delivery, outcome
from tests.face.parts import at_once, said


def writer(path: Path) -> Sender:
    sender = build("ops", {"kind": "file", "path": str(path)}, {})
    assert sender is not None
    return sender


def lines(path: Path) -> list[Any]:
    raw = path.read_bytes()
    assert raw.endswith(b"\n")
    return [msgspec.json.decode(line) for line in raw.splitlines()]


def test_a_delivery_is_one_line_with_all_that_it_says(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"

    assert Receipt(ID) == writer(path).send(
        delivery("two\nlines", to="C1", thread=7, account="dev", artifacts=("a",), attempt=3)
    )
    assert [
        {
            "id": ID,
            "taskId": TASK,
            "kind": "terminal",
            "text": "two\nlines",
            "route": {"channel": "ops", "to": "C1", "account": "dev", "thread": 7},
            "artifacts": ["a"],
            "queuedAt": 1_700_000_000_123,
            "attempt": 3,
        }
    ] == lines(path)


def test_a_new_file_is_for_its_owner_only_and_an_old_one_stays_as_it_is(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.touch(0o640)
    for path in (new, old):
        writer(path).send(delivery())

    assert [0o600, 0o640] == [stat.S_IMODE(path.stat().st_mode) for path in (new, old)]


@pytest.mark.slow
def test_threads_and_processes_write_whole_lines_into_one_file(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    script = """
        import sys
        from pathlib import Path
        from tests.channels.parts import delivery
        from tests.channels.test_file import writer
        from tests.face.parts import at_once
        sender = writer(Path(sys.argv[1]))
        at_once(4, lambda thread: [
            sender.send(delivery("x" * 9_000, id=f"{sys.argv[2]}:{thread}:{number}")) for number in range(20)
        ])
    """
    at_once(3, lambda number: said(script, path, number))

    assert 240 == len({line["id"] for line in lines(path)}) == len(lines(path))
    assert {"x" * 9_000} == {line["text"] for line in lines(path)}


def test_what_a_crash_has_left_half_is_ended_before_the_next_line(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    path.write_bytes(b'{"id": "half')
    writer(path).send(delivery())

    first, second = path.read_bytes().splitlines()
    assert b'{"id": "half' == first
    assert ID == msgspec.json.decode(second)["id"]


def test_a_file_that_was_moved_away_is_followed_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    sender = writer(path)
    sender.send(delivery(id="a"))
    path.rename(tmp_path / "out.1")
    sender.send(delivery(id="b"))

    assert [["a"], ["b"]] == [[line["id"] for line in lines(each)] for each in (tmp_path / "out.1", path)]


def test_a_place_where_nothing_can_be_written_any_more_is_permanent(tmp_path: Path) -> None:
    places = {"gone/x": "No such file or directory", "folder": "Is a directory", "pipe": "is no regular file"}
    (tmp_path / "gone").mkdir()
    senders = {place: writer(tmp_path / place) for place in places}
    (tmp_path / "gone").rmdir()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for place, why in places.items():
        error = outcome(senders[place], delivery())

        assert isinstance(error, Permanent)
        assert why in str(error)


def test_a_place_where_nothing_can_be_written_makes_no_channel(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place, why in (
        ("no/such/folder/x", "a file in a folder that is there"),
        ("", "a regular file"),
        ("pipe", "a regular file"),
    ):
        with pytest.raises(InvalidInput, match=why) as refused:
            writer(tmp_path / place)
        assert "channel.ops.path" == refused.value.field
    assert ["pipe"] == [path.name for path in tmp_path.iterdir()]


def test_a_line_that_does_not_fit_leaves_nothing_behind_and_can_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    script = """
        import resource, signal, sys
        from pathlib import Path
        from tests.channels.parts import delivery, outcome
        from tests.channels.test_file import writer
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        sender = writer(Path(sys.argv[1]))
        sender.send(delivery(id="fits"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
        print(type(outcome(sender, delivery("x" * 4_000))).__name__)
        sender.send(delivery(id="fits again"))
    """

    assert [Retryable.__name__] == said(script, path)
    assert ["fits", "fits again"] == [line["id"] for line in lines(path)]


@pytest.mark.skipif(not Path("/dev/full").exists() or sys.platform != "linux", reason="needs a device that is full")
def test_a_device_is_no_file_to_append_to() -> None:
    with pytest.raises(InvalidInput, match="a regular file"):
        writer(Path("/dev/full"))
