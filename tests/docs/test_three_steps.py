"""The controller of the tutorial: wherever it is killed, its flow ends, and each step was done at most once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tallystick
from tests.docs.pages import DOCS, Page
from tests.docs.playing import PLAYED

TUTORIAL = DOCS / "tutorial" / "three-steps.md"
OWNER = "agent:main:main"
STEPS = ("build", "publish")
PLACES = ("claimed", "created", "started", "worked", "done")
EVERYWHERE = ("begun", *(f"build: {place}" for place in PLACES), "waiting", *(f"publish: {place}" for place in PLACES))
ROUNDS_MAX = 8


def controller(folder: Path) -> Path:
    """Write the controller as the page does."""
    page = Page(TUTORIAL, tuple(TUTORIAL.read_text("utf-8").splitlines()))
    [first, *_] = [block for block in page.blocks() if block.language in PLAYED]
    os.chdir(folder)
    exec(compile(first.text, str(TUTORIAL), "exec"), {})  # noqa: S102 - the page is what is tested
    return folder / "release.py"


def run(script: Path, die_at: str = "") -> int:
    """Run the controller to its end, or to its death there."""
    done = subprocess.run([sys.executable, script], env={**os.environ, "DIE_AT": die_at}, check=False, timeout=60)
    return done.returncode


def see_to(ledger: tallystick.Ledger) -> str:
    """Do what a person does: approve, or look how far it came and say so. What the flow was before."""
    [record] = ledger.flows.list(controller="release-bot").flows
    flow = ledger.flows.get(record.flow_id)
    if flow.status == "waiting":
        flow.resume(step="publish")
    elif flow.status == "blocked":
        for task in flow.tasks():
            if task.is_active:
                ledger.get(task.task_id).succeed("somebody looked")
        flow.resume()
    return record.status.value


@pytest.mark.slow
@pytest.mark.parametrize("die_at", [*EVERYWHERE, "finished"])
def test_a_flow_survives_its_controller_wherever_it_is_killed(
    die_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script = controller(tmp_path)
    codes: list[int] = []
    seen: list[str] = []
    while "succeeded" not in seen and len(codes) < ROUNDS_MAX:
        has_died = -signal.SIGKILL in codes
        codes.append(run(script, "" if has_died else die_at))
        with tallystick.open(tmp_path / "state") as ledger:
            seen.append(see_to(ledger))

    assert codes.count(-signal.SIGKILL) == 1
    assert seen[-1] == "succeeded"
    said = (tmp_path / "said.txt").read_text().split() if (tmp_path / "said.txt").exists() else []
    in_the_middle = die_at.endswith(": started")  # then nobody did it, and a person said that it was done
    assert [step for step in ("building", "publishing") if not (in_the_middle and step[:4] == die_at[:4])] == said
    with tallystick.open(tmp_path / "state", read_only=True) as ledger:
        [flow] = ledger.flows.list(controller="release-bot").flows
        assert list(STEPS) == [claim.step for claim in flow.claims]
        assert flow.revision == len([event for event in ledger.events() if event.is_of_flow])
        assert len(STEPS) == ledger.counts().total
        assert ledger.verify().ok
