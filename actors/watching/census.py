"""The census: goes through all tasks of a status that somebody could tell of, a page at a time."""

from collections.abc import Callable

from msgspec import Struct

from tallystick.actors.watching.supervision import Supervision
from tallystick.ledger.lifecycle import Runtime, Status
from tallystick.projections.query import Query
from tallystick.projections.reader import Reader

PAGE_TASKS = 128  # others have mail, too


class Page(Struct, frozen=True):
    """The next page of a look at all tasks of a status, and whether they are to be looked into at once."""

    status: Status
    runtime: Runtime | None
    at_once: bool
    cursor: str | None = None


class Census:
    """Counts nobody, but leaves nobody out. Lives on one thread; `put` brings its pages there."""

    def __init__(self, reader: Reader, supervision: Supervision, put: Callable[[Page], None]) -> None:
        self._reader, self._supervision, self._put = reader, supervision, put
        self._under_way = 0

    def is_busy(self) -> bool:
        """Whether there are pages left."""
        return bool(self._under_way)

    def begin(self, runtime: Runtime | None, *, at_once: bool) -> None:
        """Go through all that runs of a runtime, or of any, and through what is lost and may be recovered."""
        runtimes = self._supervision.probed() if runtime is None else {runtime}
        pages = [Page(Status.RUNNING, runtime, at_once)]
        pages.extend(Page(Status.LOST, each, at_once) for each in sorted(runtimes) if self._supervision.recovers(each))
        self._under_way += len(pages)
        for page in pages:
            self._put(page)

    def read(self, page: Page) -> list[bytes]:
        """Return the tasks of a page that somebody could tell of; the next page follows by itself."""
        try:
            query = Query(status=page.status, runtime=page.runtime, limit=PAGE_TASKS, cursor=page.cursor)
            found = self._reader.list(query)
        except Exception:
            self._under_way -= 1
            raise
        if found.next_cursor is None:
            self._under_way -= 1
        else:
            self._put(Page(page.status, page.runtime, page.at_once, found.next_cursor))
        return [record.stream for record in found.tasks if self._supervision.question(record) is not None]
