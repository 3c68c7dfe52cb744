"""No error and no log shows a secret, whatever the service says and wherever it breaks."""

import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallystick.channels import build
from tallystick.ledger.delivery import Receipt
from tests.channels.parts import CHATS, QUICK_MS, delivery, outcome, shown
from tests.channels.service import Break, Hold, Reply, Service

CHARACTERS = st.characters(codec="ascii", categories=["L", "N", "P", "S"])
SECRETS = st.text(CHARACTERS, min_size=16, max_size=60)
STATUSES = st.sampled_from([200, 204, 301, 400, 401, 404, 409, 429, 500, 502, 503])
WHOLE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def echo(secret: str, status: int, form: str) -> Reply | Break:
    """A service that repeats the secret it was sent, in the way of each."""
    match form:
        case "telegram":
            body: Any = {"ok": False, "error_code": status, "description": f"{'x' * 350} {secret} is no token"}
        case "discord":
            body = {"message": f"token {secret} is wrong", "code": 0}
        case "slack":
            body = {"ok": False, "error": "invalid_auth", "needed": secret}
        case "text":
            body = f"your {secret}".encode()
        case _:
            return Break(sent=f"HTTP/1.1 {secret} {secret}\r\n\r\n".encode())
    return Reply(status=status, body=body, headers={"X-Echo": secret})


FORMS = st.sampled_from(["telegram", "discord", "slack", "text", "broken"])


@pytest.mark.parametrize("kind", CHATS)
@given(secret=SECRETS, status=STATUSES, form=FORMS)
@WHOLE
def test_a_token_is_never_shown(kind: str, service: Service, secret: str, status: int, form: str) -> None:
    service.says(echo(secret, status, form))
    sender = build("ops", {"kind": kind, "base": service.address, "token_env": "T"}, {"T": secret})
    assert sender is not None
    error = outcome(sender, delivery())
    sender.close()

    assert secret in sender.secrets
    assert isinstance(error, Receipt) or secret not in shown(error)


@given(part=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=16, max_size=40), status=STATUSES)
@WHOLE
def test_what_is_secret_in_an_address_is_never_shown(service: Service, part: str, status: int) -> None:
    service.says(Reply(status=status), Break(sent=f"HTTP/1.1 {part}\r\n\r\n".encode()))
    for where in (f"/{part}/x", f"/x?key={part}"):
        sender = build("ops", {"kind": "webhook", "url": f"{service.address}{where}", "signed": False}, {})
        assert sender is not None
        error = outcome(sender, delivery())
        sender.close()

        looks_like_a_token = any(map(str.isalpha, part)) and any(map(str.isdigit, part))
        assert looks_like_a_token == (part in sender.secrets)
        assert isinstance(error, Receipt) or part not in shown(error)


@pytest.mark.parametrize("kind", [*CHATS, "webhook"])
@pytest.mark.parametrize("answer", [Reply(status=403), Break(), Hold()])
def test_no_log_shows_a_secret_even_at_its_loudest(
    kind: str, service: Service, answer: Reply | Break | Hold, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "SecretOfNobody0123456789"
    service.says(answer)
    given_: dict[str, Any] = {"kind": kind, "base": service.address, "token": secret, "timeout": QUICK_MS}
    if kind == "webhook":
        given_ = {"kind": kind, "url": f"{service.address}/{secret}", "signed": False, "timeout": QUICK_MS}
    sender = build("ops", given_, {})
    assert sender is not None
    error = outcome(sender, delivery())
    sender.close()

    assert secret in f"{service.question.path} {service.question.headers}"
    assert secret not in caplog.text + shown(error)
