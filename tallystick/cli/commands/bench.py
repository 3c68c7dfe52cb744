"""`tally bench`: the measurements, by name."""

import ast
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click

from tallystick.cli.answer import EXIT_REFUSED, Answer
from tallystick.cli.call import Call
from tallystick.cli.command import command as _command
from tallystick.cli.screen import Screen
from tallystick.cli.table import Column, table
from tallystick.ledger.errors import InvalidInput

PACKAGE = "tallystick.bench"
EXTRAS = "Install what the peers need: pip install 'tallystick[bench]'"


@_command(
    "bench",
    json="{benches: [{name, question}]}; with NAME the measurement's own",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    help="""Without NAME the questions that can be asked; with one, or the begin of one, its answer on this machine.
    What a measurement takes, "tally bench NAME --help" says. They make ledgers of their own in temporary folders.""",
)
@click.argument("name", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(call: Call, *, name: str | None, arguments: tuple[str, ...]) -> Answer | int:
    """Measure."""
    questions = dict(_questions())
    if name is None:
        data = {"benches": [{"name": each, "question": question} for each, question in questions.items()]}
        return Answer(data, lambda screen: _lines(screen, questions))
    meant = [name] if name in questions else [each for each in questions if each.startswith(name)]
    if len(meant) != 1:
        raise InvalidInput("name", name, ", ".join(questions))
    return _measure(meant[0], ["--json", *arguments] if call.json else list(arguments))


def _measure(name: str, options: list[str]) -> int:
    try:
        return int(import_module(f"{PACKAGE}.{name}").main(options))
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tallystick"):
            raise
        print(f"{name} needs {error.name}, which is not installed. {EXTRAS}", file=sys.stderr)
        return EXIT_REFUSED


def _questions() -> Iterator[tuple[str, str]]:
    """Each module that has a `main`, and the first line of what it says about itself; read, not loaded."""
    spec = find_spec(PACKAGE)
    assert spec is not None
    for folder in spec.submodule_search_locations or ():
        for path in sorted(Path(folder).glob("*.py")):
            tree = ast.parse(path.read_bytes())
            if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
                yield path.stem, (ast.get_docstring(tree) or "").partition("\n")[0]


def _lines(screen: Screen, questions: Mapping[str, str]) -> Iterator[str]:
    yield from table(screen, [Column("Name", list(questions), 24), Column("Question", list(questions.values()), 200)])
    yield ""
    yield "tally bench NAME"
