"""The program that is killed while it archives: it ends itself at one operation on files, the one with a number.

Run as `python archivist.py FOLDER NUMBER`. The folder has a log whose tasks are all pruned. It moves a range into the
archive, deletes the oldest segment, and ends well when no operation had that number. Python tells of every file that
is opened, renamed, removed or locked, before it happens: after each of these the disk is as the one before left it.
"""

import os
import signal
import sys
from pathlib import Path

from tallystick.ledger.archive import deletion
from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.store.disk import DiskLog

SEGMENT = 512
WATCHED = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.chmod", "fcntl.flock", "os.truncate"})


def main(folder: Path, number: int) -> None:
    """Archive, and delete, until the operation comes."""
    seen = 0

    def told(event: str, _arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in WATCHED:
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

    with DiskLog.open(folder) as log:
        sealing = Sealing(log, segment_events=SEGMENT)
        assert sealing.due(1 << 50, 0) is not None
        sys.addaudithook(told)
        while sealing.step():
            pass
        [oldest, *_] = log.archive.entries()
        deletion.delete(log, oldest, by="archivist", at=1, reason="a test")
        number = -1  # closing is none of it


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
