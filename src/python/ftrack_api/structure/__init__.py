"""Structures: where the data of components is put."""

from .. import _lazy

__getattr__, __dir__ = _lazy.modules(__name__, "base", "entity_id", "id", "origin", "standard")
