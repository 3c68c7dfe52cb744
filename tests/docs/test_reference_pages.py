"""The reference has everything that there is, and nothing else."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallystick.config import ALLOWED_KEYS, Config, load
from tallystick.ledger import errors, limits
from tallystick.ledger.errors import TallystickError
from tallystick.ledger.events import FACT_TYPES, NAMES, Event
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.store.verify import Kind
from tests.docs.pages import ROOT, doc, rows

CODE = ("actors", "ledger", "projections", "tallystick")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}

ERRORS: list[TallystickError] = [
    errors.InvalidInput("owner", "", "a key"),
    errors.NotFound("x"),
    errors.Pruned("x", status="succeeded", ended_at=1),
    errors.Refused("x", status="failed", attempted="succeed"),
    errors.FlowRefused("x", status="failed", attempted="resume", code="terminal", why="It has ended."),
    errors.Ambiguous("x", candidates=["y", "z"]),
    errors.WrongVersion("x", expected=1, actual=2),
    errors.StoreError("it is gone"),
    errors.Corrupt("a record", position=1),
    errors.Full("the disk", bytes=1),
    errors.NewerFormat("the log", found=2, known=1),
    errors.ForkedStore("state", opened_by=1, used_by=2),
    errors.NotOwner("state", who="process 1"),
    errors.NotProved("root", "A hash is another."),
    errors.BatchFailed([(0, errors.Closed())]),
    errors.Busy("The inbox", depth=1),
    errors.Closed(),
]


def test_every_error_is_listed_with_its_attributes() -> None:
    listed = {
        row[0]: row[1].replace("`", "").split() for row in rows(doc("reference/errors.md").section("What each says"))
    }

    assert {type(error).__name__: list(error.data) for error in ERRORS} == listed


def test_the_tree_of_errors_is_drawn_as_the_classes_inherit() -> None:
    [drawn] = [block for block in doc("reference/errors.md").blocks() if block.language == "text"]

    assert tuple(tree_of(TallystickError)) == drawn.lines
    assert {type(error) for error in ERRORS} == {kind for kind in vars(errors).values() if is_error(kind)} - {
        TallystickError
    }


def is_error(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, TallystickError)


def tree_of(kind: type[TallystickError], branch: str = "", trunk: str = "") -> Iterator[str]:
    """Draw a class and those below it that the ledger has."""
    yield f"{branch}{kind.__name__}"
    below = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    for each in below:
        is_last = each is below[-1]
        yield from tree_of(each, trunk + ("└── " if is_last else "├── "), trunk + ("    " if is_last else "│   "))


def test_every_limit_is_listed_with_its_value() -> None:
    listed = {row[0]: int(row[1].replace(",", "")) for row in rows("\n".join(doc("reference/limits.md").lines))}
    known = {name: value for name, value in vars(limits).items() if name.isupper() and not name.startswith("_")}

    assert known == listed


@pytest.mark.parametrize("kind", FACT_TYPES, ids=lambda kind: NAMES[kind])
def test_every_fact_is_listed_with_its_fields(kind: type[msgspec.Struct]) -> None:
    listed = [(row[0], row[2]) for row in rows(doc("reference/events.md").section(NAMES[kind]))]  # type: ignore[index]
    own = [field for field in msgspec.structs.fields(kind) if field.name not in Fact.__struct_fields__]

    assert [(field.encode_name, absence(field)) for field in own] == listed


def test_what_any_fact_may_say_of_its_fields_is_listed() -> None:
    listed = [(row[0], row[2]) for row in rows(doc("reference/events.md").section("What any fact may say"))]

    assert [(field.encode_name, absence(field)) for field in msgspec.structs.fields(Fact)] == listed


def absence(field: msgspec.structs.FieldInfo) -> str:
    """What it means that a field is not stored."""
    if field.required:
        return "never"
    return {"None": "not said", "()": "none"}.get(repr(field.default), repr(field.default).lower())


def test_what_every_event_says_is_listed() -> None:
    listed = {
        name
        for row in rows(doc("reference/events.md").section("What every event says"))
        for name in row[0].split("`, `")
    }
    said = {*Event.__struct_fields__, "type", "task_id"}

    assert said == listed


def test_every_kind_of_damage_is_listed() -> None:
    listed = [row[0] for row in rows(doc("explanation/tamper-evidence.md").section("What `verify` does"))]

    assert [kind.value for kind in Kind] == listed


def logged() -> dict[str, tuple[str, list[str]]]:
    """Every log event in the code: its level and its fields."""
    found: dict[str, tuple[str, list[str]]] = {}
    for folder in CODE:
        for path in (ROOT / folder).rglob("*.py"):
            if not any(parent.is_symlink() for parent in path.parents):
                found |= dict(logged_in(path))
    return found


def logged_in(path: Path) -> Iterator[tuple[str, tuple[str, list[str]]]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[ast.Constant(value=str(name))]
            ) if level in LEVELS:
                yield name, (level, [keyword.arg or "" for keyword in node.keywords])


def test_every_log_event_is_listed_with_its_level_and_fields() -> None:
    listed = {
        row[0]: (row[1], row[2].replace("`", "").split())
        for row in rows("\n".join(doc("reference/log-events.md").lines))
    }

    assert logged() == listed


def test_every_key_of_the_configuration_is_listed() -> None:
    listed: dict[str, set[str]] = {}
    for section, keys, *_ in rows(doc("reference/configuration.md").section("What can be set")):
        listed.setdefault(section, set()).update(keys.replace("`", "").split())

    assert {section: {str(key) for key in keys} for section, keys in ALLOWED_KEYS.items()} == listed


def test_the_defaults_that_are_listed_are_those_of_the_configuration(tmp_path: Path) -> None:
    own: dict[str, dict[str, Any]] = {}
    for section, keys, default, _ in rows(doc("reference/configuration.md").section("What can be set")):
        if default[0].isdecimal():
            own.setdefault(section, {})[keys] = int(default) if default.isdecimal() else default
    lines: list[str] = []
    for section, values in own.items():
        lines += [f"[{section}]", *(f"{key} = {value!r}" for key, value in values.items())]
    (tmp_path / "tallystick.toml").write_text("\n".join(lines), "utf-8")

    assert Config() == load(tmp_path, environment={})


def test_the_file_that_is_shown_can_be_read(tmp_path: Path) -> None:
    shown = [block for block in doc("reference/configuration.md").blocks() if block.language == "toml"]
    whole = "\n".join(block.text for block in shown)
    (tmp_path / "tallystick.toml").write_text(whole, "utf-8")
    read = load(tmp_path, environment={})

    assert set(tomllib.loads(whole)) == {*ALLOWED_KEYS, "channel", "route"}
    assert 600_000 == read.grace["acp"]
    assert ["telegram", "teams", "ops"] == [*read.channel]
    assert len(read.route) == 2
