"""The question: how every measurement is called, and how it answers."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from inspect import cleandoc
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

import msgspec
from msgspec import Struct

from tallystick.bench import machine
from tallystick.bench.report import Findings, Report, as_text
from tallystick.bench.rounds import empty_folder

ROUNDS = 3


class Setting(Struct, frozen=True):
    """Where and how large to measure. `cache` keeps what takes long to make, `folder` is empty and gone afterwards."""

    folder: Path
    cache: Path
    size: int
    rounds: int


Measure: TypeAlias = Callable[[Setting], Findings]


def answer(
    argv: list[str],
    *,
    name: str,
    about: str | None,
    measure: Measure,
    size: int,
    quick_size: int,
    rounds: int = ROUNDS,
) -> int:
    """Measure as the arguments say and print what was found; `about` is the docstring of the question's file."""
    text = cleandoc(about or "")
    question = text.partition("\n")[0]
    options = _parser(name, text, size, quick_size, rounds).parse_args(argv)
    with empty_folder(options.folder) as folder:
        here = machine.look(folder)
        setting = Setting(
            folder=folder,
            cache=options.cache,
            size=options.size or (quick_size if options.quick else size),
            rounds=options.rounds,
        )
        began = perf_counter()
        findings = measure(setting)
        seconds = perf_counter() - began
    report = Report(
        name=name.partition("_")[0].capitalize(),
        question=question,
        about=text.partition("\n")[2].strip(),
        command=" ".join(("tally bench", name, *_without_places(argv))),
        rounds=setting.rounds,
        seconds=seconds,
        findings=findings,
        machine=here,
    )
    if options.json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        print(*as_text(report), sep="\n")
    return 0


def _without_places(argv: list[str]) -> list[str]:
    """Return the arguments that decide what is measured: not where, and not how it is said."""
    places = {"--folder", "--cache"}
    return [
        word
        for before, word in zip(["", *argv], argv, strict=False)
        if word != "--json" and word not in places and before not in places
    ]


def _parser(name: str, text: str, size: int, quick_size: int, rounds: int) -> argparse.ArgumentParser:
    temporary = Path(tempfile.gettempdir())
    parser = argparse.ArgumentParser(
        prog=f"tally bench {name}", description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, help=f"how many tasks (default {size:,})")
    parser.add_argument("--quick", action="store_true", help=f"few tasks: {quick_size:,}")
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each runs (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="say it as JSON")
    parser.add_argument("--folder", type=Path, default=temporary, help="on which disk (default %(default)s)")
    parser.add_argument(
        "--cache",
        type=Path,
        default=temporary / "tallystick-bench-cache",
        help="where large ledgers are kept for the next run (default %(default)s)",
    )
    return parser
