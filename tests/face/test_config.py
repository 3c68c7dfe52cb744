"""The configuration: where it comes from, which source wins, and what is refused by name."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import Config, InvalidInput
from tallystick.config import Actors, duration_ms, load
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import Runtime, Status
from tallystick.ledger.limits import ACTORS_LIVE_MAX, DURATION_MS_MAX, GRACE_MS, TIME_MS_MAX
from tallystick.readings import due_rules
from tallystick.sources import FILE_NAME
from tallystick.testing import HandClock
from tests.face.parts import ORDINARY

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
T0 = HandClock().at_ms


def written(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def loaded(folder: Path, text: str, variables: Mapping[str, str] = {}, file: Path | None = None) -> Config:
    written(folder / FILE_NAME, text)
    return load(folder, file, {f"TALLYSTICK_{name}": value for name, value in variables.items()})


def test_without_any_source_everything_has_its_default(tmp_path: Path) -> None:
    config = load(tmp_path, environment={})

    assert Config() == config
    assert {"default": 5 * MINUTE} == config.grace
    assert {"terminal": 7 * DAY, "lost": DAY, "archive": None} == config.retention
    assert Actors(live=ACTORS_LIVE_MAX) == config.actors


def test_the_file_in_the_folder_is_read(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        """
        [grace]
        acp = "10m"
        default = "1 m"
        [retention]
        lost = "48h"
        failed = "30d"
        cron = "1h"
        [actors]
        live = 7
        """,
    )

    assert {"default": MINUTE, "acp": 10 * MINUTE} == config.grace
    assert {"terminal": 7 * DAY, "lost": 2 * DAY, "archive": None, "failed": 30 * DAY, "cron": HOUR} == config.retention
    assert 7 == config.actors.live


def test_of_file_other_file_and_variables_the_later_wins_key_by_key(tmp_path: Path) -> None:
    other = written(tmp_path / "other.toml", '[grace]\nacp = "2m"\ncli = "2m"\n')

    config = loaded(
        tmp_path,
        '[grace]\nacp = "1m"\ncli = "1m"\ncron = "1m"\n',
        {"GRACE_CLI": "3m", "RETENTION_TIMED_OUT": "9d", "ACTORS_LIVE": "9"},
        other,
    )

    assert {"default": GRACE_MS, "cron": MINUTE, "acp": 2 * MINUTE, "cli": 3 * MINUTE} == config.grace
    assert 9 * DAY == config.retention["timed_out"]
    assert 9 == config.actors.live


def test_variables_of_others_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYSTICK_LEDGER", "/somewhere")
    monkeypatch.setenv("GRACE_DEFAULT", "nonsense")

    assert Config() == load(tmp_path)


UNKNOWN: list[tuple[str, Mapping[str, str], str, str]] = [
    # what the file and the variables say, what is named, and the nearest that is known
    ("[grase]\n", {}, "grase", '"grace", perhaps'),
    ('[grace]\ndefalt = "5m"\n', {}, "defalt", '"default", perhaps'),
    ('[retention]\nterminals = "5m"\n', {}, "terminals", '"terminal", perhaps'),
    ('[retention]\nqueued = "5m"\n', {}, "queued", "one of acp, archive, cancelled"),
    ('[retention]\nxyz = "5m"\n', {}, "xyz", "one of acp, archive, cancelled, cli, cron"),
    ("[actors]\nlife = 5\n", {}, "life", '"live", perhaps'),
    (
        "live = 5\n",
        {},
        "live",
        "actors, archive, cancel, channel, grace, integrity, outbox, payloads, retention, route, sweep",
    ),
    ("", {"GRASE_ACP": "5m"}, "grase", '"grace", perhaps'),
    ("", {"GRACE_APC": "5m"}, "apc", '"acp", perhaps'),
    ("", {"GRACE": "5m"}, "", "acp, cli, cron"),
]


@pytest.mark.parametrize(("text", "variables", "named", "nearest"), UNKNOWN)
def test_an_unknown_key_is_an_error_that_names_the_nearest_known_one(
    tmp_path: Path, text: str, variables: Mapping[str, str], named: str, nearest: str
) -> None:
    with pytest.raises(InvalidInput, match=re.escape(nearest)) as refused:
        loaded(tmp_path, text, variables)

    assert repr(named) == refused.value.value
    assert ("environment" if variables else str(tmp_path / FILE_NAME)) in refused.value.field


def test_relative_paths_of_keys_are_meant_beside_the_file_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, other = tmp_path / "ledger", tmp_path / "etc" / "other.toml"
    folder.mkdir()
    other.parent.mkdir()
    monkeypatch.chdir(other.parent)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    own = '[integrity]\norigin = "example.org/l"\nkey = ["../a.key", "~/b.key", "/c.key"]\n'

    read = loaded(folder, own).integrity
    assert (str(tmp_path / "a.key"), str(tmp_path / "home" / "b.key"), "/c.key") == read.key
    assert ("example.org/l", 1_000) == (read.origin, read.checkpoint)
    written(other, '[integrity]\nkey = "d.key"\ncheckpoint = "never"\n')
    read = loaded(folder, own, file=other).integrity
    assert ((str(other.parent / "d.key"),), None) == (read.key, read.checkpoint)
    read = loaded(folder, own, {"INTEGRITY_KEY": "e.key", "INTEGRITY_CHECKPOINT": "5s"}, other).integrity
    assert ((str(other.parent / "e.key"),), 5_000) == (read.key, read.checkpoint)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('key = "a.key"', "integrity.origin"),
        ('origin = ""', "integrity.origin"),
        ('origin = "two words"', "integrity.origin"),
        ('origin = "a+b"', "integrity.origin"),
        ("origin = 5", "integrity.origin"),
        (f'origin = "{"x" * 513}"', "integrity.origin"),
        ('origin = "a"\nkey = ""', "integrity.key"),
        ('origin = "a"\nkey = 5', "integrity.key"),
        ('origin = "a"\nkey = ["b", 5]', "integrity.key"),
        ('origin = "a"\nkey = ["b", "c", "d", "e", "f"]', "integrity.key"),
        ('origin = "a"\ncheckpoint = "999ms"', "integrity.checkpoint"),
        ('origin = "a"\ncheckpoint = "0s"', "integrity.checkpoint"),
        ('origin = "a"\ncheckpoint = "forever"', "integrity.checkpoint"),
    ],
)
def test_who_signs_is_looked_at_when_the_configuration_is_read(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        loaded(tmp_path, f"[integrity]\n{text}\n")

    assert refused.value.field.startswith(named)
    assert FILE_NAME in refused.value.field


VALUES: list[tuple[str, str, str]] = [
    ('[grace]\nacp = "5"\n', "grace.acp", "with a unit"),
    ('[grace]\nacp = "-5m"\n', "grace.acp", "with a unit"),
    ('[grace]\nacp = "5 minutes"\n', "grace.acp", "with a unit"),
    ('[grace]\nacp = ""\n', "grace.acp", "with a unit"),
    ('[grace]\nacp = "1.5m"\n', "grace.acp", "with a unit"),
    ('[grace]\nacp = "٣m"\n', "grace.acp", "with a unit"),
    ("[grace]\nacp = 5\n", "grace.acp", "with a unit"),
    ("[grace]\nacp = 2026-01-01\n", "grace.acp", "with a unit"),
    ('[retention]\nlost = "40000d"\n', "retention.lost", "at most 36600d"),
    ('[retention]\nlost = "999999999999d"\n', "retention.lost", "at most 36600d"),
    ("[actors]\nlive = 0\n", "actors.live", "from 1"),
    ('[actors]\nlive = "many"\n', "actors.live", "from 1"),
    ("[actors]\nlive = true\n", "actors.live", "from 1"),
    ("grace = 5\n", "config grace", "a section of keys and values"),
    ("[grace\n", "config", "a TOML file"),
]


@pytest.mark.parametrize(("text", "field", "allowed"), VALUES)
def test_a_bad_value_is_an_error_that_names_its_key(tmp_path: Path, text: str, field: str, allowed: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        loaded(tmp_path, text)

    assert refused.value.field.startswith(field)
    assert allowed in refused.value.allowed


def test_a_file_that_was_named_must_be_there_and_readable(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")

    for name, allowed in (("none.toml", "No such file"), (".", "Is a directory"), ("binary.toml", "a TOML file")):
        with pytest.raises(InvalidInput, match=allowed) as refused:
            load(tmp_path, tmp_path / name, {})
        assert "config" == refused.value.field


@pytest.mark.parametrize(
    ("said", "ms"), [("0s", 0), ("500ms", 500), ("60s", MINUTE), (" 5 m ", 5 * MINUTE), ("24h", DAY), ("7d", 7 * DAY)]
)
def test_a_duration_is_a_number_with_its_unit(said: str, ms: int) -> None:
    assert ms == duration_ms("span", said)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"grace": {"apc": 5}}, "a name in grace"),
    ({"grace": {"acp": -5}}, "grace.acp"),
    ({"grace": {"acp": "5m"}}, "grace.acp"),
    ({"grace": 5}, "grace"),
    ({"retention": {5: 5}}, "a name in retention"),
    ({"retention": {"lost": DURATION_MS_MAX + 1}}, "retention.lost"),
    ({"actors": {"live": 5}}, "actors"),
]


@pytest.mark.parametrize(("given", "field"), WRONG)
def test_a_configuration_made_by_a_program_is_checked_alike(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Config(**given)

    assert field == refused.value.field


def test_what_a_program_does_not_give_has_its_default() -> None:
    config = Config(grace={"acp": MINUTE}, retention={"failed": HOUR})

    assert {"default": GRACE_MS, "acp": MINUTE} == config.grace
    assert {"terminal": 7 * DAY, "lost": DAY, "archive": None, "failed": HOUR} == config.retention
    with pytest.raises(InvalidInput, match="live"):
        Actors(live=0)


def test_the_rules_of_what_is_due_follow_the_configuration() -> None:
    rules = due_rules(
        Config(grace={"acp": 1, "default": 2}, retention={"cron": 3, "failed": 4, "lost": 5, "terminal": 6})
    )

    assert ({Runtime.ACP: 1}, 2) == (rules.grace, rules.grace_default)
    assert (6, 5) == (rules.retention_default, rules.retention_lost)
    assert 4 == rules.retention[None, Status.FAILED]
    assert 3 == rules.retention[Runtime.CRON, Status.SUCCEEDED]


def test_what_is_kept_for_ever_is_said_so_and_never_due(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        """
        [retention]
        terminal = "forever"
        lost = " forever "
        cron = "forever"
        failed = "1h"
        archive = "730d"

        [archive]
        after = "2d"
        """,
    )

    rules = due_rules(config)
    assert (None, None) == (rules.retention_default, rules.retention_lost)
    assert rules.retention[Runtime.CRON, Status.SUCCEEDED] is None
    assert HOUR == rules.retention[None, Status.FAILED]
    assert (730 * DAY, 2 * DAY) == (config.retention["archive"], config.archive["after"])
    assert config == Config(
        retention={"terminal": None, "lost": None, "cron": None, "failed": HOUR, "archive": 730 * DAY},
        archive={"after": 2 * DAY},
    )


@pytest.mark.parametrize("section", ["grace", "sweep", "cancel", "outbox", "archive"])
def test_for_ever_is_only_for_what_is_kept(tmp_path: Path, section: str) -> None:
    key = {"grace": "default", "sweep": "first", "cancel": "kill", "outbox": "first", "archive": "after"}[section]
    with pytest.raises(InvalidInput, match=f"{section}.{key}"):
        loaded(tmp_path, f'[{section}]\n{key} = "forever"\n')
    given: dict[str, Any] = {section: {key: None}}
    with pytest.raises(InvalidInput, match=f"{section}.{key}"):
        Config(**given)
    with pytest.raises(InvalidInput, match='or "forever"'):
        loaded(tmp_path, '[retention]\nlost = "for ever"\n')


def test_a_ledger_is_due_as_its_configuration_says(folder: Path, clock: HandClock) -> None:
    config = Config(retention={"failed": HOUR, "terminal": 2 * HOUR, "cron": DURATION_MS_MAX})
    with tallystick.open(folder, clock=clock, config=config) as ledger:
        ledger.create(**{**ORDINARY, "label": "failed"}).fail("it broke")
        ledger.create(**{**ORDINARY, "label": "done"}).succeed()
        ledger.create(runtime="cron", task="x", label="kept").succeed()
        reader = ledger._house.readings.reader  # noqa: SLF001 - nothing else asks yet what is due

        def due(until: int) -> list[str]:
            return [str(ledger.get(id_text(each.stream)).record.label) for each in reader.due(until)]

        assert [] == due(T0 + HOUR - 1)
        assert ["failed"] == due(T0 + HOUR)
        assert ["failed", "done"] == due(T0 + 2 * HOUR)
        assert ["failed", "done"] == due(T0 + DURATION_MS_MAX - 1)
        assert ["failed", "done", "kept"] == due(TIME_MS_MAX)


def test_the_number_of_actors_in_memory_follows_the_configuration(folder: Path) -> None:
    with tallystick.open(folder, config=Config(actors=Actors(live=5))) as ledger:
        with ledger.batch() as batch:
            tasks = [batch.create(**ORDINARY) for _ in range(100)]
        ledger.get(tasks[0].id).start()
        directory = ledger._house.system.directory  # noqa: SLF001 - nobody else counts them
        assert 6 >= len(directory)
        for task in tasks[1:]:
            ledger.get(task.id).succeed()
        assert 99 == ledger.counts().by_status["succeeded"]


def test_the_name_of_a_channel_has_no_slash(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no slash, which parts a channel from an account") as refused:
        loaded(tmp_path, '[channel."chat/ops"]\nkind = "registered"\n')

    assert (f"a name in channel ({tmp_path / FILE_NAME})", "'chat/ops'") == (refused.value.field, refused.value.value)
