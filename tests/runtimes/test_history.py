"""The run history: what was written is known again, torn lines harm nobody, and it stays small."""

import os
import stat
from pathlib import Path

import pytest

from tallystick import InvalidInput
from tallystick.runtimes.history import FILE_NAME, HISTORY_BYTES_MIN, OLDER_NAME, RUNS_KNOWN_MAX, RunEnd, RunHistory


def end(number: int) -> RunEnd:
    return RunEnd(f"job@{number}", "failed", number, None, "ValueError: no")


def test_what_was_written_is_known_again_to_the_letter(tmp_path: Path) -> None:
    ends = [RunEnd("a@1", "succeeded", 1, "3 files"), RunEnd("b@2", "failed", 2, None, "no\nöäü"), end(3)]
    history = RunHistory.open(tmp_path / "runs")
    history.write(ends[:1])
    history.write(ends[1:])
    history.close()

    again = RunHistory.open(tmp_path / "runs")

    assert ends == [again.get(end.run_id) for end in ends]
    assert (None, 3) == (again.get("c@3"), len(again))
    again.close()


def test_a_history_is_for_its_user_only(tmp_path: Path) -> None:
    RunHistory.open(tmp_path / "runs").close()

    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "runs", tmp_path / "runs" / FILE_NAME)]
    assert [0o700, 0o600] == modes


def test_a_line_that_was_never_finished_harms_no_other(tmp_path: Path) -> None:
    history = RunHistory.open(tmp_path)
    history.write([end(1), end(2)])
    history.close()
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:-5])

    again = RunHistory.open(tmp_path)
    again.write([end(3)])
    again.close()
    last = RunHistory.open(tmp_path)

    assert [end(1), None, end(3)] == [last.get(f"job@{number}") for number in (1, 2, 3)]
    last.close()


@pytest.mark.parametrize("nonsense", [b"\xff\x00", b"[]", b'{"runId":"job@1","status":"odd","endedAt":1}', b"{"])
def test_what_is_no_end_is_left_out(tmp_path: Path, nonsense: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(nonsense + b'\n{"runId":"job@2","status":"succeeded","endedAt":2,"more":1}\n')

    history = RunHistory.open(tmp_path)

    assert [None, RunEnd("job@2", "succeeded", 2)] == [history.get("job@1"), history.get("job@2")]
    history.close()


def test_a_history_keeps_the_newest_ends_within_its_bound(tmp_path: Path) -> None:
    history = RunHistory.open(tmp_path, bytes_max=HISTORY_BYTES_MIN)
    for number in range(1_000):
        history.write([end(number)])
    history.close()

    again = RunHistory.open(tmp_path)
    sizes = sum((tmp_path / name).stat().st_size for name in (FILE_NAME, OLDER_NAME))
    assert HISTORY_BYTES_MIN // 4 < sizes <= HISTORY_BYTES_MIN
    assert [None, end(999)] == [again.get("job@0"), again.get("job@999")]
    assert len(history) == len(again) < 100
    again.close()


def test_a_disk_that_takes_nothing_is_told_and_the_ends_are_known_all_the_same(tmp_path: Path) -> None:
    history = RunHistory.open(tmp_path)
    history.close()
    (tmp_path / FILE_NAME).unlink()
    (tmp_path / FILE_NAME).mkdir()

    with pytest.raises(OSError, match="directory"):
        history.write([end(1)])
    assert end(1) == history.get("job@1")
    with pytest.raises(OSError, match="directory"):
        history.write(end(number) for number in range(RUNS_KNOWN_MAX + 5))
    assert RUNS_KNOWN_MAX == len(history)

    (tmp_path / FILE_NAME).rmdir()
    history.write([end(2)])
    history.close()
    assert 1 == len((tmp_path / FILE_NAME).read_text("utf-8").splitlines())


@pytest.mark.parametrize("bytes_max", [0, HISTORY_BYTES_MIN - 1, 1e6, True])
def test_a_bound_that_holds_nothing_is_refused(tmp_path: Path, bytes_max: int) -> None:
    with pytest.raises(InvalidInput, match="bytes_max"):
        RunHistory.open(tmp_path, bytes_max=bytes_max)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")

    with pytest.raises(InvalidInput, match="history"):
        RunHistory.open(os.fspath(tmp_path / "file" / "runs"))
