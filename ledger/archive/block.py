"""The block: 256 records as one zstandard frame; reading one record costs one block.

Inside the frame stand the lengths of the records, 2 bytes each, big-endian, then the records themselves, exactly as
they were stored. A length of 0 says that there was no record when the range was sealed.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from struct import Struct
from threading import local

from tallystick.ledger.archive.directory import BLOCK_RECORDS
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.limits import RECORD_BYTES_MAX

LEVEL = 3  # higher ones save a tenth of the bytes and take four times as long

_LENGTHS = Struct(f">{BLOCK_RECORDS}H")
_PLAIN_BYTES_MAX = _LENGTHS.size + BLOCK_RECORDS * RECORD_BYTES_MAX


class _Tools(local):
    """The library's contexts, which no two threads may use at once."""

    def __init__(self) -> None:
        from zstandard import ZstdCompressor, ZstdDecompressor  # noqa: PLC0415 - who reads no archive does without

        self.compressor = ZstdCompressor(level=LEVEL, write_checksum=False)  # SHA-256 is better
        self.decompressor = ZstdDecompressor()


@lru_cache(maxsize=1)
def _tools() -> _Tools:
    return _Tools()


def plain(records: Sequence[bytes | None]) -> bytes:
    """Return what a block has inside its frame. Every record must have a length that two bytes can say."""
    return b"".join((_LENGTHS.pack(*(len(record or b"") for record in records)), *filter(None, records)))


def packed(content: bytes) -> bytes:
    """Return the frame of what `plain` returned."""
    return _tools().compressor.compress(content)


def unpacked(frame: bytes) -> bytes:
    """Return what `packed` was given; `Corrupt` for other bytes."""
    from zstandard import ZstdError  # noqa: PLC0415 - as above

    try:
        return _tools().decompressor.decompress(frame, max_output_size=_PLAIN_BYTES_MAX)
    except (ZstdError, MemoryError) as error:
        raise Corrupt(f"a block cannot be unpacked: {error}") from error


def records_of(content: bytes) -> list[bytes | None]:
    """Return the records that `plain` was given; `Corrupt` for other bytes."""
    if len(content) < _LENGTHS.size:
        raise Corrupt("a block lacks the lengths of its records")
    ends = list(accumulate(_LENGTHS.unpack_from(content), initial=_LENGTHS.size))
    if ends[-1] != len(content):
        raise Corrupt(f"a block has {len(content)} bytes instead of {ends[-1]}")
    return [content[start:end] or None for start, end in pairwise(ends)]
