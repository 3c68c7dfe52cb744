"""Who is shown the checkpoints of a log is configured: what cannot be meant is refused, with a word on what can."""

from pathlib import Path
from typing import Any

import pytest

from tallystick import InvalidInput, keys
from tallystick.config import Config, Integrity, load
from tests.attesting.witness import Witness

WITNESS = f"{Witness().key.text} https://witness.example"
ORIGIN = "example.org/ledger/main"


def test_a_file_and_a_variable_name_them(tmp_path: Path) -> None:
    other = f"{Witness(name='other.example/w2').key.text}  http://other.example/deep/"
    (tmp_path / "tallystick.toml").write_text(
        f'[integrity]\norigin = "{ORIGIN}"\nwitness = ["{WITNESS}", "{other}"]\nattest = "30m"\n'
        'timestamp = "https://authority.example/tsr"\nauthority = "root.pem"\n',
        "utf-8",
    )
    found = load(tmp_path, environment={}).integrity
    assert (WITNESS, " ".join(other.split())) == found.witness
    assert (1_800_000, str(tmp_path / "root.pem")) == (found.attest, found.authority)

    variables = {"TALLYSTICK_INTEGRITY_WITNESS": WITNESS, "TALLYSTICK_INTEGRITY_ATTEST": "never"}
    found = load(tmp_path, environment=variables).integrity
    assert ((WITNESS,), None) == (found.witness, found.attest)


def test_nobody_is_asked_of_whom_nothing_is_said() -> None:
    assert not Config().integrity.has_others
    assert not Integrity(ORIGIN).has_others


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("integrity.witness", {"witness": "https://witness.example"}),
        ("integrity.witness", {"witness": [WITNESS, WITNESS]}),
        ("integrity.witness", {"witness": [WITNESS] * 17}),
        ("integrity.witness", {"witness": 7}),
        ("integrity.witness", {"witness": [None]}),
        ("integrity.witness", {"witness": WITNESS.replace("https", "ftp")}),
        ("integrity.witness", {"witness": WITNESS.replace("https://", "https://me:secret@")}),
        ("integrity.witness", {"witness": f"{Witness(name=ORIGIN).key.text} https://witness.example"}),
        ("verifier key", {"witness": "some+thing+else https://witness.example"}),
        ("integrity.timestamp", {"timestamp": "authority.example"}),
        ("integrity.timestamp", {"timestamp": "https://authority.example:port"}),
        ("integrity.timestamp", {"timestamp": "https://authority.example/?key=1"}),
        ("integrity.timestamp", {"authority": "root.pem"}),
        ("integrity.attest", {"attest": 59_999}),
        ("integrity.origin", {"origin": None, "witness": WITNESS}),
    ],
)
def test_what_cannot_be_is_refused_with_its_name(field: str, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        Integrity(**{"origin": ORIGIN, **given})
    assert field == refused.value.field


def test_the_key_of_a_log_is_none_of_a_witness(tmp_path: Path) -> None:
    verifier = keys.new("other.example/log", tmp_path / "signing.key")
    with pytest.raises(InvalidInput, match="cosignature/v1"):
        Integrity(ORIGIN, witness=(f"{verifier} https://witness.example",))
