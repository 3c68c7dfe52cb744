"""The kinds of channels, and what each may be told. A table: it loads no library."""

from collections.abc import Mapping

from msgspec import Struct

from tallystick.channels import settings
from tallystick.channels.settings import Check
from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput


class Kind(Struct, frozen=True, kw_only=True):
    """What the channels of a kind may be told: settings with what looks at them, and secrets.

    A kind that `passes_on_account` tells the receiver which account a route names; of others a route chooses one of
    the channel's accounts, if the kind `has_accounts`.
    """

    settings: Mapping[str, Check] = {}
    required: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    has_accounts: bool = False
    passes_on_account: bool = False


def _chat() -> Kind:
    known: dict[str, Check] = {
        "base": settings.base,
        "timeout": settings.timeout,
        "to": fields.name_or_number,
    }
    return Kind(settings=known, secrets=("token",), required=("token",), has_accounts=True)


TABLE: Mapping[str, Kind] = {
    "apprise": Kind(
        settings={"timeout": settings.timeout, "to": fields.name_or_number}, secrets=("urls",), required=("urls",)
    ),
    "discord": _chat(),
    "file": Kind(
        settings={"path": settings.path, "to": fields.name_or_number}, required=("path",), passes_on_account=True
    ),
    "registered": Kind(settings={"to": fields.name_or_number}, passes_on_account=True),
    "slack": _chat(),
    "telegram": _chat(),
    "webhook": Kind(
        settings={"signed": fields.flag, "timeout": settings.timeout, "to": fields.name_or_number},
        secrets=("secret", "url"),
        required=("url",),
        passes_on_account=True,
    ),
}

KINDS: tuple[str, ...] = tuple(TABLE)
"""The names of the kinds."""


def check_account(field: str, account: str | None, name: str, settings: Mapping[str, object]) -> None:
    """Look whether the channel of this name has the account that a route names; None is the channel's own.

    Raises `InvalidInput` with those that it has.
    """
    kind = TABLE[str(settings["kind"])]
    if kind.passes_on_account:
        return
    accounts = settings.get("accounts", {})
    assert isinstance(accounts, Mapping), "the settings were looked at"
    has_own = any(key.partition("_")[0] in kind.required for key in settings)
    if account in accounts or (account is None and has_own):
        return
    if not accounts:
        raise InvalidInput(field, account, f"no account: [channel.{name}] has none")
    listed = ", ".join(sorted(accounts))
    how = ", as ?account=NAME" if account is None else ""
    raise InvalidInput(field, account, f"an account of [channel.{name}]{how}: {listed}")
