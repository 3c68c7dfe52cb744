"""`tally archive` lists the sealed ranges of the log, and deletes the oldest of them when somebody says so."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import tallystick
from tallystick.ledger.ids import id_text
from tests.cli.support import process, tally
from tests.face.test_archives import deleted_flows
from tests.ledger.archive.shelves import SEGMENT
from tests.ledger.archive.test_deletion import write
from tests.ledger.store.make import AT_MS, stream_id

STANDING = 350  # the number of the one task that is not pruned, in the fourth segment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ledger with four segments in its archive; one task is not pruned."""
    write(tmp_path / "ledger" / "log", pruned=lambda number: number != STANDING)
    return tmp_path / "ledger"


def test_a_ledger_without_an_archive_says_what_would_make_one(ledger: str) -> None:
    said = tally("archive", "--ledger", ledger)

    assert (0, 0) == (said.code, tally("archive", "list", "--ledger", ledger, "--json").data["count"])
    assert "Nothing is archived yet" in said.out


def test_segments_are_listed_with_what_they_have(folder: Path) -> None:
    said = tally("archive", "list", "--ledger", str(folder))
    data = tally("archive", "--ledger", str(folder), "--json").data

    assert f"4 segments with {4 * SEGMENT:,} events" in said.out
    assert (4, 4 * SEGMENT) == (data["count"], data["events"])
    first = data["segments"][0]
    assert (1, SEGMENT, "kept", AT_MS + SEGMENT) == (
        first["first"],
        first["last"],
        first["state"],
        first["recordedLast"],
    )
    assert data["bytes"] == sum((folder / "log" / "archive" / each["file"]).stat().st_size for each in data["segments"])
    assert "deletedAt" not in first


def test_deleting_what_is_before_a_position_says_what_is_gone_and_the_log_verifies(folder: Path) -> None:
    root = tally("verify", "--ledger", str(folder), "--json").data["rootHash"]

    said = tally(
        "archive", "delete", "--ledger", str(folder), "--before", str(SEGMENT + 1), "--reason", "the law", "--json"
    )
    listed = tally("archive", "--ledger", str(folder))
    verified = tally("verify", "--ledger", str(folder), "--json").data

    assert (0, 1, SEGMENT) == (said.code, said.data["count"], said.data["events"])
    assert ("deleted", "the law") == (said.data["segments"][0]["state"], said.data["segments"][0]["reason"])
    assert "deleted at" in listed.out
    assert "the law" in listed.out
    assert f"3 segments with {3 * SEGMENT:,} events" in listed.out
    assert (True, root, SEGMENT) == (verified["ok"], verified["rootHash"], verified["deleted"])
    assert f"deleted    {SEGMENT:,} events" in tally("verify", "--ledger", str(folder)).out


def test_a_replay_says_how_much_of_what_it_folds_was_deleted(folder: Path) -> None:
    before = tally("replay", "--ledger", str(folder), "--position", "10")
    tally("archive", "delete", "--ledger", str(folder), "--before", str(SEGMENT + 1), "--reason", "the law")

    within = tally("replay", "--ledger", str(folder), "--position", "10")
    data = tally("replay", "--ledger", str(folder), "--json").data

    assert "deleted" not in before.out
    assert "0 events replayed" in within.out
    assert "10 events of before were deleted with their archive" in within.out
    assert SEGMENT == data["deleted"]


def test_deleting_what_is_before_a_moment_and_what_is_not_there(folder: Path) -> None:
    moment = datetime.fromtimestamp((AT_MS + SEGMENT + 1) / 1_000, UTC).isoformat()

    one = tally("archive", "delete", "--ledger", str(folder), "--before", moment, "--reason", "x")
    none = tally("archive", "delete", "--ledger", str(folder), "--before", moment, "--reason", "x")

    assert (0, 0) == (one.code, none.code)
    assert f"Deleted 1 segment with {SEGMENT:,} events." in one.out
    assert "Nothing was deleted" in none.out


def test_what_is_not_pruned_is_named_and_nothing_is_deleted(folder: Path) -> None:
    said = tally("archive", "delete", "--ledger", str(folder), "--before", "99999", "--reason", "x", "--json")

    assert (1, "Refused", id_text(stream_id(STANDING))) == (said.code, said.error["type"], said.error["token"])
    assert 4 == tally("archive", "--ledger", str(folder), "--json").data["count"]


def test_expired_means_what_the_configuration_says(folder: Path) -> None:
    words = ("archive", "delete", "--ledger", str(folder), "--expired", "--reason", "x", "--json")
    forever = tally(*words)
    (folder / "tallystick.toml").write_text('[retention]\narchive = "36500d"\n', "utf-8")
    young = tally(*words)
    (folder / "tallystick.toml").write_text('[retention]\narchive = "0d"\n', "utf-8")
    old = tally(*words)

    assert (2, "retention.archive") == (forever.code, forever.error["field"])
    assert (0, 0) == (young.code, young.data["count"])
    assert (1, "Refused") == (old.code, old.error["type"])  # one of them has a task that is not pruned


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ((), "before"),
        (("--before", "5", "--expired"), "before"),
        (("--before", "0"), "before"),
        (("--before", "yesterday"), "before"),
        (("--before", "9" * 5_000), "before"),
        (("--before", "5", "--reason", " "), "reason"),
    ],
)
def test_wrong_use_is_an_error_that_says_what_is_allowed(folder: Path, words: tuple[str, ...], field: str) -> None:
    said = tally("archive", "delete", "--ledger", str(folder), "--reason", "x", *words, "--json")

    assert (2, field) == (said.code, said.error["field"])


@pytest.mark.slow
def test_archives_are_deleted_beside_a_live_owner(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        events = list(ledger.events())
        said = process("archive", "delete", "--ledger", folder, "--before", str(SEGMENT + 1), "--reason", "x")
        assert 0 == said.code, said.err

        assert events[SEGMENT:] == list(ledger.events())
        assert [True, False, False, False] == [segment.is_deleted for segment in ledger.archives()]
        assert ledger.verify().ok


@pytest.mark.parametrize("kind", ["task", "managed", "joined mirror", "mirror"])
def test_what_was_deleted_is_told_as_what_it_was_by_every_command_and_is_no_damage(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "ledger"
    token = deleted_flows(folder)[kind]
    commands = [("timeline", token), ("replay", token), ("replay", token, "--position", "300")]
    commands += [("maintenance", "--explain", token)]
    commands.append(("show", token) if kind == "task" else ("flow", "show", token))

    for words in commands:
        said = tally(*words, "--ledger", str(folder))
        error = tally(*words, "--json", "--ledger", str(folder)).error

        what = "Task" if kind == "task" else "Flow"
        assert (1, "") == (said.code, said.out), words
        assert re.search(rf"^{what} pruned: {token} was succeeded, .*deleted with positions 1 to 512 by ada", said.err)
        assert ("Pruned", "succeeded", "ada", "the law") == (
            error["type"],
            error["status"],
            error["deletedBy"],
            error["deletedReason"],
        )
