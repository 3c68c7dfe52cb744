"""The child: a function run in a fresh interpreter, for what a process's own past would falsify."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

CHILD_S_MAX = 3_600

_RUN = "import sys; from tallystick.bench import child; child.serve(*sys.argv[1:])"


def ask(module: str, function: str, **arguments: Any) -> Any:
    """Return what the function of a measurement's module answers in a process of its own; all of it plain data."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, module, function, msgspec.json.encode(arguments).decode()],
        stdout=subprocess.PIPE,
        check=True,
        timeout=CHILD_S_MAX,
    )
    return msgspec.json.decode(done.stdout)


def serve(module: str, function: str, arguments: str) -> None:
    """Call the function and print what it returns; the other side of `ask`."""
    from importlib import import_module

    found = getattr(import_module(f"tallystick.bench.{module}"), function)
    sys.stdout.write(msgspec.json.encode(found(**msgspec.json.decode(arguments))).decode())


def memory_bytes() -> dict[str, int]:
    """Return how much memory this process has: all that is resident, and what of it is its own and no file's page.

    The pages of the maps are the kernel's cache of the files: it takes them back when somebody needs the memory.
    """
    import psutil

    facts = psutil.Process().memory_full_info()
    own = _own_bytes()
    return {"resident": facts.rss, "own": facts.uss if own is None else own}


def _own_bytes() -> int | None:
    """The anonymous memory of this process, where the system tells."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_text("utf-8").splitlines()
    except OSError:
        return None
    sizes = {line.split()[0].rstrip(":"): line.split()[1] for line in lines[1:]}
    anonymous = sizes.get("Pss_Anon") or sizes.get("Anonymous")
    return None if anonymous is None else int(anonymous) * 1_024
