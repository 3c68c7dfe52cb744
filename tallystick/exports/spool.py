"""The spool: what can only be written later, kept in a file that has no name until then."""

from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from types import TracebackType
from typing import BinaryIO, Self

from tallystick.ledger.archive.files import telling

_CHUNK_BYTES = 1 << 16


class Spool:
    """Keeps bytes on the disk for temporary files. Nothing is left of it, whoever ends the process.

    Raises `Full`, `StoreError`.
    """

    def __init__(self) -> None:
        self._place = Path(gettempdir()) / "tallystick"  # for messages: the file has no name
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with telling(self._place):
            self._file = self._stack.enter_context(TemporaryFile())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            with telling(self._place):
                self._stack.close()
        else:
            with suppress(OSError):  # what there was no room for is tried once more, and was told of already
                self._stack.close()

    def put(self, content: bytes) -> None:
        """Keep this behind what there is."""
        with telling(self._place):
            self._file.write(content)

    def pour(self, out: BinaryIO) -> None:
        """Write all that was kept to a stream, piece by piece; what that one raises stays what it is."""
        with telling(self._place):
            self._file.seek(0)
        while piece := self._read():
            out.write(piece)

    def _read(self) -> bytes:
        with telling(self._place):
            return self._file.read(_CHUNK_BYTES)
