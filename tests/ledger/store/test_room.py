"""Without room for a batch, on the disk or among the addresses, it is refused; the store goes on when there is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.ledger.store.environment_support import finish, start

WRITE_UNTIL_FULL = """
    def big(env):
        env.write_batch(put_all(env, numbered(3_000)))

    def full(work):
        try:
            work()
        except Full as error:
            print(error.bytes > 0, flush=True)
"""


def test_a_file_that_may_not_grow_refuses_the_batch_and_goes_on_when_it_may(tmp_path: Path) -> None:
    process = start(
        WRITE_UNTIL_FULL
        + """
    import resource
    from tallystick.ledger.errors import Full
    with open_store(Path(sys.argv[1]), map_bytes=1 << 26) as env:
        put(env, b"before")
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        full(lambda: big(env))
        put(env, b"small")
        full(lambda: big(env))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        big(env)
        print(len(stored(env)))
    """,
        tmp_path,
    )

    assert ["True", "True", "3002"] == finish(process)


def test_addresses_that_this_process_may_not_have_are_refused_and_the_map_stays(tmp_path: Path) -> None:
    process = start(
        WRITE_UNTIL_FULL
        + """
    import resource
    from tallystick.ledger.errors import Full
    with open_store(Path(sys.argv[1]), map_bytes=1 << 30) as env:
        put(env, b"before")
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * PAGE + (1 << 28), resource.RLIM_INFINITY))
        full(env.grow)
        put(env, b"small")
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        print(env.grow() >> 30, len(stored(env)))
    """,
        tmp_path,
    )

    assert ["True", "2", "2"] == finish(process)


def own_disk(path: Path) -> tuple[str, ...]:
    """A command's prefix that gives it a disk of one megabyte at a path that nobody else sees."""
    prefix = ("unshare", "--mount", "--map-root-user")
    mount = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'
    if (
        not shutil.which("unshare")
        or subprocess.run([*prefix, "sh", "-c", mount, path, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("needs unshare, and a kernel that lets this user mount in a namespace")
    return (*prefix, "sh", "-c", mount, str(path))


def test_a_full_disk_refuses_the_batch_and_goes_on_when_there_is_space(tmp_path: Path) -> None:
    process = start(
        WRITE_UNTIL_FULL
        + """
    from tallystick.ledger.errors import Full
    disk = Path(sys.argv[1])
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(600_000))
    items = numbered(500)
    with open_store(disk / "log", map_bytes=1 << 26) as env:
        put(env, b"before")
        full(lambda: env.write_batch(put_all(env, items)))
        put(env, b"small")
        ballast.unlink()
        env.write_batch(put_all(env, items))
        print(len(stored(env)))
    """,
        tmp_path,
        prefix=own_disk(tmp_path),
    )

    assert ["True", "502"] == finish(process)


def test_a_store_is_not_opened_on_a_full_disk_until_there_is_space(tmp_path: Path) -> None:
    process = start(
        """
    from tallystick.ledger.errors import Full
    disk = Path(sys.argv[1])
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    try:
        open_store(disk / "log")
    except Full:
        print("full")
    ballast.unlink()
    with open_store(disk / "log") as env:
        put(env, b"k")
        print(len(stored(env)))
    """,
        tmp_path,
        prefix=own_disk(tmp_path),
    )

    assert ["full", "1"] == finish(process)
