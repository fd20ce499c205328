"""Attributes that hold several values, as live views."""

from collections.abc import Iterable, MutableMapping, MutableSequence

from . import _core, exception, symbol


class Collection(_core.Collection, MutableSequence):
    """The entities that an attribute holds.

    Adding and removing is recorded as what joins and leaves, so that members whom somebody else adds
    meanwhile stay.
    """

    def __init__(self, entity, name):
        self._check = entity.attributes.get(name)

    @property
    def attribute(self):
        return self._check

    @property
    def mutable(self):
        return self._check.mutable

    def _guard(self):
        if not self.mutable:
            raise exception.ImmutableCollectionError(self)

    def _refers_here(self, item):
        """Whether *item* is a member only because it refers to the entity, which is not committed.

        The official client does not see that, and scripts say it twice.
        """
        state = item._state()
        if state == "modified":
            known = self.entity._peek(self._name, "remote")
            if known is symbol.NOT_SET or item in known:
                return False
        elif state != "created":
            return False
        for operation in self.entity.session.recorded_operations:
            if getattr(operation, "attribute_name", None) == self._name:
                added = getattr(operation, "added", None) or getattr(operation, "new_value", None)
            else:
                added = getattr(operation, "entity_data", {}).get(self._name)
            if item in (added or ()):
                return False
        return True

    def insert(self, index, item):
        self._guard()
        count = len(self)
        if item in self:
            if self._refers_here(item):
                return
            raise exception.DuplicateItemInCollectionError(item, self)
        if index < 0:
            index = max(0, count + index)
        if index >= count:
            self._push([item])
        else:
            self._insert(index, item)

    def append(self, value):
        self._guard()
        if value in self:
            if self._refers_here(value):
                return
            raise exception.DuplicateItemInCollectionError(value, self)
        self._push([value])

    def extend(self, values):
        for value in list(values):
            self.append(value)

    def remove(self, value):
        self._guard()
        if not self._remove(value):
            raise ValueError("{0} is not in {1!r}".format(value, self))

    def clear(self):
        self._guard()
        self._replace([])

    def __contains__(self, value):
        return isinstance(value, _core.Entity) and self._contains(value)

    def __iter__(self):
        return iter(self._members())

    def __len__(self):
        return self._count()

    def __getitem__(self, index):
        return self._members()[index]

    def __setitem__(self, index, item):
        self._guard()
        members = self._members()
        members[index] = item
        self._check_unique(members)
        self._replace(members)

    def __delitem__(self, index):
        self._guard()
        members = self._members()
        gone = members[index]
        for member in gone if isinstance(index, slice) else [gone]:
            self._remove(member)

    def _check_unique(self, members):
        seen = set()
        for member in members:
            if member in seen:
                raise exception.DuplicateItemInCollectionError(member, self)
            seen.add(member)

    def __eq__(self, other):
        if isinstance(other, Collection) or isinstance(other, (list, tuple)):
            return set(self) == set(other)
        return NotImplemented

    __hash__ = None

    def __copy__(self):
        return list(self)

    def __repr__(self):
        return "<Collection {0} of {1}>".format(self._name, self.entity)


class MappedCollectionProxy(MutableMapping):
    """Key-value pairs that the server stores as entities."""

    def __init__(self, entity, name):
        self._attribute = entity.attributes.get(name)

    @property
    def attribute(self):
        return self._attribute

    @property
    def mutable(self):
        return self._attribute.mutable

    @property
    def collection(self):
        """The entities that hold the pairs."""
        return Collection(self.entity, self._name)

    def _guard(self):
        if not self.mutable:
            raise exception.ImmutableCollectionError(self)

    def _to_replace(self, values):
        """Make these the only pairs."""
        self._guard()
        self._replace(dict(values))

    def __eq__(self, other):
        if isinstance(other, (dict, MutableMapping)):
            return dict(self.items()) == dict(other.items())
        return NotImplemented

    __hash__ = None

    def __copy__(self):
        return dict(self)

    def __repr__(self):
        return repr(dict(self.items()))


class KeyValueMappedCollectionProxy(_core.Metadata, MappedCollectionProxy):
    """Metadata: a mapping of texts to texts."""

    def __getitem__(self, key):
        value = self._get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key, value):
        self._guard()
        self._set(key, value)

    def __delitem__(self, key):
        self._guard()
        if not self._remove(key):
            raise KeyError(key)

    def __iter__(self):
        return iter(self._pairs())

    def __len__(self):
        return len(self._pairs())

    def keys(self):
        return list(self._pairs())

    def items(self):
        return self._pairs().items()

    def values(self):
        return self._pairs().values()


class CustomAttributeCollectionProxy(_core.CustomAttributes, MappedCollectionProxy):
    """Custom attributes by their keys.

    A hierarchical one has the value that is set on the entity itself, or `None`; see `effective`.
    """

    def __getitem__(self, key):
        value, origin = self._effective(key)
        if origin != "own" and self._is_hierarchical(key):
            return None
        return value

    def effective(self, key):
        """The value with what is inherited from further up, and where it comes from: `own`, `inherited` or
        `default`.
        """
        return self._effective(key)

    def __setitem__(self, key, value):
        self._guard()
        self._set(key, _plain(value))

    def __delitem__(self, key):
        self._guard()
        self._remove(key)

    def __contains__(self, key):
        return self._contains(key)

    def __iter__(self):
        return iter(self._keys())

    def __len__(self):
        return len(self._keys())

    def keys(self):
        return self._keys()

    def _to_replace(self, values):
        self._guard()
        self._replace({key: _plain(value) for key, value in dict(values).items()})


def _plain(value):
    """Converts other iterables into lists."""
    is_many = isinstance(value, Iterable) and not isinstance(value, (str, bytes, dict, list, MutableMapping))
    return list(value) if is_many else value
