"""The structure of ids."""

from .. import _core
from .base import _CoreStructure


class EntityIdStructure(_CoreStructure):
    """Uses the component's id, for stores without folders."""

    def _make(self):
        return _core.Structure.entity_id()
