"""What a reviewer should not have to say, as far as no linter says it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = ("actors", "bench", "ledger", "projections", "tallystick", "tests")
PURE = (
    "claims",
    "cleanup",
    "commands",
    "content",
    "decide",
    "deliveries",
    "delivery",
    "ends",
    "errors",
    "events",
    "evolve",
    "facts/deliveries",
    "facts/fact",
    "facts/flows",
    "facts/resources",
    "facts/tasks",
    "fields",
    "flows/decide",
    "flows/evolve",
    "flows/intake",
    "flows/json",
    "flows/mirror",
    "flows/record",
    "folding",
    "guard",
    "ids",
    "intake",
    "judge",
    "kept",
    "leftovers",
    "lifecycle",
    "limits",
    "lineage",
    "message",
    "noted",
    "notices",
    "outbox",
    "outcome",
    "payloads",
    "progress",
    "proofs/checkpoint",
    "proofs/keys",
    "proofs/lines",
    "proofs/merkle",
    "proofs/note",
    "proofs/proving",
    "proofs/succession",
    "proofs/tiles",
    "proofs/tlog_proof",
    "proofs/witness",
    "record",
    "redaction",
    "reasons/flows",
    "reasons/history",
    "reasons/reason",
    "reasons/tasks",
    "refusal",
    "remains",
    "reported",
    "resources",
    "retention",
    "routing",
    "steps",
    "stopped",
    "told",
    "upkeep/finding",
    "upkeep/flows",
    "upkeep/heard",
    "upkeep/plan",
    "upkeep/retention",
    "upkeep/spans",
    "upkeep/tasks",
    "upkeep/times",
    "upkeep/treatment",
    "verdict",
    "withholding",
)
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
SENTENCE_WORDS_MIN = 4

# Where somebody's machine shines through. (Written so that this file does not match itself.)
MACHINE_PATH = re.compile(r"/(?:work/|root/|tmp/venv)")
# What waits for time to pass; `asyncio.sleep(0)` only lets others run.
SLEEP = re.compile(r"(?:asyncio\.|time\.)?sleep\((?!0\))")
ASKS_THE_TIME = re.compile(r"(?:\w+\.)*(?:now|today|utcnow|(?:time|monotonic|perf_counter)(?:_ns)?)\(")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*folders: str) -> list[Path]:
    """Every module below the folders, each once: links are not followed."""
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if not any(parent.is_symlink() for parent in path.parents)
    )


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(parsed(path)) if isinstance(node, Function))


def calls(path: Path) -> list[str]:
    """Every call that a module makes, as it is written."""
    return [ast.unparse(node) for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]


@pytest.fixture(params=sources(*CODE), ids=lambda path: str(path.relative_to(ROOT)))
def module(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_a_module_fits_its_bounds(module: Path) -> None:
    lines = module.read_text("utf-8").count("\n")
    too_long = [
        f"{function.name} (line {function.lineno})"
        for function in functions(module)
        if (function.end_lineno or 0) - function.lineno >= FUNCTION_LINES_MAX
    ]

    assert lines <= FILE_LINES_MAX, f"{lines} lines: find the second noun"
    assert [] == too_long, f"more than {FUNCTION_LINES_MAX} lines do not fit a screen"


def test_a_module_says_what_it_owns(module: Path) -> None:
    assert ast.get_docstring(parsed(module))


@pytest.mark.parametrize("name", PURE)
def test_a_rule_is_told_the_time_and_never_asks(name: str) -> None:
    assert [] == [call for call in calls(ROOT / "ledger" / f"{name}.py") if ASKS_THE_TIME.match(call)]


@pytest.mark.parametrize("path", sources("tests"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_test_is_a_sentence_and_waits_for_events_not_for_time(path: Path) -> None:
    names = [function.name for function in functions(path) if function.name.startswith("test_")]

    assert [] == [name for name in names if len(name.removeprefix("test_").split("_")) < SENTENCE_WORDS_MIN]
    assert [] == [call for call in calls(path) if SLEEP.match(call)]


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in text_files()
        for match in MACHINE_PATH.finditer(path.read_text("utf-8", errors="replace"))
    ]

    assert [] == found


def test_nothing_that_a_merge_or_an_editor_left_lies_beside_the_code() -> None:
    left = {".orig", ".rej", ".bak", ".swp", ".tmp"}

    assert [] == [path for folder in (*CODE, "docs") for path in (ROOT / folder).rglob("*") if path.suffix in left]


def text_files() -> list[Path]:
    """What people read or run: the folders of the project and the files beside them."""
    suffixes = {"", ".md", ".py", ".toml", ".yml", ".yaml", ".json", ".txt"}
    below = [path for folder in (*CODE, "docs", ".ci") for path in (ROOT / folder).rglob("*")]
    beside = [path for path in ROOT.iterdir() if not path.name.startswith(".")]
    return sorted(
        path
        for path in (*beside, *below)
        if path.is_file() and path.suffix in suffixes and "__pycache__" not in path.parts
    )
