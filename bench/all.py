"""What do all of these say, one after the other, on one page?

Each question is asked in a process of its own. With --write the page is written, and beside it the figures as JSON;
when an earlier run wrote them there, every goal is shown beside what it was then.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tallystick.bench import page
from tallystick.bench.report import Report, as_text, number

QUESTIONS = (
    "g1a_pipelined",
    "g1b_asyncio",
    "g2_latency",
    "g3_waiters",
    "g4_memory",
    "g5_open",
    "g6_commands",
    "g7_replay",
    "g8_sweep",
    "g9_disk",
    "g10_kill",
    "g11_delivery",
    "g12_outbox",
    "g13_flows",
    "g14_archive",
    "g15_upkeep",
    "g16_proofs",
)
QUESTION_S_MAX = 7_200

_ASK = "import sys; from importlib import import_module as load; sys.exit(load(sys.argv[1]).main(sys.argv[2:]))"


def main(argv: list[str]) -> int:
    """Ask the questions, and print or write what they found."""
    options = _parser().parse_args(argv)
    before = page.recorded(options.write) if options.write else {}
    reports = []
    for name in options.names or QUESTIONS:
        report = ask(name, _passed_on(options))
        reports.append(report)
        if not options.json:
            print(*as_text(report), *_compared(report, before), "", sep="\n", flush=True)
    if options.json:
        sys.stdout.write(msgspec.json.encode(reports).decode() + "\n")
    if options.write:
        page.write(options.write, reports)
    return 0


def ask(name: str, arguments: Sequence[str]) -> Report:
    """Return the report of one question, asked in a process of its own."""
    command = [sys.executable, "-c", _ASK, f"tallystick.bench.{name}", "--json", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=QUESTION_S_MAX)
    return msgspec.json.decode(done.stdout, type=Report)


def _compared(report: Report, before: page.Recorded) -> list[str]:
    """Return what the goals were when the page was last written."""
    then = before.get(report.name, ())
    goals = report.findings.goals
    if len(then) != len(goals):
        return []
    return [
        f"when the page was written: {goal.name}  {goal.wanted()}  {number(was)}, now {number(goal.middle)}"
        for goal, was in zip(goals, then, strict=True)
    ]


def _passed_on(options: argparse.Namespace) -> list[str]:
    arguments = ["--folder", str(options.folder), "--cache", str(options.cache)]
    if options.quick:
        arguments.append("--quick")
    for name in ("size", "rounds"):
        value = getattr(options, name)
        if value is not None:
            arguments += [f"--{name}", str(value)]
    return arguments


def _parser() -> argparse.ArgumentParser:
    temporary = Path(tempfile.gettempdir())
    parser = argparse.ArgumentParser(prog="tally bench all", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*QUESTIONS, []], help=f"only these: {', '.join(QUESTIONS)}")
    parser.add_argument("--quick", action="store_true", help="few tasks")
    parser.add_argument("--size", type=int, help="how many tasks, for every question")
    parser.add_argument("--rounds", type=int, help="how often each runs, for every question")
    parser.add_argument("--json", action="store_true", help="say it as JSON")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write it all as Markdown, and as JSON beside it")
    parser.add_argument("--folder", type=Path, default=temporary, help="on which disk (default %(default)s)")
    parser.add_argument(
        "--cache", type=Path, default=temporary / "tallystick-bench-cache", help="where large ledgers are kept"
    )
    return parser
