"""Files on disks."""

import contextlib
import os

from .. import _core, data, exception
from .base import _CoreAccessor


class DiskAccessor(_CoreAccessor):
    """Reads and writes below the folder *prefix*, in which `~` and variables are expanded; without one, everywhere."""

    def __init__(self, prefix, **kw):
        if prefix:
            prefix = os.path.expanduser(os.path.expandvars(prefix))
        self._prefix = prefix
        super(DiskAccessor, self).__init__(_core.Accessor.disk(prefix or None))

    @property
    def prefix(self):
        return self._prefix

    def make_container(self, resource_identifier, recursive=True):
        path = self.get_filesystem_path(resource_identifier)
        if not recursive and not os.path.isdir(os.path.dirname(path)):
            raise exception.AccessorParentResourceNotFoundError("make_container", resource_identifier)
        super(DiskAccessor, self).make_container(resource_identifier)

    def open(self, resource_identifier, mode="rb"):
        path = self.get_filesystem_path(resource_identifier)
        with error_handler(operation="open", resource_identifier=resource_identifier):
            return data.File(path, mode)


@contextlib.contextmanager
def error_handler(**kw):
    """Raise the errors of files as those of accessors."""
    try:
        yield
    except FileNotFoundError as error:
        raise exception.AccessorResourceNotFoundError(error=error, **kw) from error
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise exception.AccessorResourceInvalidError(error=error, **kw) from error
    except PermissionError as error:
        raise exception.AccessorPermissionDeniedError(error=error, **kw) from error
    except OSError as error:
        raise exception.AccessorOperationFailedError(error=error, **kw) from error
