"""What an accessor is: derive from it to reach a store of your own."""

from ..exception import AccessorUnsupportedOperationError


class Accessor(object):
    """Reads and writes data by resource identifiers.

    `open`, `exists` and `remove` are needed; what a store cannot do stays as it is here.
    """

    def list(self, resource_identifier):
        """The resource identifiers in a container."""
        raise AccessorUnsupportedOperationError("list", resource_identifier)

    def exists(self, resource_identifier):
        """Whether there is such data, or such a container."""
        raise AccessorUnsupportedOperationError("exists", resource_identifier)

    def is_file(self, resource_identifier):
        raise AccessorUnsupportedOperationError("is_file", resource_identifier)

    def is_container(self, resource_identifier):
        raise AccessorUnsupportedOperationError("is_container", resource_identifier)

    def is_sequence(self, resource_identifier):
        raise AccessorUnsupportedOperationError("is_sequence", resource_identifier)

    def open(self, resource_identifier, mode="rb"):
        """A file-like object (`ftrack_api.data.Data`) to read (`rb`) or to write (`wb`)."""
        raise AccessorUnsupportedOperationError("open", resource_identifier)

    def remove(self, resource_identifier):
        raise AccessorUnsupportedOperationError("remove", resource_identifier)

    def make_container(self, resource_identifier, recursive=True):
        raise AccessorUnsupportedOperationError("make_container", resource_identifier)

    def get_container(self, resource_identifier):
        """The container that data is in, or would be."""
        raise AccessorUnsupportedOperationError("get_container", resource_identifier)

    def remove_container(self, resource_identifier):
        return self.remove(resource_identifier)

    def get_filesystem_path(self, resource_identifier):
        """The path of the data on this machine."""
        raise AccessorUnsupportedOperationError("get_filesystem_path", resource_identifier)

    def get_url(self, resource_identifier):
        """A URL that the data can be downloaded from."""
        raise AccessorUnsupportedOperationError("get_url", resource_identifier)


class _CoreAccessor(Accessor):
    """An accessor of the SDK."""

    def __init__(self, core):
        self._core = core

    def list(self, resource_identifier):
        return self._core.list(resource_identifier)

    def exists(self, resource_identifier):
        return self._core.exists(resource_identifier)

    def is_file(self, resource_identifier):
        return self._core.is_file(resource_identifier)

    def is_container(self, resource_identifier):
        return self._core.is_container(resource_identifier)

    def remove(self, resource_identifier):
        from ..exception import AccessorResourceNotFoundError

        if not self._core.remove(resource_identifier):
            raise AccessorResourceNotFoundError("remove", resource_identifier)

    def make_container(self, resource_identifier, recursive=True):
        self._core.make_container(resource_identifier)

    def get_container(self, resource_identifier):
        return self._core.get_container(resource_identifier)

    def get_filesystem_path(self, resource_identifier):
        return self._core.get_filesystem_path(resource_identifier)

    def get_url(self, resource_identifier):
        return self._core.get_url(resource_identifier)

    def get_thumbnail_url(self, resource_identifier, size=300):
        return self._core.get_thumbnail_url(resource_identifier, 300 if size is None else size)

    def open(self, resource_identifier, mode="rb"):
        from .server import CoreFile

        return CoreFile(self._core, resource_identifier, mode)
