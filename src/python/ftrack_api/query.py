"""Results of queries."""

import threading
from collections.abc import Sequence


class QueryResult(Sequence):
    """The entities that a query finds, fetched page by page when they are needed, and then kept."""

    OFFSET_EXPRESSION = None
    LIMIT_EXPRESSION = None

    def __init__(self, session, expression, page_size=500):
        self._session = session
        self._expression = expression
        self._page_size = page_size
        self._query = session._query(expression, page_size)
        self._pages = None
        self._rows = []
        self._is_complete = False
        self._fetching = threading.Lock()

    def _fetch_more(self):
        # Waiting for another thread could wait for ever: it may wait for this one.
        if not self._fetching.acquire(blocking=False):
            raise RuntimeError("another thread is fetching a page of this query")
        try:
            self._fetch_page()
        finally:
            self._fetching.release()

    def _fetch_page(self):
        if self._pages is None:
            self._pages = self._query.pages()
        try:
            page = self._pages.next()
        except BaseException:
            # The next attempt begins anew.
            self._pages = None
            del self._rows[:]
            raise
        if page is None:
            self._is_complete = True
        else:
            self._rows.extend(page)

    def _can_fetch_more(self):
        return not self._is_complete

    def __iter__(self):
        index = 0
        rows = self._rows
        while True:
            while index < len(rows):
                yield rows[index]
                index += 1
            if self._is_complete:
                return
            self._fetch_more()

    def __getitem__(self, index):
        end = index.stop if isinstance(index, slice) else index + 1
        start = index.start if isinstance(index, slice) else index
        from_end = end is None or end < 0 or (start is not None and start < 0)
        while not self._is_complete and (from_end or len(self._rows) < end):
            self._fetch_more()
        return self._rows[index]

    def __len__(self):
        return len(self.all())

    def __bool__(self):
        while not self._rows and not self._is_complete:
            self._fetch_more()
        return bool(self._rows)

    def __str__(self):
        return str(self._query)

    def __repr__(self):
        return "<QueryResult: {0}>".format(self._query)

    def all(self):
        """All entities, as a list."""
        while not self._is_complete:
            self._fetch_more()
        return list(self._rows)

    def one(self):
        """The only entity; an error if there is none or there are several."""
        return self._query.one()

    def first(self):
        """The first entity, or `None`."""
        return self._rows[0] if self._rows else self._query.first()

    def count(self, *value):
        """The number of results, counted by the server; with a value, how often it occurs among them."""
        return Sequence.count(self, *value) if value else self._query.count()
