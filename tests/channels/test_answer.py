"""What a service says of time, and of what cannot be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.channels.answer import Answer, failure, retry_after_ms, seconds_ms
from tallystick.channels.message import cut
from tallystick.channels.speech import Speech
from tallystick.ledger.delivery import Permanent, Retryable, Unconfirmed
from tallystick.ledger.limits import PATIENCE_MS_MAX

NOON_S = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


@pytest.mark.parametrize(
    ("said", "after_ms"),
    [
        (None, None),
        ("120", 120_000),
        (" 1.5 ", 1_500),
        ("0", 0),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e300", PATIENCE_MS_MAX),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30_000),
        ("Wed, 21 Oct 2015 07:28:30 -0000", 30_000),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_a_time_to_ask_again_is_seconds_or_a_date(said: str | None, after_ms: int | None) -> None:
    assert after_ms == retry_after_ms(said, lambda: NOON_S)


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())))
def test_whatever_is_said_of_seconds_is_a_time_that_can_be_waited_for(value: object) -> None:
    after_ms = seconds_ms(value)

    assert after_ms is None or 0 <= after_ms <= PATIENCE_MS_MAX


@given(st.binary())
def test_whatever_a_body_is_an_object_comes_of_it(body: bytes) -> None:
    assert isinstance(Answer(200, body).json(), dict)


@given(st.integers(100, 999), st.one_of(st.none(), st.integers(0, 10)))
def test_every_status_is_sorted(status: int, after_ms: int | None) -> None:
    assert isinstance(
        failure(Speech("ops", "webhook"), status, None, after_ms=after_ms), Retryable | Permanent | Unconfirmed
    )


def test_a_server_that_is_unavailable_until_then_has_not_taken_it() -> None:
    speech = Speech("ops", "telegram")

    assert isinstance(failure(speech, 503, None, after_ms=1), Retryable)
    assert isinstance(failure(speech, 503, None), Unconfirmed)


@given(st.text(), st.integers(1, 20))
def test_a_cut_text_fits_and_begins_as_it_did(text: str, most: int) -> None:
    kept = cut(text, most)

    assert len(kept.encode("utf-16-le", "replace")) <= 2 * most
    assert kept == text or (kept.endswith("…") and text.startswith(kept[:-1]))
