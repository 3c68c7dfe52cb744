"""Secrets: tokens, keys and addresses that have one in them; where they come from, and in what forms they could leak.

A secret is given in one of three ways: as it is (`token`), as the name of an environment variable (`token_env`), or as
the path of a file (`token_file`). No error shows it.
"""

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from tallystick.channels.speech import HIDDEN
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import SECRET_CHARACTERS_MIN, SECRET_FILE_BYTES_MAX, TOKEN_LIKE_CHARACTERS_MIN

WAYS = ("", "_env", "_file")


def ways(what: str) -> tuple[str, ...]:
    """Return the names of the settings that a secret can be given by."""
    return tuple(f"{what}{way}" for way in WAYS)


def way_given(field: str, what: str, settings: Mapping[str, object]) -> str | None:
    """Return the name of the setting that gives a secret; None for none. Raises `InvalidInput` for two of them."""
    given = [name for name in ways(what) if name in settings]
    if len(given) > 1:
        raise InvalidInput(f"{field}.{given[1]}", HIDDEN, f"only one of {', '.join(ways(what))}")
    return given[0] if given else None


def check_way(field: str, name: str, value: object) -> None:
    """Look at how a secret is given, without reading it from where it is. A literal one must look like one."""
    if name.endswith(("_env", "_file")):
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise InvalidInput(
                field, HIDDEN, "the name of a variable" if name.endswith("_env") else "the path of a file"
            )
    elif name == "urls" and isinstance(value, list | tuple):
        for place, url in enumerate(value):
            _looked_at(f"{field}[{place}]", url)
        if not value:
            raise InvalidInput(field, [], "at least one URL")
    else:
        _looked_at(field, value)


def read(field: str, what: str, settings: Mapping[str, object], environment: Mapping[str, str]) -> str:
    """Return a secret from where it is; several URLs are separated by spaces.

    Raises `InvalidInput`, which names the setting and not the secret, when it is missing, empty or unfit.
    """
    way = way_given(field, what, settings)
    if way is None:
        raise InvalidInput(f"{field}.{what}", None, f"one of {', '.join(ways(what))}")
    value, place = settings[way], f"{field}.{way}"
    if way.endswith("_env"):
        found = environment.get(str(value), "").strip()
        if not found:
            raise InvalidInput(place, value, "the name of an environment variable that is set and not empty")
    elif way.endswith("_file"):
        found = _from_file(place, str(value))
    else:
        found = " ".join(value) if isinstance(value, list | tuple) else str(value).strip()
    for part in found.split() if what == "urls" else [found]:
        _looked_at(place, part)
    return found


def _from_file(field: str, path: str) -> str:
    try:
        with Path(path).expanduser().open(encoding="utf-8") as file:
            found = file.read(SECRET_FILE_BYTES_MAX).strip()
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise InvalidInput(field, path, f"a file of text that can be read ({why})") from None
    if not found:
        raise InvalidInput(field, path, "a file that is not empty")
    return found


def _looked_at(field: str, value: object) -> None:
    fits = isinstance(value, str) and len(value.strip()) >= SECRET_CHARACTERS_MIN
    if not fits or not str(value).strip().isprintable() or " " in str(value).strip():
        allowed = f"one line without spaces, at least {SECRET_CHARACTERS_MIN} characters"
        raise InvalidInput(field, HIDDEN, allowed)


def forms(what: str, value: str) -> tuple[str, ...]:
    """Return the texts by which a secret would be recognised in any text if somebody repeated it.

    Of an address that is the whole, its password, and what looks like a token: people write the words in it, too.
    """
    if what in {"url", "urls"}:
        return _spelled(form for url in value.split() for form in _of_address(url))
    return _spelled((value, value.removeprefix("whsec_")))


def private_forms(what: str, value: str) -> tuple[str, ...]:
    """Return what a channel itself must not say of a secret besides: what is secret in an address only by its place."""
    if what in {"url", "urls"}:
        return _spelled(form for url in value.split() for form in _by_place(url))
    return ()


def _spelled(found: Iterable[str]) -> tuple[str, ...]:
    found = set(found)
    spelled = {*found, *(quote(form, safe="") for form in found), *(quote(form) for form in found)}
    return tuple(sorted(form for form in spelled if len(form) >= SECRET_CHARACTERS_MIN))


def _of_address(url: str) -> set[str]:
    """The address as a whole, its password, and what in it looks like a token."""
    parts = urlsplit(url)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    basic = base64.b64encode(f"{user}:{password}".encode()).decode() if password or _is_like_a_token(user) else ""
    values = [user, *parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    return {url, password, basic, *filter(_is_like_a_token, values)} - {""}


def _by_place(url: str) -> set[str]:
    """What is secret by its place in an address: user, query and long parts of a path."""
    parts = urlsplit(url)
    user = unquote(parts.username or "")
    path = [part for part in parts.path.split("/") if len(part) >= TOKEN_LIKE_CHARACTERS_MIN]
    query = [value for _, value in parse_qsl(parts.query)]
    basic = base64.b64encode(f"{user}:{unquote(parts.password or '')}".encode()).decode() if user else ""
    behind = f"{parts.path}?{parts.query}" if parts.query else ""
    return {user, basic, behind, *path, *query} - {""}


def _is_like_a_token(text: str) -> bool:
    """Whether a text is long, and has letters and digits: no word that people would write."""
    is_long = len(text) >= TOKEN_LIKE_CHARACTERS_MIN
    return is_long and any(map(str.isalpha, text)) and any(map(str.isdigit, text))
