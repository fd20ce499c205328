"""The structure that splits ids into folders."""

from .. import _core
from .base import _CoreStructure


class IdStructure(_CoreStructure):
    """Splits the component's id into folders, `a/b/c/d/ef…`, so that each has few entries."""

    def _make(self):
        return _core.Structure.by_id(self.prefix)
