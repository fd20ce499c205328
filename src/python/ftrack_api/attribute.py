"""Attributes of entity types, and their values."""

from . import symbol


class Attributes(object):
    """The attributes of an entity type, by name."""

    def __init__(self, attributes=None):
        self._data = {attribute.name: attribute for attribute in attributes or ()}

    def add(self, attribute):
        if attribute.name in self._data:
            from .exception import NotUniqueError

            raise NotUniqueError("Attribute with name {0} already added as {1}".format(
                attribute.name, self._data[attribute.name]))
        self._data[attribute.name] = attribute

    def remove(self, attribute):
        del self._data[attribute.name]

    def get(self, name):
        """The attribute with that name, or `None`."""
        return self._data.get(name)

    def keys(self):
        return list(self._data)

    def __contains__(self, item):
        return getattr(item, "name", None) in self._data

    def __iter__(self):
        return iter(list(self._data.values()))

    def __len__(self):
        return len(self._data)


class Attribute(object):
    """An attribute of an entity type."""

    def __init__(self, name, default_value=symbol.NOT_SET, mutable=True, computed=False):
        self._name = name
        self._mutable = mutable
        self._computed = computed
        self.default_value = default_value

    @property
    def name(self):
        return self._name

    @property
    def mutable(self):
        return self._mutable

    @property
    def computed(self):
        return self._computed

    def get_value(self, entity):
        """The value, loaded if necessary."""
        return entity[self.name]

    def get_local_value(self, entity):
        """The value that was set and is not committed, or `NOT_SET`."""
        return entity._peek(self.name, "local")

    def get_remote_value(self, entity):
        """The value on the server, or `NOT_SET` if it is not loaded."""
        return entity._peek(self.name, "remote")

    def set_local_value(self, entity, value):
        entity[self.name] = value

    def populate_remote_value(self, entity):
        """Load the value from the server."""
        entity.session.populate(entity, self.name)
        return self.get_remote_value(entity)

    def is_modified(self, entity):
        local = self.get_local_value(entity)
        return local is not symbol.NOT_SET and local != self.get_remote_value(entity)

    def is_set(self, entity):
        return entity._peek(self.name, "known") is not symbol.NOT_SET

    def __repr__(self):
        return "<{0}.{1}({2})>".format(type(self).__module__, type(self).__name__, self.name)


class ScalarAttribute(Attribute):
    """An attribute with a text, a number, a boolean or a point in time."""

    def __init__(self, name, data_type, **kw):
        Attribute.__init__(self, name, **kw)
        self.data_type = data_type


class ReferenceAttribute(Attribute):
    """An attribute that refers to another entity."""

    def __init__(self, name, entity_type, **kw):
        Attribute.__init__(self, name, **kw)
        self.entity_type = entity_type


class AbstractCollectionAttribute(Attribute):
    """An attribute that holds several values."""

    collection_class = None

    def __init__(self, name, entity_type=None, **kw):
        Attribute.__init__(self, name, **kw)
        self.entity_type = entity_type


class CollectionAttribute(AbstractCollectionAttribute):
    """An attribute that holds a collection of entities."""


class KeyValueMappedCollectionAttribute(AbstractCollectionAttribute):
    """An attribute that holds key-value pairs."""


class CustomAttributeCollectionAttribute(AbstractCollectionAttribute):
    """The attribute that holds custom attributes."""


def _set_classes():
    from . import collection

    CollectionAttribute.collection_class = collection.Collection
    KeyValueMappedCollectionAttribute.collection_class = collection.KeyValueMappedCollectionProxy
    CustomAttributeCollectionAttribute.collection_class = collection.CustomAttributeCollectionProxy


_set_classes()
