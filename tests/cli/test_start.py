"""How fast a command starts is held by what it loads: modules can be counted, a busy machine's milliseconds cannot."""

import subprocess
import sys
from pathlib import Path

import pytest

import tallystick
from tests.notary.parts import Place

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
OF_WRITERS = (
    "subprocess",
    "tallystick.channels",
    "tallystick.ledger.commands",
    "tallystick.ledger.decide",
    "tallystick.ledger.deliveries",
    "tallystick.ledger.flows.decide",
    "tallystick.ledger.flows.intake",
    "tallystick.ledger.refusal",
    "tallystick.ledger.store.verify",
    "tallystick.monitors",
    "tallystick.projections.follower",
    "tallystick.run",
    "tallystick.sync",
)
"""What only who writes, sends or verifies needs."""

OF_OTHERS = (
    "shlex",
    "tallystick.cli.facts",
    "tallystick.projections.flow_history",
    "tallystick.flow_readings",
    "tallystick.flows",
    "tallystick.forks",
    "tallystick.ledger.told",
    "tallystick.messages",
    "tallystick.owner",
    "tallystick.projections.flow_list",
    "tallystick.projections.flow_query",
    "tallystick.projections.pauses",
)
"""What other commands that read need, and a list does not."""

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
        (["list"], (*OF_WRITERS, *OF_OTHERS), 165),
        (["status"], OF_WRITERS, 185),  # with what an audit needs: it counts findings
        (["show", "run-7"], OF_WRITERS, 175),
        (["flow", "list"], OF_WRITERS, 175),
        (["timeline", "run-7"], OF_WRITERS, 175),
        (["keys", "--help"], ("cryptography", "lmdb", "tallystick.ledger.proofs", "tallystick.readings"), 100),
    ],
)
def test_a_command_that_reads_loads_little(
    ledger: str, bare: set[str], words: list[str], never: tuple[str, ...], most: int
) -> None:
    modules = loaded("--ledger", ledger, *words) - bare

    heavy = [module for module in modules if any(f"{module}.".startswith(f"{name}.") for name in (*NEVER, *never))]
    assert [] == heavy
    assert len(modules) <= most


def test_a_proof_is_verified_without_what_reads_a_ledger(tmp_path: Path) -> None:
    place = Place(tmp_path)
    verifier = place.new_key()
    with place.open(0) as opened:
        opened.create(runtime="cli", task="Cut a tally", owner="agent:main:main")
        (tmp_path / "proof").write_bytes(opened.prove(1))

    modules = loaded("verify", "--proof", str(tmp_path / "proof"), "--key", verifier)
    assert "tallystick.ledger.proofs.proving" in modules
    assert not {"tallystick.readings", "tallystick.actors", "tallystick.ledger.store.disk"} & modules


def test_a_command_that_reads_loads_no_channels_where_some_are_configured(tmp_path: Path) -> None:
    tallystick.open(tmp_path).close()
    (tmp_path / "tallystick.toml").write_text('[channel.log]\nkind = "file"\npath = "out"\n', "utf-8")

    assert not {"tallystick.channels", "tallystick.monitors"} & loaded("--ledger", str(tmp_path), "list")
