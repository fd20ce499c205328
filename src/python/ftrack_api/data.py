"""File-like objects, as accessors open them."""

import io
import os
import tempfile


class Data(object):
    """Something that can be read or written."""

    def __init__(self):
        self.closed = False

    def read(self, limit=None):
        """At most *limit* bytes from the current position, or all that are left."""
        raise NotImplementedError()

    def write(self, content):
        raise NotImplementedError()

    def flush(self):
        """Write what is buffered."""

    def seek(self, offset, whence=os.SEEK_SET):
        raise NotImplementedError()

    def tell(self):
        raise NotImplementedError()

    def close(self):
        self.flush()
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class FileWrapper(Data):
    """Data that wraps a file object."""

    def __init__(self, wrapped_file):
        super(FileWrapper, self).__init__()
        self.wrapped_file = wrapped_file

    def read(self, limit=None):
        return self.wrapped_file.read(-1 if limit is None else limit)

    def write(self, content):
        self.wrapped_file.write(content)

    def flush(self):
        self.wrapped_file.flush()

    def seek(self, offset, whence=os.SEEK_SET):
        self.wrapped_file.seek(offset, whence)

    def tell(self):
        return self.wrapped_file.tell()

    def close(self):
        if not self.closed:
            self.flush()
            self.wrapped_file.close()
            self.closed = True


class File(FileWrapper):
    """A file on a disk."""

    def __init__(self, path, mode="rb"):
        super(File, self).__init__(io.open(path, mode))


class String(FileWrapper):
    """Data in a temporary file, from bytes or a text."""

    def __init__(self, content=None):
        super(String, self).__init__(tempfile.TemporaryFile())
        self.is_binary = not isinstance(content, str)
        if content is not None:
            self.wrapped_file.write(content if self.is_binary else content.encode("utf-8"))
            self.wrapped_file.seek(0)

    def write(self, content):
        self.wrapped_file.write(content.encode("utf-8") if isinstance(content, str) else content)

    def read(self, limit=None):
        content = super(String, self).read(limit)
        return content if self.is_binary else content.decode("utf-8")
