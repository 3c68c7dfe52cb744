"""What is kept beside the records of an archive goes when these are deleted, whoever deletes and whoever owns them."""

from collections.abc import Callable
from pathlib import Path

import pytest

import tallystick
from tallystick.ledger.store import keys
from tallystick.readings import LOG_FOLDER
from tests.cli.support import tally
from tests.face.parts import Process
from tests.ledger.archive.shelves import SEGMENT
from tests.ledger.archive.test_payloads_of_archives import kept, write

OWNER = """
    import sys, tallystick
    with tallystick.open(sys.argv[1]):
        print("owns", flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def archived(folder: Path) -> Path:
    """A ledger of pruned tasks with three segments in its archive, and much beside their records."""
    write(folder / LOG_FOLDER)
    with tallystick.open(folder):
        pass  # its read models are there
    return folder


def is_gone(folder: Path) -> bool:
    """Whether nothing is kept of the records of the first segment, and something of those behind it."""
    left = [keys.payload_of(key)[0] for key in kept(folder / LOG_FOLDER)]
    return bool(left) and min(left) > SEGMENT


def delete_in_python(folder: Path) -> int:
    with tallystick.join(folder) as ledger:
        deleted = ledger.delete_archives(before=SEGMENT + 1, reason="the law")
        assert [True, False, False] == [each.is_deleted for each in ledger.archives()]
        assert ledger.verify().ok
    return len(deleted)


def delete_by_command(folder: Path) -> int:
    ledger = ("--ledger", str(folder))
    done = tally("archive", "delete", "--before", str(SEGMENT + 1), "--reason", "the law", "--json", *ledger)
    assert (0, True) == (done.code, tally("verify", "--json", *ledger).data["ok"])
    count: int = done.data["count"]
    return count


Delete = Callable[[Path], int]
DELETES = pytest.mark.parametrize("delete", [delete_in_python, delete_by_command])


@DELETES
def test_what_is_kept_of_deleted_records_is_gone_at_once_when_nobody_owns_the_ledger(
    archived: Path, delete: Delete
) -> None:
    assert 1 == delete(archived)
    assert is_gone(archived)


@pytest.mark.slow
@DELETES
def test_what_is_kept_of_deleted_records_is_gone_at_once_beside_an_owner(archived: Path, delete: Delete) -> None:
    with Process(OWNER, archived) as owner:
        assert "owns" == owner.hear()
        assert 1 == delete(archived)
        owner.kill()
    assert is_gone(archived)
