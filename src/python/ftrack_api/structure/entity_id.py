"""The id alone."""

from .. import _core
from .base import _CoreStructure


class EntityIdStructure(_CoreStructure):
    """The id of the component: for stores without folders."""

    def _make(self):
        return _core.Structure.entity_id()
