"""The work of the demo: a small package, its tests and a few scripts in a folder, and commands that use them."""

import sys
from pathlib import Path

from msgspec import Struct

MODULES = 100
FUNCTIONS = 400
TIMEOUT_MS = 3_000

_TEST = '''"""Tests that have something to do."""

import hashlib
import unittest

import parts.part_0


def stretched(rounds):
    return hashlib.pbkdf2_hmac("sha256", b"tally", b"stick", rounds).hex()


class Parts(unittest.TestCase):
    def test_a_part_can_be_imported(self):
        self.assertEqual(0, parts.part_0.number_0(0))
{cases}
'''
_CASE = """
    def test_stretching_{number}_times_gives_the_same_again(self):
        self.assertEqual(stretched({rounds}), stretched({rounds}))
"""
_COUNT = '''"""Count primes until somebody stops it."""

import itertools

primes = []
for number in itertools.count(2):
    if all(number % prime for prime in primes if prime * prime <= number):
        primes.append(number)
        if len(primes) % 2_000 == 0:
            print(len(primes), "primes so far, the last one", number, flush=True)
'''
_WAIT = '''"""Wait for a file that nobody writes."""

import pathlib
import time

ready = pathlib.Path(__file__).with_name("database.ready")
while not ready.exists():
    print("waiting for", ready.name, flush=True)
    time.sleep(0.5)
'''
_AGENT = '''"""An agent: it looks around, writes down what it found, and stays until somebody has read it."""

import pathlib
import time

here = pathlib.Path(__file__).parent
found = []
for place in ("the web", "the issues", "the archive"):
    time.sleep(0.7)
    found.append(place)
(here / "findings").write_text(f"{len(found)} places were searched: {', '.join(found)}")
while not (here / "findings.read").exists():
    time.sleep(0.05)
'''
_SETTINGS = '{\n  "name": "parts",\n  "retries": 3,\n}\n'


class Job(Struct, frozen=True):
    """A command of the demo."""

    label: str
    words: list[str]
    timeout_ms: int | None = None


def write(folder: Path) -> None:
    """Write everything that the jobs need."""
    package = folder / "parts"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""Parts."""\n', "utf-8")
    for module in range(MODULES):
        functions = (f"def number_{place}(value):\n    return value * {place + module}\n" for place in range(FUNCTIONS))
        (package / f"part_{module}.py").write_text("\n\n".join(functions), "utf-8")
    cases = "".join(_CASE.format(number=number, rounds=number * 60_000) for number in range(1, 8))
    (folder / "test_parts.py").write_text(_TEST.format(cases=cases), "utf-8")
    (folder / "count.py").write_text(_COUNT, "utf-8")
    (folder / "wait.py").write_text(_WAIT, "utf-8")
    (folder / "agent.py").write_text(_AGENT, "utf-8")
    (folder / "settings.json").write_text(_SETTINGS, "utf-8")


def build(folder: Path) -> Job:
    """The build: compile the package."""
    return Job("build", [sys.executable, "-m", "compileall", "-f", str(folder / "parts")])


def jobs(folder: Path) -> list[Job]:
    """What runs side by side: a test run, one that fails, one that times out, and one that will be killed."""
    python = sys.executable
    return [
        Job("tests", [python, "-m", "unittest", "discover", "-v", "-s", str(folder)]),
        Job("read settings", [python, "-m", "json.tool", str(folder / "settings.json")]),
        Job("wait for database", [python, str(folder / "wait.py")], TIMEOUT_MS),
        Job("count primes", [python, str(folder / "count.py")]),
    ]
