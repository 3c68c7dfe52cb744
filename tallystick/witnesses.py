"""The witnesses of a configuration: who is shown the checkpoints of a log, as it may be written down."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import ATTEST_MS_MIN, DURATION_MS_MAX, KEY_BYTES_MAX, WITNESSES_MAX
from tallystick.ledger.proofs.keys import COSIGNATURE, VerifierKey, parse_vkey

if TYPE_CHECKING:
    from tallystick.config import Integrity

WITNESS_ALLOWED = (
    f'the verifier key and the address of a witness, "VKEY URL", or a list of at most {WITNESSES_MAX}, each once'
)


def checked(settings: "Integrity") -> tuple[str, ...]:
    """Return the witnesses as a tuple, when everything that others are asked by is sound. Raises `InvalidInput`."""
    given: Any = settings.witness  # a file has one text, or a list
    witnesses = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list | tuple) else (None,)
    if len(witnesses) > WITNESSES_MAX:
        raise InvalidInput("integrity.witness", f"{len(witnesses)} of them", WITNESS_ALLOWED)
    keys = [_check(each, settings.origin) for each in witnesses]
    if len({(key.name, key.key_id) for key in keys}) < len(keys):
        raise InvalidInput("integrity.witness", settings.witness, WITNESS_ALLOWED)
    if settings.timestamp is not None:
        _check_address("integrity.timestamp", settings.timestamp)
    if settings.authority is not None:
        fields.text("integrity.authority", settings.authority, bytes_max=4_096, allowed="the path of a PEM file")
        if settings.timestamp is None:
            raise InvalidInput(
                "integrity.timestamp", None, "the address of the authority, whose certificates these are"
            )
    if settings.attest is not None:
        fields.whole("integrity.attest", settings.attest, least=ATTEST_MS_MIN, most=DURATION_MS_MAX)
    if settings.has_others and settings.origin is None:
        raise InvalidInput("integrity.origin", None, "the name of this log, which others know it by")
    return tuple(" ".join(each.split()) for each in witnesses)


def witnesses_of(settings: "Integrity") -> Iterator[tuple[VerifierKey, str]]:
    """Yield the key and the address of each witness of a configuration."""
    for each in settings.witness:
        key, address = each.split()
        yield parse_vkey(key), address


def name_of(key: VerifierKey) -> str:
    """Return what a witness is called: its key's name and id."""
    return f"{key.name}+{key.key_id.hex()}"


def names_of(settings: "Integrity") -> list[str]:
    """Return what everybody is called who is shown the checkpoints of a configuration."""
    names = [name_of(key) for key, _ in witnesses_of(settings)]
    return names if settings.timestamp is None else [*names, settings.timestamp]


def _check(given: Any, origin: str | None) -> Any:
    """Return the key of a witness."""
    parts = given.split() if isinstance(given, str) else []
    if len(parts) != 2:  # noqa: PLR2004 - a key and an address
        raise InvalidInput("integrity.witness", given, WITNESS_ALLOWED)
    text, address = parts
    key = parse_vkey(text)
    if key.algorithm != COSIGNATURE or key.name == origin:
        allowed = "the key of a witness (cosignature/v1, algorithm 0x04), whose name is not that of the log"
        raise InvalidInput("integrity.witness", text, allowed)
    _check_address("integrity.witness", address)
    return key


def _check_address(name: str, address: object) -> None:
    allowed = (
        f"an address such as https://example.org/path, of at most {KEY_BYTES_MAX} bytes, without a user or a query"
    )
    text = fields.text(name, address, bytes_max=KEY_BYTES_MAX, allowed=allowed)
    try:
        parts = urlsplit(text or "")
        is_sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_sound = False
    if not is_sound or parts.username or parts.query or parts.fragment or any(map(str.isspace, text or "")):
        raise InvalidInput(name, address, allowed)
