"""What comes from outside: the configuration that people write, and what services answer over HTTP."""

from tallystick.channels.answer import Answer, failure, retry_after_ms
from tallystick.channels.speech import Speech
from tallystick.config import ALLOWED_KEYS, load, sound_channels
from tallystick.ledger.delivery import Permanent, Retryable, Unconfirmed
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import PATIENCE_MS_MAX
from tallystick.sources import FILE_NAME
from tests.fuzz.target import Target, place

_WORDS = ("channel", "route", "kind", *ALLOWED_KEYS, *sorted({key for keys in ALLOWED_KEYS.values() for key in keys}))

_CONFIGURATION = b"""
[grace]
default = "5m"
acp = "1m"

[retention]
terminal = "7d"
archive = "forever"

[integrity]
origin = "example.org/ledger"
key = ["signing.key"]
checkpoint = "1s"

[channel.hook]
kind = "webhook"
url = "https://example.org/hook"
timeout = "5s"
signed = false

[channel.log]
kind = "file"
path = "told.ndjson"

[[route]]
name = "review"
when = {status = "failed"}
to = "hook://C0123456789"
"""


def _configuration(data: bytes) -> None:
    folder = place("configuration")
    (folder / FILE_NAME).write_bytes(data)
    load(folder, environment={}, channels=False)
    _, faults = sound_channels(folder, environment={})
    for fault in faults:
        assert str(fault)
    load(folder, environment={})


def _answer(data: bytes) -> None:
    status, (header, _, body) = int.from_bytes(data[:2]), data[2:].partition(b"\n")
    after = retry_after_ms(header.decode("latin-1"), lambda: 1_790_000_000.0)
    assert after is None or 0 <= after <= PATIENCE_MS_MAX
    answer = Answer(status, body, after)
    said = answer.json()
    failed = failure(Speech("a", "webhook", ("secret",)), status, said.get("error"), after_ms=after)
    assert isinstance(failed, Permanent | Retryable | Unconfirmed)
    assert "secret" not in str(failed)


TARGETS = (
    Target(
        name="configuration",
        seeds=lambda: [_CONFIGURATION],
        read=_configuration,
        refusals=(InvalidInput,),
        words=_WORDS,
    ),
    Target(
        name="http",
        seeds=lambda: [
            b"\x01\xadWed, 21 Oct 2026 07:28:00 GMT\n{}",
            b"\x01\xf7120\n" + b'{"error":"secret","retry_after":1.5}',
        ],
        read=_answer,
        words=("Mon", "Oct", "GMT", "+0000", "error"),
    ),
)
