"""Structures determine where the data of components goes."""

from .. import _lazy

__getattr__, __dir__ = _lazy.modules(__name__, "base", "entity_id", "id", "origin", "standard")
