"""Apprise: what its services are sent, and what its answers mean."""

from typing import Any

import pytest

from tallystick.channels import Sender, build
from tallystick.ledger.delivery import Permanent, Receipt, Unconfirmed
from tallystick.ledger.errors import InvalidInput
from tests.channels.parts import QUICK_MS, delivery, outcome, shown
from tests.channels.service import Hold, Reply, Service
from tests.face.parts import at_once

TOKEN = "TokenOfNobody0123456789"

# Apprise looks for `imghdr`, which Python 3.11 and 3.12 still have, when it loads its services.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def made(service: Service, *urls: str, **more: Any) -> Sender:
    place = service.address.removeprefix("http://")
    sender = build("ops", {"kind": "apprise", "urls": [url.format(place=place) for url in urls], **more}, {})
    assert sender is not None
    return sender


def test_every_url_of_the_channel_is_sent_the_text(service: Service) -> None:
    sender = made(service, "json://{place}/one", "json://{place}/two")

    assert Receipt() == sender.send(delivery("Done: 3 < 4"))
    assert ["/one", "/two"] == [question.path for question in service.questions]
    assert {"Done: 3 < 4"} == {question.json["message"] for question in service.questions}


def test_urls_come_from_a_variable_too(service: Service) -> None:
    place = service.address.removeprefix("http://")
    urls = {"URLS": f"json://{place}/one\njson://{place}/two"}
    sender = build("ops", {"kind": "apprise", "urls_env": "URLS"}, urls)
    assert sender is not None
    sender.send(delivery())

    assert 2 == len(service.questions)


def test_the_url_takes_target_and_thread_of_the_route(service: Service) -> None:
    sender = made(service, "json://{place}/{{to}}?:topic={{thread}}")
    sender.send(delivery(to="a/b c", thread=7))

    assert "/a%2Fb%20c" == service.question.path.split("?")[0]
    assert "7" == service.question.json["topic"]


@pytest.mark.parametrize(("url", "thread"), [("json://{place}/x", 7), ("json://{place}/{{thread}}", None)])
def test_a_thread_that_the_url_does_not_take_or_lacks_is_permanent(
    service: Service, url: str, thread: int | None
) -> None:
    assert isinstance(outcome(made(service, url), delivery(thread=thread)), Permanent)
    assert [] == service.questions


def test_a_service_as_people_use_it_is_sent_what_apprise_makes_of_it(service: Service) -> None:
    place = service.address.removeprefix("http://")
    sender = made(service, f"mmost://{place}/{TOKEN}")

    assert Receipt() == sender.send(delivery("Done."))
    assert f"/hooks/{TOKEN}" == service.question.path
    assert "Done." in service.question.json["text"]


@pytest.mark.parametrize("status", [400, 403, 429, 500, 502])
def test_whatever_is_no_success_is_unconfirmed_and_says_why(service: Service, status: int) -> None:
    service.says(Reply(status=status, body=b"no"))
    error = outcome(made(service, f"json://{{place}}/{TOKEN}"), delivery())

    assert isinstance(error, Unconfirmed)
    assert f"error={status}" in str(error)
    assert str(error).startswith("channel ops (apprise): Apprise says failure: ")
    assert TOKEN not in shown(error)


def test_one_success_of_two_is_unconfirmed(service: Service) -> None:
    service.says(Reply(), Reply(status=500))
    error = outcome(made(service, "json://{place}/one", "json://{place}/two"), delivery())

    assert isinstance(error, Unconfirmed)
    assert "Apprise says partial" in str(error)


def test_a_service_that_does_not_answer_in_time_is_unconfirmed(service: Service) -> None:
    service.says(Hold())
    error = outcome(made(service, f"json://{{place}}/{TOKEN}", timeout=QUICK_MS), delivery())

    assert isinstance(error, Unconfirmed)
    assert TOKEN not in shown(error)


def test_a_url_that_apprise_does_not_know_is_refused_without_showing_it(service: Service) -> None:
    for url in (f"nothing://{TOKEN}", f"slack://{TOKEN}"):
        with pytest.raises(InvalidInput, match=r"channel\.ops\.urls: '\[hidden\]' is not allowed") as refused:
            made(service, url)

        assert TOKEN not in shown(refused.value)


def test_an_account_that_a_route_names_is_permanent(service: Service) -> None:
    assert isinstance(outcome(made(service, "json://{place}/x"), delivery(account="dev")), Permanent)


def test_many_threads_send_at_once(service: Service) -> None:
    sender = made(service, "json://{place}/x")
    at_once(8, lambda number: [sender.send(delivery(f"{number}:{count}")) for count in range(5)])

    assert 40 == len({question.json["message"] for question in service.questions})
