"""The shelf: every page is listed, every link leads somewhere, every file that is named is there."""

import re

import pytest

from tests.docs.pages import DOCS, ROOT, Page, all_pages, doc

PAGES = all_pages()
GENERATED = {"docs/benchmarks.md", "docs/reference/cli.md"}  # by the programs that they are about, perhaps later
GENERATED_PATHS = {ROOT / name for name in GENERATED}

_FILE = re.compile(r"`((?:actors|bench|ledger|projections|tallystick|tests|docs)/[\w./-]+)`")
_ENDS_A_SENTENCE = re.compile(r"[a-z)`\"][.!?] +[A-Z`\"]")


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_link_leads_to_a_page_and_a_heading(page: Page) -> None:
    broken = []
    for link in page.links():
        name, _, anchor = link.partition("#")
        path = (page.path.parent / name).resolve() if name else page.path
        if re.match(r"https?://", link) or path in GENERATED_PATHS:
            continue
        if not path.exists() or (anchor and anchor not in _anchors(path)):
            broken.append(link)

    assert [] == broken


def _anchors(path: object) -> set[str]:
    return next((page.anchors() for page in PAGES if page.path == path), set())


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_file_that_a_page_names_is_there(page: Page) -> None:
    named = set(_FILE.findall(page.prose())) - GENERATED

    assert [] == sorted(name for name in named if not (ROOT / name).exists())


def test_every_page_can_be_reached_from_the_index() -> None:
    reached = {DOCS / "index.md"}
    for shelf in (doc("index.md"), doc("decisions/index.md")):
        reached |= {(shelf.path.parent / link.partition("#")[0]).resolve() for link in shelf.links()}

    assert [] == sorted(page.name for page in PAGES if DOCS in page.path.parents and page.path not in reached)


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_a_page_has_one_title_and_a_sentence_a_line(page: Page) -> None:
    if page.name in GENERATED:
        pytest.skip("its generator decides")
    titles = [line for line in page.prose().splitlines() if line.startswith("# ")]
    crowded = [line for line in page.prose().splitlines() if not line.startswith("|") and _ENDS_A_SENTENCE.search(line)]

    assert 1 == len(titles)
    assert [] == crowded


def test_decisions_are_numbered_without_gaps_and_say_why() -> None:
    decisions = [page for page in PAGES if page.path.parent == DOCS / "decisions" and page.path.name != "index.md"]

    assert [f"{number:04}" for number in range(1, len(decisions) + 1)] == [page.path.name[:4] for page in decisions]
    for page in decisions:
        assert ["Context", "Decision", "Consequences"] == page.headings()[1:], page.name
