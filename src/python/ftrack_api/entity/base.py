"""The base class of entities."""

import abc
from collections.abc import MutableMapping

from .. import _core, _lazy, symbol


class DynamicEntityTypeMetaclass(abc.ABCMeta):
    """Prints the classes of entity types as such."""

    def __repr__(self):
        return "<dynamic ftrack class '{0}'>".format(self.__name__)


class Entity(_core.Entity, MutableMapping, metaclass=DynamicEntityTypeMetaclass):
    """An entity: a mapping of its attributes.

    In a session there is one object for each entity, so that comparing by `is` works.
    """

    entity_type = None
    attributes = None
    primary_key_attributes = None
    default_projections = None

    logger = _lazy.Logger("ftrack_api.entity")

    def __init__(self, session=None, data=None, reconstructing=False):
        """Kept for classes that call it: objects are complete before."""

    # The mapping. `__getitem__`, `__setitem__`, `__delitem__` and `clear` are those of the base.
    __getitem__ = _core.Entity.__getitem__
    __setitem__ = _core.Entity.__setitem__
    __delitem__ = _core.Entity.__delitem__
    clear = _core.Entity.clear

    def __iter__(self):
        return iter(self.attributes.keys())

    def __len__(self):
        return len(self.attributes)

    def __contains__(self, name):
        return self.attributes.get(name) is not None

    def keys(self):
        return self.attributes.keys()

    def items(self):
        """All names and values, fetched in one request as far as they are missing."""
        return self._items()

    def values(self):
        return [value for _, value in self._items()]

    def get(self, name, default=None):
        return self[name] if name in self else default

    def update(self, *given, **values):
        """Set several attributes: all of them, or none if one of them cannot be set."""
        self._update(dict(*given, **values))

    def merge(self, entity, merged=None):
        """Take over what another session knows of this entity."""
        return self.session.merge(entity)

    def __copy__(self):
        return self  # There is one object for each entity.

    def __deepcopy__(self, memo):
        return self

    def __eq__(self, other):
        if self is other:
            return True
        if not isinstance(other, _core.Entity):
            return NotImplemented
        return self._identity() == other._identity()

    def __ne__(self, other):
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __hash__(self):
        return hash(self._identity())

    def _identity(self):
        return (str(self.entity_type), tuple(self._key()))

    def __str__(self):
        return "<{0}({1})>".format(self.entity_type, ", ".join(self._key()))

    def __repr__(self):
        return "<dynamic ftrack {0} object {1}>".format(self.entity_type, ", ".join(self._key()))

    def _peek_dict(self):
        """The values that are known without a request."""
        known = ((name, self._peek(name, "known")) for name in self.attributes.keys())
        return {name: value for name, value in known if value is not symbol.NOT_SET}
