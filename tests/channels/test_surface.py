"""The names that the channels export, and what importing them does not load."""

import pytest

import tallystick.channels
from tests.face.parts import said

NAMES = ["KINDS", "Sender", "build", "check", "secrets_of"]


def test_the_public_names_are_these_in_this_order() -> None:
    assert NAMES == tallystick.channels.__all__ == dir(tallystick.channels)


def test_the_kinds_are_these_in_this_order() -> None:
    assert (
        "apprise",
        "discord",
        "file",
        "registered",
        "slack",
        "telegram",
        "webhook",
    ) == tallystick.channels.KINDS


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'tallystick.channels' has no attribute 'post'"):
        _ = tallystick.channels.post


def test_looking_at_settings_loads_no_library_and_no_network() -> None:
    script = """
        import sys
        from tallystick.channels import check
        check("ops", {"kind": "telegram", "token_env": "TOKEN"})
        check("hook", {"kind": "webhook", "url": "https://example.org/hook", "signed": False})
        heavy = ("apprise", "asyncio", "http.client", "slack_sdk", "socket", "ssl", "standardwebhooks")
        print([name for name in heavy if name in sys.modules])
    """

    assert ["[]"] == said(script)


@pytest.mark.parametrize(
    ("kind", "library"),
    [("apprise", "apprise"), ("slack", "slack_sdk"), ("webhook", "standardwebhooks")],
)
def test_a_library_that_is_not_installed_is_named_with_what_installs_it(kind: str, library: str) -> None:
    script = """
        import sys
        from tallystick.channels import build
        from tallystick.ledger.errors import InvalidInput
        kind, library = sys.argv[1:]
        sys.modules[library] = None
        secret = {"urls": "json://127.0.0.1"} if kind == "apprise" else {"token": "token-of-nobody"}
        if kind == "webhook":
            secret = {"url": "http://127.0.0.1/hook", "signed": False}
        try:
            build("ops", {"kind": kind, **secret}, {})
        except InvalidInput as error:
            print(error)
    """

    [message] = said(script, kind, library)

    assert message.startswith(f"channel.ops.kind: '{kind}' is not allowed")
    assert message.endswith(f"({library}): pip install 'tallystick[notify]'.")
