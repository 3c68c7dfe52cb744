"""Go's word on notes, proofs and tiles: a program of Debian's packages, built once, that answers each question."""

import json
import os
import shutil
import subprocess
from base64 import b64decode, b64encode
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SOURCE = Path(__file__).parent / "go" / "outsider.go"
PACKAGES = Path("/usr/share/gocode")
NEEDED = PACKAGES / "src/golang.org/x/mod/sumdb/tlog"
INSTALL = "apt-get install golang-1.19-go golang-golang-x-mod-dev"


def compiler() -> str | None:
    """Where Debian's Go is; None if it is not there."""
    versions = sorted(Path("/usr/lib").glob("go-*/bin/go"))
    return shutil.which("go") or (str(versions[-1]) if versions else None)


def why_not() -> str | None:
    """Why nobody can be asked; None if somebody can."""
    if compiler() is None:
        return f"there is no Go: {INSTALL}"
    return None if NEEDED.is_dir() else f"there is no {NEEDED}: {INSTALL}"


def build(folder: Path) -> Path:
    """Build the program in a folder."""
    go = compiler()
    assert go is not None
    program = folder / "outsider"
    mine = {
        "GO111MODULE": "off",
        "GOPATH": str(PACKAGES),
        "GOCACHE": str(folder / "cache"),
        "GOFLAGS": "",
        "GOPROXY": "off",
    }
    subprocess.run([go, "build", "-o", str(program), str(SOURCE)], check=True, timeout=110, env={**os.environ, **mine})
    return program


class Refused(Exception):
    """What the outsider says of something that it does not believe."""


class Outsider:
    """The program, as long as a context lasts."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def ask(self, what: str, **asked: Any) -> dict[str, Any]:
        """Ask one question; `Refused` when the answer is no."""
        question = {name: b64encode(each).decode() if isinstance(each, bytes) else each for name, each in asked.items()}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, **question}).encode() + b"\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "Error" in answer:
            raise Refused(answer["Error"])
        return answer

    def believes(self, what: str, **asked: Any) -> bool:
        """Whether the answer is yes."""
        try:
            self.ask(what, **asked)
        except Refused:
            return False
        return True


def raw(encoded: list[str] | None) -> tuple[bytes, ...]:
    """The bytes of an answer."""
    return tuple(map(b64decode, encoded or ()))
