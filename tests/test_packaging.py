"""What is built is what is here: every source once, below one name, and it works away from home."""

import email
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parent.parent
LINKED = ("actors", "bench", "ledger", "projections")
SOURCES = (*LINKED, "tallystick")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

pytestmark = pytest.mark.slow


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run this interpreter; what it prints is part of the message when it fails."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, encoding="utf-8", check=False, timeout=100
    )
    assert 0 == done.returncode, f"{done.stdout}\n{done.stderr}"
    return done


def shipped_sources() -> dict[str, Path]:
    """Where each source file of the project must be in the wheel."""
    found = {}
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*.py"):
            if not any(parent.is_symlink() for parent in path.parents):
                place = PurePosixPath(path.relative_to(ROOT).as_posix())
                found[str(place if folder == "tallystick" else "tallystick" / place)] = path
    return found


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel that was built from the tree, and the source archive."""
    copy = tmp_path_factory.mktemp("copy") / "tallystick"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, copy)
    for folder in SOURCES:
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    out = tmp_path_factory.mktemp("dist")
    run("-m", "build", "--no-isolation", "--wheel", "--sdist", "--outdir", out, copy, cwd=out)
    return out


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    [path] = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder away from the project into which the wheel was installed."""
    target = tmp_path_factory.mktemp("elsewhere")
    run("-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", target, wheel, cwd=target)
    return target


def test_a_wheel_has_one_name_at_its_top(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}

    assert {"tallystick", f"tallystick-{PROJECT['project']['version']}.dist-info"} == tops


def test_a_wheel_ships_every_source_file_exactly_once(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        modules = sorted(name for name in archive.namelist() if name.endswith(".py"))
        contents = {name: archive.read(name) for name in modules}

    assert {name: path.read_bytes() for name, path in shipped_sources().items()} == contents
    assert sorted(contents) == modules


def test_a_wheel_promises_types_a_command_and_a_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
        [commands] = [name for name in names if name.endswith(".dist-info/entry_points.txt")]
        said = email.message_from_bytes(archive.read(metadata))
        declared = archive.read(commands).decode()

    assert "tallystick/py.typed" in names
    assert "tally = tallystick.cli:main" in declared
    assert "MIT" == said["License-Expression"]


def test_the_declared_packages_are_the_tree() -> None:
    tree = {str(PurePosixPath(name).parent).replace("/", ".") for name in shipped_sources()}

    assert sorted(tree) == PROJECT["tool"]["setuptools"]["packages"]


def test_the_links_show_the_tree_that_is_installed() -> None:
    links = {path.name: str(path.readlink()) for path in (ROOT / "tallystick").iterdir() if path.is_symlink()}

    assert {name: f"../{name}" for name in LINKED} == links
    assert {f"tallystick.{name}": name for name in LINKED} == PROJECT["tool"]["setuptools"]["package-dir"]


def test_a_source_archive_builds_the_same_wheel(dist: Path, wheel: Path, tmp_path: Path) -> None:
    [archive] = dist.glob("*.tar.gz")
    run("-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", archive, cwd=tmp_path)
    [rebuilt] = tmp_path.glob("*.whl")

    with zipfile.ZipFile(wheel) as expected, zipfile.ZipFile(rebuilt) as actual:
        assert sorted(expected.namelist()) == sorted(actual.namelist())


def test_an_installed_wheel_is_imported_away_from_the_project(elsewhere: Path, tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(elsewhere)!r}); "
        f"import {', '.join(PROJECT['tool']['setuptools']['packages'])}; "
        "print(tallystick.ledger.store.__file__)"
    )

    answer = run("-c", program, cwd=tmp_path)

    assert str(elsewhere / "tallystick" / "ledger" / "store" / "__init__.py") == answer.stdout.strip()


@pytest.mark.parametrize("name", LINKED)
def test_no_folder_can_be_imported_by_its_short_name(name: str, elsewhere: Path, tmp_path: Path) -> None:
    program = f"import sys; sys.path.insert(0, {str(elsewhere)!r}); import {name}"

    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
    )

    assert f"No module named '{name}'" in answer.stderr
