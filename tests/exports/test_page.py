"""The page of a bundle is text about tasks, and nothing that a task says is more than text on it."""

from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tallystick.exports import manifest
from tallystick.exports.manifest import About
from tallystick.exports.page import Attested, page
from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import DeliveryQueued
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import TaskErased, TaskFailed, TaskStarted
from tallystick.ledger.lifecycle import DeliveryKind
from tallystick.ledger.proofs.checkpoint import Checkpoint
from tallystick.ledger.reasons.reason import SENTENCES
from tallystick.ledger.store.port import Damaged, Deleted, Stored
from tests.aside import kept_log
from tests.exports.evidence import EVENTS
from tests.story import STREAM, created

DIGEST = "45b6dffe9d1e162b0d72a4648fb90dbba2877fae0b675cf6b02aec1fd30a20ea"
DIGEST_OF_WORDS = "80723482da0a4a83b0a60b51e294dc605c7d3151a83e097afde94ed98122f724"
DIGEST_OF_KEPT = "6648a17483aabb35b54560c576ad5934d9a5232ffd46ea29b2399cb2282f3b18"


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.others: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)


HOSTILE = st.one_of(
    st.text(min_size=1, max_size=60),
    st.sampled_from(["<script>", "</td>", "<!--", "<?", "&lt;", '"', "'", "`", "]]>", "<img src=x>", "\u202e"]),
).filter(str.strip)


def message(delivery: str, text: str, **where: Any) -> DeliveryQueued:
    """A message about an end."""
    return DeliveryQueued(delivery=delivery, kind=DeliveryKind.TERMINAL, text=text, **where)


def paper(texts: list[str]) -> str:
    """A page about a task, with these texts wherever somebody can choose one."""
    task, owner, label, actor, error, by, ledger, name, reason = texts
    told = msgspec.structs.replace(created(), task=task, label=label, metadata={owner: label})
    events = [
        Event(1, STREAM, 1, 1, 1, actor, told),
        Event(2, STREAM, 2, 1, 2, actor, TaskStarted()),
        Event(3, STREAM, 3, 1, 3, actor, TaskFailed(error=error)),
        Event(4, STREAM, 4, 4, 4, actor, message("terminal:failed", error, route=Origin(channel=name, to=by))),
        Event(5, STREAM, 5, 5, 5, actor, message("terminal:again", error, session=owner)),
    ]
    about = About(
        made_at=1,
        made_by=by,
        by=by,
        ledger=ledger,
        size=7,
        root_hash="00",
        events=5,
        damaged=1,
        deleted=1,
        selection={"lookup": name},
    )
    seen = Attested(7, ((name, 1),), has_token=True)
    records: list[Stored] = [*events, Damaged(6, error), Deleted(7, "", by, 7, reason)]
    return "".join(page(about, Checkpoint(ledger, 7, bytes(32)), seen, records))


def tags_of(text: str) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """The tags of a page that are more than the breaks in a text."""
    found = Tags(text)
    assert [] == found.others
    return [each for each in found.tags if each != ("br", [])]


@given(st.lists(HOSTILE, min_size=9, max_size=9))
def test_no_text_of_a_task_is_more_than_text_on_the_page(texts: list[str]) -> None:
    assert tags_of(paper(["x"] * 9)) == tags_of(paper(texts))


def test_a_page_of_this_version_always_has_the_same_bytes() -> None:
    """Bundles are kept for years, and whoever verifies one makes its page anew: another page is another version."""
    about = About(
        made_at=1, made_by="a", by="b", ledger="c", size=9, root_hash="00", events=9, damaged=0, deleted=0
    )  # fmt: skip
    several = page(about, Checkpoint("c", 9, bytes(32)), None, EVENTS)
    digest = sha256("".join([paper([f"text {number}" for number in range(9)]), *several]).encode()).hexdigest()

    assert (1, DIGEST) == (manifest.FIRST, digest)


def test_so_has_a_page_about_what_is_kept_beside_the_log_or_erased_or_redacted() -> None:
    log = kept_log(EVENTS)
    last = [event for event in EVENTS if event.stream == EVENTS[0].stream][-1]
    erasure = TaskErased(reason="asked for", fields=("task",), count=3)
    redacted = msgspec.structs.replace(created(), redacted=("task",))
    log.append(
        [
            Event(len(EVENTS) + 1, last.stream, last.version + 1, 9, 9, "ops", erasure),
            Event(len(EVENTS) + 2, b"\x01" * 16, 1, 9, 9, "ops", redacted),
        ]
    )
    about = About(
        made_at=1, made_by="a", by="b", ledger="c", size=9, root_hash="00", events=9, damaged=0, deleted=0
    )  # fmt: skip
    records = list(log.read())
    text = "".join(page(about, Checkpoint("c", 9, bytes(32)), None, records))

    assert (2, 2) == (manifest.VERSION, manifest.version_for(records))
    for said in ("kept beside the log: ", "erased by ops at position 13: ", "something was taken out of it"):
        assert f"<em>{said}" in text
    assert DIGEST_OF_KEPT == sha256(text.encode()).hexdigest()


def test_the_words_for_the_rules_are_a_part_of_the_page_and_stay_as_they_are() -> None:
    """Another word for any rule would make every bundle that has an event of it one that was altered."""
    words = "\n".join(f"{rule.value} {sentence}" for rule, sentence in sorted(SENTENCES.items()))

    assert DIGEST_OF_WORDS == sha256(words.encode()).hexdigest()


def test_the_page_loads_nothing_and_runs_nothing(bundle: Path) -> None:
    text = (bundle / manifest.PAGE).read_text("utf-8")
    found = Tags(text)

    assert not {"script", "img", "link", "iframe", "a", "form"} & {tag for tag, _ in found.tags}
    assert "default-src 'none'" in text
    names = {name for _, attrs in found.tags for name, _ in attrs}
    assert {"lang", "charset", "http-equiv", "content"} == names
