"""The program in the guide for auditors, built as it stands there, verifies a bundle and believes no other."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import doc
from tests.exports.evidence import EVENTS, bundled
from tests.exports.parts import logged
from tests.notary.parts import Place
from tests.proofs.outside import PACKAGES, compiler, why_not

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]


def built(folder: Path) -> Path:
    """Build the program of the page."""
    go = compiler()
    assert go is not None
    [program] = [block for block in doc("how-to/hand-over-evidence.md").blocks() if block.language == "go"]
    (folder / "check.go").write_text(program.text, "utf-8")
    mine = {"GO111MODULE": "off", "GOPATH": str(PACKAGES), "GOCACHE": str(folder / "cache"), "GOFLAGS": ""}
    words = [go, "build", "-o", str(folder / "check"), str(folder / "check.go")]
    subprocess.run(words, check=True, timeout=110, env={**os.environ, **mine})
    return folder / "check"


def test_go_verifies_every_proof_of_a_bundle_and_no_forged_one(tmp_path: Path) -> None:
    place = Place(tmp_path)
    key, other = place.new_key(), place.new_key()
    bundled(logged(EVENTS), place, tmp_path / "out")
    proofs = sorted(map(str, (tmp_path / "out" / "proofs").iterdir()))
    program = str(built(tmp_path))

    done = subprocess.run([program, key, *proofs], capture_output=True, encoding="utf-8", check=True)
    assert len(EVENTS) == len(done.stdout.splitlines())

    assert subprocess.run([program, other, *proofs], capture_output=True, check=False).returncode
    forged = Path(proofs[0])
    lines = forged.read_bytes().split(b"\n", 2)
    forged.write_bytes(b"\n".join([lines[0], lines[1][:30] + b"AAAA" + lines[1][34:], lines[2]]))
    assert subprocess.run([program, key, str(forged)], capture_output=True, check=False).returncode
