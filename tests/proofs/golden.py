"""The golden proofs: trees, checkpoints and proofs as Go's sumdb/note and sumdb/tlog made them, kept as a file.

`python -m tests.proofs.golden FILE` asks Go for them and writes FILE; it has the same bytes each time.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.proofs.outside import Outsider, build
from tests.proofs.parts import KEY, TRUSTED

PATH = Path(__file__).parents[1] / "golden" / "proofs-1.json"
SIZES = [1, 2, 3, 7, 8, 255, 256, 257, 600, 65_537]
INDEXES = [0, 1, 2, 6, 7, 254, 255, 256, 599, 65_535, 65_536]


def made_by_go(outsider: Outsider) -> dict[str, Any]:
    """What the file has."""
    grown = outsider.ask("grow", skey=KEY.text, sizes=SIZES, indexes=INDEXES, olds=SIZES)["Grown"]
    return {
        "madeBy": "golang.org/x/mod v0.7.0, sumdb/note and sumdb/tlog, from the records 'record 0', 'record 1' …",
        "signingKey": KEY.text,
        "verifierKey": TRUSTED.text,
        "trees": grown,
    }


def text_of(golden: dict[str, Any]) -> str:
    """The file."""
    return json.dumps(golden, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, Outsider(build(Path(folder))) as program:
        Path(sys.argv[1]).write_text(text_of(made_by_go(program)), "utf-8")
