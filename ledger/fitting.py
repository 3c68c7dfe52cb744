"""Fitting: whether what is kept beside a record is what the record names. Pure."""

from types import MappingProxyType

from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.payloads import Payloads, digest

NOTHING_KEPT: Payloads = MappingProxyType({})
"""What is kept of most events."""


def strange(fact: Fact, payloads: Payloads) -> list[str]:
    """Return the names of those payloads that have not the digest that the record has under this name."""
    aside = fact.aside or {}
    return [name for name, payload in payloads.items() if aside.get(name) != digest(payload)]
