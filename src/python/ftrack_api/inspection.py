"""What is known about entities without a request."""

from . import symbol

_STATES = {
    None: symbol.NOT_SET,
    "created": symbol.CREATED,
    "modified": symbol.MODIFIED,
    "deleted": symbol.DELETED,
}


def identity(entity):
    """The type and the values of the primary key, as a pair."""
    return (str(entity.entity_type), list(entity._key()))


def primary_key(entity):
    """The names and values of the primary key, in order."""
    return dict(zip(entity.primary_key_attributes, entity._key()))


def state(entity):
    """`CREATED`, `MODIFIED`, `DELETED`, or `NOT_SET` for an entity that is not changed."""
    return _STATES[entity._state()]


def states(entities):
    """The states of several entities, in their order."""
    return [state(entity) for entity in entities]
