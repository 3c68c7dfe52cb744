"""Speech: how a channel says what went wrong, without its secrets."""

from msgspec import Struct

from tallystick.ledger import fields
from tallystick.ledger.limits import CHANNEL_WORDS_BYTES_MAX

HIDDEN = "[hidden]"


class Speech(Struct, frozen=True):
    """What a channel is called, and what it must not say.

    `secrets` are what nobody may say. What is `private` would be ordinary words elsewhere: parts of an address, say.
    """

    channel: str
    kind: str
    secrets: tuple[str, ...] = ()
    private: tuple[str, ...] = ()

    def __call__(self, text: str) -> str:
        """Return a sentence that names the channel and has none of its secrets in it.

        Secrets are taken out before anything is cut, so that no half of one is left.
        """
        for secret in sorted({*self.secrets, *self.private}, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        line = " ".join(text.split())
        kept = fields.report("message", line, bytes_max=CHANNEL_WORDS_BYTES_MAX, controls=False)
        return f"channel {self.channel} ({self.kind}): {kept or 'nothing was said'}"
