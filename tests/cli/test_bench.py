"""`tally bench` lists the measurements and runs them."""

from pathlib import Path

import pytest

from tallystick.cli.commands import bench
from tests.cli.support import process, tally

MODULE = '''"""{question}

And more about it.
"""

import {needs}


def main(argv):
    print("{name}", *argv)
    return {code}
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of measurements that say how they were called."""
    folder = tmp_path / "measurements"
    folder.mkdir()
    for name, question, needs, code in (
        ("__init__", "", "sys", 0),
        ("g1_one", "How fast is one?", "sys", 0),
        ("g2_two", "How fast are two?", "sys", 3),
        ("g3_none", "Who needs what is not there?", "nowhere_to_be_found", 0),
    ):
        (folder / f"{name}.py").write_text(
            MODULE.format(name=name, question=question, needs=needs, code=code) if question else "", "utf-8"
        )
    (folder / "helper.py").write_text('"""No measurement."""\n', "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(bench, "PACKAGE", "measurements")
    return folder


@pytest.mark.usefixtures("package")
def test_the_questions_are_listed_without_loading_any() -> None:
    lines = tally("bench").out.splitlines()
    data = tally("bench", "--json").data

    assert ["g1_one", "How", "fast", "is", "one?"] == lines[1].split()
    assert ["g1_one", "g2_two", "g3_none"] == [each["name"] for each in data["benches"]]
    assert "Who needs what is not there?" == data["benches"][2]["question"]


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("words", "code", "out"),
    [
        (["bench", "g1_one", "--quick", "7"], 0, "g1_one --quick 7\n"),
        (["bench", "g2"], 3, "g2_two\n"),
        (["bench", "--json", "g1_one"], 0, "g1_one --json\n"),
    ],
)
def test_a_measurement_is_run_with_its_own_options(words: list[str], code: int, out: str) -> None:
    said = tally(*words)

    assert (code, out) == (said.code, said.out)


@pytest.mark.usefixtures("package")
def test_what_is_missing_is_named_with_how_to_get_it() -> None:
    said = tally("bench", "g3_none")

    assert (1, "") == (said.code, said.out)
    assert said.err.startswith("g3_none needs nowhere_to_be_found, which is not installed. Install what the peers need")


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("name", ["g", "g4"])
def test_what_is_no_measurement_is_refused_with_those_there_are(name: str) -> None:
    said = tally("bench", name)

    assert (2, f"name: {name!r} is not allowed; give g1_one, g2_two, g3_none.\n") == (said.code, said.err)


def test_the_measurements_of_the_project_are_found() -> None:
    benches = process("bench", "--json").data["benches"]

    assert all(each["question"].endswith("?") for each in benches)
