"""A channel with several accounts speaks as the one that the route names."""

from typing import Any

import pytest

from tallystick.channels import build
from tallystick.ledger.delivery import Permanent, Receipt
from tallystick.ledger.errors import InvalidInput
from tests.channels.parts import SUCCESS, TOKEN, delivery, outcome
from tests.channels.service import Reply, Service

DEV = "dev-token-of-nobody"


@pytest.fixture(autouse=True)
def ready(service: Service) -> None:
    service.says(Reply(body=SUCCESS["discord"]))


def made(service: Service, **more: Any) -> Any:
    return build("ops", {"kind": "discord", "base": service.address, **more}, {"DEV": DEV})


def test_a_route_chooses_the_account_and_none_means_the_channel(service: Service) -> None:
    sender = made(service, token=TOKEN, to=1, accounts={"dev": {"token_env": "DEV", "to": 2}})
    for account, to in ((None, 42), ("dev", 42), (None, None), ("dev", None)):
        assert Receipt(SUCCESS["discord"]["id"]) == sender.send(delivery(account=account, to=to))
    sender.close()

    assert [
        (f"Bot {TOKEN}", "/channels/42/messages"),
        (f"Bot {DEV}", "/channels/42/messages"),
        (f"Bot {TOKEN}", "/channels/1/messages"),
        (f"Bot {DEV}", "/channels/2/messages"),
    ] == [(question.headers["authorization"], question.path) for question in service.questions]
    assert {TOKEN, DEV} <= set(sender.secrets)


def test_an_account_that_the_channel_does_not_have_is_permanent(service: Service) -> None:
    sender = made(service, token=TOKEN, accounts={"dev": {"token_env": "DEV"}})
    error = outcome(sender, delivery(account="prod"))
    sender.close()

    assert isinstance(error, Permanent)
    assert "channel ops (discord): not sent: there is no account prod; the channel has dev" == str(error)
    assert [] == service.questions


def test_a_channel_without_accounts_says_so(service: Service) -> None:
    sender = made(service, token=TOKEN)
    error = outcome(sender, delivery(account="prod"))
    sender.close()

    assert str(error).endswith("there is no account prod; the channel has none")


def test_a_channel_with_nothing_but_accounts_needs_a_route_that_names_one(service: Service) -> None:
    sender = made(service, accounts={"dev": {"token_env": "DEV"}})
    error = outcome(sender, delivery())
    sender.close()

    assert isinstance(error, Permanent)
    assert str(error).endswith("the route names no account; the channel has dev")


def test_a_secret_of_an_account_that_is_missing_is_named(service: Service) -> None:
    with pytest.raises(InvalidInput, match=r"channel\.ops\.accounts\.dev\.token_env: 'NOT_SET' is not allowed"):
        made(service, token=TOKEN, accounts={"dev": {"token_env": "NOT_SET"}})
