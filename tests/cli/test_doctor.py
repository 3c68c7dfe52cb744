"""`tally doctor` looks at a ledger and its place, and says what to do."""

import os
import sys
from pathlib import Path

import pytest

import tallystick
from tallystick.cli.checkup import worst
from tallystick.cli.finding import Finding, Level
from tallystick.cli.place import file_system_of
from tallystick.ledger.store.layout import FORMAT
from tallystick.projections.views import PROJECTIONS
from tests.cli.damage import change_record, set_format
from tests.cli.support import make_stories, process, tally

CHECKS = [
    "permissions",
    "file system",
    "disk",
    "limits",
    "configuration",
    "versions",
    "owner",
    "log",
    "clock",
    "formats",
    "log map",
    "log readers",
    "views map",
    "views readers",
    *(projection.name for projection in PROJECTIONS),
    "messages",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_stories(tmp_path / "ledger")
    return tmp_path / "ledger"


def findings(folder: Path, *words: str) -> tuple[int, dict[str, dict[str, str]]]:
    said = tally("doctor", "--ledger", str(folder), "--json", *words)
    return said.code, {finding["check"]: finding for finding in said.data["findings"]}


def test_a_healthy_ledger_has_nothing_wrong(folder: Path) -> None:
    code, found = findings(folder)
    said = tally("doctor", "--ledger", str(folder))

    assert (0, CHECKS) == (code, list(found))
    assert {"ok"} == {finding["level"] for finding in found.values()}
    assert "folders 0700, files 0600" == found["permissions"]["detail"]
    assert "grace.default = 5m, retention.terminal = 7d, retention.lost = 1d" in found["configuration"]["detail"]
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in found["versions"]["detail"]
    assert "31 events, the newest 31 can be read" == found["log"]["detail"]
    assert (0, "Nothing is wrong.") == (said.code, said.out.splitlines()[-1])


def test_what_others_may_read_is_a_warning_with_a_remedy(folder: Path) -> None:
    (folder / "log").chmod(0o755)
    (folder / "log" / "data.mdb").chmod(0o644)

    code, found = findings(folder)
    said = tally("doctor", "--ledger", str(folder))

    assert (0, "warn") == (code, found["permissions"]["level"])
    assert "data.mdb is 0644" in found["permissions"]["detail"]
    assert f"→ chmod -R go= {folder}" in said.out
    assert "Nothing is wrong yet." == said.out.splitlines()[-1]


def test_a_live_owner_is_named(folder: Path) -> None:
    with tallystick.open(folder):
        said = process("doctor", "--ledger", folder)

    assert f"process {os.getpid()} on " in said.out


def test_read_models_that_are_gone_are_a_warning(folder: Path) -> None:
    for path in (folder / "views").iterdir():
        path.unlink()

    code, found = findings(folder)

    assert (0, "warn") == (code, found["projections"]["level"])
    assert 'run "tally projections rebuild"' == found["projections"]["remedy"]


def test_a_configuration_that_cannot_be_is_bad(folder: Path) -> None:
    (folder / "tallystick.toml").write_text("[grcae]\nacp = '5m'\n", "utf-8")

    code, found = findings(folder)

    assert (1, "bad") == (code, found["configuration"]["level"])
    assert '"grace", perhaps' in found["configuration"]["detail"]


def test_effective_values_are_shown_from_wherever_they_come(folder: Path, tmp_path: Path) -> None:
    (folder / "tallystick.toml").write_text("[retention]\nlost = '1500ms'\nterminal = '3h'\n", "utf-8")
    more = tmp_path / "more.toml"
    more.write_text("[retention]\nlost = '90s'\n[actors]\nlive = 7\n", "utf-8")

    assert "retention.terminal = 3h, retention.lost = 1500ms, " in findings(folder)[1]["configuration"]["detail"]
    told = findings(folder, "--config", str(more))[1]["configuration"]["detail"]
    assert ("retention.lost = 90s, " in told, told.endswith(", actors.live = 7")) == (True, True)


def test_a_damaged_record_among_the_newest_is_damage(folder: Path) -> None:
    change_record(folder, 20, lambda _: b"broken")

    code, found = findings(folder)
    said = tally("doctor", "--ledger", str(folder))

    assert (4, "damaged") == (code, found["log"]["level"])
    assert "position 20 cannot be read: " in found["log"]["detail"]
    assert "The store is damaged." == said.out.splitlines()[-1]


def test_a_store_that_is_none_is_damage(folder: Path) -> None:
    (folder / "log" / "data.mdb").write_bytes(b"not a store" * 1_000)

    code, found = findings(folder)

    assert (4, "damaged") == (code, found["store"]["level"])


def test_a_newer_format_is_bad_and_left_alone(folder: Path) -> None:
    set_format(folder, 99)

    code, found = findings(folder)

    assert (1, "bad") == (code, found["store"]["level"])
    assert f"has format 99, this version knows {FORMAT}" in found["store"]["detail"]
    assert "newer one; nothing was changed" in found["store"]["remedy"]


def test_a_ledger_that_is_not_there_is_bad(tmp_path: Path) -> None:
    code, found = findings(tmp_path / "nowhere")

    assert (1, "bad", "bad") == (code, found["disk"]["level"], found["store"]["level"])
    assert "permissions" not in found


def test_the_worst_finding_decides() -> None:
    found = [Finding("a", Level.WARN, ""), Finding("b", Level.DAMAGED, ""), Finding("c", Level.OK, "")]

    assert (Level.DAMAGED, Level.OK) == (worst(found), worst([]))


def test_the_file_system_of_a_path_is_that_of_the_nearest_mount() -> None:
    assert "proc" == file_system_of(Path("/proc/self"))
    assert file_system_of(Path("/")) not in ("proc", "")
