"""The page about the past has every rule that a reason can have, in the words of the code, and nothing else."""

from tallystick.ledger.reasons.reason import SENTENCES, Rule
from tests.docs.pages import doc, rows


def test_every_rule_is_listed_in_its_own_words() -> None:
    listed = [(row[0].strip("`"), row[1]) for row in rows(doc("how-to/replay-the-past.md").section("The rules"))]

    assert [(rule.value, SENTENCES[rule]) for rule in Rule] == listed
