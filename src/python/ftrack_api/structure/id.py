"""Folders by parts of the id."""

from .. import _core
from .base import _CoreStructure


class IdStructure(_CoreStructure):
    """`ab/cd/ef/…`: few entries in each folder."""

    def _make(self):
        return _core.Structure.by_id(self.prefix)
