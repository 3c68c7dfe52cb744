"""The catalogue: what a channel's settings may be, and the sender that they make."""

import base64
import binascii
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from tallystick.channels import secret
from tallystick.channels.accounts import Accounts
from tallystick.channels.kinds import TABLE, Kind
from tallystick.channels.sender import Sender
from tallystick.channels.settings import nearest, url
from tallystick.channels.speech import HIDDEN, Speech
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import SIGNING_KEY_BYTES_MAX, SIGNING_KEY_BYTES_MIN

EXTRA = "pip install 'tallystick[notify]'"
_SIGNING = f'"whsec_" and {SIGNING_KEY_BYTES_MIN} to {SIGNING_KEY_BYTES_MAX} bytes in base64'


def check(name: str, settings: Mapping[str, object]) -> None:
    """Look whether settings make a channel. `timeout` is in milliseconds here.

    Raises `InvalidInput` for a kind or a setting that is not known, naming the nearest, for one that is missing and for
    a value that is not allowed. Reads no secret, no file and no variable, and loads no library.
    """
    field = f"channel.{name}"
    kind = _kind(field, settings)
    known = {"kind", *kind.settings, *(way for what in kind.secrets for way in secret.ways(what))}
    if kind.has_accounts:
        known.add("accounts")
    for key, value in settings.items():
        if key not in known:
            raise InvalidInput(f"a name in {field}", key, nearest(key, known))
        if key in kind.settings:
            kind.settings[key](f"{field}.{key}", value)
    for what in kind.secrets:
        _check_secret(field, what, settings)
    accounts = settings.get("accounts", {})
    if not isinstance(accounts, Mapping):
        raise InvalidInput(f"{field}.accounts", HIDDEN, "sections of settings, one for each account")
    for account, given in accounts.items():
        _check_account(f"{field}.accounts.{account}", given)
    for what in kind.required:
        if not accounts and not any(way in settings for way in (what, *secret.ways(what))):
            ways = secret.ways(what) if what in kind.secrets else (what,)
            raise InvalidInput(f"{field}.{what}", None, f"one of {', '.join(ways)}" if len(ways) > 1 else "a value")
    if "signed" in kind.settings:
        _check_signing(field, settings)


def build(name: str, settings: Mapping[str, object], environment: Mapping[str, str] | None = None) -> Sender | None:
    """Return the sender of a channel; None for a `registered` one, whose sender the program brings.

    Reads the secrets now, from `environment` or the process's own. Raises `InvalidInput` as `check` does, for a secret
    that is missing, empty or unfit, without showing it, and for a library that is not installed.
    """
    check(name, settings)
    field = f"channel.{name}"
    kind = _kind(field, settings)
    if settings["kind"] == "registered":
        return None
    known = os.environ if environment is None else environment
    own = _secrets(field, kind.secrets, settings, known)
    given: Any = settings.get("accounts", {})
    others = {
        account: _secrets(f"{field}.accounts.{account}", kind.secrets, said, known) for account, said in given.items()
    }
    values = {(what, value) for found in (own, *others.values()) for what, value in found.items()}
    private = {form for what, value in values for form in secret.private_forms(what, value)}
    speech = Speech(name, str(settings["kind"]), _forms(values), tuple(sorted(private)))
    make = _maker(field, str(settings["kind"]))
    if kind.passes_on_account:
        sender: Sender = make(speech, settings, own)
        return sender
    has_own = all(what in own for what in kind.required)
    return Accounts(
        speech,
        make(speech, settings, own) if has_own else None,
        {account: make(speech, {**settings, **given[account]}, found) for account, found in others.items()},
    )


def secrets_of(
    name: str, settings: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Return what no message may say because of a channel, as `build` gives it to the sender, without making one.

    Raises `InvalidInput` as `check` does. A secret that is missing or unfit is left out: only who sends must have it.
    """
    check(name, settings)
    field = f"channel.{name}"
    kind = _kind(field, settings)
    known = os.environ if environment is None else environment
    accounts: Any = settings.get("accounts", {})
    values: set[tuple[str, str]] = set()
    for place, given in [(field, settings), *((f"{field}.accounts.{each}", said) for each, said in accounts.items())]:
        for what in kind.secrets:
            with suppress(InvalidInput):
                values.update(_secrets(place, (what,), given, known).items())
    return _forms(values)


def missing(
    name: str, settings: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> tuple[InvalidInput, ...]:
    """Return all that keeps `build` from making a sender, in this process: secrets, a library, the place of a file."""
    field = f"channel.{name}"
    kind = _kind(field, settings)
    known = os.environ if environment is None else environment
    accounts: Any = settings.get("accounts", {})
    found: list[InvalidInput] = []
    for place, given in [(field, settings), *((f"{field}.accounts.{each}", said) for each, said in accounts.items())]:
        for what in kind.secrets:
            try:
                _secrets(place, (what,), given, known)
            except InvalidInput as error:
                found.append(error)
    if not found:
        try:
            sender = build(name, settings, known)
        except InvalidInput as error:
            found.append(error)
        else:
            if sender is not None:
                sender.close()
    return tuple(found)


def _forms(values: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(sorted({form for what, value in values for form in secret.forms(what, value)}))


def _kind(field: str, settings: Mapping[str, object]) -> Kind:
    name = settings.get("kind")
    kind = TABLE.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InvalidInput(f"{field}.kind", name, nearest(name, TABLE))
    return kind


def _check_secret(field: str, what: str, settings: Mapping[str, object]) -> None:
    way = secret.way_given(field, what, settings)
    if way is not None:
        secret.check_way(f"{field}.{way}", way, settings[way])
        if way == "url":
            url(f"{field}.url", settings["url"])
        if way == "secret":
            _check_key(f"{field}.secret", str(settings["secret"]).strip())


def _check_account(field: str, given: object) -> None:
    known = {"to", *secret.ways("token")}
    if not isinstance(given, Mapping):
        raise InvalidInput(field, HIDDEN, f"a section with {', '.join(sorted(known))}")
    for key, value in given.items():
        if key not in known:
            raise InvalidInput(f"a name in {field}", key, nearest(key, known))
        if key == "to":
            TABLE["telegram"].settings["to"](f"{field}.to", value)
    if secret.way_given(field, "token", given) is None:
        raise InvalidInput(f"{field}.token", None, f"one of {', '.join(secret.ways('token'))}")
    _check_secret(field, "token", given)


def _check_signing(field: str, settings: Mapping[str, object]) -> None:
    """A webhook is signed unless it says that it is not."""
    is_signed, way = settings.get("signed", True), secret.way_given(field, "secret", settings)
    if is_signed and way is None:
        allowed = f"one of {', '.join(secret.ways('secret'))}, or signed = false for a webhook without a signature"
        raise InvalidInput(f"{field}.secret", None, allowed)
    if not is_signed and way is not None:
        raise InvalidInput(f"{field}.signed", False, f"no {way} beside it")  # noqa: FBT003 - the value that is refused


def _check_key(field: str, value: str) -> None:
    if value.startswith("whsec_"):
        bare = value.removeprefix("whsec_").rstrip("=")
        try:
            size = len(base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True))
        except binascii.Error:
            size = 0
        if SIGNING_KEY_BYTES_MIN <= size <= SIGNING_KEY_BYTES_MAX:
            return
    raise InvalidInput(field, HIDDEN, _SIGNING)


def _secrets(
    field: str, whats: Iterable[str], settings: Mapping[str, object], environment: Mapping[str, str]
) -> dict[str, str]:
    found = {}
    for what in whats:
        way = secret.way_given(field, what, settings)
        if way is not None:
            found[what] = secret.read(field, what, settings, environment)
            if what == "url":
                url(f"{field}.{way}", found[what])
            if what == "secret":
                _check_key(f"{field}.{way}", found[what])
    return found


def _maker(field: str, kind: str) -> Any:
    """Return what makes the senders of a kind; it needs a library, and this is where it is loaded."""
    try:
        return import_module(f"tallystick.channels.{kind}").sender
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"{field}.kind", kind, f"a kind whose library is installed ({error.name}): {EXTRA}"
        ) from error
