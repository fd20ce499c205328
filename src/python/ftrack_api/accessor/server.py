"""The server's own storage."""

import io

from ..data import Data
from .base import _CoreAccessor


class CoreFile(Data):
    """Data that an accessor of the SDK reads or writes.

    What is written is held in memory, and stored by `flush` or `close`.
    """

    def __init__(self, core, resource_identifier, mode="rb"):
        super(CoreFile, self).__init__()
        self.mode = mode
        self.resource_identifier = resource_identifier
        self._core = core
        self._reader = None
        self._written = io.BytesIO()
        self._is_dirty = False
        self._position = 0

    def read(self, limit=None):
        if self._reader is None:
            self._reader = self._core.open(self.resource_identifier)
        content = self._reader.read(None if limit is None or limit < 0 else limit)
        self._position += len(content)
        return content

    def write(self, content):
        self._written.write(content)
        self._is_dirty = True

    def flush(self):
        if self._is_dirty:
            self._core.write(self.resource_identifier, self._written.getvalue())
            self._is_dirty = False

    def seek(self, offset, whence=0):
        if whence != 0 or offset < 0:
            raise NotImplementedError("only the distance from the start can be sought")
        self._reader, self._position = None, 0
        if offset:
            self.read(offset)

    def tell(self):
        return self._written.tell() if self._is_dirty else self._position

    def close(self):
        if not self.closed:
            self.flush()
            self._reader = None
            self.closed = True


class ServerFile(CoreFile):
    """A file on the server."""

    def __init__(self, resource_identifier, session, mode="rb"):
        from ..symbol import SERVER_LOCATION_ID

        location = session.get("Location", SERVER_LOCATION_ID)
        super(ServerFile, self).__init__(location.accessor._core, resource_identifier, mode)


class _ServerAccessor(_CoreAccessor):
    """Reads and writes on the server."""

    def __init__(self, session, **kw):
        from ..symbol import SERVER_LOCATION_ID

        location = session.get("Location", SERVER_LOCATION_ID)
        super(_ServerAccessor, self).__init__(location._accessor())
