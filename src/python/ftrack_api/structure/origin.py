"""The structure that keeps the identifiers of the source."""

from .. import _core
from .base import _CoreStructure


class OriginStructure(_CoreStructure):
    """The resource identifier in the source location: for locations that copy nothing."""

    def _make(self):
        return _core.Structure.origin()
