"""The changes that a session has recorded and not committed."""


class Operation(object):
    """A recorded change."""


class CreateEntityOperation(Operation):
    """An entity was created."""

    def __init__(self, entity_type, entity_key, entity_data):
        self.entity_type = entity_type
        self.entity_key = entity_key
        self.entity_data = entity_data


class UpdateEntityOperation(Operation):
    """An attribute was set."""

    def __init__(self, entity_type, entity_key, attribute_name, old_value, new_value):
        self.entity_type = entity_type
        self.entity_key = entity_key
        self.attribute_name = attribute_name
        self.old_value = old_value
        self.new_value = new_value


class ExtendCollectionOperation(Operation):
    """Members joined or left a collection."""

    def __init__(self, entity_type, entity_key, attribute_name, added, removed):
        self.entity_type = entity_type
        self.entity_key = entity_key
        self.attribute_name = attribute_name
        self.added = added
        self.removed = removed


class DeleteEntityOperation(Operation):
    """An entity was deleted."""

    def __init__(self, entity_type, entity_key):
        self.entity_type = entity_type
        self.entity_key = entity_key


_CLASSES = {
    "create": CreateEntityOperation,
    "update": UpdateEntityOperation,
    "extend": ExtendCollectionOperation,
    "delete": DeleteEntityOperation,
}


class Operations(object):
    """The recorded operations of a session, oldest first: a view of them."""

    def __init__(self, session=None):
        self._session = session

    def clear(self):
        """Discard the operations and the local values that they stand for."""
        if self._session is not None:
            self._session.rollback()

    def __len__(self):
        return 0 if self._session is None else self._session._operation_count()

    def __iter__(self):
        for found in [] if self._session is None else self._session._operations():
            made = _CLASSES[found.pop("action")]
            found["entity_key"] = dict(
                zip(self._session._primary_key(found["entity_type"]), found["entity_key"])
            )
            yield made(**found)

    def __repr__(self):
        return "<Operations: {0}>".format(len(self))
