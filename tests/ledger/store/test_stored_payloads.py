"""What is kept beside the log on disk: it lasts, it is found wherever the record is, and it goes for good."""

import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import TaskErased, TaskFailed
from tallystick.ledger.store import keys
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.layout import FORMAT, FORMAT_FIRST, format_of
from tests.ledger.archive.shelves import SEGMENT, seal
from tests.ledger.store.log_contract import SECRET
from tests.ledger.store.make import Author, kept_aside, stream_id

READS_TWICE = """
import sys
from pathlib import Path
from tallystick.ledger.store.disk import DiskLog

with DiskLog.open(Path(sys.argv[1]), readonly=True) as log:
    for _ in range(2):
        print([getattr(event.data, "error", None) for event in log.read()], flush=True)
        sys.stdin.readline()
"""


def aside(path: Path, *, archived: bool = False) -> list[Event]:
    """Make a log whose content is kept beside it, a segment of it in the archive."""
    events, payloads = kept_aside(Author().write(*[1] * (SEGMENT + 88), data=TaskFailed(error=SECRET)))
    with DiskLog.open(path) as log:
        log.append(events, payloads=payloads)
        if archived:
            assert SEGMENT == seal(log)
    return events


@pytest.mark.parametrize("archived", [False, True])
def test_what_is_kept_beside_it_is_there_when_it_is_opened_again(tmp_path: Path, archived: bool) -> None:  # noqa: FBT001
    events = aside(tmp_path, archived=archived)

    for readonly in (True, False):
        with DiskLog.open(tmp_path, readonly=readonly) as log:
            assert events == list(log.read()) == log.stream(stream_id(1))
            assert {stream_id(1): events[-1]} == log.newest([stream_id(1)])
            assert {stream_id(1): events} == log.histories([stream_id(1)])


@pytest.mark.parametrize("archived", [False, True])
def test_what_was_erased_is_gone_also_when_its_records_are_in_the_archive(tmp_path: Path, archived: bool) -> None:  # noqa: FBT001
    events = aside(tmp_path, archived=archived)
    with DiskLog.open(tmp_path) as log:
        author = Author(len(events))
        author.versions = {1: len(events)}
        log.append(author.write(1, data=TaskErased(reason="asked for")))
        assert [] == log.payloads(1, log.head())

    with lmdb.open(str(tmp_path), max_dbs=8, readonly=True) as env, env.begin() as txn:
        for name in list(txn.cursor().iternext(values=False)):
            for row in txn.cursor(env.open_db(name, txn=txn)):
                assert SECRET.encode() not in b"".join(row)


def test_a_log_that_has_something_beside_it_is_refused_by_versions_that_know_of_none(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        author = Author()
        log.append(author.write(1))
        assert FORMAT_FIRST == format_of(log.environment)
        batch, payloads = kept_aside(author.write(2, data=TaskFailed(error=SECRET)))
        log.append(batch, payloads=payloads)
        assert FORMAT == format_of(log.environment)
        log.append(author.write(3))
        assert FORMAT == format_of(log.environment)


def test_who_reads_an_older_log_sees_what_is_kept_beside_it_later(tmp_path: Path) -> None:
    author = Author()
    with DiskLog.open(tmp_path) as log:
        log.append(author.write(1))
    with lmdb.open(str(tmp_path), max_dbs=8) as env, env.begin(write=True) as txn:  # as earlier versions made it
        txn.drop(env.open_db(keys.PAYLOADS, txn=txn))

    reader = subprocess.Popen(
        [sys.executable, "-c", READS_TWICE, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        assert "[None]\n" == reader.stdout.readline()
        batch, payloads = kept_aside(author.write(1, data=TaskFailed(error="told later")))
        with DiskLog.open(tmp_path) as log:
            log.append(batch, payloads=payloads)
        reader.stdin.write("\n")
        reader.stdin.flush()
        assert "[None, 'told later']\n" == reader.stdout.readline()
        reader.communicate("\n")


def test_with_records_that_are_deleted_goes_what_was_kept_of_them(tmp_path: Path) -> None:
    aside(tmp_path, archived=True)

    with DiskLog.open(tmp_path) as log:
        log.forget_payloads(SEGMENT)

        assert [] == log.payloads(1, SEGMENT)
        assert 88 == len(log.payloads(1, SEGMENT + 88))
