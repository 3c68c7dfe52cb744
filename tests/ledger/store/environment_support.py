"""What the tests of environments share: a store in a folder, and other processes that use it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tallystick.ledger.store.environment import Environment
from tallystick.ledger.store.mapping import Transaction

NAME = b"facts"
PAGE = 4096
SMALL = 32 * PAGE


def open_store(path: Path, **options: Any) -> Environment:
    return Environment.open(path, **{"map_bytes": 1 << 20, "databases": (NAME,), **options})


def put(env: Environment, key: bytes, value: bytes = b"v") -> None:
    env.write_batch(lambda txn: txn.put(key, value, db=env.databases[NAME]))


def get(env: Environment, key: bytes) -> bytes | None:
    with env.read() as txn:
        return txn.get(key, db=env.databases[NAME])


def numbered(count: int, *, size: int = 1_000) -> dict[bytes, bytes]:
    return {number.to_bytes(4): number.to_bytes(4) * (size // 4) for number in range(count)}


def put_all(env: Environment, items: dict[bytes, bytes]) -> Callable[[Transaction], int]:
    def work(txn: Transaction) -> int:
        for key, value in items.items():
            txn.put(key, value, db=env.databases[NAME])
        return len(items)

    return work


def stored(env: Environment) -> dict[bytes, bytes]:
    with env.read() as txn:
        return dict(txn.cursor(env.databases[NAME]))


def start(script: str, *arguments: object, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Another process, with the names of this module; it talks through its standard streams."""
    head = f"import sys, os; from pathlib import Path; from {__name__} import *\n"
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", head + textwrap.dedent(script), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )


def said(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def finish(process: subprocess.Popen[str]) -> list[str]:
    """Let a process go on to its end, and return what it still printed."""
    out, _ = process.communicate("\n", timeout=60)
    assert process.returncode == 0, process.returncode
    return out.split()


def in_fork(work: Callable[[], object]) -> str:
    """Run `work` in a fork of this process and return how it ended: its result, or the name of what it raised."""
    out, into = os.pipe()
    child = os.fork()
    if not child:
        try:
            answer = str(work())
        except BaseException as error:  # noqa: BLE001 - the child must not come back into the tests
            answer = type(error).__name__
        os.write(into, answer.encode())
        os._exit(0)
    os.close(into)
    with os.fdopen(out) as answers:
        answer = answers.read()
    assert (child, 0) == os.waitpid(child, 0)
    return answer
