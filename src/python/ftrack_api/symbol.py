"""Names for values that are not values."""

import os


class Symbol(object):
    """A constant that prints as its name. It is false if *value* is."""

    def __init__(self, name, value=True):
        self.name = name
        self.value = value

    def __str__(self):
        return self.name

    def __repr__(self):
        return "{0}({1})".format(type(self).__name__, self.name)

    def __bool__(self):
        return bool(self.value)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        # Unpickled, it is still the one that comparisons by `is` expect.
        known = globals().get(self.name)
        return self.name if known is self else (Symbol, (self.name, self.value))


#: The value of an attribute that is not loaded, and is not to be loaded now.
NOT_SET = Symbol("NOT_SET", False)

#: States of entities, from `ftrack_api.inspection.state`.
CREATED = Symbol("CREATED")
MODIFIED = Symbol("MODIFIED")
DELETED = Symbol("DELETED")

COMPONENT_ADDED_TO_LOCATION_TOPIC = "ftrack.location.component-added"
COMPONENT_REMOVED_FROM_LOCATION_TOPIC = "ftrack.location.component-removed"

#: The locations that every server has.
ORIGIN_LOCATION_ID = "ce9b348f-8809-11e3-821c-20c9d081909b"
UNMANAGED_LOCATION_ID = "cb268ecc-8809-11e3-a7e2-20c9d081909b"
REVIEW_LOCATION_ID = "cd41be70-8809-11e3-b98a-20c9d081909b"
CONNECT_LOCATION_ID = "07b82a97-8cf9-11e3-9383-20c9d081909b"
SERVER_LOCATION_ID = "3a372bde-05bc-11e4-8908-20c9d081909b"

#: How many bytes to copy at once; the SDK has its own sizes, this is for code that asks.
CHUNK_SIZE = int(os.getenv("FTRACK_API_FILE_CHUNK_SIZE", 0)) or 1024 * 1024

JOB_SYNC_USERS_LDAP = Symbol("SYNC_USERS_LDAP")
