"""How fast a command starts is held by what it loads: modules can be counted, a busy machine's milliseconds cannot."""

import subprocess
import sys

import pytest

NEVER = (
    "asyncio",
    "multiprocessing",
    "psutil",
    "pykka",
    "rich",
    "structlog",
    "unittest",
    "tallystick.actors",
    "tallystick.bench",
)
PROGRAM = """
import sys
from tallystick.cli.program import run
code = run(sys.argv[1:])
print(*sorted(sys.modules), sep="\\n", file=sys.stderr)
sys.exit(code)
"""


def loaded(*words: str) -> set[str]:
    """The modules that a command has loaded when it is done."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, encoding="utf-8", check=True)
    return set(done.stderr.split())


@pytest.fixture(scope="module")
def bare() -> set[str]:
    """The modules that are there before anything is asked for."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, encoding="utf-8", check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "never", "most"),
    [
        (["--help"], ("lmdb", "tallystick.projections", "tallystick.readings", "tallystick.run"), 100),
        (["list"], ("subprocess", "tallystick.run", "tallystick.sync", "tallystick.ledger.store.verify"), 190),
        (["status"], ("subprocess", "tallystick.run", "tallystick.sync", "tallystick.ledger.store.verify"), 190),
        (["show", "run-7"], ("subprocess", "tallystick.run", "tallystick.sync", "tallystick.ledger.store.verify"), 190),
    ],
)
def test_a_command_that_reads_loads_little(
    ledger: str, bare: set[str], words: list[str], never: tuple[str, ...], most: int
) -> None:
    modules = loaded("--ledger", ledger, *words) - bare

    heavy = [module for module in modules if any(f"{module}.".startswith(f"{name}.") for name in (*NEVER, *never))]
    assert [] == heavy
    assert len(modules) <= most
