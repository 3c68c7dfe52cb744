"""The signature of the demo: a key of its own beside the ledger, so that whoever has seen it can ask for proofs."""

from pathlib import Path

from tallystick import keys
from tallystick.config import Integrity
from tallystick.sources import FILE_NAME

ORIGIN = "example.org/tally-demo"
KEY = "demo.key"


def make_signed(ledger: Path) -> tuple[Integrity, str]:
    """Make the folder of a ledger that signs its log; return how it does, and the verifier key."""
    key = ledger.with_name(KEY)
    verifier = keys.new(ORIGIN, key)
    ledger.mkdir(mode=0o700)
    settings = ledger / FILE_NAME
    settings.touch(0o600)
    settings.write_text(f'[integrity]\norigin = "{ORIGIN}"\nkey = "../{KEY}"\n', "utf-8")
    return Integrity(ORIGIN, (str(key),)), verifier
